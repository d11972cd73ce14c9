//! The texts of notifications, as Alertmanager's templates.
//!
//! They must read well on a phone, and stay within what every receiver shows: title and text together have at most
//! 1,000 characters, however many alerts there are and however long their labels. So names are cut, links that are longer than
//! any sensible one are left out, and lines are added for as long as they fit; the rest is counted. Lengths are measured with
//! Go's `len`, in bytes, of which no text has fewer than characters. Only functions that Alertmanager 0.25 has are used.

use super::GeneratedFile;
use crate::model::HEAD;

/// The file, which `config.yml` beside its folder finds by [`GLOB`].
pub(crate) const PATH: &str = "monitoring/alertmanager/templates/connection-pool.tmpl";
/// As `config.yml` names it.
pub(crate) const GLOB: &str = "templates/*.tmpl";

/// Most characters of title and text together.
#[cfg(test)]
const MOST_CHARACTERS: usize = 1000;
/// Of these, most of the title: a severity of 9, a name of 50, a pool of 30, and two counts of up to five digits.
#[cfg(test)]
const TITLE: usize = 125;
/// Most bytes of text and links while lines are added; beyond it, only what is left is counted.
const TEXT: usize = 810;
/// Most bytes of a link.
const LINK: usize = 250;

/// How a receiver wants its text.
#[derive(Clone, Copy, Debug)]
struct Markup {
    /// The name of the template.
    name: &'static str,
    /// Before each line.
    line: &'static str,
    /// What is done to a text that may hold anything.
    escape: &'static str,
    /// A link, from its address; with the word for it.
    link: fn(&str) -> String,
}

