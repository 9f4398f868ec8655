//! `MCi_STATUS` values put together by hand from the manuals' tables, and the parameters of bug checks.
//!
//! Intel: SDM vol. 3, "Machine-Check Architecture", simple and compound error codes and the architecturally defined
//! recoverable errors. AMD: APM vol. 2, "Machine Check Architecture", and the bank types of the processor references.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use bugcheck_whea::mca::{Bank, Code, CpuModel, CpuVendor, MemoryOperation, Registers, VendorBits, amd, intel};
use bugcheck_whea::words::{Participation, Request, Severity, Target, Transaction};
use bugcheck_whea::{ErrorSource, Part, bug_check_9c, bug_check_124, bug_check_124_on, mci_status};

fn intel(status: u64) -> Bank {
    Bank::decode(CpuVendor::Intel, None, Registers::new(Some(3), status, 0, 0))
}

fn amd(status: u64, ipid: Option<u64>) -> Bank {
    let registers = Registers { ipid, ..Registers::new(Some(0), status, 0, 0) };
    Bank::decode(CpuVendor::Amd, None, registers)
}

fn intel_bits(bank: &Bank) -> &intel::Bits {
    let VendorBits::Intel(bits) = &bank.vendor_bits else { panic!() };
    bits
}

fn amd_bits(bank: &Bank) -> &amd::Bits {
    let VendorBits::Amd(bits) = &bank.vendor_bits else { panic!() };
    bits
}

#[test]
fn intel_internal_timer() {
    // be = VAL UC EN MISCV ADDRV PCC; model code 0x0080; code 0x0400.
    let bank = intel(0xbe00_0000_0080_0400);
    let f = bank.flags;
    assert!(f.valid && f.uncorrected && f.enabled && f.misc_valid && f.address_valid && f.context_corrupt);
    assert!(!f.overflow);
    assert_eq!(bank.code, Code::InternalTimer);
    assert_eq!(intel_bits(&bank).model_code, 0x80);
    assert_eq!(bank.severity(), Severity::Fatal);
    let blame = bank.blame();
    assert_eq!(blame.part, Part::Cpu);
    assert!(blame.confidence <= 0.5, "a device that never answers causes it too");
    assert_eq!(
        bank.sentence(),
        "The Intel processor (machine-check bank 3) reported an internal timer error: a core made no progress for \
         too long; it was not corrected and the processor could not go on."
    );
    // fe = the same with OVER.
    let bank = intel(0xfe00_0000_0080_0400);
    assert!(bank.flags.overflow);
    assert!(bank.sentence().ends_with("and further errors were lost."));
}

#[test]
fn intel_internal_parity() {
    // b2 = VAL UC EN PCC.
    let bank = intel(0xb200_0000_0007_0005);
    assert_eq!(bank.code, Code::InternalParity);
    assert_eq!((bank.flags.misc_valid, bank.address()), (false, None));
    assert_eq!((bank.blame().part, bank.severity()), (Part::Cpu, Severity::Fatal));
    assert!(bank.blame().confidence >= 0.9);
}

#[test]
fn intel_simple_codes() {
    let of = |code: u64| intel(0xb200_0000_0000_0000 | code).code;
    assert_eq!(of(0x0000), Code::NoError);
    assert_eq!(of(0x0001), Code::Unclassified);
    assert_eq!(of(0x0002), Code::MicrocodeRomParity);
    assert_eq!(of(0x0003), Code::External);
    assert_eq!(of(0x0004), Code::FunctionalRedundancy);
    assert_eq!(of(0x0006), Code::SmmCodeAccess);
    assert_eq!(of(0x0e0b), Code::GenericIo);
    assert_eq!(of(0x0402), Code::InternalUnclassified(0x402));
    assert_eq!(of(0x000e), Code::GenericCache { level: 2 });
    assert_eq!(of(0x0040), Code::Other(0x40));
}

#[test]
fn intel_compound_codes() {
    let of = |code: u64| intel(0xb200_0000_0000_0000 | code).code;
    // 000F 0000 0001 TTLL: TT 01 data, LL 00.
    assert_eq!(of(0x0014), Code::Tlb { transaction: Transaction::Data, level: 0 });
    // 000F 0001 RRRR TTLL: RRRR 0011 data read, TT 01 data, LL 01.
    assert_eq!(of(0x0135), Code::Cache { request: Request::DataRead, transaction: Transaction::Data, level: 1 });
    // RRRR 0111 eviction, TT 10 generic, LL 10: the manual's explicit writeback error.
    assert_eq!(of(0x017a), Code::Cache { request: Request::Eviction, transaction: Transaction::Generic, level: 2 });
    // 000F 0000 1MMM CCCC: MMM 001 read, channel 2; MMM 100 scrub, channel not stated; MMM 011 address/command.
    let memory = |operation, channel, as_cache| Code::Memory { operation, channel, as_cache };
    assert_eq!(of(0x0092), memory(MemoryOperation::Read, Some(2), false));
    assert_eq!(of(0x00cf), memory(MemoryOperation::Scrub, None, false));
    assert_eq!(of(0x00b0), memory(MemoryOperation::AddressOrCommand, Some(0), false));
    // 000F 0010 1MMM CCCC: memory as a cache, write, channel 1.
    assert_eq!(of(0x02a1), memory(MemoryOperation::Write, Some(1), true));
    // 000F 1PPT RRRR IILL: PP 11 generic, T 1, RRRR 0001 read, II 00 memory, LL 11.
    assert_eq!(
        of(0x0f13),
        Code::Bus { participation: Participation::Generic, timeout: true, request: Request::Read, target: Target::Memory, level: 3 }
    );
}

