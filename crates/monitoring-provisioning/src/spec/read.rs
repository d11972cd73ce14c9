//! From files to a spec: one file, or an overlay on it.

use std::path::{Path, PathBuf};

use super::{Spec, check};
use crate::{
    problem::{Problem, Problems},
    yaml::{Document, Kind, typed},
};

/// The profiles that the spec itself knows; an overlay of that name sets `profile`.
const PROFILES: [&str; 2] = ["local", "production"];

/// What differs from a spec for one profile. Mappings are merged key by key; everything else, lists included, is replaced.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'a> {
    /// The profile's name. `local` and `production` set the spec's `profile` too.
    pub profile: &'a str,
    /// The overlay's text.
    pub text: &'a str,
    /// Names the overlay in messages.
    pub file: &'a Path,
}

/// What is known of the machine and the moment at which a spec is read. The default is nothing: then the text alone counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// The present year; a mute time whose years have passed is refused.
    pub year: Option<i32>,
    /// Whether the secret files that the spec names must be there.
    pub secret_files: bool,
}

impl Spec {
    /// Reads a spec from disk, with the overlay of a profile if one is given.
    ///
    /// # Errors
    /// As [`Spec::load`] and [`Spec::load_profile`], and what the surroundings lack.
    pub fn load_in(path: &Path, profile: Option<&str>, surroundings: Surroundings) -> Result<Self, Problems> {
        let text = read(path, "an empty file would do: every setting has a default")?;
        let Some(profile) = profile else {
            return Self::parse_in(&text, path, surroundings);
        };
        let file = Self::overlay_path(path, profile);
        let remedy = format!(
            "profile `{profile}` reads it on top of {}: write there what differs; an empty file would do",
            path.display()
        );
        let upper = read(&file, &remedy)?;
        let overlay = Overlay {
            profile,
            text: &upper,
            file: &file,
        };
        Self::overlaid_in(&text, path, overlay, surroundings)
    }

    /// Reads a spec from disk.
    ///
    /// # Errors
    /// All that is wrong with the file, or that it can't be read.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::load_in(path, None, Surroundings::default())
    }

    /// Reads a spec from disk, with the overlay of a profile: for `production`, `monitoring.production.yaml` beside
    /// `monitoring.yaml`.
    ///
    /// # Errors
    /// All that is wrong with either file, each problem with the file, line and column that the value came from; or that one
    /// can't be read.
    pub fn load_profile(path: &Path, profile: &str) -> Result<Self, Problems> {
        Self::load_in(path, Some(profile), Surroundings::default())
    }

    /// Where the overlay of a profile stands.
    pub fn overlay_path(path: &Path, profile: &str) -> PathBuf {
        path.with_extension(match path.extension().and_then(|extension| extension.to_str()) {
            Some(extension) => format!("{profile}.{extension}"),
            None => profile.to_owned(),
        })
    }

    /// Reads a spec from text; `file` names it in messages, and relative secret files are looked for beside it.
    ///
    /// # Errors
    /// All that is wrong with the text, each with line and column.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Problems> {
        Self::parse_in(text, file, Surroundings::default())
    }

    /// The same, at a known place and time.
    ///
    /// # Errors
    /// All that is wrong with the text, each with line and column, and what the surroundings lack.
    pub fn parse_in(text: &str, file: &Path, surroundings: Surroundings) -> Result<Self, Problems> {
        let (document, problems) = Document::read(text, file);
        match document {
            Some(document) => Self::of(&document, file, file, surroundings, problems),
            None => Err(Problems(problems)),
        }
    }

    /// The same with an overlay.
    ///
    /// # Errors
    /// All that is wrong with either text, each problem with the file, line and column that the value came from.
    pub fn parse_overlaid(text: &str, file: &Path, overlay: Overlay<'_>) -> Result<Self, Problems> {
        Self::overlaid_in(text, file, overlay, Surroundings::default())
    }

    fn overlaid_in(
        text: &str,
        file: &Path,
        overlay: Overlay<'_>,
        surroundings: Surroundings,
    ) -> Result<Self, Problems> {
        let (lower, mut problems) = Document::read(text, file);
        let (upper, more) = Document::read(overlay.text, overlay.file);
        let broken = !more.is_empty();
        problems.extend(more);
        let (Some(lower), Some(mut upper), false) = (lower, upper, broken) else {
            return Err(Problems(problems));
        };
        if PROFILES.contains(&overlay.profile) {
            if let Some(problem) = other_profile(&upper, overlay) {
                problems.push(problem);
                return Err(Problems(problems));
            }
            upper.set("profile", overlay.profile);
        }
        Self::of(&lower.overlaid(upper), file, overlay.file, surroundings, problems)
    }

    /// `problems` are those of `file`.
    fn of(
        document: &Document,
        file: &Path,
        upper: &Path,
        surroundings: Surroundings,
        mut problems: Vec<Problem>,
    ) -> Result<Self, Problems> {
        check::inline_secrets(document, file, &mut problems);
        let (spec, misfits) = typed::<Self>(document, file);
        problems.extend(misfits);
        if let Some(mut spec) = spec {
            file.clone_into(&mut spec.source);
            check::check(&spec, document, file, surroundings, &mut problems);
            if problems.is_empty() {
                return Ok(spec);
            }
        }
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems.dedup_by_key(|problem| (problem.line, problem.column));
        for problem in &mut problems {
            document.locate(problem, upper);
        }
        Err(Problems(problems))
    }
}

/// An overlay that says to be of another profile than the one that it is read for.
fn other_profile(upper: &Document, overlay: Overlay<'_>) -> Option<Problem> {
    let node = upper.find("profile")?;
    match &node.kind {
        Kind::Scalar { text, .. } if text == overlay.profile => None,
        _ => Some(
            Problem::new(
                overlay.file,
                format!(
                    "another `profile` than `{}`, which this overlay is for",
                    overlay.profile
                ),
            )
            .at(node.place.line, node.place.column)
            .remedy("drop the line: the name of the overlay says it"),
        ),
    }
}

fn read(path: &Path, remedy: &str) -> Result<String, Problem> {
    let bytes = std::fs::read(path)
        .map_err(|error| Problem::new(path, format!("can't be read: {error}")).remedy(remedy))?;
    String::from_utf8(bytes).map_err(|error| {
        // What stands before the wrong byte is UTF-8.
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
        let last = before.rsplit('\n').next().unwrap_or_default();
        Problem::new(path, "not UTF-8 text")
            .at(before.matches('\n').count() + 1, last.chars().count() + 1)
            .remedy("save the file as UTF-8, for example with `iconv -f latin1 -t utf-8`")
    })
}
