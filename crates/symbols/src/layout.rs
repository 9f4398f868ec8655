//! Types: where the fields of a structure lie.

use std::sync::Arc;

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeRef {
    /// A number, a character, a truth value.
    Base {
        /// Its name.
        name: String,
        /// Bytes.
        size: u32,
        /// Whether it can be negative.
        signed: bool,
    },
    /// A structure, class or union.
    Struct(String),
    /// An enumeration.
    Enum(String),
    /// A pointer.
    Pointer {
        /// What it points to.
        to: Box<TypeRef>,
        /// Bytes; 0 where the source does not say, which means those of the machine's pointers.
        size: u32,
    },
    /// Several of the same.
    Array {
        /// What each is.
        of: Box<TypeRef>,
        /// How many.
        count: u32,
    },
    /// A function.
    Function,
    /// Nothing, or something that the source does not describe.
    Unknown,
}

/// Which bits of a field's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// The lowest bit.
    pub position: u8,
    /// How many.
    pub length: u8,
}

/// A field of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Bytes from the beginning of the structure.
    pub offset: u32,
    /// What it holds; of a bit field the type that its bits lie in.
    pub holds: TypeRef,
    /// Which bits, if it is a bit field.
    pub bits: Option<Bits>,
}

/// What a type with fields is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// A structure or class.
    Struct,
    /// A union.
    Union,
}

/// A structure, class or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeLayout {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: TypeKind,
    /// Bytes.
    pub size: u32,
    /// Its fields by offset; those of unnamed structures and unions in it are among them where the source lists them so.
    pub fields: Vec<Field>,
}

impl TypeLayout {
    /// The field of a name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// An enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnumLayout {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u32,
    /// Its names and values.
    pub constants: Vec<(String, i64)>,
}

impl EnumLayout {
    /// The name of a value.
    #[must_use]
    pub fn name_of(&self, value: i64) -> Option<&str> {
        self.constants.iter().find(|(_, constant)| *constant == value).map(|(name, _)| name.as_str())
    }
}

/// Where a field lies, reached through the fields around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Bytes from the beginning of the outermost structure.
    pub offset: u32,
    /// What is there.
    pub holds: TypeRef,
    /// Which bits, if it is a bit field.
    pub bits: Option<Bits>,
    /// Bytes that it takes, if known.
    pub size: Option<u32>,
}

/// A source that knows types.
pub trait TypeSource {
    /// The structure, class or union of a name.
    fn layout(&self, name: &str) -> Option<Arc<TypeLayout>>;

    /// The enumeration of a name.
    fn enumeration(&self, name: &str) -> Option<Arc<EnumLayout>>;

    /// Bytes of a pointer.
    fn pointer_size(&self) -> u32;

    /// Where a field lies: `locate("_KTHREAD", "ApcState.Process")`. A path passes structures only, never pointers; elements of
    /// arrays are written as `Name[3]`.
    fn locate(&self, type_name: &str, path: &str) -> Option<Located> {
        let mut place = Located { offset: 0, holds: TypeRef::Struct(type_name.to_owned()), bits: None, size: None };
        for step in path.split('.') {
            let TypeRef::Struct(name) = &place.holds else { return None };
            let layout = self.layout(name)?;
            let (name, index) = match step.split_once('[') {
                Some((name, index)) => (name, Some(index.strip_suffix(']')?.parse::<u32>().ok()?)),
                None => (step, None),
            };
            let field = layout.field(name)?;
            place.offset = place.offset.checked_add(field.offset)?;
            place.holds = field.holds.clone();
            place.bits = field.bits;
            if let Some(index) = index {
                let TypeRef::Array { of, count } = place.holds else { return None };
                let within = index.checked_mul(self.size_of(&of)?)?;
                place.offset = place.offset.checked_add(within).filter(|_| index < count)?;
                place.holds = *of;
            }
        }
        place.size = self.size_of(&place.holds);
        Some(place)
    }

    /// Bytes of what a field holds, if known.
    fn size_of(&self, holds: &TypeRef) -> Option<u32> {
        match holds {
            TypeRef::Base { size, .. } => Some(*size),
            TypeRef::Struct(name) => self.layout(name).map(|layout| layout.size),
            TypeRef::Enum(name) => self.enumeration(name).map(|layout| layout.size),
            TypeRef::Pointer { size: 0, .. } => Some(self.pointer_size()),
            TypeRef::Pointer { size, .. } => Some(*size),
            TypeRef::Array { of, count } => self.size_of(of)?.checked_mul(*count),
            TypeRef::Function | TypeRef::Unknown => None,
        }
    }
}
