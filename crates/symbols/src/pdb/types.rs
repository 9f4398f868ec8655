//! Types of a PDB.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ms_pdb::types::fields::{Field as Member, FieldList};
use ms_pdb::types::number::Number;
use ms_pdb::types::{Leaf, TypeData};

use super::records::Records;
use crate::layout::{Bits, EnumLayout, Field, TypeKind, TypeLayout, TypeRef, TypeSource};

/// How deep types are followed through pointers, arrays and qualifiers.
const DEEPEST: u32 = 24;
/// How deep base classes and continued lists of fields are followed.
const DEEPEST_LIST: u32 = 16;
/// Most lists of fields that are read for one type.
const MOST_LISTS: u32 = 1024;
/// Most fields of one type.
const MOST_FIELDS: usize = 0x1_0000;
/// Most types that are kept once asked for.
const MOST_KEPT: usize = 4096;

/// The types of a PDB.
pub struct PdbTypes {
    records: Records,
    /// Definitions, not mere mentions.
    by_name: HashMap<Box<[u8]>, u32>,
    kept: Mutex<HashMap<String, Option<Arc<TypeLayout>>>>,
    pointer_size: u32,
}

impl std::fmt::Debug for PdbTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PdbTypes").field("named", &self.by_name.len()).finish_non_exhaustive()
    }
}

impl PdbTypes {
    pub(super) fn new(records: Records, pointer_size: u32) -> Self {
        let mut by_name = HashMap::new();
        for (number, record) in records.iter() {
            let wanted = matches!(record.kind, Leaf::LF_STRUCTURE | Leaf::LF_CLASS | Leaf::LF_INTERFACE | Leaf::LF_UNION | Leaf::LF_ENUM);
            if let Some(definition) = wanted.then(|| record.parse().ok()).flatten().and_then(|data| Definition::of(&data))
                && !definition.mention
            {
                by_name.entry(definition.name.into()).or_insert(number);
            }
        }
        Self { records, by_name, kept: Mutex::default(), pointer_size }
    }

    /// How many structures, classes, unions and enumerations have a definition.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The names of all that have a definition, in no order.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.by_name.keys().map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// The name of a structure, class or union by its number, for the names of its functions.
    pub(super) fn name_of(&self, number: u32) -> Option<String> {
        let data = self.records.get(number)?;
        Definition::of(&data).map(|definition| String::from_utf8_lossy(definition.name).into_owned())
    }

    pub(super) fn fuzz(&self) {
        for name in self.names().take(64) {
            let Some(layout) = self.layout(&name) else { continue };
            for field in layout.fields.iter().take(64) {
                let _ = self.locate(&name, &field.name);
            }
            let _ = self.enumeration(&name);
        }
    }

    /// The number of a definition: by name, or the one that a made-up name of an unnamed type ends in.
    fn number(&self, name: &str) -> Option<u32> {
        match name.rsplit_once('#') {
            Some((_, number)) => u32::from_str_radix(number, 16).ok(),
            None => self.by_name.get(name.as_bytes()).copied(),
        }
    }

    fn read_layout(&self, name: &str) -> Option<TypeLayout> {
        let data = self.records.get(self.number(name)?)?;
        let definition = Definition::of(&data)?;
        let kind = match data {
            TypeData::Struct(_) => TypeKind::Struct,
            TypeData::Union(_) => TypeKind::Union,
            _ => return None,
        };
        let mut fields = Vec::new();
        let mut lists = MOST_LISTS;
        self.add_fields(&mut fields, definition.fields, 0, DEEPEST_LIST, &mut lists);
        Some(TypeLayout { name: name.to_owned(), kind, size: definition.size, fields })
    }

    /// Adds the fields of a list, of those that continue it, and of base classes, which begin at `at`. `lists` is how many more
    /// may be read.
    fn add_fields(&self, fields: &mut Vec<Field>, list: u32, at: u32, deepest: u32, lists: &mut u32) {
        let (Some(deeper), Some(left)) = (deepest.checked_sub(1), lists.checked_sub(1)) else { return };
        *lists = left;
        let Some(TypeData::FieldList(list)) = self.records.get(list) else { return };
        for member in list.iter() {
            if fields.len() >= MOST_FIELDS {
                return;
            }
            match member {
                Member::Member(member) => {
                    let Some(offset) = number(member.offset).and_then(|offset| at.checked_add(offset)) else { continue };
                    let (holds, bits) = self.reference_or_bits(member.ty.0);
                    fields.push(Field { name: String::from_utf8_lossy(member.name).into_owned(), offset, holds, bits });
                }
                Member::BaseClass(base) => {
                    let Some(offset) = number(base.offset).and_then(|offset| at.checked_add(offset)) else { continue };
                    if let Some(definition) = self.definition(base.ty.0) {
                        self.add_fields(fields, definition.fields, offset, deeper, lists);
                    }
                }
                Member::Index(more) => self.add_fields(fields, more.0, at, deeper, lists),
                _ => {}
            }
        }
    }

