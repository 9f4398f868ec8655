//! A return address follows a call: the test that makes a stack scan worth reading.

use crate::Stack;
use bugcheck_dump::Arch;

/// What lies before a supposed return address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallBefore {
    /// A call instruction.
    Seen,
    /// The code there is known, and it is no call.
    Absent,
    /// The code there is not in the dump.
    Unknown,
    /// The frame is no return address.
    NotAsked,
}

/// The longest call instruction that is looked for (REX, opcode, ModRM, SIB, 32-bit displacement).
const LONGEST: usize = 8;

/// Looks at the code before `address`.
#[must_use]
pub fn call_before(stack: &dyn Stack, arch: Arch, address: u64) -> CallBefore {
    let mut code = [0; LONGEST];
    let start = address.wrapping_sub(LONGEST as u64);
    if stack.read(start, &mut code) == LONGEST {
        let call = match arch {
            Arch::Arm64 => address.is_multiple_of(4) && is_arm64_call(code),
            Arch::X64 => is_x86_call(stack, arch, address, code) || is_unpatched_call(stack, address, code),
            Arch::X86 => is_x86_call(stack, arch, address, code),
        };
        return if call { CallBefore::Seen } else { CallBefore::Absent };
    }
    // A page that begins just before the address still shows short calls.
    let mut short = [0; 5];
    if arch != Arch::Arm64 && stack.read(address.wrapping_sub(5), &mut short) == 5 && is_relative_call(stack, arch, address, short) {
        return CallBefore::Seen;
    }
    if arch == Arch::Arm64 && !address.is_multiple_of(4) { CallBefore::Absent } else { CallBefore::Unknown }
}

/// Where the call before a return address goes, if its code is there and says so.
pub(crate) fn direct_target(stack: &dyn Stack, arch: Arch, address: u64) -> Option<u64> {
    if arch == Arch::Arm64 {
        let mut code = [0; 4];
        let at = address.wrapping_sub(4);
        let instruction = (stack.read(at, &mut code) == code.len()).then(|| u32::from_le_bytes(code))?;
        // The 26-bit distance in instructions, its sign at the top.
        let distance = i64::from((instruction << 6).cast_signed() >> 4);
        return (instruction & 0xfc00_0000 == 0x9400_0000).then(|| at.wrapping_add_signed(distance));
    }
    let mut code = [0; 5];
    let [0xe8, a, b, c, d] = (stack.read(address.wrapping_sub(5), &mut code) == code.len()).then_some(code)? else { return None };
    Some(address.wrapping_add_signed(i32::from_le_bytes([a, b, c, d]).into()))
}

/// BL, BLR and the authenticated BLRAA family (Arm Architecture Reference Manual).
fn is_arm64_call(code: [u8; LONGEST]) -> bool {
    let [_, _, _, _, a, b, c, d] = code;
    let instruction = u32::from_le_bytes([a, b, c, d]);
    instruction & 0xfc00_0000 == 0x9400_0000 || instruction & 0xfeff_f800 == 0xd63f_0800 || instruction & 0xffff_fc1f == 0xd63f_0000
}

/// `E8 rel32`, and every form of `FF /2` (Intel SDM volume 2, CALL).
fn is_x86_call(stack: &dyn Stack, arch: Arch, address: u64, code: [u8; LONGEST]) -> bool {
    let [_, _, _, b3, b4, b5, b6, b7] = code;
    if is_relative_call(stack, arch, address, [b3, b4, b5, b6, b7]) {
        return true;
    }
    // From the shortest form (opcode and ModRM) to the longest (SIB and 32-bit displacement).
    (2..=7).any(|length| {
        let Some(form) = code.get(LONGEST - length..) else { return false };
        let (Some(0xff), Some(&modrm)) = (form.first(), form.get(1)) else { return false };
        modrm >> 3 & 7 == 2 && length == 2 + operand_bytes(modrm, form.get(2).copied())
    })
}

/// Code from an image file as the loader has not patched it yet. Where Windows uses retpolines or optimises imports, it
/// replaces calls through pointers, and return addresses are those of what stands there instead: `FF 15` and a displacement
/// (six bytes) become a relative call (five); `48 FF 15`, a displacement and a nop (twelve bytes) become a load and a relative
/// call of the same length. Source: Microsoft's "Mitigating Spectre variant 2 with Retpoline on Windows"; the first form is
/// verified on the stack of a real minidump.
fn is_unpatched_call(stack: &dyn Stack, address: u64, code: [u8; LONGEST]) -> bool {
    let mut import = [0; 12];
    match code {
        [_, _, _, 0xff, 0x15, ..] => true,
        [_, _, _, 0x0f, 0x1f, 0x44, 0, 0] => {
            stack.read(address.wrapping_sub(12), &mut import) == import.len() && import.starts_with(&[0x48, 0xff, 0x15])
        }
        _ => false,
    }
}

