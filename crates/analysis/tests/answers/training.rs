//! Real crashes whose causes were worked out by hand.

use crate::{hex, ranking, real, suspect};
use bugcheck_analysis::Analysis;
use bugcheck_analysis::model::Object;

fn training(name: &str) -> Option<Analysis> {
    real(&format!("r-Techsupport_training_bsods__{name}.dmp"))
}

/// The processor reported a fault that the instruction cannot cause: no driver is to blame, and the report shows why.
fn hardware_before_drivers(analysis: &Analysis, shown: &[&str]) {
    let name = &analysis.dump.path;
    let consistency = &analysis.fault.as_ref().unwrap().consistency;
    assert_eq!(consistency.verdict, "inconsistent", "{name}");
    for text in shown {
        assert!(consistency.why.contains(text), "{name}: {text:?} is not in {:?}", consistency.why);
    }
    assert!(consistency.why.contains(&consistency.computed_address.unwrap().to_string()), "{name}: {}", consistency.why);
    let first = analysis.suspects.first().unwrap();
    assert_eq!(first.family, "hardware", "{name}: {}", ranking(analysis));
    assert_eq!(analysis.verdict.kind, "hardware", "{name}");
    for victim in ["nvlddmkm.sys", "ntoskrnl.exe", "ks.sys"] {
        let found = analysis.suspects.iter().find(|suspect| suspect.subject == victim);
        assert!(found.is_none_or(|found| found.rank > 1 && found.confidence < first.confidence / 4.0), "{name}: {}", ranking(analysis));
    }
}

#[test]
fn an_impossible_read_in_a_display_driver_is_hardware() {
    let Some(analysis) = training("7e_0") else { return };
    let reported = analysis.fault.as_ref().unwrap().address.unwrap().to_string();
    hardware_before_drivers(&analysis, &[&reported]);
    assert_eq!(reported, "0xf025");
}

#[test]
fn a_fault_without_address_on_a_good_operand_is_hardware() {
    let Some(analysis) = training("3b_1") else { return };
    // The processor reported no address, so it is the operand's that must show that nothing is wrong with it.
    hardware_before_drivers(&analysis, &["computes rsp + 0x40", "own stack"]);
}

#[test]
fn an_impossible_read_in_kernel_streaming_is_hardware() {
    let Some(analysis) = training("d1") else { return };
    // P1 is the address that the processor reported.
    let reported = analysis.bugcheck.parameters[0].to_string();
    hardware_before_drivers(&analysis, &[&reported]);
}

#[test]
fn an_instruction_that_the_processor_lacks_is_the_drivers_fault() {
    for name in ["7e_1", "7e_2"] {
        let Some(analysis) = training(name) else { return };
        let first = analysis.suspects.first().unwrap();
        assert_eq!((first.subject.as_str(), first.family), ("nvlddmkm.sys", "driver"), "{name}: {}", ranking(&analysis));
        let cpu = analysis.system.cpu.as_ref().unwrap();
        assert!(cpu.contains("Core(TM)2"), "{name}: {cpu}");
        let named = |text: &str| text.contains("POPCNT") && text.contains(cpu.as_str());
        assert!(first.evidence.iter().any(|evidence| named(&evidence.text) && evidence.direction == "for"), "{name}: {first:?}");
        assert!(analysis.fault.unwrap().instruction.unwrap().text.starts_with("popcnt"), "{name}");
    }
}

#[test]
fn a_stuck_power_request_shows_its_holder_and_the_devices() {
    let Some(analysis) = training("9f") else { return };
    let kind = |kind: &str| analysis.objects.iter().filter(|object| object.kind == kind).collect::<Vec<&Object>>();
    let irps = kind("irp");
    assert_eq!(irps.len(), 1);
    assert!(irps[0].text.contains("held by disk.sys"), "{}", irps[0].text);
    // P4 is the request, P2 the device at the bottom.
    assert_eq!(irps[0].address, Some(analysis.bugcheck.parameters[3]));
    let devices = kind("device");
    assert_eq!(devices[0].address, Some(analysis.bugcheck.parameters[1]));
    let stack = ["iaStorAC.sys", "ACPI.sys", "disk.sys", "partmgr.sys"];
    assert_eq!(devices.len(), stack.len());
    for (device, driver) in devices.iter().zip(stack) {
        assert!(device.text.contains(driver), "{} is no device of {driver}", device.text);
    }
    suspect(&analysis, "disk.sys");
    assert_eq!(suspect(&analysis, "iaStorAC.sys").family, "driver");
    assert_eq!(analysis.verdict.kind, "power");
}

#[test]
fn a_display_timeout_is_named_as_windbg_names_it() {
    for name in ["116_0", "116_1"] {
        let Some(analysis) = training(name) else { return };
        let first = analysis.suspects.first().unwrap();
        assert_eq!((first.subject.as_str(), first.family), ("nvlddmkm.sys", "driver"), "{}", ranking(&analysis));
        assert!(first.evidence.iter().any(|evidence| evidence.text.starts_with("P2 ") || evidence.source.at.contains("P2")), "{first:?}");
        let module = analysis.modules.iter().find(|module| module.image == "nvlddmkm.sys").unwrap();
        let offset = analysis.bugcheck.parameters[1].0 - module.base.0;
        assert_eq!(offset, hex("0x1700a40"));
        let windbg = &analysis.windbg;
        assert_eq!(windbg.failure_bucket_id.as_deref(), Some("0x116_IMAGE_nvlddmkm.sys"));
        assert_eq!(windbg.failure_id_hash.as_deref(), Some("c89bfe8c-ed39-f658-ef27-f2898997fdbd"));
        assert_eq!((windbg.module_name.as_deref(), windbg.image_name.as_deref()), (Some("nvlddmkm"), Some("nvlddmkm.sys")));
    }
}
