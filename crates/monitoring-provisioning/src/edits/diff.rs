//! The difference of two dashboards as a JSON Patch.

use json_patch::{
    AddOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation, TestOperation,
    jsonptr::PointerBuf,
};
use serde_json::{Map, Value};

use super::rules::{is_default, is_volatile, same};

/// The operations that make `edited` out of `base`, as far as they differ in more than what [`super::rules`] excepts.
pub(super) fn diff(base: &Value, edited: &Value) -> Vec<PatchOperation> {
    let mut diff = Diff::default();
    diff.value(&At::default(), base, edited);
    diff.operations
}

/// A place in the document while the patch is being applied.
#[derive(Clone, Debug, Default)]
struct At {
    tokens: Vec<String>,
    /// The same with `*` for places in lists, panels of a collapsed row as panels.
    pattern: String,
    /// The type of the panel that it is in.
    panel: String,
}

impl At {
    fn field(&self, name: &str) -> Self {
        let mut at = self.clone();
        at.tokens.push(name.to_owned());
        if !(self.pattern == "panels/*" && name == "panels") {
            if !at.pattern.is_empty() {
                at.pattern.push('/');
            }
            at.pattern.push_str(name);
        } else {
            at.pattern = "panels".to_owned();
        }
        at
    }

    fn item(&self, index: usize, value: &Value) -> Self {
        let mut at = self.clone();
        at.tokens.push(index.to_string());
        at.pattern.push_str("/*");
        if self.pattern == "panels" {
            at.panel = value["type"].as_str().unwrap_or_default().to_owned();
        }
        at
    }

    fn pointer(&self) -> PointerBuf {
        PointerBuf::from_tokens(&self.tokens)
    }

    /// By which field the items of the list here are told apart.
    fn key(&self) -> Option<&'static str> {
        match self.pattern.as_str() {
            "panels" => Some("id"),
            "templating/list" | "annotations/list" => Some("name"),
            "panels/*/targets" => Some("refId"),
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
struct Diff {
    operations: Vec<PatchOperation>,
}

impl Diff {
    fn value(&mut self, at: &At, old: &Value, new: &Value) {
        let is_default = |value| is_default(&at.pattern, &at.panel, value);
        if is_volatile(&at.pattern) || same(old, new) || (is_default(old) && is_default(new)) {
            return;
        }
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => self.object(at, old, new),
            (Value::Array(old), Value::Array(new)) => self.array(at, old, new),
            _ => self.replace(at, old, new),
        }
    }

    fn object(&mut self, at: &At, old: &Map<String, Value>, new: &Map<String, Value>) {
        let counts = |at: &At, value| !is_volatile(&at.pattern) && !is_default(&at.pattern, &at.panel, value);
        for (name, old) in old {
            let at = at.field(name);
            match new.get(name) {
                Some(new) => self.value(&at, old, new),
                None if counts(&at, old) => {
                    self.test(&at, old);
                    self.remove(&at);
                }
                None => {}
            }
        }
        for (name, new) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
            let at = at.field(name);
            if counts(&at, new) {
                self.add(&at, new);
            }
        }
    }

    fn array(&mut self, at: &At, old: &[Value], new: &[Value]) {
        match at.key() {
            Some(key) if is_unique(key, old) && is_unique(key, new) => self.keyed(at, key, old, new),
            _ if old.len() == new.len() => {
                for (index, (old, new)) in old.iter().zip(new).enumerate() {
                    self.value(&at.item(index, old), old, new);
                }
            }
            _ => self.replace(at, &Value::from(old.to_vec()), &Value::from(new.to_vec())),
        }
    }

    /// Items that are told apart by a field: those that are gone go first, then each place from the front gets its item.
    fn keyed(&mut self, at: &At, key: &str, old: &[Value], new: &[Value]) {
        let mut now: Vec<&Value> = old.iter().collect();
        for index in (0..now.len()).rev() {
            if !new.iter().any(|item| same(&item[key], &now[index][key])) {
                let item = at.item(index, now[index]);
                self.guard(&item, now[index]);
                self.remove(&item);
                now.remove(index);
            }
        }
        for (index, item) in new.iter().enumerate() {
            let here = at.item(index, item);
            match (index..now.len()).find(|from| same(&now[*from][key], &item[key])) {
                Some(from) => {
                    let before = now.remove(from);
                    if from != index {
                        let there = at.item(from, before);
                        self.guard(&there, before);
                        self.operations.push(PatchOperation::Move(MoveOperation {
                            from: there.pointer(),
                            path: here.pointer(),
                        }));
                    }
                    now.insert(index, before);
                    let begin = self.operations.len();
                    self.value(&at.item(index, before), before, item);
                    if self.operations.len() > begin {
                        let inside = self.operations.split_off(begin);
                        self.guard(&here, before);
                        self.operations.extend(inside);
                    }
                }
                None => {
                    self.add(&here, item);
                    now.insert(index, item);
                }
            }
        }
    }

    /// Makes sure that it is the same panel, variable or query that is changed; a panel's id only says its place.
    fn guard(&mut self, at: &At, item: &Value) {
        let name = ["title", "name", "refId", "id"]
            .into_iter()
            .find(|name| !item[name].is_null());
        if let Some(name) = name {
            self.test(&at.field(name), &item[name]);
        }
    }

    fn test(&mut self, at: &At, value: &Value) {
        let test = TestOperation {
            path: at.pointer(),
            value: value.clone(),
        };
        self.operations.push(PatchOperation::Test(test));
    }

    fn replace(&mut self, at: &At, old: &Value, new: &Value) {
        self.test(at, old);
        self.operations.push(PatchOperation::Replace(ReplaceOperation {
            path: at.pointer(),
            value: without_volatile(at, new),
        }));
    }

    fn add(&mut self, at: &At, new: &Value) {
        self.operations.push(PatchOperation::Add(AddOperation {
            path: at.pointer(),
            value: without_volatile(at, new),
        }));
    }

    fn remove(&mut self, at: &At) {
        let path = at.pointer();
        self.operations
            .push(PatchOperation::Remove(RemoveOperation { path }));
    }
}

fn is_unique(key: &str, items: &[Value]) -> bool {
    items.iter().enumerate().all(|(index, item)| {
        !item[key].is_null() && !items[..index].iter().any(|other| same(&other[key], &item[key]))
    })
}

/// What is new, without what Grafana stamps on it.
fn without_volatile(at: &At, value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name, at.field(name), value))
            .filter(|(_, at, _)| !is_volatile(&at.pattern))
            .map(|(name, at, value)| (name.clone(), without_volatile(&at, value)))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| without_volatile(&at.item(index, item), item))
            .collect(),
        other => other.clone(),
    }
}
