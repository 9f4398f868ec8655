//! rizin's own tests of two real dumps: every header and triage field, the registers, the backtrace.

use crate::{analysis, has_frame, hex, in_a_module, stack, text};
use bugcheck_analysis::Analysis;
use bugcheck_dump::Dump;
use bugcheck_kernel::Kernel;
use bugcheck_testdata::shared_path;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Asserted by rizin, not read by `bugcheck_dump`: IA64's backing store, and the state of the secondary data.
const NOT_READ: [&str; 4] = ["BStoreOffset", "SizeOfBStore", "LimitOfBStore", "SecondaryDataState"];
/// Asserted by rizin, not kept by `Registers`: the control word of the vector unit.
const NOT_KEPT: [&str; 1] = ["mxcsr"];

/// What rizin expects of one dump.
struct Expected {
    path: PathBuf,
    fields: BTreeMap<String, u64>,
    registers: Vec<(String, u64)>,
    /// Program counter and stack pointer of each frame.
    frames: Vec<(u64, u64)>,
}

fn expected(dump: &str) -> Option<Expected> {
    let data = shared_path("data")?;
    let tests = text(&data.join("expected/rizin_test_db_formats_dmp.txt"));
    let test = tests.split("NAME=").find(|test| test.contains(&format!("/{dump}.dmp")) && test.contains("dbt")).unwrap();
    let answer = test.split_once("EXPECT=<<EOF").unwrap().1;
    let mut expected = Expected {
        path: data.join(format!("dumps/rizinorg_rizin-testbins__{dump}.dmp")),
        fields: BTreeMap::new(),
        registers: Vec::new(),
        frames: Vec::new(),
    };
    for line in answer.lines().take_while(|line| *line != "EOF") {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [field, ":", value, ..] => _ = expected.fields.insert((*field).to_owned(), hex(value)),
            [register, "=", value] => expected.registers.push(((*register).to_owned(), hex(value))),
            [_, pc, "sp:", sp, ..] => expected.frames.push((hex(pc), hex(sp))),
            _ => {}
        }
    }
    Some(expected)
}

fn check_fields(expected: &Expected, dump: &Dump) {
    let header = dump.header();
    let triage = dump.triage().unwrap();
    let block = &triage.header;
    for (field, &value) in &expected.fields {
        let ours = match field.as_str() {
            "MajorVersion" => header.major.into(),
            "MinorVersion" => header.build.into(),
            "DirectoryTableBase" => header.directory_table_base,
            "PfnDataBase" => header.pfn_database.0,
            "PsLoadedModuleList" => header.ps_loaded_module_list.0,
            "PsActiveProcessHead" => header.ps_active_process_head.0,
            "MachineImageType" => match header.arch.name() {
                "x64" => 0x8664,
                "arm64" => 0xaa64,
                other => panic!("{other}"),
            },
            "NumberProcessors" => header.processors.into(),
            "BugCheckCode" => header.bug_check.code.into(),
            "BugCheckParameter1" => header.bug_check.parameters[0],
            "BugCheckParameter2" => header.bug_check.parameters[1],
            "BugCheckParameter3" => header.bug_check.parameters[2],
            "BugCheckParameter4" => header.bug_check.parameters[3],
            "KdDebuggerDataBlock" => header.kd_debugger_data_block.0,
            "ProductType" => header.product_type.unwrap().into(),
            "SuiteMask" => header.suite_mask.unwrap().into(),
            "ServicePackBuild" => block.service_pack_build.into(),
            "SizeOfDump" => block.size_of_dump.into(),
            "ValidOffset" => block.valid_offset.into(),
            "ContextOffset" => block.context_offset.into(),
            "ExceptionOffset" => block.exception_offset.into(),
            "MmOffset" => block.mm_offset.into(),
            "UnloadedDriversOffset" => block.unloaded_drivers_offset.into(),
            "PrcbOffset" => block.prcb_offset.into(),
            "ProcessOffset" => block.process_offset.into(),
            "ThreadOffset" => block.thread_offset.into(),
            "CallStackOffset" => block.call_stack_offset.into(),
            "SizeOfCallStack" => block.size_of_call_stack.into(),
            "DriverListOffset" => block.driver_list_offset.into(),
            "DriverCount" => {
                assert_eq!(triage.drivers.len() as u64, value, "drivers read");
                block.driver_count.into()
            }
            "StringPoolOffset" => block.string_pool_offset.into(),
            "StringPoolSize" => block.string_pool_size.into(),
            "BrokenDriverOffset" => block.broken_driver_offset.into(),
            "TriageOptions" => block.triage_options.into(),
            "TopOfStack" => {
                assert_eq!(triage.call_stack.address.0, value, "where the call stack lies");
                block.top_of_stack
            }
            "DataPageAddress" => block.data_page_address,
            "DataPageOffset" => block.data_page_offset.into(),
            "DataPageSize" => block.data_page_size.into(),
            "DebuggerDataOffset" => block.debugger_data_offset.into(),
            "DebuggerDataSize" => block.debugger_data_size.into(),
            "DataBlocksOffset" => block.data_blocks_offset.into(),
            "DataBlocksCount" => {
                assert_eq!(triage.data_blocks as u64, value, "data blocks read");
                block.data_blocks_count.into()
            }
            skipped if NOT_READ.contains(&skipped) => continue,
            other => panic!("rizin asserts {other}, this test does not know it"),
        };
        assert_eq!(ours, value, "{field}");
    }
    assert_eq!(expected.fields.len(), 17 + 29, "fields asserted by rizin");
}

