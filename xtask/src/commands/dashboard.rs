//! `dashboard`: edits made in Grafana, brought back and shown.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};
use monitoring_provisioning::edits::{self, Edit, PullError};
use monitoring_provisioning::{GeneratedFile, Runtime, Spec, generate, generate_keeping};

use crate::atomic;
use crate::cli::{Dashboard, GrafanaOptions};
use crate::failure::BadInput;
use crate::grafana_api::{Grafana, Login};
use crate::workspace::Workspace;

pub(super) fn run(workspace: &Workspace, command: &Dashboard) -> Result<u8> {
    match command {
        Dashboard::Pull { name, grafana } => pull(workspace, name.as_deref(), grafana),
        Dashboard::Diff { name, live, grafana } if *live => live_diff(workspace, name.as_deref(), grafana),
        Dashboard::Diff { name, .. } => stored_diff(workspace, name.as_deref()),
    }
}

/// A generated dashboard.
struct Generated {
    name: String,
    uid: String,
    /// Without edits.
    bare: GeneratedFile,
    patch: PathBuf,
}

/// What is asked for, in the order of the names.
fn selected(spec: &Spec, name: Option<&str>) -> Result<Vec<Generated>> {
    let mut all = Vec::new();
    for bare in generate(spec, Runtime::Docker)? {
        let Some(patch) = edits::patch_path(&bare.path) else {
            continue;
        };
        let dashboard: serde_json::Value =
            serde_json::from_str(&bare.contents).context("a generated dashboard isn't JSON")?;
        all.push(Generated {
            name: bare
                .path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            uid: dashboard["uid"].as_str().unwrap_or_default().to_owned(),
            bare,
            patch,
        });
    }
    let Some(name) = name else {
        return Ok(all);
    };
    let names: Vec<String> = all.iter().map(|one| one.name.clone()).collect();
    all.retain(|one| one.name == name);
    if all.is_empty() {
        return Err(BadInput(format!(
            "there is no dashboard `{name}`; there are {}",
            names.join(", ")
        ))
        .into());
    }
    Ok(all)
}

fn pull(workspace: &Workspace, name: Option<&str>, options: &GrafanaOptions) -> Result<u8> {
    let spec = workspace.load_spec()?;
    // All are read before the first is written.
    let pulled = edited(&spec, name, options)?;
    for (dashboard, edit) in &pulled {
        let path = workspace.root.join(&dashboard.patch);
        match &edit.patch {
            Some(patch) => {
                atomic::write_if_changed(&path, patch.as_bytes())?;
                outln!(
                    "{}: {} stored in {}",
                    dashboard.name,
                    changes(edit.changes),
                    dashboard.patch.display()
                );
            }
            None => {
                if path.is_file() {
                    std::fs::remove_file(&path)
                        .with_context(|| format!("can't remove {}", path.display()))?;
                    outln!(
                        "{}: not edited; {} removed",
                        dashboard.name,
                        dashboard.patch.display()
                    );
                } else {
                    outln!("{}: not edited", dashboard.name);
                }
            }
        }
        let generated = workspace.root.join(&dashboard.bare.path);
        if atomic::write_if_changed(&generated, edit.edited.as_bytes())? {
            outln!("  written   {}", dashboard.bare.path.display());
        }
    }
    outln!("`cargo xtask dashboard diff` shows the edits, `cargo xtask validate` checks them");
    Ok(0)
}

/// What Grafana has, against what generation writes without edits.
fn edited(spec: &Spec, name: Option<&str>, options: &GrafanaOptions) -> Result<Vec<(Generated, Edit)>> {
    let selected = selected(spec, name)?;
    if let Some(file) = &options.answer {
        let [dashboard] = <[Generated; 1]>::try_from(selected)
            .map_err(|_| BadInput("--answer: name the dashboard whose answer it is".to_owned()))?;
        let answer = read_answer(file)?;
        let edit = understood(edits::pull(&dashboard.bare.contents, &answer))?;
        return Ok(vec![(dashboard, edit)]);
    }
    let grafana = connect(spec, options)?;
    selected
        .into_iter()
        .map(|dashboard| {
            let edit = ask(&grafana, &dashboard).with_context(|| format!("dashboard {}", dashboard.name))?;
            Ok((dashboard, edit))
        })
        .collect()
}