    /// What a type's number stands for, with a mention replaced by its definition.
    fn definition(&self, number: u32) -> Option<Definition<'_>> {
        let definition = Definition::of_owned(self.records.get(number)?)?;
        if !definition.mention {
            return Some(definition);
        }
        let real = *self.by_name.get(definition.name)?;
        Definition::of_owned(self.records.get(real)?)
    }

    fn reference_or_bits(&self, number: u32) -> (TypeRef, Option<Bits>) {
        match self.records.get(number) {
            Some(TypeData::Bitfield(bits)) => {
                let of = self.reference(bits.underlying_type.get().0, DEEPEST);
                (of, Some(Bits { position: bits.position, length: bits.length }))
            }
            _ => (self.reference(number, DEEPEST), None),
        }
    }

    fn reference(&self, number: u32, deepest: u32) -> TypeRef {
        let Some(deeper) = deepest.checked_sub(1) else { return TypeRef::Unknown };
        if !self.records.is_record(number) {
            return self.simple(number);
        }
        let Some(data) = self.records.get(number) else { return TypeRef::Unknown };
        match &data {
            TypeData::Pointer(pointer) => {
                let to = self.reference(pointer.fixed.ty.get().0, deeper);
                TypeRef::Pointer { to: Box::new(to), size: pointer.fixed.attr().size() }
            }
            TypeData::Modifier(modifier) => self.reference(modifier.underlying_type.get().0, deeper),
            TypeData::Array(array) => {
                let element = array.fixed.element_type.get().0;
                let size = self.size(element, deeper).filter(|&size| size != 0);
                let bytes = self::number(array.len).unwrap_or(0);
                TypeRef::Array { of: Box::new(self.reference(element, deeper)), count: size.map_or(0, |size| bytes / size) }
            }
            TypeData::Struct(_) | TypeData::Union(_) => TypeRef::Struct(self.name(number, &data)),
            TypeData::Enum(_) => TypeRef::Enum(self.name(number, &data)),
            TypeData::Proc(_) | TypeData::MemberFunc(_) => TypeRef::Function,
            _ => TypeRef::Unknown,
        }
    }

    /// Unnamed types all have the same name: their number is added.
    fn name(&self, number: u32, data: &TypeData<'_>) -> String {
        let Some(definition) = Definition::of(data) else { return String::new() };
        let name = String::from_utf8_lossy(definition.name);
        let unnamed = name.contains("<unnamed-") || name.contains("<anonymous-") || name.starts_with("__unnamed");
        if unnamed && !definition.mention { format!("{name}#{number:x}") } else { name.into_owned() }
    }

    /// Bytes of a type.
    fn size(&self, number: u32, deepest: u32) -> Option<u32> {
        let deeper = deepest.checked_sub(1)?;
        if !self.records.is_record(number) {
            return self.size_of(&self.simple(number));
        }
        match self.records.get(number)? {
            TypeData::Pointer(pointer) => Some(pointer.fixed.attr().size()),
            TypeData::Modifier(modifier) => self.size(modifier.underlying_type.get().0, deeper),
            TypeData::Array(array) => self::number(array.len),
            TypeData::Enum(layout) => self.size(layout.fixed.underlying_type.get().0, deeper),
            TypeData::Struct(_) | TypeData::Union(_) => self.definition(number).map(|definition| definition.size),
            _ => None,
        }
    }

    /// A type that needs no record: a number of the low 8 bits, a pointer to it if bits 8 to 11 say so.
    fn simple(&self, number: u32) -> TypeRef {
        let base = base(number & 0xff);
        match number >> 8 & 0xf {
            0 => base,
            4 => TypeRef::Pointer { to: Box::new(base), size: 4 },
            6 => TypeRef::Pointer { to: Box::new(base), size: 8 },
            _ => TypeRef::Pointer { to: Box::new(base), size: self.pointer_size },
        }
    }
}