/// A relative call must go somewhere that can be code, which most data that happens to hold an E8 does not.
fn is_relative_call(stack: &dyn Stack, arch: Arch, address: u64, code: [u8; 5]) -> bool {
    let [opcode, d0, d1, d2, d3] = code;
    let displacement = i64::from(i32::from_le_bytes([d0, d1, d2, d3]));
    let target = address.wrapping_add_signed(displacement);
    let target = if arch == Arch::X86 { target & 0xffff_ffff } else { target };
    opcode == 0xe8 && stack.may_be_called(address, target)
}

/// Bytes of SIB and displacement that belong to a ModRM byte.
fn operand_bytes(modrm: u8, sib: Option<u8>) -> usize {
    let (mode, rm) = (modrm >> 6, modrm & 7);
    let has_sib = mode != 3 && rm == 4;
    let displacement = match mode {
        0 if rm == 5 || (has_sib && sib.is_some_and(|sib| sib & 7 == 5)) => 4,
        1 => 1,
        2 => 4,
        _ => 0,
    };
    usize::from(has_sib) + displacement
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code at 0x1000, and everything is code.
    struct Code(Vec<u8>);

    impl Stack for Code {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            let Some(bytes) = address.checked_sub(0x1000).and_then(|at| self.0.get(at as usize..)) else { return 0 };
            let length = bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            length
        }
        fn may_be_code(&self, address: u64) -> bool {
            (0x1000..0x10_0000).contains(&address)
        }
    }

    fn after(arch: Arch, call: &[u8]) -> CallBefore {
        let mut code = vec![0x90; 8];
        code.extend(call);
        let address = 0x1000 + code.len() as u64;
        call_before(&Code(code), arch, address)
    }

    #[test]
    fn every_form_of_call_is_seen() {
        for call in [
            &[0xe8, 0, 1, 0, 0][..],            // call rel32
            &[0xff, 0xd0],                      // call rax
            &[0x41, 0xff, 0xd2],                // call r10
            &[0xff, 0x10],                      // call [rax]
            &[0xff, 0x50, 0x18],                // call [rax+18h]
            &[0xff, 0x54, 0x24, 0x40],          // call [rsp+40h]
            &[0x48, 0xff, 0x15, 0x10, 0, 0, 0], // call [rip+10h]
            &[0x41, 0xff, 0x90, 0x10, 1, 0, 0], // call [r8+110h]
            &[0xff, 0x94, 0xc3, 0x10, 1, 0, 0], // call [rbx+rax*8+110h]
            &[0xff, 0x14, 0x25, 0, 0x10, 0, 0], // call [1000h]
            &[0xff, 0x15, 0, 0x10, 0],          // call [rip+1000h], which the loader makes one byte shorter
            &[0x48, 0xff, 0x15, 0, 0x10, 0, 0, 0x0f, 0x1f, 0x44, 0, 0],
        ] {
            assert_eq!(after(Arch::X64, call), CallBefore::Seen, "{call:02x?}");
        }
        assert_eq!(after(Arch::Arm64, &0x9400_0010_u32.to_le_bytes()), CallBefore::Seen); // bl
        assert_eq!(after(Arch::Arm64, &0xd63f_0100_u32.to_le_bytes()), CallBefore::Seen); // blr x8
        assert_eq!(after(Arch::Arm64, &0xd73f_0910_u32.to_le_bytes()), CallBefore::Seen); // blraa x8, x16
    }

    #[test]
    fn direct_calls_say_where_they_go() {
        let target = |arch, code: &[u8]| direct_target(&Code(code.to_vec()), arch, 0x1000 + code.len() as u64);
        assert_eq!(target(Arch::X64, &[0xe8, 0xf0, 0xff, 0xff, 0xff]), Some(0xff5));
        assert_eq!(target(Arch::X64, &[0x90, 0xff, 0x15, 0, 0, 0, 0]), None);
        assert_eq!(target(Arch::Arm64, &0x9400_0010_u32.to_le_bytes()), Some(0x1040));
        assert_eq!(target(Arch::Arm64, &0x97ff_ffff_u32.to_le_bytes()), Some(0xffc));
        assert_eq!(target(Arch::Arm64, &0xd63f_0100_u32.to_le_bytes()), None);
    }

    #[test]
    fn other_code_is_no_call_and_missing_code_says_so() {
        assert_eq!(after(Arch::X64, &[0x48, 0x89, 0x5c, 0x24, 0x08]), CallBefore::Absent); // mov [rsp+8],rbx
        assert_eq!(after(Arch::X64, &[0xff, 0x25, 0, 0, 0, 0]), CallBefore::Absent); // jmp [rip]
        assert_eq!(after(Arch::X64, &[0xe8, 0xff, 0xff, 0xff, 0x7f]), CallBefore::Absent); // call far out of any image
        assert_eq!(after(Arch::Arm64, &0xd61f_0100_u32.to_le_bytes()), CallBefore::Absent); // br x8
        assert_eq!(call_before(&Code(Vec::new()), Arch::X64, 0x2000), CallBefore::Unknown);
    }
}
