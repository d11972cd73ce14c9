//! The table of the proof, and its place in the README.

use std::path::Path;

use anyhow::Result;

use super::trial::{LATE, Outcome};
use crate::atomic;
use crate::failure::BadInput;

const BEGIN: &str = "<!-- written by `cargo xtask alerts prove --write-readme` -->\n";
const END: &str = "<!-- end of what `alerts prove` has written -->";

/// One row per alert.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| alert | fault | fires, is told within | fired after | told after | end told after (within) | beside it |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for outcome in outcomes {
        let seen = |time: Option<f64>| time.map_or("**not**".to_owned(), seconds);
        let beside = if outcome.beside.is_empty() {
            "-".to_owned()
        } else {
            outcome.beside.join(", ")
        };
        text.push_str(&format!(
            "| {} | {} | {}, {} | {} | {} | {} ({}) | {beside} |\n",
            outcome.alert,
            outcome.what,
            seconds(outcome.fires_within),
            seconds(outcome.told_within),
            seen(outcome.fired),
            seen(outcome.told),
            seen(outcome.resolved),
            seconds(outcome.resolved_within),
        ));
    }
    text
}

fn seconds(time: f64) -> String {
    format!("{time:.1} s")
}

/// Whether any row is later than promised, beyond what a busy machine may be.
pub(super) fn late(outcome: &Outcome) -> Vec<String> {
    [
        ("fired", outcome.fired, outcome.fires_within),
        ("was told", outcome.told, outcome.told_within),
        ("its end was told", outcome.resolved, outcome.resolved_within),
    ]
    .into_iter()
    .filter_map(|(what, seen, within)| {
        let seen = seen.filter(|seen| *seen > within + LATE)?;
        Some(format!(
            "{what} after {}, promised within {}",
            seconds(seen),
            seconds(within)
        ))
    })
    .collect()
}

/// Puts the text between the markers of a README.
///
/// # Errors
/// It can't be read or written, or has no markers: that is bad input.
pub(super) fn write_readme(path: &Path, text: &str) -> Result<()> {
    let new = with_text(path, text)?;
    atomic::write(path, new.as_bytes())
}

/// Whether [`write_readme`] will find its place: known before minutes are spent.
pub(super) fn check_readme(path: &Path) -> Result<()> {
    with_text(path, "").map(|_| ())
}

fn with_text(path: &Path, text: &str) -> Result<String> {
    let readme = std::fs::read_to_string(path)
        .map_err(|error| BadInput(format!("{}: can't be read: {error}", path.display())))?;
    let missing = || {
        BadInput(format!(
            "{}: the markers are missing; put these two lines where the table belongs:\n{BEGIN}{END}",
            path.display()
        ))
    };
    Ok(replaced(&readme, text).ok_or_else(missing)?)
}

fn replaced(readme: &str, text: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{text}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::alerts::prove::plan::TRIALS;

    fn outcome() -> Outcome {
        Outcome {
            fires_within: 4.5,
            told_within: 5.0,
            resolved_within: 10.0,
            fired: Some(3.26),
            told: Some(3.8),
            ..Outcome::new(&TRIALS[0])
        }
    }

    #[test]
    fn a_row_shows_what_was_promised_and_what_was_seen() {
        let text = table(&[outcome()]);
        let row = text.lines().last().unwrap();
        assert!(
            row.ends_with("| 4.5 s, 5.0 s | 3.3 s | 3.8 s | **not** (10.0 s) | - |"),
            "{row}"
        );
    }

    #[test]
    fn what_comes_too_late_is_found() {
        assert!(late(&outcome()).is_empty());
        let slow = Outcome {
            fired: Some(4.5 + LATE + 0.1),
            ..outcome()
        };
        assert_eq!(late(&slow), ["fired after 5.6 s, promised within 4.5 s"]);
    }

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let readme = format!("before\n{BEGIN}old\n{END}\nafter\n");
        let new = replaced(&readme, "new").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n{END}\nafter\n"));
        assert_eq!(replaced(&new, "new").as_deref(), Some(new.as_str()));
        assert_eq!(replaced("without", "new"), None);
    }
}
