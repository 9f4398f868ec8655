//! Source lines and inlined functions of a module: its line numbers (C13) and inline sites.
//!
//! <https://llvm.org/docs/PDB/ModiStream.html>; `CV_Line_t`, `InlineeSourceLine` in `cvinfo.h`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bugcheck_dump::Fields;
use ms_pdb::lines::{LineData, LinesSubsection, SubsectionKind};
use ms_pdb::syms::{InlineSite, InlineSite2, Proc, Sym, SymIter, SymKind};
use ms_pdb::types::TypeData;

use super::inline::{Stretch, stretches};
use super::modules::{Debug, Module};
use super::records::Records;
use super::streams::Streams;
use super::types::PdbTypes;
use crate::demangle::demangle_name;
use crate::source::{SourceFrame, SourceLine};

/// Most modules whose lines are kept once read.
const MOST_KEPT: usize = 512;
/// Most inline sites around one address.
const MOST_INLINED: usize = 64;
/// Lines that compilers use for code of no line.
const NO_LINE: [u32; 2] = [0xfe_efee, 0xf0_0f00];

/// The lines of a PDB.
pub(super) struct Lines {
    /// The stream of file names.
    names: Vec<u8>,
    /// The identities of functions.
    ids: Records,
    kept: Mutex<HashMap<u16, Option<Arc<ModuleLines>>>>,
}

/// The lines of a module.
struct ModuleLines {
    rows: Vec<Row>,
    functions: Vec<Function>,
    /// The module's table of files.
    files: Vec<u8>,
}

struct Row {
    rva: u32,
    end: u32,
    file: u32,
    line: u32,
}

struct Function {
    rva: u32,
    size: u32,
    name: String,
    sites: Vec<Site>,
}

struct Site {
    depth: usize,
    /// The number of the inlined function's identity.
    inlinee: u32,
    stretches: Vec<Stretch>,
}

impl Lines {
    pub(super) fn new(names: Vec<u8>, ids: Records) -> Self {
        Self { names, ids, kept: Mutex::default() }
    }

    /// `name` chooses among functions that the linker folded into one.
    pub(super) fn source_at(
        &self,
        streams: &Streams,
        debug: &Debug,
        types: Option<&PdbTypes>,
        rva: u32,
        name: Option<&str>,
    ) -> Vec<SourceFrame> {
        let Some(module) = debug.module_at(rva).and_then(|number| self.module(streams, debug, number)) else { return Vec::new() };
        let mut frames = Vec::new();
        let function = module.function_at(rva, name);
        if let Some(function) = function {
            let offset = rva - function.rva;
            let here = |site: &'_ Site| site.stretches.iter().find(|part| (part.start..part.end).contains(&offset)).copied();
            let mut sites: Vec<(&Site, Stretch)> = function.sites.iter().filter_map(|site| Some((site, here(site)?))).collect();
            sites.sort_by_key(|(site, _)| std::cmp::Reverse(site.depth));
            for (site, part) in sites.into_iter().take(MOST_INLINED) {
                let function = self.function_name(site.inlinee, types);
                frames.push(SourceFrame { function, line: self.line(&module, part.file, part.line), inlined: true });
            }
        }
        let row = last_before(&module.rows, rva, |row| row.rva).filter(|row| rva < row.end);
        let line = row.and_then(|row| self.line(&module, row.file, row.line));
        if function.is_some() || line.is_some() {
            frames.push(SourceFrame {
                function: function.map(|function| demangle_name(&function.name).into_owned()),
                line,
                inlined: false,
            });
        }
        frames
    }

