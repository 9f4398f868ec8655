//! Where the images and symbols of a dump's modules come from, and what they make of a stack: truly unwound frames, names, lines.
//!
//! Everything here is optional. Without a [`Sources`] the analysis shows module and offset; with images it unwinds; with
//! symbols it names. Files are found by identity only: an image by time stamp and size, a PDB by the GUID and age that the image
//! names, symbols of the kernel (whose identity a minidump lacks) by proof.

use crate::model::StackFrame;
use bugcheck_dump::{Dump, FileBytes, Registers, VirtAddr};
use bugcheck_kernel::{Kernel, Module, TrapFrame};
use bugcheck_symbols::isf::proof::{Choice, Claim, Evidence, choose, debugger_data};
use bugcheck_symbols::path::{Element, Store};
use bugcheck_symbols::store::Finder;
use bugcheck_symbols::{Fit, Guid, ModuleSymbols, PdbId, Request, Settings, SymbolPath};
use bugcheck_unwind::pe::{CodeView, File};
use bugcheck_unwind::{CallBefore, Context, Frame, Image, Images, Layout, MachineFrame, ReadRva, Trust};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Symbol and image paths, and what was loaded from them; shared by all dumps of a run.
pub struct Sources {
    finder: Finder,
    folders: Vec<PathBuf>,
    cache: Option<PathBuf>,
    /// By file name, time stamp and size.
    loaded: Mutex<HashMap<(String, u32, u32), Arc<Loaded>>>,
    kernels: OnceLock<Vec<Arc<ModuleSymbols>>>,
}

/// What was found for one module.
#[derive(Default)]
struct Loaded {
    image: Option<(File<FileBytes>, Layout)>,
    symbols: Option<Arc<ModuleSymbols>>,
    /// True if a PDB of this identity would help but was not found.
    pdb_missing: bool,
}

/// Files that the kernel's PDB is called, which is how collections of symbol files are sorted.
const KERNEL_PDBS: &[&str] = &["ntkrnlmp.pdb", "ntkrpamp.pdb", "ntkrnlpa.pdb", "ntoskrnl.pdb"];
/// More files of kernel symbols than anybody keeps in one folder.
const MOST_KERNELS: usize = 1024;

impl Sources {
    /// Searches along these paths; indexes of symbols are kept in `cache`. `settings` say whether servers may be asked.
    #[must_use]
    pub fn new(symbols: &SymbolPath, images: &SymbolPath, cache: Option<PathBuf>, settings: Settings) -> Self {
        let folder = |element: &Element| match element {
            Element::Folder(folder) | Element::Cache(Some(folder)) => vec![folder.clone()],
            Element::Server(stores) => {
                stores.iter().filter_map(|store| if let Store::Folder(folder) = store { Some(folder.clone()) } else { None }).collect()
            }
            Element::Cache(None) => Vec::new(),
        };
        let folders = symbols.elements().iter().flat_map(folder).collect();
        Self { finder: Finder::new(symbols, images, settings), folders, cache, loaded: Mutex::default(), kernels: OnceLock::new() }
    }

