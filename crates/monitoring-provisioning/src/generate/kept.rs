//! What is written by hand among the generated files, and survives generation.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{file, runbooks};
use crate::{
    edits::{self, PATCHES},
    generate::{GeneratedFile, Runtime, generate},
    problem::{Problem, Problems},
    spec::Spec,
};

/// The bodies of the runbooks, and the edits of dashboards that were brought back from Grafana.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    files: BTreeMap<PathBuf, String>,
}

impl Kept {
    /// Reads them from below an output root. What isn't there is simply not kept.
    ///
    /// # Errors
    /// A folder or file that is there and can't be read.
    pub fn read(root: &Path) -> Result<Self, Problems> {
        let mut kept = Self::default();
        for (folder, extension) in [(runbooks::FOLDER, "md"), (PATCHES, "json")] {
            let unreadable = |path: &Path, error: std::io::Error| {
                Problem::new(path, format!("can't be read: {error}")).remedy("make it readable, or remove it")
            };
            let place = root.join(folder);
            if !place.is_dir() {
                continue;
            }
            for entry in std::fs::read_dir(&place).map_err(|error| unreadable(&place, error))? {
                let path = entry.map_err(|error| unreadable(&place, error))?.path();
                if path.extension().is_none_or(|found| found != extension) {
                    continue;
                }
                let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
                let name = path.file_name().unwrap_or_default();
                kept.files.insert(Path::new(folder).join(name), text);
            }
        }
        Ok(kept)
    }

    /// The same with one more file, by its path relative to the output root.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }

    /// A file's text, by its path relative to the output root.
    pub fn get(&self, path: &Path) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }
}

/// Generates all files as [`generate()`] does, with what is kept: the dashboards have their edits applied, and in
/// [`Runtime::Docker`] there is a runbook for every alert, with a fresh head over the body that it had, or a skeleton.
///
/// # Errors
/// Those of [`generate()`]; a patch that is none, has no dashboard or no longer applies; a runbook that lost its head's
/// markers. All of them at once.
pub fn generate_keeping(
    spec: &Spec,
    runtime: Runtime<'_>,
    kept: &Kept,
) -> Result<Vec<GeneratedFile>, Problems> {
    let mut files = generate(spec, runtime)?;
    let mut problems = Vec::new();
    for path in kept.files.keys().filter(|path| path.starts_with(PATCHES)) {
        let name = path.file_name().unwrap_or_default();
        let of = files
            .iter_mut()
            .find(|file| edits::patch_path(&file.path).is_some_and(|patch| patch == *path));
        let applied = match of {
            Some(dashboard) => edits::apply(&dashboard.contents, path, &kept.files[path])
                .map(|contents| dashboard.contents = contents),
            None => Err(Problem::new(
                path,
                format!("no dashboard `{}` is generated", name.to_string_lossy()),
            )
            .remedy("name the patch as its dashboard, or delete it")),
        };
        problems.extend(applied.err());
    }
    if matches!(runtime, Runtime::Docker) {
        for (path, page) in runbooks::pages(spec, kept) {
            match page {
                Ok(page) => files.push(file(&path, page)),
                Err(problem) => problems.push(problem),
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    if problems.is_empty() {
        Ok(files)
    } else {
        Err(Problems(problems))
    }
}