    fn module(&self, streams: &Streams, debug: &Debug, number: u16) -> Option<Arc<ModuleLines>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = kept.get(&number) {
            return module.clone();
        }
        let read = || ModuleLines::read(streams, debug, debug.modules.get(usize::from(number))?);
        let module = read().map(Arc::new);
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(number, module.clone());
        module
    }

    fn line(&self, module: &ModuleLines, file: u32, line: u32) -> Option<SourceLine> {
        if line == 0 || NO_LINE.contains(&line) {
            return None;
        }
        // An entry of the table begins with an offset into the strings of the stream of names, behind its header of 12 bytes.
        let name = Fields(&module.files).size(file as usize)?.checked_add(12)?;
        let text = self.names.get(name..)?;
        let length = text.iter().take(4096).position(|&byte| byte == 0)?;
        Some(SourceLine { file: Fields(text).ascii(0, length).filter(|file| !file.is_empty())?, line })
    }

    /// The name of an inlined function, with the class or namespace that it belongs to.
    fn function_name(&self, id: u32, types: Option<&PdbTypes>) -> Option<String> {
        let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let (scope, function) = match self.ids.get(id)? {
            TypeData::FuncId(function) => {
                let scope = match self.ids.get(function.fixed.scope.get()) {
                    Some(TypeData::StringId(scope)) => Some(name(scope.name)),
                    _ => None,
                };
                (scope, name(function.name))
            }
            TypeData::MFuncId(function) => (types.and_then(|types| types.name_of(function.fixed.parent_type.get().0)), name(function.name)),
            _ => return None,
        };
        Some(match scope.filter(|scope| !scope.is_empty()) {
            // A namespace without a name has one of the compiler's own making.
            Some(scope) if scope.starts_with("?A0x") && !scope.contains("::") => format!("`anonymous namespace'::{function}"),
            Some(scope) => format!("{scope}::{function}"),
            None => function,
        })
    }
}

/// The last of `items`, ordered by `rva_of`, that does not begin behind `rva`.
fn last_before<T>(items: &[T], rva: u32, rva_of: impl Fn(&T) -> u32) -> Option<&T> {
    items.get(items.partition_point(|item| rva_of(item) <= rva).checked_sub(1)?)
}

impl ModuleLines {
    fn function_at(&self, rva: u32, name: Option<&str>) -> Option<&Function> {
        let nearest = last_before(&self.functions, rva, |function| function.rva)?.rva;
        let first = self.functions.partition_point(|function| function.rva < nearest);
        let folded = self.functions.get(first..)?.iter().take_while(|function| function.rva == nearest);
        let mut covering = folded.filter(|function| rva - function.rva < function.size);
        let first = covering.clone().next();
        covering.find(|function| name == Some(&function.name)).or(first)
    }

    fn read(streams: &Streams, debug: &Debug, module: &Module) -> Option<Self> {
        let bytes = streams.read(module.stream?).ok()?;
        let start = module.symbols.checked_add(module.old_lines)?;
        let lines = bytes.get(start..start.checked_add(module.lines)?).unwrap_or_default();
        let (mut inlinees, mut seen) = (HashMap::new(), HashSet::new());
        let mut this = Self { rows: Vec::new(), functions: Vec::new(), files: Vec::new() };
        for part in LineData::new(lines).subsections() {
            match part.kind {
                SubsectionKind::LINES => this.add_rows(part.data, debug, &mut seen),
                SubsectionKind::FILE_CHECKSUMS => this.files = part.data.to_vec(),
                SubsectionKind::INLINEELINES => add_inlinees(&mut inlinees, Fields(part.data)),
                _ => {}
            }
        }
        this.rows.sort_by_key(|row| row.rva);
        this.add_functions(bytes.get(..module.symbols).unwrap_or_default(), debug, &inlinees);
        this.functions.sort_by_key(|function| function.rva);
        Some(this)
    }

    /// The rows of one contribution: each holds up to the next, the last up to the contribution's end.
    fn add_rows(&mut self, data: &[u8], debug: &Debug, seen: &mut HashSet<u32>) {
        let Ok(lines) = LinesSubsection::parse(data) else { return };
        let place = lines.contribution.offset_segment();
        let Some(rva) = debug.addresses.rva(place.segment(), place.offset()) else { return };
        // Functions that the linker folded into one each bring their rows; those of several would make no sense together.
        if !seen.insert(rva) {
            return;
        }
        let first = self.rows.len();
        for block in lines.blocks() {
            let file = block.header.file_index.get();
            self.rows.extend(block.lines().iter().map(|line| {
                let rva = rva.saturating_add(line.offset.get());
                Row { rva, end: rva, file, line: line.line_num_start() }
            }));
        }
        let Some(rows) = self.rows.get_mut(first..) else { return };
        rows.sort_by_key(|row| row.rva);
        let mut end = rva.saturating_add(lines.contribution.size.get());
        for row in rows.iter_mut().rev() {
            row.end = end;
            end = row.rva;
        }
    }

