//! The tree of a document, each node with its place.

use std::{collections::HashMap, path::Path};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::problem::Problem;

/// Deepest nesting that is read. Deeper documents are refused rather than risking the stack.
const MAX_DEPTH: usize = 64;

/// Line and column, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        Self {
            line: span.start.line(),
            column: span.start.col() + 1,
        }
    }
}

/// A value with its place. `id` is unique within the document.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: usize,
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// `plain` scalars (no quotes, no block) may be numbers, booleans or null.
    Scalar {
        text: String,
        plain: bool,
        block: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Mapping(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            Kind::Sequence(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
            Kind::Scalar { .. } => None,
        }
    }

    /// Where `needle` first stands within this text; the node's own place if it isn't found.
    ///
    /// In a block scalar the lines of the text are lines of the file, the first that isn't empty at the node's place.
    /// Other texts may be folded or escaped, so that only their beginning is known.
    pub(crate) fn place_of(&self, needle: &str) -> Place {
        let Kind::Scalar { text, block, .. } = &self.kind else {
            return self.place;
        };
        let empty = text.len() - text.trim_start_matches('\n').len();
        match find_word(text, needle) {
            Some(offset) if *block => Place {
                line: self.place.line
                    + text.trim_start_matches('\n')[..offset - empty]
                        .matches('\n')
                        .count(),
                column: self.place.column
                    + text[..offset]
                        .rsplit('\n')
                        .next()
                        .unwrap_or_default()
                        .chars()
                        .count(),
            },
            _ => self.place,
        }
    }
}

/// Finds `needle` where it isn't part of a longer identifier.
fn find_word(text: &str, needle: &str) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    let part_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(needle).map(|(at, _)| at).find(|at| {
        !part_of_word(text[..*at].chars().next_back())
            && !part_of_word(text[at + needle.len()..].chars().next())
    })
}

/// A file's text read into a tree; or two of them, one laid over the other ([`Document::overlaid`]).
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) root: Node,
    /// Greater than the line of every node and of every problem.
    pub(super) lines: usize,
    /// Greatest id of a node.
    pub(super) last_id: usize,
    /// Lines beyond this one are those of the upper file, counted on from here.
    pub(super) seam: Option<usize>,
}

impl Document {
    /// Reads the one document of a file. Duplicate keys and further documents are problems: the tools that read these
    /// files either refuse them or, worse, ignore what comes second.
    pub(crate) fn read(text: &str, file: &Path) -> (Option<Self>, Vec<Problem>) {
        let mut reader = Reader {
            parser: Parser::new_from_str(text),
            file,
            next_id: 0,
            anchors: HashMap::new(),
            problems: Vec::new(),
        };
        match reader.document() {
            Ok(root) => {
                let document = Self {
                    root,
                    lines: text.matches('\n').count() + 2,
                    last_id: reader.next_id,
                    seam: None,
                };
                (Some(document), reader.problems)
            }
            Err(problem) => {
                reader.problems.push(problem);
                (None, reader.problems)
            }
        }
    }

    /// The node at a path whose steps are separated by `/`: keys, or indices into sequences.
    pub(crate) fn find(&self, path: &str) -> Option<&Node> {
        path.split('/')
            .filter(|step| !step.is_empty())
            .try_fold(&self.root, |node, step| node.get(step))
    }

    /// The place of a path; of the nearest parent that exists if the path itself doesn't.
    pub(crate) fn place(&self, path: &str) -> Place {
        let mut node = &self.root;
        for step in path.split('/').filter(|step| !step.is_empty()) {
            match node.get(step) {
                Some(next) => node = next,
                None => break,
            }
        }
        node.place
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    file: &'a Path,
    next_id: usize,
    anchors: HashMap<usize, Node>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn problem(&self, place: Place, what: impl Into<String>) -> Problem {
        Problem::new(self.file, what).at(place.line, place.column)
    }

    fn next(&mut self) -> Result<(Event<'a>, Place), Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.into())),
            Some(Err(error)) => Err(self.scan_problem(&error)),
            None => Ok((Event::StreamEnd, Place { line: 1, column: 1 })),
        }
    }

    fn scan_problem(&self, error: &ScanError) -> Problem {
        let marker = error.marker();
        Problem::new(self.file, format!("not valid YAML: {}", error.info()))
            .at(marker.line(), marker.col() + 1)
    }

    fn document(&mut self) -> Result<Node, Problem> {
        let mut root = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                event if root.is_none() => root = Some(self.node(event, place, 0)?),
                _ => {
                    return Err(self
                        .problem(place, "a second YAML document in the file")
                        .remedy("keep one; what comes after `---` would be ignored"));
                }
            }
        }
        let id = self.id();
        Ok(root.unwrap_or(Node {
            id,
            place: Place { line: 1, column: 1 },
            kind: Kind::Mapping(Vec::new()),
        }))
    }

    fn id(&mut self) -> usize {
        self.next_id += 1;
        self.next_id
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, Problem> {
        if depth > MAX_DEPTH {
            return Err(self.problem(place, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        let id = self.id();
        let (anchor, place, kind) = match event {
            Event::Scalar(text, style, anchor, _) => (anchor, place, scalar(&text, style)),
            Event::SequenceStart(anchor, _) => (anchor, place, self.sequence(depth)?),
            Event::MappingStart(anchor, _) => (anchor, place, self.mapping(depth)?),
            Event::Alias(anchor) => {
                return match self.anchors.get(&anchor) {
                    Some(target) => Ok(Node {
                        id,
                        place,
                        kind: target.kind.clone(),
                    }),
                    None => Err(self.problem(place, "an alias to an anchor that isn't complete")),
                };
            }
            _ => return Err(self.problem(place, "an unexpected end of the YAML structure")),
        };
        let node = Node { id, place, kind };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Kind, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::Sequence(items)),
                (event, place) => items.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Kind, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Kind::Mapping(entries));
            }
            let Kind::Scalar { text: key, .. } = self.node(event, place, depth + 1)?.kind else {
                return Err(self.problem(place, "a key must be a text"));
            };
            let (event, value_place) = self.next()?;
            let value = self.node(event, value_place, depth + 1)?;
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let remedy = format!("it already stands in line {}; keep one", first.key_place.line);
                self.problems.push(
                    self.problem(place, format!("the key `{key}` is given twice"))
                        .remedy(remedy),
                );
                continue;
            }
            entries.push(Entry {
                key,
                key_place: place,
                value,
            });
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Kind {
    Kind::Scalar {
        text: text.to_owned(),
        plain: style == ScalarStyle::Plain,
        block: matches!(style, ScalarStyle::Literal | ScalarStyle::Folded),
    }
}
