//! Programs of this workspace that commands run: built beside this one, in the same profile.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::interrupt::Interrupt;
use crate::workspace;

/// Builds the packages' programs of the same names; the paths are in the same order.
pub(crate) fn build(root: &Path, names: &[&str], interrupt: &Interrupt) -> Result<Vec<PathBuf>> {
    let own = std::env::current_exe().context("can't tell this program's own path")?;
    let folder = own.parent().context("this program stands in no folder")?;
    let mut build = workspace::cargo(root);
    build.arg("build");
    for name in names {
        build.args(["--package", name]);
    }
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let what = names.join(" and ");
    let status = interrupt.status(&mut build).context("can't run cargo")?;
    if !status.success() {
        bail!("{what} can't be built: {status}");
    }
    names
        .iter()
        .map(|name| {
            let program = folder.join(name);
            if !program.is_file() {
                bail!("cargo built {name}, but not as {}", program.display());
            }
            Ok(program)
        })
        .collect()
}
