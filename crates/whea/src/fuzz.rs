//! One entry that reaches every reader, for fuzzing.

use crate::finding::Finding;
use crate::mca::{Bank, CpuModel, CpuVendor, Registers};
use crate::{Item, bug_check_124, parse};

/// Reads the bytes as whatever they are, and then as the registers of a bank. Returns everything that was concluded, so that
/// nothing is optimised away. It must never panic.
#[must_use]
pub fn everything(bytes: &[u8]) -> Vec<Finding> {
    let mut findings = match parse(bytes) {
        Ok(parsed) => match parsed.value {
            Item::Record(record) => record.findings(),
            Item::Event(_) => Vec::new(),
        },
        Err(_) => Vec::new(),
    };
    let word = |n: usize| crate::bytes::Bytes(bytes).u64(n * 8).unwrap_or(0);
    let registers = Registers {
        capability: Some(word(4)).filter(|&c| c != 0),
        ipid: Some(word(5)),
        syndrome: Some(word(6)),
        ..Registers::new(None, word(0), word(1), word(2))
    };
    let model = CpuModel::from_signature(u32::try_from(word(3) & 0xffff_ffff).unwrap_or(0));
    for vendor in [CpuVendor::Unknown, CpuVendor::Intel, CpuVendor::Amd] {
        findings.push(Bank::decode(vendor, Some(model), registers).finding());
    }
    findings.push(bug_check_124(word(7) & 0x1f, word(0)).finding);
    findings
}
