//! On which line of a YAML text a setting stands.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, StrInput};

/// Lines by path: `pools[0].endpoints[1].url`.
///
/// Serde knows the place of a value only while it reads it. What is checked afterwards, because it depends on other
/// settings or on the environment, finds its line here.
pub(super) struct Lines {
    lines: HashMap<String, usize>,
    /// Path, line and text of single values, in the order of the file. Secrets are among them.
    scalars: Vec<(String, usize, String)>,
    /// The first key that is given twice: its path and both lines.
    twice: Option<(String, usize, usize)>,
}

impl Lines {
    /// Reads the text. It must be valid YAML; reading ends at the first mistake.
    pub(super) fn of(text: &str) -> Self {
        let mut reader = Reader {
            parser: Parser::new_from_str(text),
            lines: HashMap::new(),
            scalars: Vec::new(),
            twice: None,
        };
        while let Some((event, line)) = reader.next() {
            if !matches!(event, Event::StreamStart | Event::DocumentStart(_)) {
                reader.node(&event, String::new(), line);
                break;
            }
        }
        Self {
            lines: reader.lines,
            scalars: reader.scalars,
            twice: reader.twice,
        }
    }

    /// The first key that stands twice in its mapping: its path, its line and the line of the first. Of a header that
    /// is given twice serde would take the last without a word.
    pub(super) fn twice(&self) -> Option<(&str, usize, usize)> {
        self.twice
            .as_ref()
            .map(|(path, first, second)| (path.as_str(), *second, *first))
    }

    /// Path, line and text of each single value, in the order of the file.
    pub(super) fn scalars(&self) -> impl Iterator<Item = (&str, usize, &str)> {
        self.scalars
            .iter()
            .map(|(path, line, text)| (path.as_str(), *line, text.as_str()))
    }

    pub(super) fn is_written(&self, path: &str) -> bool {
        self.lines.contains_key(path)
    }

    /// The line of a path, or of its nearest parent that is written down: a missing setting is reported where it
    /// belongs.
    pub(super) fn line(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return 1,
            }
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    lines: HashMap<String, usize>,
    scalars: Vec<(String, usize, String)>,
    /// The first key that is given twice: its path and both lines.
    twice: Option<(String, usize, usize)>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(Event<'a>, usize)> {
        let (event, span) = self.parser.next_event()?.ok()?;
        Some((event, span.start.line()))
    }

    /// Takes in a node whose first event is `event`. `line` is that of its key, or its own in a list.
    fn node(&mut self, event: &Event<'a>, path: String, line: usize) {
        match event {
            Event::SequenceStart(..) => self.sequence(&path),
            Event::MappingStart(..) => self.mapping(&path),
            Event::Scalar(text, ..) => self.scalars.push((path.clone(), line, text.to_string())),
            _ => {}
        }
        self.lines.insert(path, line);
    }

    fn sequence(&mut self, path: &str) {
        for index in 0.. {
            match self.next() {
                None | Some((Event::SequenceEnd, _)) => return,
                Some((event, line)) => self.node(&event, format!("{path}[{index}]"), line),
            }
        }
    }

    fn mapping(&mut self, path: &str) {
        while let Some((event, line)) = self.next() {
            let key = match &event {
                Event::MappingEnd => return,
                Event::Scalar(text, ..) => text.to_string(),
                _ => String::new(),
            };
            let path = if path.is_empty() {
                key
            } else {
                format!("{path}.{key}")
            };
            if let (Some(first), None) = (self.lines.get(&path), &self.twice) {
                self.twice = Some((path.clone(), *first, line));
            }
            match self.next() {
                Some((value, _)) => self.node(&value, path, line),
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_the_lines_of_their_keys() {
        let text = "# head\npools:\n  - id: a\n    endpoints:\n      - {id: x,\n         url: y}\n      - id: z\n\n    follow:\n      poll_interval: 1s\n";
        let lines = Lines::of(text);
        for (path, expected) in [
            ("pools", 2),
            ("pools[0]", 3),
            ("pools[0].id", 3),
            ("pools[0].endpoints", 4),
            ("pools[0].endpoints[0].url", 6),
            ("pools[0].endpoints[1].id", 7),
            ("pools[0].endpoints[1].url", 7),
            ("pools[0].follow.poll_interval", 10),
            ("pools[0].follow.escrow.address", 9),
            ("nothing", 1),
        ] {
            assert_eq!(lines.line(path), expected, "{path}");
        }
    }
}
