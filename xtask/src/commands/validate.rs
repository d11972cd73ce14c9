//! `validate`: our own lint of the files on disk, then the tools of Prometheus where they are installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use monitoring_provisioning::{GeneratedFile, Problem, Runtime, Spec, generate_keeping, validate};

use crate::binaries::{Captured, Program, output_within};
use crate::failure::AlreadyReported;
use crate::workspace::Workspace;

/// promtool may wait for a busy machine, not for ever.
const TOOL_ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// The files (by the end of their path or of their folder's) and the arguments that check them.
type Checks = &'static [(&'static str, &'static [&'static str])];

const CHECKS: &[(Program, Checks)] = &[
    (
        Program::Promtool,
        &[
            ("prometheus/prometheus.yml", &["check", "config"]),
            ("alerts", &["check", "rules"]),
        ],
    ),
    (Program::Amtool, &[("alertmanager/config.yml", &["check-config"])]),
];

pub(super) fn run(workspace: &Workspace, require_tools: bool) -> Result<u8> {
    let spec = workspace.load_spec_and_secrets()?;
    let expected = generate_keeping(&spec, Runtime::Docker, &workspace.kept()?)?;
    let (files, mut problems) = read_generated(&workspace.root, &expected);

    // What monitoring-up --runtime native runs is made from the same spec, but never committed.
    let folder = tempfile::tempdir().context("can't create a temporary folder")?;
    let native = native_files(workspace, &spec, folder.path())?;
    // Both at once: a developer waits for it at every change.
    let (on_disk, in_native) = std::thread::scope(|scope| {
        let other = scope.spawn(|| validate(&spec, &native));
        (validate(&spec, &files), other.join())
    });
    problems.extend(on_disk);
    for mut problem in in_native.map_err(|_| anyhow::anyhow!("the lint of the native variant broke down"))? {
        problem.what.push_str(" (in the native variant)");
        problems.push(problem);
    }

    for problem in &problems {
        errln!("error: {problem}");
    }
    let missing_tools = tools(workspace, &files, folder.path(), &native, &mut problems)?;
    if !problems.is_empty() {
        let many = if problems.len() == 1 { "" } else { "s" };
        errln!("error: {} problem{many}", problems.len());
        return Err(AlreadyReported.into());
    }
    if require_tools && missing_tools > 0 {
        let many = if missing_tools == 1 { " is" } else { "s are" };
        errln!("error: --require-tools: {missing_tools} tool{many} missing");
        return Err(AlreadyReported.into());
    }
    outln!("{} files are valid", files.len());
    Ok(0)
}

/// The generated files as they stand on disk; one that is missing or unreadable is a problem.
fn read_generated(root: &Path, expected: &[GeneratedFile]) -> (Vec<GeneratedFile>, Vec<Problem>) {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for file in expected {
        match std::fs::read_to_string(root.join(&file.path)) {
            Ok(contents) => files.push(GeneratedFile {
                path: file.path.clone(),
                contents,
            }),
            Err(error) => problems.push(
                Problem::new(&file.path, format!("can't be read: {error}"))
                    .remedy("run `cargo xtask generate`"),
            ),
        }
    }
    (files, problems)
}

fn native_files(workspace: &Workspace, spec: &Spec, folder: &Path) -> Result<Vec<GeneratedFile>> {
    let spec = workspace.native_spec(spec)?;
    let files = generate_keeping(&spec, Runtime::Native { root: folder }, &workspace.kept()?)?;
    for file in &files {
        crate::atomic::write(&folder.join(&file.path), file.contents.as_bytes())?;
    }
    Ok(files)
}

/// Runs promtool and amtool on both variants. The number of tools that are missing.
fn tools(
    workspace: &Workspace,
    files: &[GeneratedFile],
    native_root: &Path,
    native: &[GeneratedFile],
    problems: &mut Vec<Problem>,
) -> Result<usize> {
    let mut missing = 0;
    for (program, checks) in CHECKS {
        let Some(path) = program.find() else {
            outln!(
                "notice: {} was not found: not checked with it",
                program.names()[0]
            );
            missing += 1;
            continue;
        };
        for (ending, arguments) in *checks {
            for (root, files, variant) in [
                (workspace.root.as_path(), files, ""),
                (native_root, native, " (native variant)"),
            ] {
                for file in matching(files, ending) {
                    let shown = format!("{} {}", program.names()[0], arguments.join(" "));
                    match call(&path, arguments, &root.join(&file))? {
                        Ok(()) => outln!("{shown}: {} ok{variant}", file.display()),
                        Err(output) => {
                            errln!("error: {}: {shown}{variant}:\n{output}", file.display());
                            problems.push(Problem::new(&file, format!("{shown} refuses it")));
                        }
                    }
                }
            }
        }
    }
    Ok(missing)
}

fn matching(files: &[GeneratedFile], ending: &str) -> Vec<PathBuf> {
    let fits =
        |path: &Path| path.ends_with(ending) || path.parent().is_some_and(|folder| folder.ends_with(ending));
    files
        .iter()
        .map(|file| file.path.clone())
        .filter(|path| fits(path))
        .collect()
}

fn call(program: &Path, arguments: &[&str], file: &Path) -> Result<Result<(), String>> {
    let mut command = Command::new(program);
    command.args(arguments).arg(file);
    let Captured {
        success,
        stdout,
        stderr,
    } = output_within(&mut command, TOOL_ANSWERS_WITHIN)
        .with_context(|| format!("{} does not answer", program.display()))?;
    Ok(if success {
        Ok(())
    } else {
        Err(format!("{stdout}{stderr}").trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_a_problem_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let expected = [GeneratedFile {
            path: "gone.yml".into(),
            contents: String::new(),
        }];
        let (files, problems) = read_generated(dir.path(), &expected);
        assert!(files.is_empty());
        assert!(
            problems[0].to_string().ends_with("run `cargo xtask generate`"),
            "{}",
            problems[0]
        );
    }
}
