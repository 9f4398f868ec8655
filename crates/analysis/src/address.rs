//! What kind of address a number is: what a person who has read a thousand dumps sees in it.

use bugcheck_kernel::Kernel;

/// A class of address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Zero.
    Null,
    /// A little above zero: a field of a structure whose pointer is NULL.
    NullOffset(u64),
    /// A little below zero: computed from NULL, downwards.
    BelowNull(u64),
    /// A fill pattern.
    Pattern(&'static str),
    /// Bytes of text.
    Text(String),
    /// An address that no processor accepts.
    NonCanonical,
    /// In the range of a driver that had been unloaded.
    Unloaded(String),
    /// In a loaded module.
    Module(String),
    /// On the stack of the thread.
    Stack,
    /// In user space.
    User,
    /// Some kernel address.
    Kernel,
}

/// Fill patterns and what they tell. Values: public documentation of allocators and debuggers; MSVC's run-time fills seen in
/// drivers built with it.
const PATTERNS: &[(u32, &str)] = &[
    (0xdead_beef, "0xDEADBEEF, a marker that programmers write into dead memory"),
    (0xfeee_feee, "0xFEEEFEEE, the fill of freed heap memory"),
    (0xbaad_f00d, "0xBAADF00D, the fill of allocated but unset heap memory"),
    (0xcdcd_cdcd, "0xCDCDCDCD, the fill of unset memory in debug builds"),
    (0xdddd_dddd, "0xDDDDDDDD, the fill of freed memory in debug builds"),
    (0xcccc_cccc, "0xCCCCCCCC, the fill of unset stack memory in debug builds"),
    (0xabab_abab, "0xABABABAB, the guard bytes behind a heap block"),
    (0xfdfd_fdfd, "0xFDFDFDFD, the guard bytes of debug builds"),
    (0xdead_dead, "0xDEADDEAD, a marker that programmers write into dead memory"),
    (0xbadb_adba, "0xBADBADBA, Windows' own bad-pointer mark"),
    (0x4141_4141, "0x41414141, a run of the letter A: overrun text, or a test"),
    (0x5a5a_5a5a, "0x5A5A5A5A, a fill pattern"),
    (0xaaaa_aaaa, "0xAAAAAAAA, a fill pattern"),
    (0x5555_5555, "0x55555555, a fill pattern"),
];

/// How far from NULL an address still is a field of a structure at NULL.
const NEAR: u64 = 0x1_0000;

pub(crate) fn classify(kernel: &Kernel<'_>, address: u64) -> Class {
    let wide = kernel.width() == 8;
    let below = if wide { address.wrapping_neg() } else { (address as u32).wrapping_neg().into() };
    if address == 0 {
        return Class::Null;
    }
    if address < NEAR {
        return Class::NullOffset(address);
    }
    if below < 0x1000 {
        return Class::BelowNull(below);
    }
    if let Some(pattern) = pattern(address, wide) {
        return Class::Pattern(pattern);
    }
    if let Some(place) = kernel.modules.find(address) {
        return Class::Module(format!("{}+{:#x}", place.module.name, place.offset));
    }
    if let Some(driver) = kernel.modules.find_unloaded(address) {
        return Class::Unloaded(driver.image.clone());
    }
    if let Some(text) = text(address, wide).filter(|_| !kernel.is_kernel_address(address)) {
        return Class::Text(text);
    }
    if wide && !bugcheck_dump::VirtAddr(address).is_canonical() {
        return Class::NonCanonical;
    }
    if on_stack(kernel, address) {
        return Class::Stack;
    }
    if kernel.is_kernel_address(address) { Class::Kernel } else { Class::User }
}

