//! The commands that a runbook names.

/// Programs by which a command in running text is told from other code.
const PROGRAMS: [&str; 10] = [
    "amtool",
    "cargo",
    "curl",
    "dig",
    "docker",
    "getent",
    "journalctl",
    "promtool",
    "ss",
    "systemctl",
];

/// One command of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The line on which it begins.
    pub line: usize,
    /// The command on one line, as a shell takes it.
    pub text: String,
}

/// All commands of a page: those of its `sh` blocks, and the code in its text that begins with a program and has arguments.
pub fn commands(page: &str) -> Vec<Command> {
    let mut found = Vec::new();
    let mut block: Option<bool> = None;
    let mut goes_on = false;
    // Text since the last empty line or block, for code that is broken over lines.
    let mut paragraph: Vec<(usize, &str)> = Vec::new();
    for (index, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inline(&std::mem::take(&mut paragraph), &mut found);
            block = match block {
                Some(_) => None,
                None => Some(line.trim_end() == "```sh"),
            };
            goes_on = false;
        } else if block == Some(true) {
            let part = line.trim_end_matches('\\').trim();
            match found.last_mut() {
                Some(Command { text, .. }) if goes_on => {
                    text.push(' ');
                    text.push_str(part);
                }
                _ if part.is_empty() => {}
                _ => found.push(Command {
                    line: index + 1,
                    text: part.to_owned(),
                }),
            }
            goes_on = line.ends_with('\\');
        } else if block.is_none() {
            if line.trim().is_empty() {
                inline(&std::mem::take(&mut paragraph), &mut found);
            } else {
                paragraph.push((index + 1, line));
            }
        }
    }
    inline(&paragraph, &mut found);
    found
}

fn inline(paragraph: &[(usize, &str)], found: &mut Vec<Command>) {
    let text: String = paragraph.iter().map(|(_, line)| format!("{line}\n")).collect();
    let mut line = paragraph.first().map_or(1, |(line, _)| *line);
    for (index, part) in text.split('`').enumerate() {
        let code = part.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_command = code
            .split_once(' ')
            .is_some_and(|(program, _)| PROGRAMS.contains(&program));
        if index % 2 == 1 && is_command {
            found.push(Command { line, text: code });
        }
        line += part.matches('\n').count();
    }
}

/// The expressions that a command sends to Prometheus.
pub fn queries(command: &str) -> impl Iterator<Item = &str> {
    let rest = command.split("'query=").skip(1);
    rest.map(|rest| rest.split('\'').next().unwrap_or_default())
}

/// The names of metrics and recorded series in an expression; those of the label `__name__` apart.
pub fn names(expr: &str) -> Vec<String> {
    let outside_quotes: String = expr.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let is_name = |word: &&str| {
        let ours = ["fusion_", "alertmanager_", "prometheus_", "node_"];
        ours.iter().any(|prefix| word.starts_with(prefix)) || (word.contains(':') && word.len() > 1)
    };
    outside_quotes
        .split(|c: char| !word(c))
        .filter(is_name)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_code_in_text_are_commands_other_code_is_not() {
        let page = "# A\n\nRun `cargo xtask alerts explain\nA`, not `a: b c` nor `curl`.\n\n```sh\nx \\\n  --y 'z'\n\nw\n```\n\n```yaml\na b\n```\n1. `docker ps -a`\n";
        let texts: Vec<(usize, String)> = commands(page)
            .into_iter()
            .map(|one| (one.line, one.text))
            .collect();
        let want = [
            (3, "cargo xtask alerts explain A"),
            (7, "x --y 'z'"),
            (10, "w"),
            (16, "docker ps -a"),
        ];
        assert_eq!(texts, want.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn names_of_metrics_are_seen_and_labels_are_not() {
        let expr = r#"topk(5, max by (instance, pool) (rate(fusion_x_total{error_type="fusion_no"}[5m]))) / a:b_c:rate5m"#;
        assert_eq!(names(expr), ["fusion_x_total", "a:b_c:rate5m"]);
        let command = format!("curl -sG http://h --data-urlencode 'query={expr}'");
        assert_eq!(queries(&command).collect::<Vec<_>>(), [expr]);
    }
}
