//! Reading an object of schema v2 without overlooking a field.

use std::cell::RefCell;

use serde_json::{Map, Value};

use super::Inexpressible;

/// What was found that classic can't express.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<Inexpressible>>);

impl Problems {
    pub(super) fn report(&self, path: &str, what: impl Into<String>) {
        self.0.borrow_mut().push(Inexpressible {
            path: path.to_owned(),
            what: what.into(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(super) fn into_inner(self) -> Vec<Inexpressible> {
        self.0.into_inner()
    }
}

/// An object whose fields are taken out one by one; [`Reader::finish`] reports those that nobody took.
pub(super) struct Reader<'a> {
    pub(super) path: String,
    fields: Map<String, Value>,
    pub(super) problems: &'a Problems,
}

impl<'a> Reader<'a> {
    pub(super) fn new(path: impl Into<String>, value: Value, problems: &'a Problems) -> Self {
        let path = path.into();
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            _ => {
                problems.report(&path, "is no object");
                Map::new()
            }
        };
        Self {
            path,
            fields,
            problems,
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> String {
        match self.take(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        }
    }

    /// A place or size on the grid; 0 for what is no number. No dashboard is a million lines high.
    pub(super) fn number(&mut self, name: &str) -> u64 {
        self.take(name)
            .and_then(|value| value.as_f64())
            .unwrap_or_default()
            .min(1e6) as u64
    }

    pub(super) fn drop(&mut self, name: &str) {
        self.fields.remove(name);
    }

    /// Puts a field under its classic name.
    pub(super) fn keep(&mut self, name: &str, classic: &str, out: &mut Map<String, Value>) {
        if let Some(value) = self.take(name) {
            out.insert(classic.to_owned(), value);
        }
    }

    /// The number that classic has for a name.
    pub(super) fn choice(&mut self, name: &str, names: &[&str]) -> Option<usize> {
        let value = self.take(name)?;
        let found = names.iter().position(|name| value == *name);
        if found.is_none() {
            self.problems
                .report(&format!("{}/{name}", self.path), format!("{value} is unknown"));
        }
        found
    }

    pub(super) fn reader(&mut self, name: &str) -> Option<Self> {
        let value = self.take(name)?;
        Some(Self::new(format!("{}/{name}", self.path), value, self.problems))
    }

    /// The items of a list.
    pub(super) fn kinds(&mut self, name: &str) -> Vec<Self> {
        let Some(Value::Array(items)) = self.take(name) else {
            return Vec::new();
        };
        let item = |(index, value)| Self::new(format!("{}/{name}/{index}", self.path), value, self.problems);
        items.into_iter().enumerate().map(item).collect()
    }

    /// The title of a row that has a header, without taking it.
    pub(super) fn peek_title(&self) -> Option<&str> {
        let spec = self.fields.get("spec")?;
        (spec["hideHeader"] != true).then(|| spec["title"].as_str().unwrap_or_default())
    }

    /// `kind` without its `spec`.
    pub(super) fn kind(&mut self) -> String {
        self.text("kind")
    }

    /// The `spec` of an object that must be of this kind; reported and `None` otherwise.
    pub(super) fn spec(mut self, kind: &str) -> Option<Self> {
        let found = self.kind();
        if found != kind {
            self.problems
                .report(&self.path, format!("a classic dashboard has no {found} here"));
            return None;
        }
        let spec = self.reader("spec");
        self.finish();
        spec
    }

    /// Reports every field that nobody took and that says something.
    pub(super) fn finish(self) {
        for (name, value) in &self.fields {
            let is_empty = match value {
                Value::Null | Value::Bool(false) => true,
                Value::String(text) => text.is_empty(),
                Value::Array(items) => items.is_empty(),
                Value::Object(fields) => fields.is_empty(),
                _ => false,
            };
            if !is_empty {
                let what = format!("a classic dashboard has no place for `{name}`");
                self.problems.report(&format!("{}/{name}", self.path), what);
            }
        }
    }
}