impl Class {
    /// The class in words, to follow "the address is".
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Null => "NULL: a pointer that was never set, or was cleared".into(),
            Self::NullOffset(offset) => {
                format!("{offset:#x} bytes above NULL: a field at that offset of a structure whose pointer is NULL")
            }
            Self::BelowNull(offset) => format!("{offset:#x} bytes below NULL: computed downwards from a NULL pointer"),
            Self::Pattern(pattern) => format!("a fill pattern ({pattern})"),
            Self::Text(text) => format!("bytes of text (\"{text}\"): a pointer was overwritten with a string"),
            Self::NonCanonical => {
                "non-canonical: no address of this form exists on this processor, the pointer is garbage or a bit of it flipped".into()
            }
            Self::Unloaded(image) => format!("inside the former range of {image}, a driver that had been unloaded"),
            Self::Module(place) => format!("inside a loaded module ({place})"),
            Self::Stack => "on the crashing thread's own stack".into(),
            Self::User => "a user-space address: kernel code followed a pointer that a program gave, or a garbage pointer".into(),
            Self::Kernel => "a kernel address that nothing in this dump explains".into(),
        }
    }
}

/// True on the kernel stack of the crashing thread, as far as the dump knows it.
pub(crate) fn on_stack(kernel: &Kernel<'_>, address: u64) -> bool {
    kernel.stack().contains(&address)
}

/// True for an address that is certainly ordinary memory: on the thread's stack, or among the bytes that the dump brings.
pub(crate) fn is_ordinary_memory(kernel: &Kernel<'_>, address: u64) -> bool {
    on_stack(kernel, address) || kernel.memory().run(bugcheck_dump::VirtAddr(address)).is_ok()
}

fn pattern(address: u64, wide: bool) -> Option<&'static str> {
    let (low, high) = (address as u32, (address >> 32) as u32);
    // A field offset may have been added: the upper bytes of each half tell.
    let near = |value: u32, pattern: u32| value.wrapping_sub(pattern) < 0x1000;
    let known = |value: u32| PATTERNS.iter().find(|&&(pattern, _)| near(value, pattern));
    let &(value, words) = if wide { known(high).filter(|&&(pattern, _)| high == pattern && near(low, pattern))? } else { known(low)? };
    let _ = value;
    Some(words)
}

/// ASCII or UTF-16 text read as a number.
fn text(address: u64, wide: bool) -> Option<String> {
    let bytes = address.to_le_bytes();
    let bytes = bytes.get(..if wide { 8 } else { 4 })?;
    let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if bytes.iter().all(printable) {
        return Some(bytes.iter().map(|&byte| char::from(byte)).collect());
    }
    let utf16 = bytes.chunks(2).all(|pair| matches!(pair, [low, 0] if printable(low)));
    utf16.then(|| bytes.iter().step_by(2).map(|&byte| char::from(byte)).collect())
}

/// If exactly one flipped bit explains a bad pointer: the bit, and where the pointer would have gone.
///
/// A non-canonical address whose upper 17 bits are all ones but for one is such a pointer by itself: a random number looks like
/// that once in 8,000. Otherwise only bits that tell something are tried: one that leads into memory that is known (a loaded
/// module, the thread's stack, or a page in the dump). Low bits would match by chance and are not tried.
pub(crate) fn one_bit_away(kernel: &Kernel<'_>, address: u64) -> Option<(u32, String)> {
    let wrong = !address >> 47;
    if kernel.width() == 8 && wrong.count_ones() == 1 && address >> 63 == 1 {
        let bit = 47 + wrong.trailing_zeros();
        let repaired = address | 1 << bit;
        let place = kernel.modules.describe(repaired).map_or_else(String::new, |place| format!(" ({place})"));
        return Some((bit, format!("the kernel address {repaired:#x}{place}")));
    }
    if kernel.width() != 8
        || address < NEAR
        || kernel.modules.find(address).is_some()
        || kernel.memory().run(bugcheck_dump::VirtAddr(address)).is_ok()
    {
        return None;
    }
    let mut found = (22..64).filter_map(|bit| {
        let candidate = address ^ (1 << bit);
        if !kernel.is_kernel_address(candidate) || !bugcheck_dump::VirtAddr(candidate).is_canonical() {
            return None;
        }
        let place = if on_stack(kernel, candidate) {
            "the thread's own stack".to_owned()
        } else if let Some(place) = kernel.modules.describe(candidate) {
            place
        } else if kernel.memory().run(bugcheck_dump::VirtAddr(candidate)).is_ok() {
            "memory that this dump holds".to_owned()
        } else {
            return None;
        };
        Some((bit, place))
    });
    let first = found.next()?;
    // Two explanations are none.
    found.next().is_none().then_some(first)
}
