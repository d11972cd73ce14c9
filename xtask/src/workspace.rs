//! Where the workspace and the files of a run are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use monitoring_provisioning::{Kept, Spec, Surroundings};

use crate::cli::Global;
use crate::failure::BadInput;

/// The places that every command needs.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// The workspace's top; generated files are written below it.
    pub(crate) root: PathBuf,
    /// Where `monitoring-up` keeps the generated files of its run: `root` with the workspace's own spec. Another spec
    /// (a profile's, a test's, a trial's) must not replace the committed files, so its files stand in the state folder.
    pub(crate) stack_root: PathBuf,
    /// The hand-written spec.
    pub(crate) spec_path: PathBuf,
    /// The profile whose overlay is laid over the spec.
    profile: Option<String>,
    /// Whether secret files may be missing.
    without_secrets: bool,
    /// State, data, logs and native configuration of a running stack.
    pub(crate) state_dir: PathBuf,
}

/// A call of cargo in the workspace.
///
/// What cargo told this program about itself is taken out of the environment: build scripts that look at it would run
/// anew at each change between a call from here and a call from the shell.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let ours = |name: &str| {
        let about = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
        ];
        about.iter().any(|prefix| name.starts_with(prefix))
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(ours) {
            command.env_remove(name);
        }
    }
    command.current_dir(root);
    command
}

impl Workspace {
    /// Finds the workspace from any folder inside it. Relative paths on the command line are the caller's.
    pub(crate) fn locate(global: &Global) -> Result<Self> {
        let here = std::env::current_dir().context("can't tell the current folder")?;
        let root = match &global.out {
            Some(out) => std::path::absolute(out)?,
            None => find_root(&here)?,
        };
        let spec_path = match &global.spec {
            Some(path) => here.join(path),
            None => root.join("monitoring/monitoring.yaml"),
        };
        let state_dir = match &global.state_dir {
            Some(path) => std::path::absolute(path)?,
            None => root.join("target/monitoring"),
        };
        let is_committed =
            global.profile.is_none() && same_file(&spec_path, &root.join("monitoring/monitoring.yaml"));
        let own_spec = global.out.is_some() || is_committed;
        let stack_root = if own_spec {
            root.clone()
        } else {
            state_dir.join("generated")
        };
        Ok(Self {
            root,
            stack_root,
            spec_path,
            profile: global.profile.clone(),
            without_secrets: global.without_secrets,
            state_dir,
        })
    }

    /// The same with another folder for what a run leaves behind.
    pub(crate) fn with_state_dir(&self, state_dir: PathBuf) -> Self {
        Self {
            stack_root: state_dir.join("generated"),
            state_dir,
            ..self.clone()
        }
    }

    /// Reads the spec. Every problem in it is reported at once; a missing file is bad input, too.
    pub(crate) fn load_spec(&self) -> Result<Spec> {
        self.load(false)
    }

    /// The same for those who use the secret files that it names: they must be there, unless `--without-secrets` is given.
    pub(crate) fn load_spec_and_secrets(&self) -> Result<Spec> {
        self.load(!self.without_secrets)
    }

    fn load(&self, secret_files: bool) -> Result<Spec> {
        if self.spec_path.is_dir() {
            return Err(BadInput(format!(
                "{}: is a folder; --spec names a file, for instance {}",
                self.spec_path.display(),
                self.spec_path.join("monitoring.yaml").display()
            ))
            .into());
        }
        if !self.spec_path.is_file() {
            return Err(BadInput(format!(
                "{}: no such file; name the spec with --spec, or restore it with `git checkout -- monitoring/monitoring.yaml`",
                self.spec_path.display()
            ))
            .into());
        }
        // Short paths in messages: relative to where the user stands, when the spec is below it.
        let shown = std::env::current_dir()
            .ok()
            .and_then(|here| self.spec_path.strip_prefix(here).ok().map(Path::to_path_buf))
            .unwrap_or_else(|| self.spec_path.clone());
        let surroundings = Surroundings {
            year: Some(this_year()),
            secret_files,
        };
        Ok(Spec::load_in(&shown, self.profile.as_deref(), surroundings)?)
    }

    /// The spec for containers: what they mount is found from where the Compose file will stand, which for another spec than the
    /// committed one is the state folder.
    pub(crate) fn mounted_spec(&self, spec: Spec) -> Result<Spec> {
        if self.stack_root == self.root {
            return Ok(spec);
        }
        let file = std::path::absolute(&self.spec_path)?;
        Ok(spec.with_files_at(file.parent().unwrap_or(&self.root)))
    }

    /// What is written by hand among the generated files: runbooks, edits of dashboards.
    pub(crate) fn kept(&self) -> Result<Kept> {
        Ok(Kept::read(&self.root)?)
    }

    /// The spec for files that stand elsewhere: secret files that it names relative to itself are found from there.
    pub(crate) fn native_spec(&self, spec: &Spec) -> Result<Spec> {
        let mut spec = spec.clone();
        spec.source = std::path::absolute(&self.spec_path)?;
        Ok(spec)
    }
}

/// The year, in UTC.
fn this_year() -> i32 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = crate::notifications::utc(since_1970.as_secs());
    text.get(..4).and_then(|year| year.parse().ok()).unwrap_or(1970)
}

/// True when both paths lead to one file, or are the same path to none.
fn same_file(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    real(a) == real(b)
}

/// Cargo tells where this package is when it runs the binary; run by hand, the folders above are searched.
fn find_root(here: &Path) -> Result<PathBuf> {
    if let Some(manifest) = std::env::var_os("CARGO_MANIFEST_DIR") {
        let root = Path::new(&manifest).parent().map(Path::to_path_buf);
        if let Some(root) = root.filter(|root| is_root(root)) {
            return Ok(root);
        }
    }
    match here.ancestors().find(|folder| is_root(folder)) {
        Some(root) => Ok(root.to_path_buf()),
        None => bail!(
            "{} is not inside the workspace; change into it and run `cargo xtask` again",
            here.display()
        ),
    }
}

fn is_root(folder: &Path) -> bool {
    folder.join("Cargo.toml").is_file() && folder.join("xtask/Cargo.toml").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_root_from_a_folder_deep_inside() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("xtask/src/deep")).unwrap();
        std::fs::write(dir.path().join("Cargo.toml"), "").unwrap();
        std::fs::write(dir.path().join("xtask/Cargo.toml"), "").unwrap();
        let here = dir.path().join("xtask/src/deep");
        let found = here.ancestors().find(|folder| is_root(folder)).unwrap();
        assert_eq!(found, dir.path());
    }
}
