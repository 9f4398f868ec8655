//! The types of an ISF file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::json;
use crate::layout::{Bits, EnumLayout, Field, TypeKind, TypeLayout, TypeRef, TypeSource};

type Bases<'a> = HashMap<Cow<'a, str>, json::Base>;

/// The types of an ISF file.
#[derive(Debug, Default)]
pub struct IsfTypes {
    layouts: HashMap<String, Arc<TypeLayout>>,
    enums: HashMap<String, Arc<EnumLayout>>,
    pointer_size: u32,
}

impl IsfTypes {
    pub(super) fn new(document: json::Document<'_>) -> Self {
        let bases = json::Base::table(document.base_types);
        let layouts =
            document.user_types.0.into_iter().map(|(name, user)| (name.clone().into_owned(), Arc::new(layout(name, user, &bases))));
        let enums = document.enums.0.into_iter().map(|(name, layout)| {
            let constants = layout.constants.0.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
            (name.clone().into_owned(), Arc::new(EnumLayout { name: name.into_owned(), size: layout.size, constants }))
        });
        Self { layouts: layouts.collect(), enums: enums.collect(), pointer_size: bases.get("pointer").map_or(8, |base| base.size) }
    }

    /// Every structure, class and union, in no order.
    pub fn layouts(&self) -> impl Iterator<Item = &Arc<TypeLayout>> {
        self.layouts.values()
    }

    /// Every enumeration, in no order.
    pub fn enumerations(&self) -> impl Iterator<Item = &Arc<EnumLayout>> {
        self.enums.values()
    }

    pub(super) fn fuzz(&self) {
        for layout in self.layouts().take(32) {
            for field in layout.fields.iter().take(32) {
                let _ = self.locate(&layout.name, &field.name);
                let _ = self.locate(&layout.name, &format!("{}[1]", field.name));
            }
        }
    }
}

impl TypeSource for IsfTypes {
    fn layout(&self, name: &str) -> Option<Arc<TypeLayout>> {
        self.layouts.get(name).cloned()
    }

    fn enumeration(&self, name: &str) -> Option<Arc<EnumLayout>> {
        self.enums.get(name).cloned()
    }

    fn pointer_size(&self) -> u32 {
        self.pointer_size
    }
}

fn layout(name: Cow<'_, str>, user: json::User<'_>, bases: &Bases<'_>) -> TypeLayout {
    let fields = user.fields.0.into_iter().map(|(name, field)| {
        let bits = field.holds.bit_position.zip(field.holds.bit_length).map(|(position, length)| Bits { position, length });
        Field { name: name.into_owned(), offset: field.offset, holds: reference(field.holds, bases), bits }
    });
    let mut fields: Vec<Field> = fields.collect();
    // The file orders them by name.
    fields.sort_by_key(|field| (field.offset, field.bits.map_or(0, |bits| bits.position)));
    let kind = if user.kind == "union" { TypeKind::Union } else { TypeKind::Struct };
    TypeLayout { name: name.into_owned(), kind, size: user.size, fields }
}

/// The recursion is as deep as the JSON, which its reader caps.
fn reference(used: json::Type<'_>, bases: &Bases<'_>) -> TypeRef {
    let inner = |inner: Option<Box<json::Type<'_>>>| inner.map_or(TypeRef::Unknown, |inner| reference(*inner, bases));
    let name = used.name.unwrap_or_default();
    match &*used.kind {
        "struct" | "class" | "union" => TypeRef::Struct(name.into_owned()),
        "enum" => TypeRef::Enum(name.into_owned()),
        "pointer" => TypeRef::Pointer { to: Box::new(inner(used.subtype)), size: bases.get("pointer").map_or(0, |base| base.size) },
        "array" => TypeRef::Array { of: Box::new(inner(used.subtype)), count: used.count.unwrap_or(0) },
        "bitfield" => inner(used.bits_of),
        "function" => TypeRef::Function,
        "base" => match bases.get(&name) {
            Some(base) if base.size != 0 => TypeRef::Base { name: name.into_owned(), size: base.size, signed: base.signed },
            _ => TypeRef::Unknown,
        },
        _ => TypeRef::Unknown,
    }
}
