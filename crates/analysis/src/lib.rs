//! One dump → what happened, where, who is suspected and why.
//!
//! The order of truth: decode, check for consistency, gather evidence, rank suspects, plan. Each stage is a module; the
//! knowledge of single bug checks is in [`recipes`](self) and adds evidence only. Nothing here reads logs or draws reports.
#![forbid(unsafe_code)]

mod address;
pub mod bucket;
mod case;
mod fault;
mod instruction;
pub mod model;
mod plan;
mod recipes;
mod redact;
mod roles;
pub mod score;
mod signature;
mod sources;
mod start;
mod suspects;
mod system;
mod verdict;

pub use model::Analysis;
pub use sources::{Sources, modules_needed, pdb_of_image};

use bugcheck_dump::{Dump, DumpKind, Registers, Severity, VirtAddr};
use bugcheck_kernel::{Kernel, Process, Thread};
use bugcheck_unwind::{CallBefore, Frame};
use case::Case;
use model::{
    BugCheckFacts, Consistency, Context, DumpFacts, Fault, Hex, InstructionFacts, ModuleFacts, Note, Os, ProcessFacts, Stack, StackFrame,
    Tool, UnloadedModule,
};
use sources::Session;
use start::Start;

/// How to analyse.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Leave out what tells who somebody is: user names in paths, serial numbers.
    pub redact: bool,
    /// Where images and symbols come from, if from anywhere.
    pub sources: Option<&'a Sources>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { redact: true, sources: None }
    }
}

/// Analyses a dump. `path` is shown in the report as given.
#[must_use]
pub fn analyze(dump: &Dump, path: &str, options: Options<'_>) -> Analysis {
    let kernel = Kernel::new(dump);
    let session = options.sources.map(|sources| Session::new(&kernel, sources));
    let view = View { kernel: &kernel, session: session.as_ref() };
    let header = dump.header();
    let parameters = header.bug_check.parameters;
    let base_code = bugcheck_knowledge::base_code(header.bug_check.code);
    let start = start::find(&kernel, base_code, &parameters);
    let frames = faulting_frames(view, &start);
    let process = process(&kernel, options);
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();

    let mut case = Case {
        kernel: &kernel,
        session: session.as_ref(),
        code: base_code,
        parameters,
        fault: fault::examine(&kernel, &start, base_code, &parameters),
        start: &start,
        frames: &frames,
        process: process.as_ref().and_then(|process| process.image.clone()),
        suspects: suspects::Suspects::new(file),
        objects: Vec::new(),
        missing: Vec::new(),
        verdict: None,
        bucket_image: None,
    };
    recipes::run(&mut case);

    let known = bugcheck_knowledge::bug_check(header.bug_check.code);
    let live = known.is_some_and(|known| known.kind == bugcheck_knowledge::Kind::Live)
        || header.has_live_attribute()
        || header.bug_check.code == 0;
    let system = system::system(dump);
    let signature = signature::signature(&case);
    let windbg = verdict::windbg(&case, live);
    let mut notes: Vec<Note> = dump.notes().iter().map(note).collect();
    notes.extend(verdict::notes(&case, windbg.failure_bucket_id.is_some()));
    let suspects = std::mem::take(&mut case.suspects).rank();
    let verdict = verdict::verdict(&case, known, live, &suspects);
    let plan = plan::plan(&kernel, &verdict.kind, &suspects, system.hypervisor.is_some());
    let lacking = session.as_ref().map(|session| session.lacking(&frames));
    let missing = verdict::missing(&case, &suspects, lacking.as_deref());
    let crash_seconds = header.system_time.map(bugcheck_dump::FileTime::unix_seconds);
    let stack = view.shown(&frames);
    Analysis {
        schema: "bugcheck.report/1",
        tool: Tool { name: "bugcheck", version: env!("CARGO_PKG_VERSION") },
        verdict,
        dump: dump_facts(dump, path, live),
        bugcheck: bug_check_facts(&kernel, known),
        fault: case.fault.as_ref().map(|fault| fault_facts(view, fault)),
        context: context(start.registers.as_ref(), start.origin.name()),
        stacks: stacks(view, &start, &stack, base_code, &parameters),
        stack,
        modules: modules(&kernel, crash_seconds.unwrap_or(i64::MAX), options),
        unloaded_modules: kernel
            .modules
            .unloaded
            .iter()
            .map(|driver| UnloadedModule { image: driver.image.clone(), start: Hex(driver.start.0), end: Hex(driver.end.0) })
            .collect(),
        system,
        process,
        objects: case.objects,
        secondary_data: system::secondary_data(dump, options.redact),
        windbg,
        signature,
        suspects,
        missing,
        plan,
        notes,
    }
}