    fn module(&self, kernel: &Kernel<'_>, module: &Module) -> Arc<Loaded> {
        let key = (module.image.to_ascii_lowercase(), module.timestamp, module.size);
        if let Some(known) = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(known);
        }
        let loaded = Arc::new(self.load(kernel, module));
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&loaded));
        loaded
    }

    fn load(&self, kernel: &Kernel<'_>, module: &Module) -> Loaded {
        let found = Request::image(&module.image, module.timestamp, module.size).ok().and_then(|request| self.finder.find(&request).ok());
        let file = found.as_ref().and_then(|found| File::parse(FileBytes::open(&found.path).ok()?).ok());
        // The record that names the PDB is in the image, and in some minidumps beside it.
        let code_view =
            file.as_ref().and_then(|file| CodeView::read(file)).or_else(|| CodeView::read(&InDump { kernel, base: module.base.0 }));
        let pdb = code_view.as_ref().and_then(|record| self.pdb(record));
        let exports = || found.as_ref().and_then(|found| ModuleSymbols::from_image(&found.path).ok());
        Loaded {
            pdb_missing: code_view.is_some() && pdb.is_none(),
            symbols: pdb.or_else(exports).map(Arc::new),
            image: file.and_then(|file| Layout::read(&file).map(|layout| (file, layout))),
        }
    }

    fn pdb(&self, record: &CodeView) -> Option<ModuleSymbols> {
        let found = self.finder.find(&pdb_request(record)?).ok()?;
        ModuleSymbols::from_pdb(&found.path, self.cache.as_deref(), Some(PdbId { guid: record.guid, age: record.age })).ok()
    }

    /// The files of kernel symbols in the folders of the path: Volatility's ISF, `FOLDER/ntkrnlmp.pdb/*.json.xz`.
    fn kernels(&self) -> &[Arc<ModuleSymbols>] {
        self.kernels.get_or_init(|| {
            let files = self.folders.iter().flat_map(|folder| kernel_files(folder)).take(MOST_KERNELS);
            files.filter_map(|file| ModuleSymbols::from_isf(&file, self.cache.as_deref(), None).ok().map(Arc::new)).collect()
        })
    }

    /// The kernel symbols that are proved to belong to this dump.
    fn kernel_symbols(&self, kernel: &Kernel<'_>, return_addresses: &[u64]) -> Option<Arc<ModuleSymbols>> {
        let candidates = self.kernels();
        let evidence = evidence(kernel, return_addresses)?;
        let indexes: Vec<_> = candidates.iter().map(|candidate| candidate.index()).collect();
        match choose(&indexes, &evidence, return_addresses) {
            Choice::Found(number) => candidates.get(number).cloned(),
            Choice::Ambiguous(_) | Choice::None => None,
        }
    }
}

/// The files that would make the stacks of a dump better: the images of the modules on them (with `all`, of every module), and
/// the PDBs whose identity the dump itself gives. The PDB of an image is known once the image is there ([`pdb_of_image`]).
#[must_use]
pub fn modules_needed(dump: &Dump, all: bool) -> Vec<Request> {
    let kernel = Kernel::new(dump);
    let on_stacks: Vec<u64> = if all {
        Vec::new()
    } else {
        let analysis = crate::analyze(dump, "", crate::Options::default());
        analysis.stacks.iter().flat_map(|stack| &stack.frames).map(|frame| frame.ip.0).collect()
    };
    let wanted = |module: &&Module| all || on_stacks.iter().any(|ip| (module.base.0..module.end()).contains(ip));
    let requests = |module: &Module| {
        let image = Request::image(&module.image, module.timestamp, module.size).ok();
        let pdb = CodeView::read(&InDump { kernel: &kernel, base: module.base.0 }).and_then(|record| pdb_request(&record));
        [image, pdb].into_iter().flatten().collect::<Vec<_>>()
    };
    kernel.modules.loaded.iter().filter(wanted).flat_map(requests).collect()
}

/// The PDB that an image file names.
#[must_use]
pub fn pdb_of_image(path: &Path) -> Option<Request> {
    let file = File::parse(FileBytes::open(path).ok()?).ok()?;
    pdb_request(&CodeView::read(&file)?)
}

fn pdb_request(record: &CodeView) -> Option<Request> {
    Request::pdb(&record.path, Guid::from_bytes(record.guid), record.age).ok()
}

fn kernel_files(folder: &Path) -> Vec<PathBuf> {
    let places = KERNEL_PDBS.iter().flat_map(|name| [folder.join(name), folder.join("windows").join(name), folder.join("isf").join(name)]);
    let mut files: Vec<PathBuf> = places
        .filter_map(|place| std::fs::read_dir(place).ok())
        .flat_map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())))
        .filter(|path| path.to_str().is_some_and(|path| path.ends_with(".json") || path.ends_with(".json.xz")))
        .collect();
    files.sort();
    files
}

