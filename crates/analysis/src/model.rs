//! The result of an analysis: plain data, serialised as the contract `bugcheck.report/1` says.
//!
//! An absent fact is an absent key. Addresses and codes are hexadecimal strings ([`Hex`]), times RFC 3339 in UTC.

use serde::{Serialize, Serializer};
use std::fmt;

/// A number that is written in hexadecimal: an address, a code, an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hex(pub u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Hex {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hex".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^0x[0-9a-f]+$", "description": "A number in lower-case hexadecimal." })
    }
}

/// The JSON schema of [`Analysis`]: `bugcheck.report/1`.
#[cfg(feature = "schema")]
#[must_use]
pub fn json_schema() -> schemars::Schema {
    schemars::generate::SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Analysis>()
}

/// The name and version of this program.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tool {
    /// `bugcheck`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Everything found out about one dump.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Analysis {
    /// `bugcheck.report/1`.
    pub schema: &'static str,
    /// What made it.
    pub tool: Tool,
    /// The answer in a sentence.
    pub verdict: Verdict,
    /// The file.
    pub dump: DumpFacts,
    /// The stop code and its parameters.
    pub bugcheck: BugCheckFacts,
    /// What the faulting instruction did, for crashes that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// The registers that the faulting stack starts from.
    pub context: Context,
    /// The stack a person wants: the faulting one.
    pub stack: Vec<StackFrame>,
    /// Every stack the dump gives.
    pub stacks: Vec<Stack>,
    /// Loaded modules.
    pub modules: Vec<ModuleFacts>,
    /// Modules that had been unloaded.
    pub unloaded_modules: Vec<UnloadedModule>,
    /// The machine.
    pub system: System,
    /// The process and thread that were running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessFacts>,
    /// Kernel objects that the bug check names: IRPs, devices, threads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Object>,
    /// Secondary data in the dump.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secondary_data: Vec<SecondaryData>,
    /// What WinDbg would call it.
    pub windbg: WinDbg,
    /// What makes two crashes the same: code, sub-code, module and offset.
    pub signature: String,
    /// Ranked suspects; their confidences sum to at most 1.
    pub suspects: Vec<Suspect>,
    /// What would make the answer better.
    pub missing: Vec<Missing>,
    /// What to do next.
    pub plan: Vec<Step>,
    /// Remarks.
    pub notes: Vec<Note>,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// `fault`, `hardware`, `hang`, `power`, `resource`, `security`, `requested`, `test`, `live` or `unknown`.
    pub kind: String,
    /// One or two sentences in plain words.
    pub sentence: String,
    /// How sure: 0 to 1.
    pub confidence: f64,
}

/// The file.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DumpFacts {
    /// Its path as given.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// What the container is.
    pub kind: &'static str,
    /// `x86`, `x64` or `arm64`.
    pub arch: &'static str,
    /// True if the machine went on running.
    pub live: bool,
    /// When it crashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_time: Option<String>,
    /// Seconds since boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<u64>,
    /// Number of processors.
    pub processors: u32,
    /// Windows.
    pub os: Os,
}

/// Windows.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Os {
    /// The release's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Build number.
    pub build: u32,
    /// The build lab string, such as `19041.1.amd64fre.vb_release.191206-1406`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_lab: Option<String>,
    /// `workstation`, `domain-controller` or `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_type: Option<&'static str>,
}

/// The stop code.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BugCheckFacts {
    /// As the header has it.
    pub code: Hex,
    /// Without the flag that minidumps add.
    pub base_code: Hex,
    /// Its name; absent for a code without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it means.
    pub about: String,
    /// The four parameters.
    pub parameters: [Hex; 4],
    /// The same in words.
    pub parameters_explained: [String; 4],
}

/// What the faulting instruction did.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fault {
    /// NTSTATUS of the exception.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<Hex>,
    /// `read`, `write` or `execute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<&'static str>,
    /// The address that was touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Hex>,
    /// What kind of address that is, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_class: Option<String>,
    /// The instruction's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction_pointer: Option<Hex>,
    /// The same as module and offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The same with the function's name, with symbols.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// The instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<InstructionFacts>,
    /// What happened, in a sentence.
    pub explanation: String,
    /// Whether the instruction can have done what was reported.
    pub consistency: Consistency,
}

/// An instruction.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InstructionFacts {
    /// Its bytes in hexadecimal.
    pub bytes: String,
    /// Its text.
    pub text: String,
}

/// Whether an instruction can have done what was reported.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Consistency {
    /// `consistent`, `inconsistent` or `unknown`.
    pub verdict: &'static str,
    /// The address that the saved registers give.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computed_address: Option<Hex>,
    /// The arithmetic, or what is missing for it.
    pub why: String,
}

/// Registers and where they come from.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Context {
    /// `parameter`, `trap-frame`, `exception-record`, `prcb`, `header`, `scan` or `none`.
    pub source: &'static str,
    /// The registers by name.
    #[serde(serialize_with = "registers")]
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, Hex>"))]
    pub registers: Vec<(&'static str, Hex)>,
}