/// The dump with whatever images and symbols there are for it.
#[derive(Clone, Copy)]
struct View<'a> {
    kernel: &'a Kernel<'a>,
    session: Option<&'a Session<'a>>,
}

impl View<'_> {
    /// The stack from a set of registers on.
    fn walk(self, registers: &Registers) -> Vec<Frame> {
        self.session.map_or_else(|| self.kernel.walk(registers), |session| session.walk(registers))
    }

    /// Frames as the report has them.
    fn shown(self, frames: &[Frame]) -> Vec<StackFrame> {
        let mut shown: Vec<StackFrame> = frames.iter().enumerate().map(|(index, frame)| stack_frame(self.kernel, index, frame)).collect();
        if let Some(session) = self.session {
            shown.iter_mut().for_each(|frame| session.name(frame));
        }
        shown
    }
}

/// The frames a person wants: from the fault, or else from the bug check, or else whatever the stack bytes show.
fn faulting_frames(view: View<'_>, start: &Start) -> Vec<Frame> {
    let mut frames = start.registers.as_ref().map_or_else(Vec::new, |registers| view.walk(registers));
    let stack = view.kernel.dump.triage().map(|triage| triage.call_stack);
    if let Some(stack) = stack.filter(|stack| frames.len() <= 1 && stack.length > 0) {
        frames.extend(bugcheck_unwind::scan_from(view.kernel, view.kernel.dump.header().arch, stack.address.0));
    }
    frames
}

fn stack_frame(kernel: &Kernel<'_>, index: usize, frame: &Frame) -> StackFrame {
    let place = kernel.modules.find(frame.ip);
    StackFrame {
        index,
        ip: Hex(frame.ip),
        sp: Hex(frame.sp),
        module: place.map(|place| place.module.name.clone()),
        module_offset: place.map(|place| Hex(place.offset)),
        symbol: None,
        symbol_offset: None,
        source: None,
        inlined: Vec::new(),
        trust: frame.trust.name(),
        call_seen: match frame.call {
            CallBefore::Seen => Some(true),
            CallBefore::Unknown => Some(false),
            CallBefore::Absent | CallBefore::NotAsked => None,
        },
    }
}

fn stacks(view: View<'_>, start: &Start, stack: &[StackFrame], base_code: u32, parameters: &[u64; 4]) -> Vec<Stack> {
    let mut stacks = Vec::new();
    let apart = start.at_fault || start.interrupted;
    if apart {
        stacks.push(Stack {
            kind: "fault",
            id: None,
            context: context(start.registers.as_ref(), start.origin.name()),
            frames: stack.to_vec(),
        });
    }
    if let Some((registers, origin)) = &start.bug_check
        && (!apart || start.registers.as_ref() != Some(registers))
    {
        let frames = if apart { view.shown(&view.walk(registers)) } else { stack.to_vec() };
        stacks.push(Stack { kind: "bugcheck", id: None, context: context(Some(registers), origin.name()), frames });
    }
    let thread_stack = |thread: Thread, kind, id| {
        let frames = bugcheck_unwind::scan_from(view.kernel, view.kernel.dump.header().arch, thread.kernel_stack?);
        (!frames.is_empty()).then(|| Stack { kind, id: Some(id), context: context(None, "none"), frames: view.shown(&frames) })
    };
    if base_code == 0x101 {
        let [_, _, prcb, number] = *parameters;
        stacks.extend(running_on(view.kernel, prcb).and_then(|thread| thread_stack(thread, "cpu", number.to_string())));
    }
    for address in roles::threads(base_code, parameters).iter().filter_map(|n| parameters.get(n - 1)) {
        stacks
            .extend(thread_at(view.kernel, VirtAddr(*address)).and_then(|thread| thread_stack(thread, "thread", format!("{address:#x}"))));
    }
    stacks
}

