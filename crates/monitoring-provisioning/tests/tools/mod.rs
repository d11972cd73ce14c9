//! The real promtool and amtool.
//!
//! Both are looked for in `$MONITORING_BIN_DIR`, `$MONITORING_NEWEST_BIN_DIR` and on `PATH`; each one found is used, so that the
//! oldest and the newest version can be tried in one run. Where neither is found the trials are ignored, and the reason is shown.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of several test programs, each of which uses a part"
)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use libtest_mimic::{Failed, Trial};
use monitoring_provisioning::{Runtime, Spec, generate};

/// Every program of that name: in the folders that the environment names, then the first on `PATH`.
pub fn programs(name: &str) -> Vec<PathBuf> {
    let named = ["MONITORING_BIN_DIR", "MONITORING_NEWEST_BIN_DIR"];
    let own = named
        .into_iter()
        .filter_map(std::env::var_os)
        .map(|dir| Path::new(&dir).join(name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|program| program.is_file());
    let mut programs: Vec<PathBuf> = own.filter(|program| program.is_file()).chain(on_path).collect();
    programs.dedup();
    programs
}

/// Writes the generated files to a fresh folder.
pub fn written(spec: &Spec, native: bool) -> Result<tempfile::TempDir, Failed> {
    let folder = tempfile::tempdir()?;
    let runtime = if native {
        Runtime::Native { root: folder.path() }
    } else {
        Runtime::Docker
    };
    for file in generate(spec, runtime)? {
        let path = folder.path().join(&file.path);
        std::fs::create_dir_all(path.parent().ok_or("a file without folder")?)?;
        std::fs::write(path, file.contents)?;
    }
    Ok(folder)
}

/// Runs a program; what it printed, when it succeeds.
pub fn output(program: &Path, folder: &Path, arguments: &[&str]) -> Result<String, Failed> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(stdout.into_owned());
    }
    Err(format!(
        "{} {}: {}\n{stdout}{}",
        program.display(),
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}

/// The same for its success alone.
pub fn run(program: &Path, folder: &Path, arguments: &[&str]) -> Result<(), Failed> {
    output(program, folder, arguments).map(drop)
}

/// The `major.minor` that a tool of Prometheus says it has.
pub fn version(program: &Path) -> Result<String, Failed> {
    let output = Command::new(program).arg("--version").output()?;
    // Older ones print it to the standard error.
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let version = text
        .split_once("version ")
        .map(|(_, rest)| rest)
        .unwrap_or_default();
    let mut numbers = version.split('.');
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => Ok(format!("{major}.{minor}")),
        _ => Err(format!("{}: no version in {text:?}", program.display()).into()),
    }
}

/// What one program is to show.
pub type Check = Box<dyn FnOnce(&Path) -> Result<(), Failed> + Send>;

/// One trial per program found; an ignored one that says why if there is none.
pub fn trials(trials: &mut Vec<Trial>, program: &str, name: &str, check: impl Fn() -> Check) {
    let found = programs(program);
    if found.is_empty() {
        let reason = format!(
            "{name} [not run: no {program} in $MONITORING_BIN_DIR, $MONITORING_NEWEST_BIN_DIR or on PATH]"
        );
        trials.push(Trial::test(reason, || Ok(())).with_ignored_flag(true));
    }
    for path in found {
        let check = check();
        trials.push(Trial::test(format!("{name} ({})", path.display()), move || {
            check(&path)
        }));
    }
}