fn ask(grafana: &Grafana, dashboard: &Generated) -> Result<Edit> {
    let bare = &dashboard.bare.contents;
    match edits::pull(bare, &grafana.dashboard(&dashboard.uid)?) {
        // The conversion may have lost something: the stored form tells.
        Err(PullError::Converted { stored }) => {
            understood(edits::pull(bare, &grafana.dashboard_in(&stored, &dashboard.uid)?))
        }
        other => understood(other),
    }
}

/// What can't be taken over is the user's to put right.
fn understood(pulled: Result<Edit, PullError>) -> Result<Edit> {
    pulled.map_err(|error| match error {
        PullError::NotClassic(_) | PullError::AnotherDashboard { .. } => BadInput(error.to_string()).into(),
        other => other.into(),
    })
}

fn read_answer(file: &std::path::Path) -> Result<String> {
    let mut answer = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut answer).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|text| answer = text)
    };
    read.map_err(|error| BadInput(format!("--answer: {}: can't be read: {error}", file.display())))?;
    Ok(answer)
}

fn connect(spec: &Spec, options: &GrafanaOptions) -> Result<Grafana> {
    let own = format!("http://127.0.0.1:{}", spec.ports.grafana);
    let login = match (&options.token_file, &options.user, &options.password_file) {
        (Some(file), ..) => Login::Token(Login::secret(file)?),
        (None, Some(user), Some(file)) => Login::User(user.clone(), Login::secret(file)?),
        // The spec's own password is for the spec's own Grafana.
        (None, None, None) if options.url.is_none() => Login::User(
            spec.grafana.admin_user.clone(),
            spec.grafana.admin_password.clone(),
        ),
        _ => {
            return Err(BadInput(
                "--url needs a login: --token-file FILE, or --user NAME with --password-file FILE".to_owned(),
            )
            .into());
        }
    };
    Grafana::new(options.url.as_deref().unwrap_or(&own), login)
}

fn stored_diff(workspace: &Workspace, name: Option<&str>) -> Result<u8> {
    let spec = workspace.load_spec()?;
    let kept = workspace.kept()?;
    let patched = generate_keeping(&spec, Runtime::Docker, &kept)?;
    let mut any = false;
    for dashboard in selected(&spec, name)? {
        if kept.get(&dashboard.patch).is_none() {
            continue;
        }
        any = true;
        let with_edits = patched.iter().find(|file| file.path == dashboard.bare.path);
        let with_edits = with_edits.map_or("", |file| &file.contents);
        show(&dashboard, &dashboard.bare.contents, with_edits);
    }
    if !any {
        outln!("no edits are stored; `--live` compares with Grafana");
    }
    Ok(0)
}

fn live_diff(workspace: &Workspace, name: Option<&str>, options: &GrafanaOptions) -> Result<u8> {
    let spec = workspace.load_spec()?;
    let patched = generate_keeping(&spec, Runtime::Docker, &workspace.kept()?)?;
    for (dashboard, edit) in edited(&spec, name, options)? {
        let now = patched.iter().find(|file| file.path == dashboard.bare.path);
        let now = now.map_or("", |file| &file.contents);
        if now == edit.edited {
            outln!("{}: Grafana has what is generated", dashboard.name);
        } else {
            show(&dashboard, now, &edit.edited);
            outln!("{}: `cargo xtask dashboard pull {0}` stores it", dashboard.name);
        }
    }
    Ok(0)
}

fn show(dashboard: &Generated, old: &str, new: &str) {
    let diff = super::generate::diff(&dashboard.bare.path, Some(old), new);
    crate::output::out(format_args!("{diff}"));
}

fn changes(number: usize) -> String {
    let many = if number == 1 { "" } else { "s" };
    format!("{number} change{many}")
}