/// The thread at an address, as far as the dump has it.
pub(crate) fn thread_at(kernel: &Kernel<'_>, address: VirtAddr) -> Option<Thread> {
    let data = kernel.dump.triage()?.debugger_data.as_ref()?;
    Thread::read(kernel.dump.header().arch, data, kernel.memory(), address)
}

/// The thread that the processor of a PRCB was running.
pub(crate) fn running_on(kernel: &Kernel<'_>, prcb: u64) -> Option<Thread> {
    let data = kernel.dump.triage()?.debugger_data.as_ref()?;
    let current = VirtAddr(prcb).offset(data.prcb_current_thread()? as u64);
    thread_at(kernel, kernel.memory().pointer(current, kernel.width()).ok()?)
}

fn context(registers: Option<&Registers>, source: &'static str) -> Context {
    let registers = registers.map_or_else(Vec::new, |registers| registers.iter().map(|(name, value)| (name, Hex(value))).collect());
    Context { source, registers }
}

fn fault_facts(view: View<'_>, fault: &fault::Examined) -> Fault {
    let (verdict, computed, why) = match &fault.consistency {
        fault::Consistency::Consistent { computed, why } => ("consistent", *computed, why.clone()),
        fault::Consistency::Inconsistent { computed, why } => ("inconsistent", *computed, why.clone()),
        fault::Consistency::Unknown { why } => ("unknown", None, why.clone()),
    };
    Fault {
        exception: fault.exception.map(|code| Hex(code.into())),
        access: fault.touch.map(fault::Touch::name),
        address: fault.address.map(Hex),
        address_class: fault.class.as_ref().map(address::Class::words),
        instruction_pointer: fault.ip.map(Hex),
        location: fault.ip.and_then(|ip| view.kernel.modules.describe(ip)),
        symbol: fault.ip.and_then(|ip| view.session?.describe(ip)),
        instruction: fault.instruction.as_ref().map(|instruction| InstructionFacts {
            bytes: instruction.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
            text: instruction.text.clone(),
        }),
        explanation: fault.explanation.clone(),
        consistency: Consistency { verdict, computed_address: computed.map(Hex), why },
    }
}

fn process(kernel: &Kernel<'_>, options: Options<'_>) -> Option<ProcessFacts> {
    let dump = kernel.dump;
    let path = dump.blob(bugcheck_dump::secondary::PROCESS_PATH).and_then(bugcheck_dump::secondary::process_path);
    let triage = dump.triage()?;
    let (header, data) = (dump.header(), triage.debugger_data.as_ref());
    let process =
        data.zip(triage.process).and_then(|(data, range)| Process::read(header.arch, header.build, data, kernel.memory(), range.address));
    let thread = triage.thread.and_then(|range| thread_at(kernel, range.address));
    let start = thread.and_then(|thread| thread.start_address);
    (path.is_some() || triage.process.is_some()).then(|| ProcessFacts {
        image: process.map(|process| process.image),
        path: path.map(|path| redact::path(&path, options.redact)),
        address: triage.process.map(|range| Hex(range.address.0)),
        thread: triage.thread.map(|range| Hex(range.address.0)),
        thread_start: start.and_then(|start| kernel.modules.describe(start)),
    })
}

