//! KDDEBUGGER_DATA64, the block a debugger finds the kernel by (`wdbgexts.h`, also used for 32-bit kernels).
//!
//! The 64-bit offsets and the values of the structure offsets were compared with the decoded copies in real 19041
//! x64 and 22000 ARM64 triage dumps. The 32-bit values come from type information only.

use crate::{Arch, Blob};

/// The fields that a small dump can carry; the rest stays zero, as in real triage dumps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DebuggerData {
    pub arch: Arch,
    /// Where the block was in memory; its list entry points to itself.
    pub address: u64,
    pub size: u32,
    pub kern_base: u64,
    pub ps_loaded_module_list: u64,
    pub ps_active_process_head: u64,
    pub pfn_database: u64,
    pub nt_build_lab: u64,
    pub ki_processor_block: u64,
    pub mm_unloaded_drivers: u64,
    pub mm_last_unloaded_driver: u64,
    /// Written as SizePrcb: the length of the PRCB bytes this dump holds.
    pub size_prcb: u16,
    pub pte_base: u64,
}

impl DebuggerData {
    /// The bytes, `size` of them.
    pub fn bytes(&self) -> Vec<u8> {
        let extend = |v: u64| {
            if self.arch.is_32() { i64::from(v as u32 as i32) as u64 } else { v }
        };
        let mut b = Blob::new(self.size as usize);
        b.u64(0, extend(self.address)).u64(8, extend(self.address));
        b.bytes(0x10, b"KDBG").u32(0x14, self.size).u64(0x18, extend(self.kern_base));
        b.u64(0x48, extend(self.ps_loaded_module_list)).u64(0x50, extend(self.ps_active_process_head));
        b.u64(0xc0, extend(self.pfn_database)).u64(0x138, 0x1000);
        b.u64(0x208, extend(self.nt_build_lab)).u64(0x218, extend(self.ki_processor_block));
        b.u64(0x220, extend(self.mm_unloaded_drivers)).u64(0x228, extend(self.mm_last_unloaded_driver));
        // KTHREAD: NextProcessor, Teb, KernelStack, InitialStack, ApcProcess, State; then EPROCESS size, Peb,
        // parent, DirectoryTableBase; then PRCB size, DpcRoutine, CurrentThread, MHz, CpuType, vendor, state, Number.
        let words: [u16; 20] = match self.arch {
            Arch::X64 => {
                [0x218, 0xf0, 0x58, 0x28, 0xb8, 0x184, 0, 0, 0xa40, 0x550, 0x540, 0x28, 0, 0x312a, 8, 0x44, 0x40, 0x8590, 0x1f0, 0x24]
            }
            Arch::Arm64 => {
                [0x238, 0xe8, 0x58, 0x28, 0xb0, 0x17c, 0, 0, 0xc80, 0x508, 0x4f8, 0x28, 0, 0xb1a, 8, 0x6f4, 0x6f0, 0x890, 0x360, 0x24]
            }
            Arch::X86 => {
                [0x58, 0x88, 0x30, 0x28, 0x50, 0x68, 0, 0, 0x2c0, 0x1a8, 0x140, 0x18, 0, 0x1932, 4, 0x3c0, 0x14, 0x336c, 0x18, 0x3cc]
            }
        };
        for (i, w) in words.into_iter().enumerate() {
            b.u16(0x298 + 2 * i, w);
        }
        b.u16(0x2b0, self.size_prcb);
        b.u16(
            0x2c0,
            match self.arch {
                Arch::X64 => 0x898,
                Arch::Arm64 => 0x910,
                Arch::X86 => 0x2b8,
            },
        );
        if self.arch == Arch::X64 {
            b.u16(0x2e0, 0xb080).u16(0x2e2, 0x18).u16(0x2e4, 0x20).u16(0x2e6, 0x180);
            b.u16(0x2f2, 0x100).u16(0x2f4, 0x10).u16(0x2f6, 0x18).u16(0x2fa, 0x33).u16(0x2fc, 0x2b).u16(0x302, 0x40);
            b.u16(0x304, 0x23).u16(0x306, 0x53);
        }
        if self.size >= 0x360 {
            b.u16(
                0x338,
                match self.arch {
                    Arch::X64 => 0x85c0,
                    Arch::Arm64 => 0x8a0,
                    Arch::X86 => 0x3618,
                },
            );
            if !self.arch.is_32() {
                b.u32(0x340, 0x30).u32(0x344, 0x38);
            }
        }
        if self.size >= 0x368 {
            b.u64(0x360, extend(self.pte_base));
        }
        b.done()
    }
}