/// All but the last show addresses as links; a phone makes them ones.
const MARKUPS: [Markup; 4] = [
    Markup {
        name: "fusion.text",
        line: r"\n- ",
        escape: "",
        link: |word| format!(r#"printf "%s\n{word}: %s" $links ."#),
    },
    Markup {
        name: "fusion.text.slack",
        line: r"\n• ",
        escape: r#" | reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;""#,
        link: |word| format!(r#"printf "%s\n<%s|{word}>" $links ."#),
    },
    Markup {
        name: "fusion.text.discord",
        line: r"\n- ",
        escape: "",
        link: |word| format!(r#"printf "%s\n[{word}](%s)" $links ."#),
    },
    // A single line break is none in a card.
    Markup {
        name: "fusion.text.teams",
        line: r"\n\n- ",
        escape: "",
        link: |word| format!(r#"printf "%s\n\n[{word}](%s)" $links ."#),
    },
];

/// The file of all templates.
pub(super) fn file() -> GeneratedFile {
    let mut contents = format!("{{{{/* {HEAD} */}}}}\n{TITLE_TEMPLATE}");
    for markup in MARKUPS {
        contents.push_str(&text(markup));
    }
    GeneratedFile {
        path: PATH.into(),
        contents,
    }
}

/// `CRITICAL: NoHealthyEndpoints, ethereum (3 firing, 1 resolved)`.
const TITLE_TEMPLATE: &str = r#"{{ define "fusion.title" -}}
{{- $severity := printf "%.9s" .CommonLabels.severity -}}
{{- $about := printf "%.50s" .CommonLabels.alertname -}}
{{- with .CommonLabels.pool -}}{{- $about = printf "%s, %.30s" $about . -}}{{- end -}}
{{- if not .Alerts.Firing -}}
RESOLVED: {{ $about }} ({{ $severity }}, {{ len .Alerts.Resolved }})
{{- else if .Alerts.Resolved -}}
{{ $severity | toUpper }}: {{ $about }} ({{ len .Alerts.Firing }} firing, {{ len .Alerts.Resolved }} resolved)
{{- else -}}
{{ $severity | toUpper }}: {{ $about }} ({{ len .Alerts.Firing }} firing)
{{- end -}}
{{- end }}
"#;

/// The text: what happened, where there is one alert; one line for each; links of the first.
fn text(markup: Markup) -> String {
    let Markup {
        name,
        line,
        escape,
        link,
    } = markup;
    let mut text = format!(
        r#"{{{{ define "{name}" -}}}}
{{{{- $first := index .Alerts 0 -}}}}
{{{{- with .Alerts.Firing -}}}}{{{{- $first = index . 0 -}}}}{{{{- end -}}}}
{{{{- $links := "" -}}}}
"#
    );
    for (annotation, word) in [("runbook_url", "Runbook"), ("dashboard_url", "Dashboard")] {
        text.push_str(&format!(
            "{{{{- with $first.Annotations.{annotation} -}}}}{{{{- if le (len .) {LINK} -}}}}{{{{- $links = {} -}}}}{{{{- end -}}}}{{{{- \
             end -}}}}\n",
            link(word)
        ));
    }
    text.push_str(&format!(
        r#"{{{{- $text := "" -}}}}{{{{- $rest := 0 -}}}}
{{{{- if eq (len .Alerts) 1 -}}}}{{{{- $text = printf "%.250s" ($first.Annotations.description{escape}) -}}}}
{{{{- else if .CommonAnnotations.summary -}}}}{{{{- $text = printf "%.150s" (.CommonAnnotations.summary{escape}) -}}}}
{{{{- else -}}}}{{{{- $text = printf "%d alerts" (len .Alerts) -}}}}{{{{- end -}}}}
"#
    ));
    text.push_str(&lines("Firing", "", line, escape));
    text.push_str(&lines("Resolved", "resolved: ", line, escape));
    text.push_str("{{- $text }}{{ $links }}\n{{- end }}\n");
    text
}

/// Adds one line for each alert of a list while they fit, and then how many more there are.
fn lines(list: &str, before: &str, line: &str, escape: &str) -> String {
    format!(
        r#"{{{{- $rest = 0 -}}}}
{{{{- range $index, $alert := .Alerts.{list} -}}}}{{{{- if not $rest -}}}}
{{{{- $who := "" -}}}}
{{{{- with .Labels.pool -}}}}{{{{- $who = printf "%.40s" . -}}}}{{{{- else -}}}}{{{{- with .Labels.job -}}}}{{{{- $who = printf "%.40s" . -}}}}{{{{- end -}}}}{{{{- end -}}}}
{{{{- with .Labels.endpoint -}}}}{{{{- $who = printf "%s/%.40s" $who . -}}}}{{{{- end -}}}}
{{{{- with .Labels.instance -}}}}{{{{- if $who -}}}}{{{{- $who = printf "%s on %.50s" $who . -}}}}{{{{- else -}}}}{{{{- $who = printf "%.50s" . -}}}}{{{{- end -}}}}{{{{- end -}}}}
{{{{- if not $who -}}}}{{{{- $who = printf "%.50s" .Labels.alertname -}}}}{{{{- end -}}}}
{{{{- with .Annotations.value -}}}}{{{{- $who = printf "%s: %.40s" $who . -}}}}{{{{- end -}}}}
{{{{- $next := printf "%s{line}{before}%s" $text ($who{escape}) -}}}}
{{{{- if le (len (printf "%s%s" $next $links)) {TEXT} -}}}}{{{{- $text = $next -}}}}
{{{{- else -}}}}{{{{- $rest = len (slice $.Alerts.{list} $index) -}}}}{{{{- $text = printf "%s{line}{before}and %d more" $text $rest -}}}}{{{{- end -}}}}
{{{{- end -}}}}{{{{- end -}}}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the templates' comments promise, added up: the longest title, a text that is full or a description beside two of the
    /// longest links, and two counts of what is left.
    #[test]
    fn the_limits_add_up() {
        let count = "\n\n- resolved: and 99999 more".len() + "\n\n- and 99999 more".len();
        let links = "\n\n[Runbook]()".len() + "\n\n[Dashboard]()".len() + 2 * LINK;
        for text in [TEXT, 250 + links] {
            assert!(TITLE + 1 + text + count <= MOST_CHARACTERS, "{text}");
        }
    }
}