/// What the dump says about its kernel.
fn evidence(kernel: &Kernel<'_>, return_addresses: &[u64]) -> Option<Evidence> {
    let nt = kernel.modules.kernel()?;
    let header = kernel.dump.header();
    let data = kernel.dump.triage().and_then(|triage| triage.debugger_data.as_ref());
    let mut claims: Vec<Claim> = data.map_or_else(Vec::new, |data| debugger_data(data.fields()).collect());
    claims.extend([
        Claim::new("PsLoadedModuleList", header.ps_loaded_module_list.0),
        Claim::new("PsActiveProcessHead", header.ps_active_process_head.0),
        Claim::new("KdDebuggerDataBlock", header.kd_debugger_data_block.0),
    ]);
    // On ARM64 the registers are those of a function further in.
    let bug_check = kernel.bug_check_context().and_then(|registers| registers.ip()).filter(|_| header.arch != bugcheck_dump::Arch::Arm64);
    claims.extend(bug_check.map(|ip| Claim::new("KeBugCheckEx", ip)));
    Some(Evidence { base: nt.base.0, size_of_image: Some(nt.size), claims, return_addresses: return_addresses.to_vec() })
}

/// The pages of an image that a dump brings.
struct InDump<'a> {
    kernel: &'a Kernel<'a>,
    base: u64,
}

impl ReadRva for InDump<'_> {
    fn read(&self, rva: u32, buffer: &mut [u8]) -> usize {
        self.kernel.memory().read(VirtAddr(self.base.wrapping_add(rva.into())), buffer).unwrap_or(0)
    }
}

