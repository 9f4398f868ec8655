//! What the recipes work on: the dump seen as NT, what has been found so far, and where to put more.

use crate::fault::Examined;
use crate::model::{Missing, Object};
use crate::sources::Session;
use crate::start::Start;
use crate::suspects::{Subject, Suspects};
use bugcheck_kernel::{Kernel, Module};
use bugcheck_knowledge::Module as KnownModule;
use bugcheck_unwind::{CallBefore, Frame, Trust};

/// One dump under examination.
pub(crate) struct Case<'a> {
    pub kernel: &'a Kernel<'a>,
    /// Images and symbols, where there are any.
    pub session: Option<&'a Session<'a>>,
    /// Without the minidump flag.
    pub code: u32,
    pub parameters: [u64; 4],
    pub start: &'a Start,
    pub fault: Option<Examined>,
    /// The faulting stack.
    pub frames: &'a [Frame],
    pub process: Option<String>,
    pub suspects: Suspects,
    pub objects: Vec<Object>,
    pub missing: Vec<Missing>,
    /// The verdict that a recipe is sure of: kind and sentence.
    pub verdict: Option<(&'static str, String)>,
    /// The owner that the bucket names: set only where it is certain.
    pub bucket_image: Option<String>,
}

/// A module on the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'m> {
    pub module: &'m Module,
    /// Number of the frame.
    pub frame: usize,
    /// True if the frame cannot be a stale value: registers, or a return address behind a call that the dump shows.
    pub sure: bool,
}

impl<'a> Case<'a> {
    /// A parameter by its usual number, from 1.
    pub(crate) fn parameter(&self, number: usize) -> u64 {
        number.checked_sub(1).and_then(|index| self.parameters.get(index)).copied().unwrap_or(0)
    }

    /// The module at an address.
    pub(crate) fn module_at(&self, address: u64) -> Option<&'a Module> {
        self.kernel.modules.find(address).map(|place| place.module)
    }

    /// The module of the faulting instruction, if registers or parameters tell it.
    pub(crate) fn fault_module(&self) -> Option<&'a Module> {
        self.module_at(self.fault.as_ref()?.ip?)
    }

    /// The modules on the faulting stack from the top, each at its first frame.
    pub(crate) fn modules_on_stack(&self) -> Vec<Seen<'a>> {
        let mut seen: Vec<Seen<'a>> = Vec::new();
        for (frame, found) in self.frames.iter().enumerate() {
            let Some(module) = self.module_at(found.ip) else { continue };
            let sure = found.trust != Trust::Scan || found.call == CallBefore::Seen;
            match seen.iter_mut().find(|known| std::ptr::eq(known.module, module)) {
                Some(known) => known.sure |= sure,
                None => seen.push(Seen { module, frame, sure }),
            }
        }
        seen
    }

    /// Accuses a module, as a driver or, where Windows itself ships it, as a part of Windows.
    pub(crate) fn accuse_module(&mut self, module: &Module, id: &'static str, weight: f64, text: impl Into<String>, at: impl Into<String>) {
        self.suspects.accuse(subject(module), id, weight, text, at);
    }

    /// Third-party display drivers that are loaded.
    pub(crate) fn display_drivers(&self) -> Vec<&'a Module> {
        let is_display = |module: &&Module| {
            known(module).is_some_and(|known| known.role == bugcheck_knowledge::Role::Graphics && !known.is_microsoft() && !known.forwards)
        };
        self.kernel.modules.loaded.iter().filter(is_display).collect()
    }

    /// Adds an object to the report.
    pub(crate) fn object(&mut self, kind: &'static str, address: u64, text: impl Into<String>) {
        let address = (address != 0).then_some(crate::model::Hex(address));
        self.objects.push(Object { kind, address, text: text.into() });
    }
}

/// What is known of a module by its name.
pub(crate) fn known(module: &Module) -> Option<&'static KnownModule> {
    let image = if module.name == "nt" { "ntoskrnl.exe" } else { &module.image };
    bugcheck_knowledge::module(image)
}

/// True if the module comes with Windows.
pub(crate) fn is_windows(module: &Module) -> bool {
    known(module).is_some_and(KnownModule::is_microsoft) || is_dump_copy(module)
}

/// True for a module that reports or forwards what others did: not to be blamed for being there.
pub(crate) fn forwards(module: &Module) -> bool {
    known(module).is_some_and(|known| known.forwards) || is_dump_copy(module)
}

/// Copies of storage drivers that write the dump itself are loaded as `dump_*`: they run only after the crash.
fn is_dump_copy(module: &Module) -> bool {
    module.image.to_ascii_lowercase().starts_with("dump_")
}

/// The subject that stands for a module.
pub(crate) fn subject(module: &Module) -> Subject {
    if is_windows(module) { Subject::os(module.image.clone()) } else { Subject::driver(module.image.clone()) }
}

/// A module with what it is: `nvlddmkm.sys (NVIDIA display driver)`.
pub(crate) fn described(module: &Module) -> String {
    match known(module) {
        Some(known) if known.is_microsoft() => format!("{} (part of Windows: {})", module.image, known.product),
        Some(known) => format!("{} ({}, {})", module.image, known.vendor, known.product),
        None => format!("{} (a driver that bugcheck does not know by name)", module.image),
    }
}
