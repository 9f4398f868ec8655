//! ARM64, through yaxpeax-arm.

use super::{Access, Instruction, Nature, Target};
use bugcheck_dump::Registers;
use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::{InstDecoder, Opcode, Operand};

pub(super) fn decode(code: &[u8], registers: &Registers, address: u64) -> Option<Instruction> {
    let bytes = code.get(..4)?.to_vec();
    let Ok(decoded) = InstDecoder::default().decode(&mut U8Reader::new(&bytes)) else {
        return Some(Instruction {
            address,
            bytes,
            text: "(bytes that are no instruction)".to_owned(),
            accesses: Vec::new(),
            nature: Nature::Invalid,
            features: Vec::new(),
            target: None,
        });
    };
    let nature = match decoded.opcode {
        Opcode::BRK | Opcode::HLT => Nature::Breakpoint,
        Opcode::UDF => Nature::Trap,
        _ => Nature::Ordinary,
    };
    let text = decoded.to_string();
    let accesses = decoded.operands.iter().filter_map(|operand| access(operand, &text, registers)).collect();
    let branches = matches!(decoded.opcode, Opcode::BR | Opcode::BLR | Opcode::RET);
    let target = branches.then(|| match decoded.operands.first() {
        Some(&Operand::Register(_, number)) => {
            Target::Register(Registers::names(registers.arch()).get(usize::from(number)).and_then(|name| registers.get(name)))
        }
        _ => Target::Register(registers.get("lr")),
    });
    Some(Instruction { address, bytes, text, accesses, nature, features: Vec::new(), target })
}

/// The address of a load or store operand. Register 31 as a base is the stack pointer.
fn access(operand: &Operand, text: &str, registers: &Registers) -> Option<Access> {
    let names = Registers::names(registers.arch());
    let base_name = |number: u16| if number == 31 { Some("sp") } else { names.get(usize::from(number)).copied() };
    let (base, displacement) = match *operand {
        Operand::RegPreIndex(base, displacement, _) => (base, i64::from(displacement)),
        // The base is used first and moved afterwards.
        Operand::RegPostIndex(base, _) | Operand::RegPostIndexReg(base, _) => (base, 0),
        Operand::RegRegOffset(..) => return indexed(text),
        _ => return None,
    };
    let base = base_name(base)?;
    let value = registers.get(base);
    Some(Access {
        address: value.map(|value| value.wrapping_add_signed(displacement)),
        // A pair of 64-bit registers is the largest ordinary access, a vector pair the largest of all.
        size: 32,
        reads: text.starts_with("ld"),
        writes: text.starts_with("st"),
        expression: if displacement == 0 { base.to_owned() } else { format!("{base} + {displacement:#x}") },
        base: Some(base),
        unknown: if value.is_none() { vec![base.to_owned()] } else { Vec::new() },
    })
}

/// An indexed operand is named but not computed.
fn indexed(text: &str) -> Option<Access> {
    let inside = text.split_once('[')?.1.split_once(']')?.0;
    Some(Access {
        address: None,
        size: 32,
        reads: text.starts_with("ld"),
        writes: text.starts_with("st"),
        expression: inside.to_owned(),
        base: None,
        unknown: vec!["the index".to_owned()],
    })
}
