//! The vocabulary that several error formats share: small enumerations with a number on one side and words on the other.
//!
//! Machine-check codes and the processor sections of a CPER use the same encodings for what was accessed, how and
//! by whom (Intel SDM vol. 3, "Machine-Check Architecture", compound error codes; AMD APM vol. 2, "Machine Check
//! Architecture"; UEFI specification, appendix N, the processor check structures).

/// Defines an enumeration from codes to words. Every code has a value: unlisted ones are `Reserved`.
macro_rules! coded {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $code:literal => $words:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = concat!("Code ", stringify!($code), ": ", $words, ".")] $variant,)*
            /// A code without a published meaning.
            Reserved(u64),
        }

        impl $name {
            /// The meaning of a code.
            #[must_use]
            pub fn from_code(code: u64) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    other => Self::Reserved(other),
                }
            }

            /// The code itself.
            #[must_use]
            pub fn code(self) -> u64 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Reserved(other) => other,
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($words),)*
                    Self::Reserved(code) => write!(f, "reserved code {code:#x}"),
                }
            }
        }
    };
}
pub(crate) use coded;

coded! {
    /// How bad it was: the severity of a record or of a section (UEFI appendix N.2.1, N.2.2).
    Severity {
        Recoverable = 0 => "uncorrected but recoverable",
        Fatal = 1 => "fatal",
        Corrected = 2 => "corrected",
        Informational = 3 => "informational",
    }
}

coded! {
    /// What was being fetched (`TT`).
    Transaction {
        Instruction = 0 => "instruction",
        Data = 1 => "data",
        Generic = 2 => "generic",
    }
}

coded! {
    /// What was being done (`RRRR`).
    Request {
        Generic = 0 => "an unspecified operation",
        Read = 1 => "a read",
        Write = 2 => "a write",
        DataRead = 3 => "a data read",
        DataWrite = 4 => "a data write",
        InstructionFetch = 5 => "an instruction fetch",
        Prefetch = 6 => "a prefetch",
        Eviction = 7 => "an eviction",
        Snoop = 8 => "a snoop",
    }
}

coded! {
    /// The reporting processor's role on the bus (`PP`).
    Participation {
        Requester = 0 => "this processor made the request",
        Responder = 1 => "this processor answered the request",
        Observer = 2 => "this processor only observed it",
        Generic = 3 => "the processor's role is not stated",
    }
}

coded! {
    /// What the bus transaction went to (`II`, and the address space of a bus check).
    Target {
        Memory = 0 => "memory",
        Io = 2 => "I/O",
        Other = 3 => "another kind of target",
    }
}

/// The names of the set bits of a register, from a table of (bit, name); unnamed set bits appear by number.
pub(crate) fn set_bits(value: u64, table: &[(u32, &'static str)]) -> Vec<String> {
    (0..64)
        .filter(|&n| crate::bytes::bit(value, n))
        .map(|n| match table.iter().find(|(b, _)| *b == n) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("unnamed bit {n}"),
        })
        .collect()
}