    /// Functions and, within each, its inline sites. Scopes nest; each ends with a record of its own.
    fn add_functions(&mut self, symbols: &[u8], debug: &Debug, inlinees: &HashMap<u32, (u32, u32)>) {
        // Which of the open scopes are inline sites.
        let mut scopes: Vec<bool> = Vec::new();
        for symbol in SymIter::for_module_syms(symbols) {
            if symbol.kind.ends_scope() {
                scopes.pop();
                continue;
            }
            if let Some((inlinee, annotations)) = site(&symbol) {
                let depth = scopes.iter().filter(|&&inlined| inlined).count();
                // Deeper ones could not be shown, and counting them would take long.
                if let Some(function) = self.functions.last_mut().filter(|_| !scopes.is_empty() && depth < MOST_INLINED) {
                    let (file, line) = inlinees.get(&inlinee).copied().unwrap_or_default();
                    function.sites.push(Site { depth, inlinee, stretches: stretches(annotations, file, line) });
                }
            } else if let Some(procedure) = procedure(&symbol) {
                let place = procedure.fixed.offset_segment;
                self.functions.push(Function {
                    // One that cannot be placed still has sites, which must not go to the function before it.
                    rva: debug.addresses.rva(place.segment(), place.offset()).unwrap_or(u32::MAX),
                    size: procedure.fixed.proc_len.get(),
                    name: String::from_utf8_lossy(procedure.name).into_owned(),
                    sites: Vec::new(),
                });
            }
            let opens = symbol.kind.starts_scope() || symbol.kind.is_proc();
            if opens && scopes.len() < MOST_INLINED * 4 {
                scopes.push(matches!(symbol.kind, SymKind::S_INLINESITE | SymKind::S_INLINESITE2));
            }
        }
    }
}

fn procedure<'a>(symbol: &Sym<'a>) -> Option<Proc<'a>> {
    let functions = [
        SymKind::S_GPROC32,
        SymKind::S_LPROC32,
        SymKind::S_GPROC32_ID,
        SymKind::S_LPROC32_ID,
        SymKind::S_LPROC32_DPC,
        SymKind::S_LPROC32_DPC_ID,
    ];
    functions.contains(&symbol.kind).then(|| symbol.parse_as().ok()).flatten()
}

/// The inlined function and the steps of an inline site.
fn site<'a>(symbol: &Sym<'a>) -> Option<(u32, &'a [u8])> {
    match symbol.kind {
        SymKind::S_INLINESITE => {
            let site: InlineSite<'a> = symbol.parse_as().ok()?;
            Some((site.fixed.inlinee.get(), site.binary_annotations))
        }
        SymKind::S_INLINESITE2 => {
            let site: InlineSite2<'a> = symbol.parse_as().ok()?;
            Some((site.fixed.inlinee.get(), site.binary_annotations))
        }
        _ => None,
    }
}

/// Where inlined functions begin in the source text: identity, file, line; with kind 1 more files follow each.
fn add_inlinees(inlinees: &mut HashMap<u32, (u32, u32)>, data: Fields<'_>) {
    let Some(kind) = data.u32(0) else { return };
    let mut at = 4;
    while let (Some(inlinee), Some(file), Some(line)) = (data.u32(at), data.u32(at + 4), data.u32(at + 8)) {
        inlinees.insert(inlinee, (file, line));
        at += 12;
        if kind == 1 {
            let Some(next) = data.size(at).and_then(|more| more.checked_mul(4)?.checked_add(at + 4)) else { return };
            at = next;
        }
    }
}
