//! Proving that a file of symbols belongs to a kernel whose identity is not known.
//!
//! A minidump lacks the kernel's PDB identity, but says much about where things lie: a copy of KDDEBUGGER_DATA64 with the
//! addresses of some sixty variables, the instruction pointer of the bug check, return addresses on stacks. A file of symbols
//! fits if it agrees with all that it can be asked about and contradicts nothing. Of 213 real kernels 80 share the addresses of
//! `PsLoadedModuleList`, `PsActiveProcessHead` and `KdDebuggerDataBlock` with another one, so a few agreements prove nothing,
//! and two files that fit but disagree on the names that are wanted are both refused.

use crate::index::SymbolIndex;

/// Fields of KDDEBUGGER_DATA64 that hold the address of a variable or function: the name in the kernel's symbols, and the
/// field's offset in the structure.
///
/// Layout: `wdbgexts.h` of the public Windows SDK. Fields that hold values instead of addresses (the kernel's base, sizes,
/// offsets) are left out.
pub const DEBUGGER_DATA_FIELDS: &[(&str, u32)] = &[
    ("RtlpBreakWithStatusInstruction", 0x20),
    ("KiCallUserMode", 0x38),
    ("KeUserCallbackDispatcher", 0x40),
    ("PsLoadedModuleList", 0x48),
    ("PsActiveProcessHead", 0x50),
    ("PspCidTable", 0x58),
    ("ExpSystemResourcesList", 0x60),
    ("ExpPagedPoolDescriptor", 0x68),
    ("ExpNumberOfPagedPools", 0x70),
    ("KeTimeIncrement", 0x78),
    ("KeBugCheckCallbackListHead", 0x80),
    ("KiBugCheckData", 0x88),
    ("IopErrorLogListHead", 0x90),
    ("ObpRootDirectoryObject", 0x98),
    ("ObpTypeObjectType", 0xa0),
    ("MmSystemCacheStart", 0xa8),
    ("MmSystemCacheEnd", 0xb0),
    ("MmSystemCacheWs", 0xb8),
    ("MmPfnDatabase", 0xc0),
    ("MmSystemPtesStart", 0xc8),
    ("MmSystemPtesEnd", 0xd0),
    ("MmSubsectionBase", 0xd8),
    ("MmNumberOfPagingFiles", 0xe0),
    ("MmLowestPhysicalPage", 0xe8),
    ("MmHighestPhysicalPage", 0xf0),
    ("MmNumberOfPhysicalPages", 0xf8),
    ("MmMaximumNonPagedPoolInBytes", 0x100),
    ("MmNonPagedSystemStart", 0x108),
    ("MmNonPagedPoolStart", 0x110),
    ("MmNonPagedPoolEnd", 0x118),
    ("MmPagedPoolStart", 0x120),
    ("MmPagedPoolEnd", 0x128),
    ("MmPagedPoolInfo", 0x130),
    ("MmSizeOfPagedPoolInBytes", 0x140),
    ("MmTotalCommitLimit", 0x148),
    ("MmTotalCommittedPages", 0x150),
    ("MmSharedCommit", 0x158),
    ("MmDriverCommit", 0x160),
    ("MmProcessCommit", 0x168),
    ("MmPagedPoolCommit", 0x170),
    ("MmExtendedCommit", 0x178),
    ("MmZeroedPageListHead", 0x180),
    ("MmFreePageListHead", 0x188),
    ("MmStandbyPageListHead", 0x190),
    ("MmModifiedPageListHead", 0x198),
    ("MmModifiedNoWritePageListHead", 0x1a0),
    ("MmAvailablePages", 0x1a8),
    ("MmResidentAvailablePages", 0x1b0),
    ("PoolTrackTable", 0x1b8),
    ("NonPagedPoolDescriptor", 0x1c0),
    ("MmHighestUserAddress", 0x1c8),
    ("MmSystemRangeStart", 0x1d0),
    ("MmUserProbeAddress", 0x1d8),
    ("KdPrintDefaultCircularBuffer", 0x1e0),
    ("KdPrintWritePointer", 0x1f0),
    ("KdPrintRolloverCount", 0x1f8),
    ("MmLoadedUserImageList", 0x200),
    ("NtBuildLab", 0x208),
    ("KiNormalSystemCall", 0x210),
    ("KiProcessorBlock", 0x218),
    ("MmUnloadedDrivers", 0x220),
    ("MmLastUnloadedDriver", 0x228),
    ("MmTriageActionTaken", 0x230),
    ("MmSpecialPoolTag", 0x238),
    ("KernelVerifier", 0x240),
    ("MmVerifierData", 0x248),
    ("MmAllocatedNonPagedPool", 0x250),
    ("MmPeakCommitment", 0x258),
    ("MmTotalCommitLimitMaximum", 0x260),
    ("CmNtCSDVersion", 0x268),
    ("MmPhysicalMemoryBlock", 0x270),
    ("MmSessionBase", 0x278),
    ("MmSessionSize", 0x280),
    ("MmSystemParentTablePage", 0x288),
    ("MmVirtualTranslationBase", 0x290),
    ("KdPrintCircularBuffer", 0x2c8),
    ("KdPrintBufferSize", 0x2d0),
    ("KeLoaderBlock", 0x2d8),
    ("IopNumTriageDumpDataBlocks", 0x350),
    ("IopTriageDumpDataBlocks", 0x358),
    ("VfCrashDataBlock", 0x360),
    ("MmBadPagesDetected", 0x368),
    ("MmZeroedPageSingleBitErrorsDetected", 0x370),
    ("EtwpDebuggerData", 0x378),
];