/// rizin starts from the registers in the KPRCB, so does the bug check stack.
fn check_registers(expected: &Expected, dump: &Dump, analysis: &Analysis) {
    let kernel = Kernel::new(dump);
    let context = kernel.bug_check_context().unwrap();
    let shown = &stack(analysis, "bugcheck").context;
    assert_eq!(shown.source, "prcb");
    let mut seen = 0;
    for (register, value) in &expected.registers {
        let name = if register == "rflags" { "eflags" } else { register };
        if NOT_KEPT.contains(&name) {
            continue;
        }
        assert_eq!(context.get(name), Some(*value), "{register}");
        let in_report = shown.registers.iter().find(|(ours, _)| *ours == name);
        assert_eq!(in_report.map(|(_, ours)| ours.0), Some(*value), "{register} in the report");
        seen += 1;
    }
    assert!(seen >= 17, "{seen} registers");
}

/// Every return address of rizin's backtrace that lies in a module must be a frame of the bug check stack, in the same order and
/// with the same stack pointer. Returns those that are not.
fn lost_from_backtrace(expected: &Expected, analysis: &Analysis) -> Vec<u64> {
    let mut frames = stack(analysis, "bugcheck").frames.as_slice();
    let mut lost = Vec::new();
    for &(pc, sp) in &expected.frames {
        // What no module contains is the end of rizin's walk, a zero; there is no frame of user mode in either backtrace.
        if !in_a_module(analysis, pc) {
            assert_eq!(pc, 0);
            continue;
        }
        match frames.iter().position(|frame| (frame.ip.0, frame.sp.0) == (pc, sp)) {
            Some(place) => frames = &frames[place + 1..],
            None => lost.push(pc),
        }
    }
    lost
}

/// Return addresses behind calls that Windows has redirected to its stubs behind the end of the image (retpoline).
const LOST: &[u64] = &[];

#[test]
fn the_amdppm_crash_on_x64() {
    let Some(expected) = expected("triage_x64") else { return };
    let dump = Dump::open(&expected.path).unwrap();
    let analysis = analysis(&expected.path);
    check_fields(&expected, &dump);
    check_registers(&expected, &dump, &analysis);
    assert_eq!(expected.frames.len(), 37);
    // The fault itself is no return address: it lies in a trap frame, and is where the other stack begins.
    let fault = hex("fffff8048b58334c");
    let mut lost = lost_from_backtrace(&expected, &analysis);
    lost.retain(|&pc| pc != fault);
    assert_eq!(lost, LOST, "{lost:x?}");
    assert_eq!(analysis.stack[0].ip.0, fault);
    let above_fault: Vec<u64> = expected.frames.iter().map(|(pc, _)| *pc).skip_while(|&pc| pc != fault).filter(|&pc| pc != 0).collect();
    assert_eq!(above_fault.len(), 28);
    for pc in above_fault {
        assert!(has_frame(&analysis.stack, pc) || LOST.contains(&pc), "{pc:#x} is not on the stack of the fault");
    }
}

#[test]
fn the_power_button_on_arm64() {
    let Some(expected) = expected("triage_arm64") else { return };
    let dump = Dump::open(&expected.path).unwrap();
    let analysis = analysis(&expected.path);
    check_fields(&expected, &dump);
    check_registers(&expected, &dump, &analysis);
    assert_eq!(expected.frames.len(), 5);
    let lost = lost_from_backtrace(&expected, &analysis);
    assert!(lost.is_empty(), "{lost:x?}");
    assert_eq!(analysis.verdict.kind, "requested");
}