#[test]
fn intel_parts() {
    let part = |code: u64| {
        let blame = intel(0xb200_0000_0000_0000 | code).blame();
        (blame.part, blame.confidence)
    };
    assert_eq!(part(0x0092).0, Part::Memory);
    assert_eq!(part(0x0135).0, Part::Cpu);
    assert_eq!(part(0x0006).0, Part::BoardFirmware);
    let (bus, confidence) = part(0x0e0f);
    assert_eq!(bus, Part::Bus);
    assert!(confidence < 0.5, "another device may have caused a bus error");
}

#[test]
fn intel_corrected_errors_are_counted() {
    // 8c = VAL MISCV ADDRV; bits 38 to 52 = 5; memory read on channel 1.
    let bank = intel(0x8c00_0000_0000_0091 | 5 << 38);
    assert_eq!(intel_bits(&bank).corrected_count, Some(5));
    assert_eq!(bank.severity(), Severity::Corrected);
    assert!(bank.sentence().contains("on channel 1; hardware corrected it"));
    // Bit 12 of a corrected error: filtering. It does not change the code.
    let bank = intel(0x8c00_0000_0000_1135);
    assert!(intel_bits(&bank).filtered);
    assert!(matches!(bank.code, Code::Cache { level: 1, .. }));
    // An uncorrected error has no count there.
    assert_eq!(intel_bits(&intel(0xbe00_0000_0080_0400)).corrected_count, None);
}

#[test]
fn intel_thresholds_need_a_processor_that_tracks_them() {
    let yellow = 0x8c40_0000_0000_0135; // bits 53 and 54 = 10
    assert_eq!(intel_bits(&intel(yellow)).threshold, None);
    let registers = Registers { capability: Some(1 << 11), ..Registers::new(None, yellow, 0, 0) };
    let bank = Bank::decode(CpuVendor::Intel, None, registers);
    assert_eq!(intel_bits(&bank).threshold, Some(intel::Threshold::Yellow));
    assert_eq!(intel_bits(&bank).corrected_count, None, "MCG_CAP says that it does not count");
}

#[test]
fn intel_recoverable_errors() {
    // bd = VAL UC EN MISCV ADDRV, S; bit 55 AR. Data load error 0x0134; MISC: physical address mode (2 << 6).
    let registers = Registers::new(Some(1), 0xbd80_0000_0000_0134, 0x1234_5000, 0x86);
    let bank = Bank::decode(CpuVendor::Intel, None, registers);
    assert_eq!(intel_bits(&bank).recovery, Some(intel::Recovery::Required));
    assert_eq!(intel_bits(&bank).address_mode, Some(intel::AddressMode::Physical));
    assert_eq!(bank.severity(), Severity::Recoverable);
    assert_eq!(bank.address(), Some(0x1234_5000));
    // Without AR: optional. Without S: no action.
    let recovery = |status| intel_bits(&intel(status)).recovery;
    assert_eq!(recovery(0xbd00_0000_0000_00cf), Some(intel::Recovery::Optional));
    assert_eq!(recovery(0xbc00_0000_0000_009f), Some(intel::Recovery::NoAction));
}

#[test]
fn amd_uncorrected_without_a_unit() {
    // bea0 = VAL UC EN MISCV ADDRV PCC, TCC, SyndV; code 0x0108: generic request, generic transaction, level 0.
    let bank = amd(0xbea0_0000_0000_0108, None);
    let bits = amd_bits(&bank);
    assert!(bits.task_corrupt && bits.syndrome_valid);
    assert!(!bits.deferred && !bits.poison && bits.unit.is_none());
    assert_eq!(bank.code, Code::Cache { request: Request::Generic, transaction: Transaction::Generic, level: 0 });
    assert_eq!((bank.severity(), bank.blame().part), (Severity::Fatal, Part::Cpu));
    assert!(bank.sentence().contains("unit unknown"));
    // The same from the execution unit (hardware id 0xb0, type 5), extended code 0, is a watchdog timeout.
    let bank = amd(0xbea0_0000_0000_0108, Some(0x0005_00b0_0000_0000));
    assert_eq!(amd_bits(&bank).unit.unwrap().short, "EX");
    assert!(bank.sentence().contains("watchdog timeout"));
    assert!(bank.blame().confidence < 0.6, "a waiting core may wait for something else");
}

