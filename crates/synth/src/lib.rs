//! Synthetic Windows kernel crash dumps for tests and for the committed `samples/`.
//!
//! This is the only dump *writer* of the project. It shares no layout code with the reader crate: every offset
//! here was taken from public sources and checked against real dumps on its own, so a wrong offset on either side
//! makes a test fail instead of cancelling out.
//!
//! * [`TriageDump`] writes small memory dumps (type 4) for x64, ARM64 and x86.
//! * [`PhysicalDump`] writes the kinds that hold physical pages (1, 2, 5, 6, 8, 9, 0xA); [`PageTables`] builds the
//!   x64 page tables for them.
//! * [`scenario`] tells small crash stories through the builders, each with its [`Truth`].
//! * [`write_samples`] writes them all, byte for byte the same every time.
//!
//! A dump with one bug check and one driver:
//!
//! ```
//! use bugcheck_synth::{Arch, TriageDump};
//!
//! let mut dump = TriageDump::new(Arch::X64);
//! dump.bug_check(0xD1, [0x10, 2, 0, 0xffff_f806_20a1_1000]).driver("faulty.sys", 0xffff_f806_20a1_0000, 0x7000);
//! let bytes = dump.bytes();
//! assert_eq!(&bytes[..8], b"PAGEDU64");
//! ```
//!
//! # Sources of the layouts
//!
//! Facts only, no code: the Windows SDK's `winnt.h`, `wdm.h`, `wdbgexts.h` and `mindumpdef.h` (structure names and
//! member order), volatility3 `crash.json`/`crash64.json`, kdmp-parser `kdmp-parser-structs.h` (MIT), Ghidra
//! `ghidra/file/formats/dump/pagedump` (Apache-2.0), rizin `dmp_specs.h`, Vergilius type layouts (MIT), the UEFI
//! specification appendix N. Each module says what was compared with real dumps and what could not be.
//!
//! # Panics
//!
//! The builders panic when a test asks for something that cannot be written (a block that does not fit, a name too
//! long for its field). They are used by tests and by the sample writer only.
#![forbid(unsafe_code)]
// Test tooling: a misuse by the author of a test should stop that test at the place of the mistake.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod blob;
mod code;
mod context;
mod header;
mod kdbg;
mod objects;
mod pages;
mod physical;
mod samples;
pub mod scenario;
mod secondary;
mod triage;
mod truth;
mod whea;

pub use blob::Blob;
pub use code::Code;
pub use context::{ContextArm64, ContextX64, ContextX86, ExceptionRecord, TrapFrameArm64, TrapFrameX64, TrapFrameX86};
pub use header::{Arch, Header, filetime};
pub use kdbg::DebuggerData;
pub use objects::{DeviceObject, DriverObject, Irp, StackLocation, Triage9fPower, unicode_string};
pub use pages::PageTables;
pub use physical::{PhysicalDump, PhysicalKind};
pub use samples::write_samples;
pub use secondary::{CpuidBlob, Guid, SecondaryBlob, Smbios, cpu_registry, process_path, tags};
pub use triage::{DataBlock, Driver, TriageDump, UnloadedDriver};
pub use truth::{Frame, Injected, Truth};
pub use whea::{CperSection, cper_record, mci_status, xpf_mca_section};