fn registers<S: Serializer>(registers: &[(&'static str, Hex)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(registers.iter().copied())
}

/// A frame.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StackFrame {
    /// Its number from the top.
    pub index: usize,
    /// Instruction pointer or return address.
    pub ip: Hex,
    /// Stack pointer.
    pub sp: Hex,
    /// The module, as WinDbg names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Offset in the module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_offset: Option<Hex>,
    /// The function, with symbols.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// Offset in the function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol_offset: Option<Hex>,
    /// File and line, with private symbols.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Functions inlined at that place, the innermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inlined: Vec<String>,
    /// `context`, `unwind`, `frame-pointer` or `scan`.
    pub trust: &'static str,
    /// For a return address: true if a call instruction was seen before it, false if that code is not in the dump.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_seen: Option<bool>,
}

/// A stack with where it starts.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stack {
    /// `fault`, `bugcheck`, `cpu` or `thread`.
    pub kind: &'static str,
    /// Which one, where the kind has several: a processor's number, a thread's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its registers.
    pub context: Context,
    /// Its frames.
    pub frames: Vec<StackFrame>,
}

/// A loaded module.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModuleFacts {
    /// The name WinDbg uses.
    pub name: String,
    /// The file name.
    pub image: String,
    /// Its path, where the dump has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// First address.
    pub base: Hex,
    /// Bytes in memory.
    pub size: u32,
    /// Time stamp of the PE header.
    pub timestamp: Hex,
    /// When it was linked, where the time stamp can be a date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked: Option<String>,
    /// Checksum of the PE header.
    pub checksum: Hex,
    /// Who makes a module of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<&'static str>,
    /// The product it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<&'static str>,
    /// True for a name that Windows itself uses; absent if the name is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microsoft: Option<bool>,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// A module that had been unloaded.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnloadedModule {
    /// The file name, cut to 12 characters by Windows.
    pub image: String,
    /// First address it had.
    pub start: Hex,
    /// First address behind it.
    pub end: Hex,
}

/// The machine.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct System {
    /// Its maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    /// Its product name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Its board.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// BIOS vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bios_vendor: Option<String>,
    /// BIOS version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bios_version: Option<String>,
    /// BIOS date as ISO 8601 where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bios_date: Option<String>,
    /// Processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Family, model and stepping of the processor as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_identifier: Option<String>,
    /// Microcode revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microcode: Option<Hex>,
    /// Memory modules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub memory: Vec<MemoryModule>,
    /// The hypervisor the machine runs under, if it is virtual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<String>,
    /// Version of the NVIDIA display driver as its package names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nvidia_driver: Option<String>,
    /// PCI functions as `vendor:device class`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pci: Vec<String>,
}

/// A memory module.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemoryModule {
    /// Slot on the board.
    pub slot: String,
    /// Size in MiB.
    pub size_mib: u64,
    /// Rated speed in MT/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<u16>,
    /// Speed it was set to in MT/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configured_speed: Option<u16>,
    /// Maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    /// Part number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_number: Option<String>,
}

/// The process and thread that were running on the crashing processor.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProcessFacts {
    /// File name, cut to 14 characters by Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Full path, if a blob has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Address of the EPROCESS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Hex>,
    /// Address of the ETHREAD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Hex>,
    /// Where that thread began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_start: Option<String>,
}

/// A kernel object that the bug check names.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Object {
    /// `irp`, `device`, `driver`, `thread`, `process`, `power-triage`, `dpc-watchdog`, `whea`.
    pub kind: &'static str,
    /// Where it lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Hex>,
    /// What it says, in words.
    pub text: String,
}

/// A blob of secondary data.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecondaryData {
    /// Its GUID.
    pub tag: String,
    /// Bytes of data.
    pub size: u64,
    /// What it holds, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<&'static str>,
    /// Its content in a line, where it is a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What WinDbg's `!analyze -v` would call this crash, as far as that is certain.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WinDbg {
    /// `FAILURE_BUCKET_ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_bucket_id: Option<String>,
    /// `FAILURE_ID_HASH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_id_hash: Option<String>,
    /// `MODULE_NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_name: Option<String>,
    /// `IMAGE_NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// `SYMBOL_NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol_name: Option<String>,
}

/// A suspect.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Suspect {
    /// 1 for the first.
    pub rank: usize,
    /// An image file name, a part of the hardware, or a named piece of Windows.
    pub subject: String,
    /// `driver`, `hardware`, `os`, `third-party-conflict` or `corrupted-files`.
    pub family: &'static str,
    /// The part, for hardware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<&'static str>,
    /// How sure: 0 to 1.
    pub confidence: f64,
    /// Why, in a sentence.
    pub summary: String,
    /// For and against.
    pub evidence: Vec<Evidence>,
}

/// A piece of evidence.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// Names the rule that found it.
    pub id: &'static str,
    /// What was found.
    pub text: String,
    /// `for` or `against`.
    pub direction: &'static str,
    /// How much it weighs: 0 to 1.
    pub weight: f64,
    /// Where it was found.
    pub source: Source,
}

/// Where evidence was found.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Source {
    /// The file.
    pub file: String,
    /// The place in it: a parameter, a frame, an address.
    pub at: String,
}

/// Something that would make the answer better.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Missing {
    /// What is missing.
    pub what: String,
    /// What it would show.
    pub why: String,
    /// How to get it.
    pub how: String,
}

/// A step of the plan.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// A stable name.
    pub id: &'static str,
    /// What to do.
    pub title: String,
    /// Why on this machine.
    pub why: String,
    /// Commands to run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Command>,
    /// What the result means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look_for: Option<String>,
    /// How to take it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// A command.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Command {
    /// `cmd`, `powershell`, `windbg`, `bios` or `bugcheck`.
    pub shell: &'static str,
    /// What to type or choose there.
    pub run: String,
}

/// A remark.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Note {
    /// `info` or `warning`.
    pub severity: &'static str,
    /// What is odd.
    pub text: String,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}
