//! The JSON of an ISF file, as it is written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::error::SymbolError;

/// Reads the text. The depth of nesting is capped by `serde_json` (128 levels).
pub(super) fn parse(text: &str) -> Result<Document<'_>, SymbolError> {
    serde_json::from_str(text).map_err(|error| {
        let lines_before = error.line().saturating_sub(1);
        let start: usize = text.split_inclusive('\n').take(lines_before).map(str::len).sum();
        SymbolError::damaged(format!("ISF: {error}"), (start + error.column()) as u64)
    })
}

#[derive(serde::Deserialize)]
pub(super) struct Document<'a> {
    #[serde(default)]
    pub metadata: Metadata,
    #[serde(default, borrow)]
    pub symbols: Entries<'a, Symbol<'a>>,
    #[serde(default, borrow)]
    pub base_types: Entries<'a, Base>,
    #[serde(default, borrow)]
    pub user_types: Entries<'a, User<'a>>,
    #[serde(default, borrow)]
    pub enums: Entries<'a, Enum<'a>>,
}

#[derive(Default, serde::Deserialize)]
pub(super) struct Metadata {
    pub windows: Option<Windows>,
}

#[derive(serde::Deserialize)]
pub(super) struct Windows {
    pub pdb: Option<Pdb>,
}

#[derive(serde::Deserialize)]
pub(super) struct Pdb {
    #[serde(rename = "GUID")]
    pub guid: String,
    pub age: u32,
    pub machine_type: Option<u32>,
}

#[derive(serde::Deserialize)]
pub(super) struct Symbol<'a> {
    pub address: u64,
    #[serde(default, borrow)]
    pub linkage_name: Option<Cow<'a, str>>,
}

#[derive(serde::Deserialize)]
pub(super) struct Base {
    pub size: u32,
    #[serde(default)]
    pub signed: bool,
}

#[derive(serde::Deserialize)]
pub(super) struct User<'a> {
    #[serde(default, borrow)]
    pub kind: Cow<'a, str>,
    pub size: u32,
    #[serde(default, borrow)]
    pub fields: Entries<'a, Field<'a>>,
}

#[derive(serde::Deserialize)]
pub(super) struct Field<'a> {
    pub offset: u32,
    #[serde(rename = "type", borrow)]
    pub holds: Type<'a>,
}

#[derive(serde::Deserialize)]
pub(super) struct Enum<'a> {
    pub size: u32,
    #[serde(default, borrow)]
    pub constants: Entries<'a, i64>,
}

/// A type where it is used. Which members are there depends on `kind`.
#[derive(serde::Deserialize)]
pub(super) struct Type<'a> {
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    #[serde(default, borrow)]
    pub name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub subtype: Option<Box<Type<'a>>>,
    #[serde(default, rename = "type", borrow)]
    pub bits_of: Option<Box<Type<'a>>>,
    pub count: Option<u32>,
    pub bit_position: Option<u8>,
    pub bit_length: Option<u8>,
}

impl Base {
    pub(super) fn table<'a>(entries: Entries<'a, Self>) -> HashMap<Cow<'a, str>, Self> {
        entries.0.into_iter().collect()
    }
}

/// The members of an object in their order.
pub(super) struct Entries<'a, T>(pub Vec<(Cow<'a, str>, T)>);

impl<T> Default for Entries<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A name, borrowed from the text where it has no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Entries<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<'a, T>(PhantomData<(&'a str, T)>);
        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for Members<'a, T> {
            type Value = Entries<'a, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    entries.push((name, value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}
