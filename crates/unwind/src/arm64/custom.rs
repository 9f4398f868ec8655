//! Frames of hand-written routines: where nt saved what an exception or a context switch interrupted.
//!
//! Layouts: KTRAP_FRAME and the vector state as the MIT-licensed .NET runtime declares them; CONTEXT and ARM64EC_NT_CONTEXT
//! from `winnt.h`. Unverified on a real dump, for none comes with nt's image.

use super::codes::Custom;
use super::{FP, LR};
use crate::step::{stack_vector, stack_word};
use crate::{Break, Context, MachineFrame, Position, Stack};

const SP: usize = 31;
const PC: usize = 32;
const CPSR: usize = 33;
const FPCR: usize = 34;
const FPSR: usize = 35;
/// CONTEXT_UNWOUND_TO_CALL.
const UNWOUND_TO_CALL: u64 = 0x2000_0000;

/// X6, X7, X9 to X12, X15 and LR lie in the slots of x87 registers.
const EC_CONTEXT: &[(usize, u64)] = &[
    (8, 0x78),
    (0, 0x80),
    (1, 0x88),
    (27, 0x90),
    (SP, 0x98),
    (FP, 0xa0),
    (25, 0xa8),
    (26, 0xb0),
    (2, 0xb8),
    (3, 0xc0),
    (4, 0xc8),
    (5, 0xd0),
    (19, 0xd8),
    (20, 0xe0),
    (21, 0xe8),
    (22, 0xf0),
    (PC, 0xf8),
    (LR, 0x120),
    (6, 0x130),
    (7, 0x140),
    (9, 0x150),
    (10, 0x160),
    (11, 0x170),
    (12, 0x180),
    (15, 0x190),
];
const EC_VECTORS: u64 = 0x1a0;

/// Takes the registers that a custom frame at `sp` holds.
pub fn enter(
    stack: &dyn Stack,
    custom: Custom,
    context: &mut Context,
    sp: &mut u64,
    body: u64,
) -> Result<(Position, Option<MachineFrame>), Break> {
    let base = *sp;
    let frame = Some(MachineFrame { address: base, body });
    let word = |offset: u64| stack_word(stack, base.wrapping_add(offset));
    let mut position = Position::Exact;
    match custom {
        Custom::ClearUnwoundToCall => {
            let lr = context.get(LR).ok_or(Break::UnknownRegister("lr"))?;
            context.set_ip(lr);
            return Ok((Position::Exact, None));
        }
        Custom::MachineFrame => {
            context.set(SP, word(0)?);
            context.set(PC, word(8)?);
        }
        Custom::TrapFrame => {
            trap_frame(stack, base, context)?;
        }
        Custom::Context => {
            for register in 0..33 {
                context.set(register, word(8 + 8 * register as u64)?);
            }
            vectors(stack, base.wrapping_add(0x110), 32, context);
            let (flags, status) = (word(0)?, word(0x310)?);
            context.set(CPSR, flags >> 32);
            context.set(FPCR, status & 0xffff_ffff);
            context.set(FPSR, status >> 32);
            if flags & UNWOUND_TO_CALL != 0 {
                position = Position::AfterCall;
            }
        }
        Custom::EcContext => {
            for &(register, offset) in EC_CONTEXT {
                context.set(register, word(offset)?);
            }
            vectors(stack, base.wrapping_add(EC_VECTORS), 16, context);
        }
    }
    *sp = context.get(SP).unwrap_or(base);
    Ok((position, frame))
}

fn trap_frame(stack: &dyn Stack, base: u64, context: &mut Context) -> Result<(), Break> {
    let word = |offset: u64| stack_word(stack, base.wrapping_add(offset));
    for register in 0..19 {
        context.set(register, word(0xa0 + 8 * register as u64)?);
    }
    for (register, offset) in [(SP, 0x98), (LR, 0x138), (FP, 0x140), (PC, 0x148)] {
        context.set(register, word(offset)?);
    }
    context.set(CPSR, word(0x90)? & 0xffff_ffff);
    // The vector registers lie elsewhere, and need not have been saved.
    let vector_state = word(0x10)?;
    if vector_state != 0
        && let Ok(status) = stack_word(stack, vector_state.wrapping_add(8))
        && status != u64::MAX
    {
        context.set(FPCR, status & 0xffff_ffff);
        context.set(FPSR, status >> 32);
        vectors(stack, vector_state.wrapping_add(0x10), 32, context);
    }
    Ok(())
}

/// Vector registers, as far as their memory is there.
fn vectors(stack: &dyn Stack, base: u64, count: usize, context: &mut Context) {
    for register in 0..count {
        if let Ok(value) = stack_vector(stack, base.wrapping_add(16 * register as u64)) {
            context.set_vector(register, value);
        }
    }
}
