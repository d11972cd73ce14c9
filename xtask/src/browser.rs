//! Chromium, in which the tests look at the status page.

use std::path::PathBuf;

use crate::binaries::Program;
use crate::packages;

/// Tells the tests where it is.
pub(crate) const VARIABLE: &str = "CHROMIUM";

/// Finds the browser; installs it when it is missing and `install` allows it. `None` where there is none, and either no package
/// brings it or nothing may be installed.
///
/// # Errors
/// Says why the installation failed.
pub(crate) fn obtain(install: bool) -> Result<Option<PathBuf>, String> {
    if install && packages::can_bring(Program::Chromium) {
        packages::obtain(&[Program::Chromium], true).map_err(|error| format!("{error:#}"))?;
    }
    Ok(Program::Chromium.find())
}
