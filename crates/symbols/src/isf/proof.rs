//! Proving that a file of symbols belongs to a kernel whose identity is not known.
//!
//! A minidump lacks the kernel's PDB identity, but says much about where things lie: a copy of KDDEBUGGER_DATA64 with the
//! addresses of some sixty variables, the instruction pointer of the bug check, return addresses on stacks. A file of symbols
//! fits if it agrees with all that it can be asked about and contradicts nothing. Of 213 real kernels 80 share the addresses of
//! `PsLoadedModuleList`, `PsActiveProcessHead` and `KdDebuggerDataBlock` with another one, so a few agreements prove nothing,
//! and two files that fit but disagree on the names that are wanted are both refused.

use bugcheck_dump::Fields;

use crate::index::SymbolIndex;

/// Fields of KDDEBUGGER_DATA64 that hold the address of a variable or function: the field's offset in the structure, and the
/// names that the kernel's symbols have for it; where there are several, builds differ.
///
/// Layout: `wdbgexts.h` of the public Windows SDK; names checked against the symbols of two builds of 19041. Fields that hold
/// values instead of addresses (the kernel's base, sizes, offsets) are left out.
pub const DEBUGGER_DATA_FIELDS: &[(u32, &[&str])] = &[
    (0x20, &["RtlpBreakWithStatusInstruction"]),
    (0x38, &["KiCallUserMode"]),
    (0x40, &["KeUserCallbackDispatcher"]),
    (0x48, &["PsLoadedModuleList"]),
    (0x50, &["PsActiveProcessHead"]),
    (0x58, &["PspCidTable"]),
    (0x60, &["ExpSystemResourcesList"]),
    (0x68, &["ExpPagedPoolDescriptor"]),
    (0x70, &["ExpNumberOfPagedPools"]),
    (0x78, &["KeTimeIncrement"]),
    (0x80, &["KeBugCheckCallbackListHead"]),
    (0x88, &["KiBugCheckData"]),
    (0x90, &["IopErrorLogListHead"]),
    (0x98, &["ObpRootDirectoryObject"]),
    (0xa0, &["ObpTypeObjectType"]),
    (0xa8, &["MmSystemCacheStart"]),
    (0xb0, &["MmSystemCacheEnd"]),
    (0xb8, &["MmSystemCacheWs"]),
    (0xc0, &["MmPfnDatabase"]),
    (0xc8, &["MmSystemPtesStart"]),
    (0xd0, &["MmSystemPtesEnd"]),
    (0xd8, &["MmSubsectionBase"]),
    (0xe0, &["MmNumberOfPagingFiles"]),
    (0xe8, &["MmLowestPhysicalPage"]),
    (0xf0, &["MmHighestPhysicalPage"]),
    (0xf8, &["MmNumberOfPhysicalPages"]),
    (0x100, &["MmMaximumNonPagedPoolInBytes"]),
    (0x108, &["MmNonPagedSystemStart"]),
    (0x110, &["MmNonPagedPoolStart"]),
    (0x118, &["MmNonPagedPoolEnd"]),
    (0x120, &["MmPagedPoolStart"]),
    (0x128, &["MmPagedPoolEnd"]),
    (0x130, &["MmPagedPoolInfo"]),
    (0x140, &["MmSizeOfPagedPoolInBytes"]),
    (0x148, &["MmTotalCommitLimit"]),
    (0x150, &["MmTotalCommittedPages"]),
    (0x158, &["MmSharedCommit"]),
    (0x160, &["MmDriverCommit"]),
    (0x168, &["MmProcessCommit"]),
    (0x170, &["MmPagedPoolCommit"]),
    (0x178, &["MmExtendedCommit"]),
    (0x180, &["MmZeroedPageListHead"]),
    (0x188, &["MmFreePageListHead"]),
    (0x190, &["MmStandbyPageListHead"]),
    (0x198, &["MmModifiedPageListHead"]),
    (0x1a0, &["MmModifiedNoWritePageListHead"]),
    (0x1a8, &["MmAvailablePages"]),
    (0x1b0, &["MmResidentAvailablePages"]),
    (0x1b8, &["PoolTrackTable"]),
    (0x1c0, &["NonPagedPoolDescriptor"]),
    (0x1c8, &["MmHighestUserAddress"]),
    (0x1d0, &["MmSystemRangeStart"]),
    (0x1d8, &["MmUserProbeAddress"]),
    (0x1e0, &["KdPrintDefaultCircularBuffer"]),
    (0x1f0, &["KdPrintWritePointer"]),
    (0x1f8, &["KdPrintRolloverCount"]),
    (0x200, &["MmLoadedUserImageList"]),
    (0x208, &["NtBuildLabEx", "NtBuildLab"]),
    (0x210, &["KiNormalSystemCall"]),
    (0x218, &["KiProcessorBlock"]),
    (0x220, &["MmUnloadedDrivers"]),
    (0x228, &["MmLastUnloadedDriver"]),
    (0x230, &["VerifierTriageActionTaken", "MmTriageActionTaken"]),
    (0x238, &["MmSpecialPoolTag"]),
    (0x240, &["KernelVerifier"]),
    (0x248, &["MmVerifierData"]),
    (0x250, &["MmAllocatedNonPagedPool"]),
    (0x258, &["MmPeakCommitment"]),
    (0x260, &["MmTotalCommitLimitMaximum"]),
    (0x268, &["CmNtCSDVersion"]),
    (0x270, &["MmPhysicalMemoryBlock"]),
    (0x278, &["MmSessionBase"]),
    (0x280, &["MmSessionSize"]),
    (0x288, &["MmSystemParentTablePage"]),
    (0x290, &["MmVirtualTranslationBase"]),
    (0x2c8, &["KdPrintCircularBuffer"]),
    (0x2d0, &["KdPrintBufferSize"]),
    (0x2d8, &["KdpLoaderDebuggerBlock", "KeLoaderBlock"]),
    (0x368, &["RtlRetpolineStubsFunctionTable"]),
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
    /// Addresses that the dump has for names: [`debugger_data`], the fields of the dump's header, the instruction pointer of
    /// the bug check for `KeBugCheckEx`. Addresses outside the image say nothing and are passed over.
    pub claims: Vec<Claim>,
    /// Addresses in the kernel that calls return to. One that is the beginning of a function contradicts: a call lies before
    /// it. Give only those of which the bytes before are known to be a call, or that unwinding found.
    pub return_addresses: Vec<u64>,
}