/// The images and symbols of one dump.
pub(crate) struct Session<'a> {
    kernel: &'a Kernel<'a>,
    sources: &'a Sources,
    /// By the module's place in the dump's list.
    modules: Vec<OnceCell<Arc<Loaded>>>,
    nt: OnceCell<Option<Arc<ModuleSymbols>>>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(kernel: &'a Kernel<'a>, sources: &'a Sources) -> Self {
        Self { kernel, sources, modules: kernel.modules.loaded.iter().map(|_| OnceCell::new()).collect(), nt: OnceCell::new() }
    }

    fn loaded(&self, module: &Module) -> Option<&Loaded> {
        let index = self.kernel.modules.loaded.iter().position(|known| std::ptr::eq(known, module))?;
        Some(self.modules.get(index)?.get_or_init(|| self.sources.module(self.kernel, module)))
    }

    fn symbols(&self, module: &Module) -> Option<Arc<ModuleSymbols>> {
        let own = self.loaded(module).and_then(|loaded| loaded.symbols.clone());
        if module.name != "nt" || own.is_some() {
            return own;
        }
        self.nt.get_or_init(|| self.sources.kernel_symbols(self.kernel, &self.vouched_returns())).clone()
    }

    /// Return addresses in the kernel that stand behind a call which the dump shows.
    fn vouched_returns(&self) -> Vec<u64> {
        let Some((nt, registers)) = self.kernel.modules.kernel().zip(self.kernel.bug_check_context()) else { return Vec::new() };
        let frames = self.kernel.walk(&registers);
        let vouched = frames.iter().filter(|frame| frame.call == CallBefore::Seen && (nt.base.0..nt.end()).contains(&frame.ip));
        vouched.map(|frame| frame.ip).take(64).collect()
    }

    /// The stack from these registers on: unwound where there are images.
    pub(crate) fn walk(&self, registers: &Registers) -> Vec<Frame> {
        let walk = bugcheck_unwind::unwind(self.kernel, self, &Context::from_registers(registers));
        walk.frames.into_iter().map(|frame| frame.frame).collect()
    }

    /// Names the function of a frame and its place in the source text.
    pub(crate) fn name(&self, frame: &mut StackFrame) {
        let Some(place) = self.kernel.modules.find(frame.ip.0) else { return };
        let (Some(symbols), Ok(rva)) = (self.symbols(place.module), u32::try_from(place.offset)) else { return };
        // A return address may be the first one behind a function that ends in a call.
        let back = u32::from(frame.trust != Trust::Context.name());
        let Some(at) = symbols.function_at(rva.saturating_sub(back)).filter(|at| at.fit != Fit::Doubtful) else { return };
        frame.symbol = Some(at.symbol.name().into_owned());
        frame.symbol_offset = Some(crate::model::Hex((at.offset + back).into()));
        let lines = symbols.source_at(rva.saturating_sub(back));
        frame.source = lines.first().and_then(|first| first.line.as_ref()).map(|line| format!("{}:{}", line.file, line.line));
        frame.inlined = lines.iter().filter(|line| line.inlined).filter_map(|line| line.function.clone()).collect();
    }

    /// Where the code around an address differs from the image on disk: the byte's address, what the file has and what memory
    /// has. Only the bytes that `around` gives are compared; `None` without an image.
    pub(crate) fn code_differences(&self, around: std::ops::Range<u64>) -> Option<Vec<(u64, u8, u8)>> {
        let place = self.kernel.modules.find(around.start)?;
        let (file, _) = self.loaded(place.module)?.image.as_ref()?;
        let length = usize::try_from(around.end.checked_sub(around.start)?).ok().filter(|&length| length <= 4096)?;
        let (mut in_file, mut in_memory) = (vec![0; length], vec![0; length]);
        let read = file.read(u32::try_from(place.offset).ok()?, &mut in_file);
        self.kernel.memory().try_read_exact(VirtAddr(around.start), &mut in_memory).filter(|()| read == length)?;
        let pairs = in_file.iter().zip(&in_memory).enumerate();
        Some(
            pairs
                .filter(|(_, (file, memory))| file != memory)
                .map(|(index, (&file, &memory))| (around.start + index as u64, file, memory))
                .collect(),
        )
    }

    /// `module!Function+0x12` for an address, where it has a name.
    pub(crate) fn describe(&self, address: u64) -> Option<String> {
        let place = self.kernel.modules.find(address)?;
        let symbols = self.symbols(place.module)?;
        let at = symbols.function_at(u32::try_from(place.offset).ok()?).filter(|at| at.fit != Fit::Doubtful)?;
        Some(format!("{}!{}+{:#x}", place.module.name, at.symbol.name(), at.offset))
    }

    /// Modules on a stack that lack an image or symbols which would help.
    pub(crate) fn lacking(&self, frames: &[Frame]) -> Vec<String> {
        let mut lacking: Vec<String> = Vec::new();
        for frame in frames {
            let Some(module) = self.kernel.modules.find(frame.ip).map(|place| place.module) else { continue };
            let Some(loaded) = self.loaded(module) else { continue };
            let poor = loaded.image.is_none() || loaded.pdb_missing;
            if poor && !lacking.contains(&module.image) {
                lacking.push(module.image.clone());
            }
        }
        lacking
    }
}

impl Images for Session<'_> {
    fn image_at(&self, address: u64) -> Option<Image<'_>> {
        let module = self.kernel.modules.find(address)?.module;
        let (file, layout) = self.loaded(module)?.image.as_ref()?;
        Some(Image { base: module.base.0, layout: *layout, source: file })
    }

    fn interrupted(&self, frame: MachineFrame, context: &mut Context) {
        let arch = self.kernel.dump.header().arch;
        let Some(trap) = TrapFrame::read(arch, self.kernel.memory(), VirtAddr(frame.body)) else { return };
        // Only a frame that tells the same place is the one.
        if trap.registers.ip() != context.ip() || trap.registers.sp() != context.sp() {
            return;
        }
        for (number, name) in Registers::names(arch).iter().enumerate() {
            if let (None, Some(value)) = (context.get(number), trap.registers.get(name)) {
                context.set(number, value);
            }
        }
    }
}
