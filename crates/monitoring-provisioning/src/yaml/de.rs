//! Typed values from a tree, reporting every value that doesn't fit.

use std::{cell::RefCell, collections::HashSet, path::Path};

use serde::de::{self, DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer, Visitor};

use super::{
    misfit::{Misfit, allowed, did_you_mean},
    tree::{Document, Entry, Kind, Node, Place},
};
use crate::problem::Problem;

/// Reads a value of type `T` from the document.
///
/// Returns the value made of everything that fits, and a problem for everything that doesn't. The value is `None` only
/// if a required part is missing or wrong.
pub(crate) fn typed<T: DeserializeOwned>(document: &Document, file: &Path) -> (Option<T>, Vec<Problem>) {
    let context = Context {
        file,
        skipped: RefCell::default(),
        problems: RefCell::default(),
    };
    // Each round leaves out one more node, so there are at most as many rounds as nodes.
    loop {
        let node = NodeDeserializer {
            node: &document.root,
            context: &context,
        };
        match T::deserialize(node) {
            Ok(value) => return (Some(value), context.problems.into_inner()),
            Err(error) => {
                let (id, place) = error.node.unwrap_or((document.root.id, document.root.place));
                let already_reported = error.missing_because_skipped;
                if !already_reported {
                    context.report(place, error.what, error.remedy);
                }
                if !context.skipped.borrow_mut().insert(id) || id == document.root.id {
                    return (None, context.problems.into_inner());
                }
            }
        }
    }
}

struct Context<'a> {
    file: &'a Path,
    /// Nodes that are wrong and have been reported.
    skipped: RefCell<HashSet<usize>>,
    problems: RefCell<Vec<Problem>>,
}

impl Context<'_> {
    fn report(&self, place: Place, what: String, remedy: Option<String>) {
        let mut problem = Problem::new(self.file, what).at(place.line, place.column);
        problem.remedy = remedy;
        self.problems.borrow_mut().push(problem);
    }

    fn is_skipped(&self, node: &Node) -> bool {
        self.skipped.borrow().contains(&node.id)
    }
}

struct NodeDeserializer<'a> {
    node: &'a Node,
    context: &'a Context<'a>,
}

/// YAML's core schema: what a plain scalar means.
enum Scalar<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

fn resolve(text: &str, plain: bool) -> Scalar<'_> {
    if !plain {
        return Scalar::Text(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        _ => {}
    }
    if let Ok(number) = text.parse::<u64>() {
        return Scalar::Unsigned(number);
    }
    if let Ok(number) = text.parse::<i64>() {
        return Scalar::Signed(number);
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'));
    match text.parse::<f64>() {
        Ok(number) if numeric => Scalar::Float(number),
        _ => Scalar::Text(text),
    }
}

impl<'de> NodeDeserializer<'_> {
    fn visit_any<V: Visitor<'de>>(
        self,
        visitor: V,
        fields: Option<&'static [&'static str]>,
    ) -> Result<V::Value, Misfit> {
        let node = self.node;
        let result = match &node.kind {
            Kind::Scalar { text, plain, .. } => match resolve(text, *plain) {
                Scalar::Null => visitor.visit_unit(),
                Scalar::Bool(value) => visitor.visit_bool(value),
                Scalar::Unsigned(value) => visitor.visit_u64(value),
                Scalar::Signed(value) => visitor.visit_i64(value),
                Scalar::Float(value) => visitor.visit_f64(value),
                Scalar::Text(value) => visitor.visit_str(value),
            },
            Kind::Sequence(items) => visitor.visit_seq(Items {
                rest: items.iter(),
                context: self.context,
            }),
            Kind::Mapping(entries) => visitor.visit_map(Entries {
                rest: entries.iter(),
                value: None,
                fields,
                context: self.context,
            }),
        };
        result.map_err(|mut misfit| {
            if misfit.node.is_none()
                && let Some(child) = misfit.missing_field.and_then(|field| node.get(field))
            {
                misfit.missing_because_skipped = self.context.is_skipped(child);
            }
            misfit.at(node)
        })
    }

    fn visit_mapping<V: Visitor<'de>>(
        self,
        visitor: V,
        fields: Option<&'static [&'static str]>,
    ) -> Result<V::Value, Misfit> {
        if !self.is_null() {
            return self.visit_any(visitor, fields);
        }
        // A section whose keys are all commented out is an empty section.
        let nothing = Entries {
            rest: [].iter(),
            value: None,
            fields,
            context: self.context,
        };
        visitor.visit_map(nothing).map_err(|misfit| misfit.at(self.node))
    }

    fn is_null(&self) -> bool {
        matches!(&self.node.kind, Kind::Scalar { text, plain, .. } if matches!(resolve(text, *plain), Scalar::Null))
    }

    /// A text as it is written, also where it looks like a number: `"1"`, `1` and `true` are the same for it.
    fn visit_text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.node.kind {
            Kind::Scalar { text, .. } if !self.is_null() => visitor
                .visit_str(text)
                .map_err(|misfit: Misfit| misfit.at(self.node)),
            _ => self.visit_any(visitor, None),
        }
    }
}

impl<'de> de::Deserializer<'de> for NodeDeserializer<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.visit_any(visitor, None)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        // Derived code would take a list's items for the fields, in their order.
        if let Kind::Sequence(_) = self.node.kind {
            return Err(Misfit::invalid_type(de::Unexpected::Seq, &"a mapping").at(self.node));
        }
        self.visit_mapping(visitor, Some(fields))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.visit_text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.visit_text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.visit_mapping(visitor, None)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if !self.is_null() {
            return self.visit_any(visitor, None);
        }
        visitor.visit_seq(Items {
            rest: [].iter(),
            context: self.context,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match &self.node.kind {
            Kind::Scalar { text, .. } => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => Err(Misfit::custom("expected a text")),
        }
        .map_err(|misfit: Misfit| misfit.at(self.node))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf
        unit unit_struct tuple tuple_struct identifier
    }
}

struct Items<'a> {
    rest: std::slice::Iter<'a, Node>,
    context: &'a Context<'a>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let context = self.context;
        self.rest
            .find(|node| !context.is_skipped(node))
            .map(|node| seed.deserialize(NodeDeserializer { node, context }))
            .transpose()
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    value: Option<&'a Node>,
    /// The keys of a struct; `None` for a map, whose keys are free.
    fields: Option<&'static [&'static str]>,
    context: &'a Context<'a>,
}

impl Entries<'_> {
    /// Reports a key that the struct doesn't have, once.
    fn report_unknown(&self, entry: &Entry, fields: &[&str]) {
        if self.context.skipped.borrow_mut().insert(entry.value.id) {
            let remedy = did_you_mean(&entry.key, fields).unwrap_or_else(|| allowed(fields));
            self.context.report(
                entry.key_place,
                format!("unknown key `{}`", entry.key),
                Some(remedy),
            );
        }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        while let Some(entry) = self.rest.next() {
            if self.context.is_skipped(&entry.value) {
                continue;
            }
            if let Some(fields) = self.fields
                && !fields.contains(&entry.key.as_str())
            {
                self.report_unknown(entry, fields);
                continue;
            }
            self.value = Some(&entry.value);
            let key = seed.deserialize(entry.key.as_str().into_deserializer());
            return key.map(Some).map_err(|mut misfit: Misfit| {
                misfit.node = Some((entry.value.id, entry.key_place));
                misfit
            });
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let node = self
            .value
            .take()
            .ok_or_else(|| Misfit::custom("a value without a key"))?;
        seed.deserialize(NodeDeserializer {
            node,
            context: self.context,
        })
    }
}