/// The address that a dump has for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The names that the kernel's symbols may have for it; one is enough.
    pub names: Vec<String>,
    /// The address.
    pub address: u64,
}

impl Claim {
    /// A claim of one name.
    #[must_use]
    pub fn new(name: &str, address: u64) -> Self {
        Self { names: vec![name.to_owned()], address }
    }
}

/// What a copy of KDDEBUGGER_DATA64 claims.
pub fn debugger_data(block: Fields<'_>) -> impl Iterator<Item = Claim> {
    DEBUGGER_DATA_FIELDS.iter().filter_map(move |&(offset, names)| {
        let address = block.u64(offset as usize)?;
        Some(Claim { names: names.iter().map(|&name| name.to_owned()).collect(), address })
    })
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
    let mut agreed: Vec<&str> = Vec::new();
    for claim in &evidence.claims {
        let Some(dump) = rva(evidence, claim.address) else { continue };
        let known = claim.names.iter().filter_map(|name| Some((name.as_str(), candidate.rva_of(name)?)));
        let known: Vec<(&str, u32)> = known.collect();
        match (known.iter().find(|(_, file)| *file == dump), known.first()) {
            (Some((name, _)), _) => agreed.push(name),
            (None, Some(&(name, file))) => result.contradict(Contradiction::Elsewhere { name: name.to_owned(), dump, file }),
            (None, None) => result.unknown += 1,
        }
    }
    // The dump may say the same thing twice.
    agreed.sort_unstable();
    agreed.dedup();
    result.score = agreed.len();
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
