//! What is wrong with an input, where, and how to put it right.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// One thing that is wrong, with its place.
///
/// Displays as `file:line:column: what; remedy`, the form editors and CI annotations understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as the caller named it.
    pub file: PathBuf,
    /// Line, counted from 1; `None` when the problem belongs to the file as a whole.
    pub line: Option<usize>,
    /// Column in characters, counted from 1; `None` when only the line is known.
    pub column: Option<usize>,
    /// What is wrong. Never quotes a value that may be a secret.
    pub what: String,
    /// What is allowed instead, or how to fix it.
    pub remedy: Option<String>,
}

impl Problem {
    /// A problem of the file as a whole.
    pub fn new(file: &Path, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            column: None,
            what: what.into(),
            remedy: None,
        }
    }

    /// Puts the problem at a line and column, both counted from 1.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.line = Some(line);
        self.column = Some(column);
        self
    }

    /// Says how to fix it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
            if let Some(column) = self.column {
                write!(f, "{column}:")?;
            }
        }
        write!(f, " {}", self.what)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}

/// All problems found in one go, in the order of their places. Displays one per line.
///
/// The caller should print it and exit with status 2, having written nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}
