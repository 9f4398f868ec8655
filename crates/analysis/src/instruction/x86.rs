//! x64 and x86, through iced-x86.

use super::{Access, Instruction, Nature, Target};
use bugcheck_dump::secondary::Cpuid;
use bugcheck_dump::{Arch, Registers};
use iced_x86::{
    Code, CpuidFeature, Decoder, DecoderOptions, Formatter, InstructionInfoFactory, MasmFormatter, Mnemonic, OpAccess, Register, UsedMemory,
};

pub(super) fn decode(arch: Arch, code: &[u8], registers: &Registers, cpuid: Option<&Cpuid>, address: u64) -> Option<Instruction> {
    let bits = if arch == Arch::X86 { 32 } else { 64 };
    let mut decoder = Decoder::with_ip(bits, code, address, DecoderOptions::NONE);
    let decoded = decoder.decode();
    if decoded.is_invalid() {
        // Bytes that end with the page may be the beginning of an instruction: that is missing, not invalid.
        let cut = decoder.last_error() == iced_x86::DecoderError::NoMoreBytes;
        return (!cut).then(|| Instruction {
            address,
            bytes: code.iter().take(8).copied().collect(),
            text: "(bytes that are no instruction)".to_owned(),
            accesses: Vec::new(),
            nature: Nature::Invalid,
            features: Vec::new(),
            target: None,
        });
    }
    let mut text = String::new();
    let mut formatter = MasmFormatter::new();
    formatter.options_mut().set_first_operand_char_index(8);
    formatter.format(&decoded, &mut text);
    let mut factory = InstructionInfoFactory::new();
    let accesses = factory.info(&decoded).used_memory().iter().filter_map(|used| access(used, &decoded, registers)).collect();
    Some(Instruction {
        address,
        bytes: code.get(..decoded.len())?.to_vec(),
        text: text.split_whitespace().collect::<Vec<_>>().join(" "),
        accesses,
        nature: nature(&decoded),
        features: decoded.cpuid_features().iter().filter_map(|&feature| feature_bit(feature, cpuid)).collect(),
        target: target(&decoded, registers),
    })
}

/// True if decodings from the first bytes of `code` all step over `address`.
pub(super) fn steps_over(arch: Arch, code: &[u8], start: u64, address: u64) -> bool {
    let bits = if arch == Arch::X86 { 32 } else { 64 };
    let (mut met, mut over) = (0, 0);
    // The last 16 bytes are left for falling into step.
    for skip in 0..code.len().saturating_sub(super::LONGEST + 16) {
        let Some(bytes) = code.get(skip..) else { break };
        let mut decoder = Decoder::with_ip(bits, bytes, start.wrapping_add(skip as u64), DecoderOptions::NONE);
        let mut decoded = iced_x86::Instruction::default();
        while decoder.can_decode() && decoder.ip() < address {
            decoder.decode_out(&mut decoded);
            if decoded.is_invalid() {
                break;
            }
        }
        if !decoded.is_invalid() {
            if decoder.ip() == address { met += 1 } else { over += 1 }
        }
    }
    over >= 12 && met * 10 <= over
}

/// Where a return or an indirect call or jump takes its target from.
fn target(decoded: &iced_x86::Instruction, registers: &Registers) -> Option<Target> {
    if decoded.mnemonic() == Mnemonic::Ret {
        return Some(Target::Memory(registers.sp()));
    }
    if !decoded.is_call_near_indirect() && !decoded.is_jmp_near_indirect() {
        return None;
    }
    if decoded.op0_kind() == iced_x86::OpKind::Register {
        return Some(Target::Register(value_of(decoded.op0_register(), registers)));
    }
    Some(Target::Memory(decoded.virtual_address(0, 0, |register, _, _| value_of(register, registers))))
}

fn access(used: &UsedMemory, instruction: &iced_x86::Instruction, registers: &Registers) -> Option<Access> {
    let (reads, writes) = match used.access() {
        OpAccess::None | OpAccess::NoMemAccess => return None,
        OpAccess::Read | OpAccess::CondRead => (true, false),
        OpAccess::Write | OpAccess::CondWrite => (false, true),
        OpAccess::ReadWrite | OpAccess::ReadCondWrite => (true, true),
    };
    let mut unknown = Vec::new();
    let address = used.virtual_address(0, |register, _, _| {
        let value = value_of(register, registers);
        if value.is_none() {
            unknown.push(format!("{register:?}").to_lowercase());
        }
        value
    });
    // XSAVE and its kin have no fixed size; a repeated string instruction saves its progress in its registers, but may work in
    // larger pieces than one element.
    let repeats = instruction.is_string_instruction() && (instruction.has_rep_prefix() || instruction.has_repne_prefix());
    let size = if used.memory_size().size() == 0 || repeats { 0x1000 } else { used.memory_size().size() as u64 };
    Some(Access { address, size, reads, writes, expression: expression(used), base: name_of(used.base().full_register()), unknown })
}

/// Registers by the names the dump uses. CS, DS, ES and SS are flat in kernel code; FS and GS have bases the dump may not know.
fn value_of(register: Register, registers: &Registers) -> Option<u64> {
    match register {
        Register::CS | Register::DS | Register::ES | Register::SS => Some(0),
        Register::FS | Register::GS => None,
        _ => registers.get(name_of(register.full_register())?).or_else(|| registers.get(name_of(register.full_register32())?)),
    }
}

fn name_of(register: Register) -> Option<&'static str> {
    let names = [Registers::names(Arch::X64), Registers::names(Arch::X86)].concat();
    let name = format!("{register:?}").to_lowercase();
    names.into_iter().find(|&known| known == name)
}