fn modules(kernel: &Kernel<'_>, crash_seconds: i64, options: Options<'_>) -> Vec<ModuleFacts> {
    let facts = |module: &bugcheck_kernel::Module| {
        let known = case::known(module);
        let microsoft = known.map(bugcheck_knowledge::Module::is_microsoft);
        // Windows' own images have been built reproducibly since Windows 10: their time stamps are hashes.
        let dated = microsoft != Some(true) || kernel.dump.header().build < 10_000;
        ModuleFacts {
            name: module.name.clone(),
            image: module.image.clone(),
            path: module.path.as_ref().map(|path| redact::path(path, options.redact)),
            base: Hex(module.base.0),
            size: module.size,
            timestamp: Hex(module.timestamp.into()),
            linked: module.link_time(crash_seconds).filter(|_| dated).and_then(rfc3339),
            checksum: Hex(module.checksum.into()),
            company: known.map(|known| known.vendor),
            product: known.map(|known| known.product),
            microsoft,
            role: known.map(|known| known.role.to_string()),
        }
    };
    kernel.modules.loaded.iter().map(facts).collect()
}

fn dump_facts(dump: &Dump, path: &str, live: bool) -> DumpFacts {
    let header = dump.header();
    let lab = dump.triage().and_then(|triage| triage.debugger_data.as_ref()?.nt_build_lab()).and_then(|address| {
        let bytes = dump.memory().run(VirtAddr(address)).ok()?;
        let text = bugcheck_dump::Fields(bytes).ascii(0, bytes.len().min(128))?;
        text.starts_with(|c: char| c.is_ascii_digit()).then_some(text)
    });
    DumpFacts {
        path: path.to_owned(),
        size: dump.bytes().len() as u64,
        kind: header.kind.name(),
        arch: header.arch.name(),
        live,
        crash_time: header.system_time.and_then(|time| rfc3339(time.unix_seconds())),
        uptime_seconds: header.uptime.map(|ticks| ticks / 10_000_000),
        processors: header.processors,
        os: Os {
            name: bugcheck_knowledge::windows_release(header.build, header.product_type.unwrap_or(1))
                .map(|release| release.name.to_owned()),
            build: header.build,
            build_lab: lab,
            product_type: header.product_type.and_then(|kind| match kind {
                1 => Some("workstation"),
                2 => Some("domain-controller"),
                3 => Some("server"),
                _ => None,
            }),
        },
    }
}

fn rfc3339(seconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}

fn bug_check_facts(kernel: &Kernel<'_>, known: Option<&bugcheck_knowledge::BugCheck>) -> BugCheckFacts {
    let bug_check = kernel.dump.header().bug_check;
    let explained = known.map(|known| known.explain(bug_check.parameters, &|address| kernel.modules.describe(address)));
    BugCheckFacts {
        code: Hex(bug_check.code.into()),
        base_code: Hex(bugcheck_knowledge::base_code(bug_check.code).into()),
        name: known.map(|known| known.name.to_owned()),
        about: explained.as_ref().map_or_else(|| "This code is not documented.".to_owned(), |explained| explained.about.to_owned()),
        parameters: bug_check.parameters.map(Hex),
        parameters_explained: explained
            .map_or_else(|| bug_check.parameters.map(|value| format!("{value:#x}")), |explained| explained.parameters),
    }
}

fn note(note: &bugcheck_dump::Note) -> Note {
    Note {
        severity: if note.severity == Severity::Warning { "warning" } else { "info" },
        text: note.text.clone(),
        at: note.offset.map(|offset| format!("file offset {offset:#x}")),
    }
}

/// True if the dump has memory that an analysis can read.
pub(crate) fn has_memory(kernel: &Kernel<'_>) -> bool {
    kernel.dump.header().kind == DumpKind::Triage && !kernel.memory().ranges().is_empty() && kernel.modules.kernel().is_some()
}