/// How many agreeing names prove a file, where nothing contradicts it.
pub const ENOUGH: usize = 8;

/// What a dump says about its kernel, as plain data.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Base of the kernel image.
    pub base: u64,
    /// `SizeOfImage` of the kernel, if known.
    pub size_of_image: Option<u32>,
    /// Names of the kernel's symbols and the addresses that the dump has for them: the fields of
    /// [`DEBUGGER_DATA_FIELDS`], those of the dump's header, the instruction pointer of the bug check for `KeBugCheckEx`.
    /// Addresses outside the image say nothing and are passed over.
    pub addresses: Vec<(String, u64)>,
    /// Addresses in the kernel that calls return to. One that is the beginning of a function contradicts: a call lies before
    /// it. Give only those of which the bytes before are known to be a call, or that unwinding found.
    pub return_addresses: Vec<u64>,
}

/// Something in the dump that a file of symbols has otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// The file has the name at another address.
    Elsewhere {
        /// The name.
        name: String,
        /// Where the dump has it, from the base.
        dump: u32,
        /// Where the file has it.
        file: u32,
    },
    /// A call returns to where the file has a function begin.
    ReturnsToBeginning {
        /// The function.
        name: String,
        /// Where it begins.
        rva: u32,
    },
    /// A call returns to where the file has no function.
    ReturnsToNothing {
        /// The address, from the base.
        rva: u32,
    },
    /// The file names something behind the end of the image.
    BehindImage {
        /// The name.
        name: String,
        /// Where.
        rva: u32,
    },
}

/// How a file of symbols compares with a dump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// How many names the dump and the file have at the same address.
    pub score: usize,
    /// How many names of the dump the file does not have; they say nothing.
    pub unknown: usize,
    /// What the dump and the file have otherwise, at most 16 of them.
    pub contradictions: Vec<Contradiction>,
}

impl Match {
    /// Whether the file is proved to belong to the dump's kernel, as far as one file can say.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.score >= ENOUGH && self.contradictions.is_empty()
    }
}

/// Compares a file of symbols with a dump.
#[must_use]
pub fn prove(candidate: &SymbolIndex, evidence: &Evidence) -> Match {
    let mut result = Match::default();
    let mut names: Vec<(&str, u32)> =
        evidence.addresses.iter().filter_map(|(name, address)| Some((name.as_str(), rva(evidence, *address)?))).collect();
    names.sort_unstable();
    names.dedup();
    for (name, dump) in names {
        match candidate.rva_of(name) {
            None => result.unknown += 1,
            Some(file) if file == dump => result.score += 1,
            Some(file) => result.contradict(Contradiction::Elsewhere { name: name.to_owned(), dump, file }),
        }
    }
    for rva in evidence.return_addresses.iter().filter_map(|&address| rva(evidence, address)) {
        match candidate.function_at(rva) {
            None => result.contradict(Contradiction::ReturnsToNothing { rva }),
            Some(at) if at.offset == 0 => {
                result.contradict(Contradiction::ReturnsToBeginning { name: at.symbol.raw.to_owned(), rva });
            }
            Some(_) => {}
        }
    }
    if let Some(size) = evidence.size_of_image {
        for symbol in [candidate.symbol_at(u32::MAX), candidate.function_at(u32::MAX)].into_iter().flatten().map(|at| at.symbol) {
            if symbol.rva >= size {
                result.contradict(Contradiction::BehindImage { name: symbol.raw.to_owned(), rva: symbol.rva });
            }
        }
    }
    result
}

impl Match {
    fn contradict(&mut self, contradiction: Contradiction) {
        if self.contradictions.len() < 16 {
            self.contradictions.push(contradiction);
        }
    }
}

fn rva(evidence: &Evidence, address: u64) -> Option<u32> {
    let rva = u32::try_from(address.checked_sub(evidence.base)?).ok()?;
    let size = evidence.size_of_image.unwrap_or(u32::MAX);
    (rva != 0 && rva < size).then_some(rva)
}

/// What comes of comparing several files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The number of the one that is proved, or of the first of several that say the same.
    Found(usize),
    /// The numbers of those that fit but give different names. None may be used.
    Ambiguous(Vec<usize>),
    /// None fits.
    None,
}

/// The one file of symbols that is proved to belong to the dump's kernel. `used` are the addresses that names are wanted for:
/// files that fit are the same where they name all of these alike.
#[must_use]
pub fn choose(candidates: &[&SymbolIndex], evidence: &Evidence, used: &[u64]) -> Choice {
    let fitting: Vec<(usize, &SymbolIndex)> =
        candidates.iter().copied().enumerate().filter(|(_, candidate)| prove(candidate, evidence).holds()).collect();
    let Some(((first, index), others)) = fitting.split_first() else { return Choice::None };
    let alike = |other: &SymbolIndex| {
        used.iter().filter_map(|&address| rva(evidence, address)).all(|rva| index.function_at(rva) == other.function_at(rva))
    };
    let same_build = |other: &SymbolIndex| index.id().is_some() && index.id() == other.id();
    if others.iter().all(|(_, other)| same_build(other) || alike(other)) {
        Choice::Found(*first)
    } else {
        Choice::Ambiguous(fitting.iter().map(|(number, _)| *number).collect())
    }
}
