//! The runbooks: every section is there and written, and every query that a page tells people to ask can be answered.

use super::{Lint, flow::Finding, flow::Flow, promql};
use crate::{
    generate::{
        GeneratedFile,
        runbooks::{FOLDER, SECTIONS, TO_BE_WRITTEN},
    },
    yaml::Place,
};

/// A section of a page: its title, the line of it, and its lines with their numbers.
struct Section<'a> {
    title: &'a str,
    line: usize,
    lines: Vec<(usize, &'a str)>,
}

impl Lint<'_> {
    pub(super) fn runbooks(&mut self) {
        for file in self.files.iter().filter(|file| file.path.starts_with(FOLDER)) {
            self.runbook(file);
        }
    }

    fn runbook(&mut self, file: &GeneratedFile) {
        let name = file.path.file_stem().unwrap_or_default().to_string_lossy();
        let sections = sections(&file.contents);
        let mut report = |line: usize, what: String, remedy: &str| {
            self.report(&file.path, Place { line, column: 1 }, what, remedy);
        };
        let mut last = 0;
        for wanted in SECTIONS {
            let Some(section) = sections.iter().find(|section| section.title == wanted) else {
                report(1, format!("the section `## {wanted}` is missing"), "write it");
                continue;
            };
            if section.line < last {
                let order = format!("the order is {}", SECTIONS.join(", "));
                report(
                    section.line,
                    format!("the section `{wanted}` stands too early"),
                    &order,
                );
            }
            last = section.line;
            if section.lines.iter().all(|(_, line)| line.trim().is_empty()) {
                report(
                    section.line,
                    format!("the section `{wanted}` is empty"),
                    "write it",
                );
            }
            for (line, _) in section
                .lines
                .iter()
                .filter(|(_, text)| text.contains(TO_BE_WRITTEN))
            {
                report(
                    *line,
                    format!("the section `{wanted}` has yet to be written"),
                    "write it",
                );
            }
            let commands = commands(&section.lines);
            if wanted == "Confirm" && commands.is_empty() {
                report(
                    section.line,
                    "no command confirms the alert".to_owned(),
                    "give one in a ```sh block",
                );
            }
            let silences = |command: &str| {
                command.contains("amtool")
                    && command.contains("silence add")
                    && command
                        .split_whitespace()
                        .any(|word| word == format!("alertname={name}"))
            };
            if wanted == "Silence" && !commands.iter().any(|(_, command)| silences(command)) {
                let remedy = format!("give `amtool ... silence add alertname={name} ...` in a ```sh block");
                report(section.line, "no command silences the alert".to_owned(), &remedy);
            }
        }
        for section in &sections {
            for (line, command) in commands(&section.lines) {
                self.queries(file, line, &command);
            }
        }
    }

    /// Every `'query=...'` of a command against the catalogue.
    fn queries(&mut self, file: &GeneratedFile, line: usize, command: &str) {
        let place = Place { line, column: 1 };
        for rest in command.split("'query=").skip(1) {
            let expr = rest.split('\'').next().unwrap_or_default();
            let parsed = match promql::parse(expr) {
                Ok(parsed) => parsed,
                Err(what) => {
                    self.report(&file.path, place, what, "correct the query");
                    continue;
                }
            };
            let mut flow = Flow::new(self.spec, true);
            flow.labels(&parsed);
            for Finding { what, remedy, .. } in flow.findings {
                // To look at several gauges at once is a person's right, if not an alert's.
                if what.contains("without a metric's name") && expr.contains("__name__") {
                    continue;
                }
                self.report(&file.path, place, what, remedy);
            }
        }
    }
}

fn sections(page: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut in_block = false;
    for (index, line) in page.lines().enumerate() {
        in_block ^= line.starts_with("```");
        match line.strip_prefix("## ") {
            Some(title) if !in_block => sections.push(Section {
                title: title.trim(),
                line: index + 1,
                lines: Vec::new(),
            }),
            _ => {
                if let Some(section) = sections.last_mut() {
                    section.lines.push((index + 1, line));
                }
            }
        }
    }
    sections
}

/// The commands of the ```sh blocks, each on one line, with the number of its first line.
fn commands(lines: &[(usize, &str)]) -> Vec<(usize, String)> {
    let mut commands: Vec<(usize, String)> = Vec::new();
    let (mut in_block, mut goes_on) = (false, false);
    for (number, line) in lines {
        if line.starts_with("```") {
            in_block = !in_block && line.trim_end() == "```sh";
            goes_on = false;
        } else if in_block {
            let part = line.trim_end_matches('\\').trim();
            match commands.last_mut() {
                Some((_, command)) if goes_on => {
                    command.push(' ');
                    command.push_str(part);
                }
                _ => commands.push((*number, part.to_owned())),
            }
            goes_on = line.ends_with('\\');
        }
    }
    commands
}