fn expression(used: &UsedMemory) -> String {
    let mut text = String::new();
    let lower = |register: Register| format!("{register:?}").to_lowercase();
    if matches!(used.segment(), Register::FS | Register::GS) {
        text.push_str(&format!("{}: ", lower(used.segment())));
    }
    if used.base() != Register::None {
        text.push_str(&lower(used.base()));
    }
    if used.index() != Register::None {
        let plus = if used.base() == Register::None { "" } else { " + " };
        text.push_str(&format!("{plus}{} * {}", lower(used.index()), used.scale()));
    }
    let displacement = used.displacement() as i64;
    if text.is_empty() || text.ends_with(": ") {
        text.push_str(&format!("{:#x}", used.displacement()));
    } else if displacement < 0 {
        text.push_str(&format!(" - {:#x}", displacement.unsigned_abs()));
    } else if displacement > 0 {
        text.push_str(&format!(" + {displacement:#x}"));
    }
    text
}

fn nature(instruction: &iced_x86::Instruction) -> Nature {
    match instruction.mnemonic() {
        Mnemonic::Int3 | Mnemonic::Int1 => return Nature::Breakpoint,
        Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2 => return Nature::Trap,
        Mnemonic::INVALID => return Nature::Invalid,
        // These fault on unaligned memory, whatever the address (Intel SDM, exception types 1 and 4).
        Mnemonic::Movaps
        | Mnemonic::Movapd
        | Mnemonic::Movdqa
        | Mnemonic::Movntps
        | Mnemonic::Movntpd
        | Mnemonic::Movntdq
        | Mnemonic::Movntdqa
        | Mnemonic::Cmpxchg16b
        | Mnemonic::Vmovaps
        | Mnemonic::Vmovapd
        | Mnemonic::Vmovdqa
        | Mnemonic::Fxsave
        | Mnemonic::Fxsave64
        | Mnemonic::Fxrstor
        | Mnemonic::Fxrstor64
        | Mnemonic::Xsave
        | Mnemonic::Xsave64
        | Mnemonic::Xsaveopt
        | Mnemonic::Xsaves
        | Mnemonic::Xrstor
        | Mnemonic::Xrstor64
        | Mnemonic::Xrstors
        | Mnemonic::Ldmxcsr
        | Mnemonic::Int
        | Mnemonic::Iret
        | Mnemonic::Iretd
        | Mnemonic::Iretq
        | Mnemonic::Sysret
        | Mnemonic::Sysexit => return Nature::MayProtectionFault,
        _ => {}
    }
    // SSE arithmetic with a 16-byte memory operand demands alignment too; AVX forms do not.
    let packed = instruction.memory_size().size() == 16
        && instruction.encoding() == iced_x86::EncodingKind::Legacy
        && instruction.code() != Code::Movups_xmm_xmmm128;
    let loads_segment = (0..instruction.op_count()).any(|n| instruction.op_register(n).is_segment_register());
    if packed || loads_segment || instruction.is_privileged() { Nature::MayProtectionFault } else { Nature::Ordinary }
}

/// A feature beyond the x86-64 baseline: its name, and whether the dump's CPUID shows it.
fn feature_bit(feature: CpuidFeature, cpuid: Option<&Cpuid>) -> Option<(&'static str, Option<bool>)> {
    // (leaf, register, bit): Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.
    let (name, leaf, register, bit) = match feature {
        CpuidFeature::SSE3 => ("SSE3", 1, 2, 0),
        CpuidFeature::PCLMULQDQ => ("PCLMULQDQ", 1, 2, 1),
        CpuidFeature::SSSE3 => ("SSSE3", 1, 2, 9),
        CpuidFeature::FMA => ("FMA", 1, 2, 12),
        CpuidFeature::CMPXCHG16B => ("CMPXCHG16B", 1, 2, 13),
        CpuidFeature::SSE4_1 => ("SSE4.1", 1, 2, 19),
        CpuidFeature::SSE4_2 => ("SSE4.2", 1, 2, 20),
        CpuidFeature::MOVBE => ("MOVBE", 1, 2, 22),
        CpuidFeature::POPCNT => ("POPCNT", 1, 2, 23),
        CpuidFeature::AES => ("AES", 1, 2, 25),
        CpuidFeature::XSAVE => ("XSAVE", 1, 2, 26),
        CpuidFeature::AVX => ("AVX", 1, 2, 28),
        CpuidFeature::F16C => ("F16C", 1, 2, 29),
        CpuidFeature::RDRAND => ("RDRAND", 1, 2, 30),
        CpuidFeature::BMI1 => ("BMI1", 7, 1, 3),
        CpuidFeature::AVX2 => ("AVX2", 7, 1, 5),
        CpuidFeature::BMI2 => ("BMI2", 7, 1, 8),
        CpuidFeature::AVX512F => ("AVX-512F", 7, 1, 16),
        CpuidFeature::RDSEED => ("RDSEED", 7, 1, 18),
        CpuidFeature::ADX => ("ADX", 7, 1, 19),
        CpuidFeature::SHA => ("SHA", 7, 1, 29),
        CpuidFeature::LZCNT => ("LZCNT", 0x8000_0001, 2, 5),
        CpuidFeature::PREFETCHW => ("PREFETCHW", 0x8000_0001, 2, 8),
        _ => return None,
    };
    // Windows records leaf 7 as zeros on machines that have it (verified on two), so there it proves nothing.
    let registers = cpuid.and_then(|cpuid| cpuid.leaf(leaf)).filter(|registers| registers.iter().any(|&value| value != 0));
    let has = registers.and_then(|registers| registers.get(register).map(|value| value >> bit & 1 == 1));
    Some((name, has))
}