impl TypeSource for PdbTypes {
    fn layout(&self, name: &str) -> Option<Arc<TypeLayout>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layout) = kept.get(name) {
            return layout.clone();
        }
        let layout = self.read_layout(name).map(Arc::new);
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(name.to_owned(), layout.clone());
        layout
    }

    fn enumeration(&self, name: &str) -> Option<Arc<EnumLayout>> {
        let TypeData::Enum(data) = self.records.get(self.number(name)?)? else { return None };
        let mut constants = Vec::new();
        let mut list = Some(data.fixed.fields.get().0);
        // Lists that continue each other: as many steps as records would be a loop.
        for _ in 0..DEEPEST_LIST {
            let Some(TypeData::FieldList(fields)) = list.take().and_then(|list| self.records.get(list)) else { break };
            list = add_constants(&mut constants, &fields);
        }
        let size = self.size(data.fixed.underlying_type.get().0, DEEPEST).unwrap_or(4);
        Some(Arc::new(EnumLayout { name: name.to_owned(), size, constants }))
    }

    fn pointer_size(&self) -> u32 {
        self.pointer_size
    }
}

/// Adds the constants of a list; the number of the list that continues it.
fn add_constants(constants: &mut Vec<(String, i64)>, list: &FieldList<'_>) -> Option<u32> {
    for member in list.iter().take(MOST_FIELDS) {
        match member {
            Member::Enumerate(constant) => {
                let value = i64::try_from(constant.value).ok().or_else(|| u64::try_from(constant.value).ok().map(u64::cast_signed));
                constants.extend(value.map(|value| (String::from_utf8_lossy(constant.name).into_owned(), value)));
            }
            Member::Index(more) => return Some(more.0),
            _ => {}
        }
    }
    None
}

fn number(number: Number<'_>) -> Option<u32> {
    u32::try_from(number).ok()
}

/// What structures, classes, unions and enumerations have in common.
struct Definition<'a> {
    name: &'a [u8],
    size: u32,
    fields: u32,
    /// A mere mention, which a definition elsewhere completes.
    mention: bool,
}

impl<'a> Definition<'a> {
    fn of(data: &TypeData<'a>) -> Option<Self> {
        let (name, property, fields, size) = match data {
            TypeData::Struct(data) => (data.name, &data.fixed.property, &data.fixed.field_list, number(data.length)?),
            TypeData::Union(data) => (data.name, &data.fixed.property, &data.fixed.fields, number(data.length)?),
            TypeData::Enum(data) => (data.name, &data.fixed.property, &data.fixed.fields, 0),
            _ => return None,
        };
        Some(Self { name, size, fields: fields.get().0, mention: property.get().fwdref() })
    }

    fn of_owned(data: TypeData<'a>) -> Option<Self> {
        Self::of(&data)
    }
}

/// The types that have a fixed number. <https://llvm.org/docs/PDB/TpiStream.html#type-indices>
fn base(number: u32) -> TypeRef {
    let (name, size, signed) = match number {
        0x08 => ("HRESULT", 4, true),
        0x10 | 0x70 => ("char", 1, true),
        0x20 => ("unsigned char", 1, false),
        0x68 => ("int8_t", 1, true),
        0x69 => ("uint8_t", 1, false),
        0x7c => ("char8_t", 1, false),
        0x71 => ("wchar_t", 2, false),
        0x7a => ("char16_t", 2, false),
        0x7b => ("char32_t", 4, false),
        0x11 => ("short", 2, true),
        0x21 => ("unsigned short", 2, false),
        0x72 => ("int16_t", 2, true),
        0x73 => ("uint16_t", 2, false),
        0x12 => ("long", 4, true),
        0x22 => ("unsigned long", 4, false),
        0x74 => ("int", 4, true),
        0x75 => ("unsigned int", 4, false),
        0x13 | 0x76 => ("long long", 8, true),
        0x23 | 0x77 => ("unsigned long long", 8, false),
        0x14 | 0x78 => ("int128_t", 16, true),
        0x24 | 0x79 => ("uint128_t", 16, false),
        0x30 => ("bool", 1, false),
        0x31 => ("bool16", 2, false),
        0x32 => ("bool32", 4, false),
        0x33 => ("bool64", 8, false),
        0x40 => ("float", 4, true),
        0x41 => ("double", 8, true),
        0x42 => ("long double", 10, true),
        _ => return TypeRef::Unknown,
    };
    TypeRef::Base { name: name.to_owned(), size, signed }
}
