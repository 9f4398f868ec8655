//! What the processor says of itself.

use crate::Fields;

/// One CPUID leaf as two processors returned it (the layout is verified on Intel and AMD machines: kind 0 is a leaf, 1 an MSR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuidLeaf {
    /// EAX on input.
    pub leaf: u32,
    /// EAX, EBX, ECX, EDX on output.
    pub registers: [u32; 4],
}

/// The CPUID leaves of a dump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpuid {
    /// The leaves, ascending as recorded.
    pub leaves: Vec<CpuidLeaf>,
    /// The microcode revision from MSR 0x8B, on Intel.
    pub microcode: Option<u32>,
}

impl Cpuid {
    /// Decodes the blob: records of {u32 kind, u32 number, 4 × u32, 4 × u32}.
    #[must_use]
    pub fn parse(blob: Fields<'_>) -> Self {
        let mut cpuid = Self::default();
        for record in blob.0.chunks_exact(40).take(256) {
            let record = Fields(record);
            let word = |n: usize| record.u32(n * 4).unwrap_or(0);
            match word(0) {
                0 => cpuid.leaves.push(CpuidLeaf { leaf: word(1), registers: [word(2), word(3), word(4), word(5)] }),
                1 if word(1) == 0x8b => cpuid.microcode = Some(word(3)).filter(|&revision| revision != 0),
                _ => {}
            }
        }
        cpuid
    }

    /// The output registers of a leaf.
    #[must_use]
    pub fn leaf(&self, leaf: u32) -> Option<[u32; 4]> {
        self.leaves.iter().find(|found| found.leaf == leaf).map(|found| found.registers)
    }

    /// The vendor's name, such as `GenuineIntel`.
    #[must_use]
    pub fn vendor(&self) -> Option<String> {
        let [_, b, c, d] = self.leaf(0)?;
        text([b, d, c])
    }

    /// The brand string, such as `AMD Ryzen 5 3600 6-Core Processor`.
    #[must_use]
    pub fn brand(&self) -> Option<String> {
        let [a, b, c] = [self.leaf(0x8000_0002)?, self.leaf(0x8000_0003)?, self.leaf(0x8000_0004)?];
        text([a, b, c].concat()).map(|brand| brand.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|brand| !brand.is_empty())
    }

    /// Family, model and stepping as vendors count them.
    #[must_use]
    pub fn signature(&self) -> Option<(u32, u32, u32)> {
        let [eax, ..] = self.leaf(1)?;
        let family = eax >> 8 & 0xf;
        let model = eax >> 4 & 0xf;
        let extended = if family == 0xf { family + (eax >> 20 & 0xff) } else { family };
        let model = if family == 0x6 || family == 0xf { model | (eax >> 12 & 0xf0) } else { model };
        Some((extended, model, eax & 0xf))
    }
}

fn text(words: impl IntoIterator<Item = u32>) -> Option<String> {
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    Fields(&bytes).ascii(0, bytes.len())
}

/// Values of `HARDWARE\DESCRIPTION\System\CentralProcessor\0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuKey {
    /// `ProcessorNameString`.
    pub name: Option<String>,
    /// `Identifier`, such as `Intel64 Family 6 Model 167 Stepping 1`.
    pub identifier: Option<String>,
    /// `VendorIdentifier`.
    pub vendor: Option<String>,
    /// `~MHz`.
    pub mhz: Option<u32>,
    /// `Update Revision`: the microcode in force, from the high half of the value.
    pub microcode: Option<u32>,
}

impl CpuKey {
    /// Decodes the blob: records of {u32 bytes of name, UTF-16 name, u32 registry type, u32 bytes of data, data}.
    #[must_use]
    pub fn parse(blob: Fields<'_>) -> Self {
        let mut key = Self::default();
        let mut at = 0;
        for _ in 0..64 {
            let Some(next) = (|| {
                let name_bytes = blob.size(at).filter(|&size| size < 512)?;
                let name = blob.utf16(at + 4, name_bytes / 2)?;
                let data_at = at + 4 + name_bytes + 8;
                let size = blob.size(data_at - 4)?;
                let data = Fields(blob.bytes(data_at, size)?);
                match name.as_str() {
                    "ProcessorNameString" => key.name = data.utf16(0, size / 2).map(|text| text.trim().to_owned()),
                    "Identifier" => key.identifier = data.utf16(0, size / 2),
                    "VendorIdentifier" => key.vendor = data.utf16(0, size / 2),
                    "~MHz" => key.mhz = data.u32(0),
                    "Update Revision" => key.microcode = data.u32(4).or_else(|| data.u32(0)),
                    _ => {}
                }
                data_at.checked_add(size)
            })() else {
                break;
            };
            at = next;
        }
        key
    }
}
