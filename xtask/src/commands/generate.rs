//! `generate`: writes what is stale, or shows it.

use std::path::Path;

use anyhow::Result;
use monitoring_provisioning::{GeneratedFile, Runtime, generate_keeping};
use similar::TextDiff;

use crate::atomic;
use crate::failure::AlreadyReported;
use crate::workspace::Workspace;

pub(super) fn run(workspace: &Workspace, check: bool) -> Result<u8> {
    let spec = workspace.load_spec_and_secrets()?;
    let files = generate_keeping(&spec, Runtime::Docker, &workspace.kept()?)?;
    if check {
        return check_all(workspace, &files);
    }
    let changed = write(&workspace.root, &files)?;
    outln!("{} files, {changed} changed", files.len());
    Ok(0)
}

/// Writes the files that differ and names them. Files that are no longer generated are left to the user.
pub(super) fn write(root: &Path, files: &[GeneratedFile]) -> Result<usize> {
    let mut changed = 0;
    for file in files {
        if atomic::write_if_changed(&root.join(&file.path), file.contents.as_bytes())? {
            outln!("  written   {}", file.path.display());
            changed += 1;
        }
    }
    Ok(changed)
}

fn check_all(workspace: &Workspace, files: &[GeneratedFile]) -> Result<u8> {
    let mut stale = 0;
    for file in files {
        let path = workspace.root.join(&file.path);
        let old = match std::fs::read(&path) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(anyhow::Error::new(error).context(format!("can't read {}", path.display())));
            }
        };
        if old.as_deref() != Some(&file.contents) {
            stale += 1;
            crate::output::out(format_args!(
                "{}",
                diff(&file.path, old.as_deref(), &file.contents)
            ));
        }
    }
    if stale > 0 {
        errln!(
            "error: {stale} of {} generated files are stale; run `cargo xtask generate`",
            files.len()
        );
        return Err(AlreadyReported.into());
    }
    outln!("{} generated files are up to date", files.len());
    Ok(0)
}

/// A unified diff; `old` is `None` for a file that isn't there.
pub(super) fn diff(path: &Path, old: Option<&str>, new: &str) -> String {
    let old_name = if old.is_some() {
        format!("a/{}", path.display())
    } else {
        "/dev/null".to_owned()
    };
    let new_name = format!("b/{}", path.display());
    TextDiff::from_lines(old.unwrap_or_default(), new)
        .unified_diff()
        .header(&old_name, &new_name)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_names_the_file_and_the_lines() {
        let text = diff(Path::new("m/a.yml"), Some("one\ntwo\n"), "one\n2\n");
        assert!(text.starts_with("--- a/m/a.yml\n+++ b/m/a.yml\n"), "{text}");
        assert!(text.contains("-two\n+2\n"), "{text}");
        assert!(diff(Path::new("new"), None, "x\n").starts_with("--- /dev/null\n"));
    }
}
