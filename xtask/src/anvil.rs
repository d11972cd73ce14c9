//! anvil, the real Ethereum node that the tests talk to: an npm package, kept below `target/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::binaries;

/// Where its path is handed to the tests.
pub(crate) const VARIABLE: &str = "ANVIL_BIN";

/// Finds anvil: the one that the environment names, one on PATH, or the one installed here before. Installs it by npm
/// when there is none and `install` allows it. Otherwise says why there is none.
pub(crate) fn obtain(root: &Path, install: bool) -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Ok(named.into());
    }
    let on_path = |name: &str| {
        binaries::search_path()
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
    };
    if let Some(found) = on_path("anvil") {
        return Ok(found);
    }
    let folder = root.join("target/tools");
    let program = folder.join("node_modules/.bin/anvil");
    if program.is_file() {
        return Ok(program);
    }
    if !install {
        return Err("not installed, and --no-install was given".to_owned());
    }
    let Some(npm) = on_path("npm") else {
        return Err(
            "it comes as the npm package @foundry-rs/anvil, and there is no npm here (`apt-get install npm`)"
                .to_owned(),
        );
    };
    outln!("installing @foundry-rs/anvil below {}", folder.display());
    let status = Command::new(npm)
        .args([
            "install",
            "--no-fund",
            "--no-audit",
            "--loglevel=error",
            "--prefix",
        ])
        .arg(&folder)
        .arg("@foundry-rs/anvil@1")
        .stdin(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() && program.is_file() => Ok(program),
        Ok(status) => Err(format!("npm could not install @foundry-rs/anvil ({status})")),
        Err(error) => Err(format!("npm can't be run: {error}")),
    }
}