#[test]
fn amd_memory_controller() {
    // 9c20 = VAL EN MISCV ADDRV, SyndV; bit 46 CECC; code 0x011b; memory controller (0x96, type 0), extended code 0.
    let bank = amd(0x9c20_4000_0000_011b, Some(0x0000_0096_0005_0f00));
    assert!(amd_bits(&bank).corrected_ecc);
    assert_eq!((bank.blame().part, bank.severity()), (Part::Memory, Severity::Corrected));
    assert!(bank.sentence().contains("DRAM ECC error in the memory controller (UMC)"));
    // Without MCA_IPID the same status may be cache or memory: less sure.
    assert!(amd(0x9c20_4000_0000_011b, None).blame().confidence < 0.5);
    // Extended code 4 is an address or command parity error.
    let bank = amd(0xbc20_0000_0004_011b, Some(0x0000_0096_0005_0f00));
    assert_eq!(amd_bits(&bank).error_name, Some("an address or command parity error"));
}

#[test]
fn amd_deferred_and_poison() {
    // Bit 44 without UC: found and marked, not used.
    let deferred = amd(0x9c20_1000_0000_011b, Some(0x0000_0096_0005_0f00));
    assert!(amd_bits(&deferred).deferred);
    assert_eq!(deferred.severity(), Severity::Recoverable);
    // Bit 43: used elsewhere than where it was damaged, so the user is less suspect.
    let ipid = Some(0x0010_00b0_0000_0000);
    let clean = amd(0xbc00_0000_0001_0135, ipid);
    let poison = amd(0xbc00_0800_0001_0135, ipid);
    assert!(amd_bits(&poison).poison);
    assert!(poison.blame().confidence < clean.blame().confidence);
}

#[test]
fn amd_before_scalable_banks() {
    let family_15h = CpuModel::from_signature(0x0060_0f20);
    assert_eq!((family_15h.family, family_15h.model), (0x15, 2));
    // Northbridge (bank 4), extended code 8 in bits 16 to 20: DRAM ECC.
    let registers = Registers::new(Some(4), 0x9c00_4000_0008_0813, 0, 0);
    let bank = Bank::decode(CpuVendor::Amd, Some(family_15h), registers);
    assert_eq!(amd_bits(&bank).scalable, Some(false));
    assert_eq!(amd_bits(&bank).extended_code, 8);
    assert_eq!(bank.blame().part, Part::Memory);
}

#[test]
fn amd_has_no_intel_codes() {
    assert_eq!(amd(0xb200_0000_0000_0005, None).code, Code::Other(5));
    assert_eq!(amd(0xb200_0000_0000_0400, None).code, Code::InternalUnclassified(0x400));
    assert_eq!(amd(0xb200_0000_0000_0092, None).code, Code::Other(0x92));
}

#[test]
fn an_invalid_status_blames_nobody() {
    let bank = intel(0x3e00_0000_0080_0400);
    assert_eq!((bank.blame().part, bank.blame().confidence), (Part::Unknown, 0.0));
    assert!(bank.sentence().contains("no valid error"));
}

#[test]
fn cpu_signatures() {
    let model = |eax| {
        let m = CpuModel::from_signature(eax);
        (m.family, m.model, m.stepping)
    };
    assert_eq!(model(0x000a_0655), (6, 0xa5, 5)); // Comet Lake
    assert_eq!(model(0x00a2_0f10), (0x19, 0x21, 0)); // Zen 3
    assert_eq!(model(0x0080_0f11), (0x17, 0x01, 1)); // Zen
}

#[test]
fn parameters_of_0x124() {
    let status = mci_status(0xbe00_0000, 0x0080_0400);
    assert_eq!(status, 0xbe00_0000_0080_0400);
    let anonymous = bug_check_124(0, status);
    assert_eq!(anonymous.source, ErrorSource::MachineCheck);
    assert_eq!(anonymous.finding.part, Part::Cpu);
    assert!(anonymous.finding.why.contains("vendor is not known"));
    let known = bug_check_124_on(CpuVendor::Intel, None, 0, status);
    assert!(known.finding.confidence > anonymous.finding.confidence);
    assert!(known.finding.details.iter().all(|(label, _)| *label != "address"));
    // Sign-extended halves, as debuggers print them.
    assert_eq!(mci_status(0xffff_ffff_be00_0000, 0xffff_ffff_8080_0400), 0xbe00_0000_8080_0400);
}

#[test]
fn sources_of_0x124() {
    let of = |p1| bug_check_124(p1, 0);
    assert_eq!(of(4).finding.part, Part::Bus);
    assert_eq!(of(0x10).source, ErrorSource::DeviceDriver);
    assert_eq!(of(0x10).finding.part, Part::Unknown, "only the record or the stack can say which device");
    assert_eq!(of(0x12).source.to_string(), "ARM SError interrupt");
    assert_eq!(of(0x99).source, ErrorSource::Reserved(0x99));
    assert!(of(0).bank.is_none(), "a status of zero is no status");
}

#[test]
fn parameters_of_0x9c() {
    let check = bug_check_9c(CpuVendor::Intel, None, 4, mci_status(0xb200_0000, 0x0000_0e0f));
    assert_eq!(check.bank.unwrap().registers.bank, Some(4));
    assert_eq!(check.finding.part, Part::Bus);
}
