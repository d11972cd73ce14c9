//! One document laid over another: mappings are merged key by key, everything else is replaced.
//!
//! The lines of the upper file go on where those of the lower one end. So every place stays one number and one column
//! while the merged tree is read and checked, and [`Document::locate`] gives each problem its file at the end.

use std::path::Path;

use super::tree::{Document, Entry, Kind, Node, Place};
use crate::problem::Problem;

impl Document {
    /// This document with another one laid over it.
    pub(crate) fn overlaid(mut self, mut upper: Self) -> Self {
        upper.root.shift(self.lines, self.last_id);
        self.root.merge(upper.root);
        Self {
            root: self.root,
            lines: self.lines + upper.lines,
            last_id: self.last_id + upper.last_id,
            seam: Some(self.lines),
        }
    }

    /// Sets a key of the outermost mapping as if it stood at the very beginning of the file. Does nothing to a document that
    /// isn't a mapping: that is reported elsewhere.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        if let Kind::Mapping(entries) = &mut self.root.kind {
            self.last_id += 1;
            let place = Place { line: 1, column: 1 };
            entries.retain(|entry| entry.key != key);
            entries.push(Entry {
                key: key.to_owned(),
                key_place: place,
                value: Node {
                    id: self.last_id,
                    place,
                    kind: Kind::Scalar {
                        text: value.to_owned(),
                        plain: true,
                        block: false,
                    },
                },
            });
        }
    }

    /// The line in its own file.
    pub(crate) fn line(&self, place: Place) -> usize {
        match self.seam {
            Some(seam) if place.line > seam => place.line - seam,
            _ => place.line,
        }
    }

    /// Gives a problem of the upper file its file and line.
    pub(crate) fn locate(&self, problem: &mut Problem, upper: &Path) {
        if let (Some(seam), Some(line)) = (self.seam, problem.line)
            && line > seam
        {
            problem.line = Some(line - seam);
            upper.clone_into(&mut problem.file);
        }
    }
}

impl Node {
    fn shift(&mut self, lines: usize, ids: usize) {
        self.id += ids;
        self.place.line += lines;
        match &mut self.kind {
            Kind::Scalar { .. } => {}
            Kind::Sequence(items) => items.iter_mut().for_each(|item| item.shift(lines, ids)),
            Kind::Mapping(entries) => {
                for entry in entries {
                    entry.key_place.line += lines;
                    entry.value.shift(lines, ids);
                }
            }
        }
    }

    /// Whether nothing stands here, as below a section's key whose lines are all commented out.
    fn is_empty(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true, .. } if matches!(text.as_str(), "" | "~" | "null"))
    }

    fn merge(&mut self, upper: Self) {
        let nothing = upper.is_empty();
        match (&mut self.kind, upper.kind) {
            (Kind::Mapping(lower), Kind::Mapping(upper)) => {
                for entry in upper {
                    match lower.iter_mut().find(|known| known.key == entry.key) {
                        Some(known) => known.value.merge(entry.value),
                        None => lower.push(entry),
                    }
                }
            }
            (Kind::Mapping(_), _) if nothing => {}
            (_, kind) => *self = Self { kind, ..upper },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::read(text, Path::new("m.yaml")).0.expect("valid YAML")
    }

    fn text<'a>(document: &'a Document, path: &str) -> Option<&'a str> {
        match &document.find(path)?.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    #[test]
    fn mappings_are_merged_and_everything_else_is_replaced() {
        let lower = document("a: { b: 1, c: 2 }\nlist: [1, 2]\nkept: x\nsection: { d: 4 }\n");
        let upper = document("a:\n  c: 3\nlist: [9]\nsection:\nmore: { e: 5 }\n");
        let merged = lower.overlaid(upper);
        let found =
            ["a/b", "a/c", "list/0", "list/1", "kept", "section/d", "more/e"].map(|path| text(&merged, path));
        assert_eq!(
            found,
            [
                Some("1"),
                Some("3"),
                Some("9"),
                None,
                Some("x"),
                Some("4"),
                Some("5")
            ]
        );
    }

    #[test]
    fn every_place_leads_back_to_its_file() {
        let merged = document("a: { b: 1 }").overlaid(document("\na:\n  c: 3\n"));
        let located = |path: &str| {
            let place = merged.place(path);
            let mut problem = Problem::new(Path::new("lower"), "x").at(place.line, place.column);
            merged.locate(&mut problem, Path::new("upper"));
            problem.to_string()
        };
        assert_eq!(located("a/b"), "lower:1:9: x");
        assert_eq!(located("a/c"), "upper:3:6: x");
    }

    #[test]
    fn no_two_nodes_share_an_id() {
        let merged = document("a: [1, 2]\nb: 1").overlaid(document("c: [3]\nb: 2"));
        let mut ids: Vec<usize> = ["", "a", "a/0", "a/1", "b", "c", "c/0"]
            .iter()
            .filter_map(|path| merged.find(path).map(|node| node.id))
            .collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((all, ids.len()), (7, 7));
    }
}
