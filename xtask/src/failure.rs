//! Which exit code an error means, and how it is shown.

use std::fmt;
use std::process::ExitCode;

use monitoring_provisioning::Problems;

use crate::interrupt::{self, Interrupted};

/// The user's input can't be used: exit code 2.
#[derive(Debug)]
pub(crate) struct BadInput(pub(crate) String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// The findings are already on the screen; only the exit code 1 is left to say.
#[derive(Debug)]
pub(crate) struct AlreadyReported;

impl fmt::Display for AlreadyReported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed, see above")
    }
}

impl std::error::Error for AlreadyReported {}

/// Prints the error once and tells the exit code it stands for.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(problems) = error.downcast_ref::<Problems>() {
        for problem in &problems.0 {
            errln!("error: {problem}");
        }
        return ExitCode::from(2);
    }
    if let Some(bad) = error.downcast_ref::<BadInput>() {
        errln!("error: {bad}");
        return ExitCode::from(2);
    }
    if error.downcast_ref::<Interrupted>().is_some() {
        errln!("{error:#}");
        return ExitCode::from(interrupt::EXIT_CODE);
    }
    if error.downcast_ref::<AlreadyReported>().is_none() {
        errln!("error: {error:#}");
    }
    ExitCode::from(1)
}
