//! The Docker engine without compose: which containers are ours, whose the others are, and how they are removed.
//!
//! The project's name is one for the whole machine, so every container carries the state folder that it belongs to.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::atomic;
use crate::binaries::{Captured, output_within};
use crate::compose::PROJECT;
use crate::state::Stack;

const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// Stopping may take the containers' grace, and a busy machine.
const REMOVES_WITHIN: Duration = Duration::from_secs(60);
const OWNER: &str = "fusion-monitoring.state-dir";
const WORKSPACE: &str = "fusion-monitoring.workspace";

/// A container of our project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    /// `running`, `exited`, …
    pub(crate) state: String,
    /// The process on the host; `None` when it doesn't run or the engine is elsewhere.
    pub(crate) pid: Option<u32>,
    /// How often the engine started it again.
    pub(crate) restarts: u32,
    /// The image's tag.
    pub(crate) version: Option<String>,
}

/// A container of the project, whoever started it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    id: String,
    service: String,
    container: Container,
    /// State folder and workspace of the `monitoring-up` that started it.
    owner: Option<(String, String)>,
    /// Where compose was run.
    folder: String,
}

/// A stack that another state folder, or somebody by hand, has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stranger {
    services: Vec<String>,
    owner: Option<(String, String)>,
    folder: String,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the Docker stack `{PROJECT}` ({}) ", self.services.join(", "))?;
        match &self.owner {
            Some((state_dir, workspace)) => write!(
                f,
                "was started from {workspace} with the state folder {state_dir}; stop it with `cd {workspace} && cargo xtask \
                 --state-dir {state_dir} monitoring-down`"
            ),
            None => write!(
                f,
                "was started by compose in {}, not by this state folder's monitoring-up; stop it with `docker compose -p \
                 {PROJECT} down`",
                self.folder
            ),
        }
    }
}

/// What was removed, and what was left alone.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Services whose containers were removed.
    pub(crate) containers: Vec<String>,
    /// Volumes that were removed.
    pub(crate) volumes: Vec<String>,
    /// Volumes of the project that this state folder knows nothing of.
    pub(crate) foreign_volumes: Vec<String>,
    /// A running stack of somebody else.
    pub(crate) stranger: Option<Stranger>,
}

/// The compose file beside the generated one that says whose the containers are. It stays until a purge, so that the
/// volumes that a plain `monitoring-down` leaves are known as ours.
pub(crate) fn owner_file(state_dir: &Path) -> PathBuf {
    state_dir.join("compose.owner.yml")
}

/// Writes [`owner_file()`] for `services`.
pub(crate) fn claim(state_dir: &Path, workspace: &Path, services: &[&str]) -> Result<()> {
    // Compose replaces `$NAME` in values; JSON is YAML, too.
    let value = |path: &Path| real(path).replace('$', "$$");
    let labels = serde_json::json!({ "labels": { OWNER: value(state_dir), WORKSPACE: value(workspace) } });
    let services: serde_json::Map<_, _> = services
        .iter()
        .map(|name| ((*name).to_owned(), labels.clone()))
        .collect();
    let text = serde_json::to_vec_pretty(&serde_json::json!({ "services": services }))?;
    atomic::write(&owner_file(state_dir), &text)
}

/// One name for a folder, also when it is gone: links in the part that is there are resolved.
fn real(path: &Path) -> String {
    let there = path
        .ancestors()
        .find_map(|one| Some((one, std::fs::canonicalize(one).ok()?)));
    let real = match there {
        Some((one, real)) => path
            .strip_prefix(one)
            .ok()
            .filter(|rest| !rest.as_os_str().is_empty())
            .map_or_else(|| real.clone(), |rest| real.join(rest)),
        None => path.to_path_buf(),
    };
    real.to_string_lossy().into_owned()
}

/// Our containers by service, running or not; empty when no engine answers.
pub(crate) fn containers(state_dir: &Path) -> BTreeMap<String, Container> {
    let found = all().unwrap_or_default();
    let (ours, _) = sort(found, state_dir);
    ours.into_iter().map(|one| (one.service, one.container)).collect()
}

/// The stack of somebody else, when there is one.
pub(crate) fn stranger(state_dir: &Path) -> Option<Stranger> {
    sort(all()?, state_dir).1
}

/// Volumes of the project that another state folder's run has left, and that a run from here would go on with.
pub(crate) fn inherited_volumes(state_dir: &Path) -> Vec<String> {
    if owner_file(state_dir).is_file() || has_stack(state_dir) {
        return Vec::new();
    }
    ask(&["volume", "ls", "-q"]).unwrap_or_default()
}

/// Every container of the project; `None` when no engine answers.
fn all() -> Option<Vec<Found>> {
    let ids = ask(&["ps", "-aq"])?;
    if ids.is_empty() {
        return Some(Vec::new());
    }
    let label = |name: &str| format!("{{{{index .Config.Labels \"{name}\"}}}}");
    let format = [
        "{{.Id}}".to_owned(),
        label("com.docker.compose.service"),
        "{{.State.Status}}\t{{.State.Pid}}\t{{.RestartCount}}\t{{.Config.Image}}".to_owned(),
        label(OWNER),
        label(WORKSPACE),
        label("com.docker.compose.project.working_dir"),
    ]
    .join("\t");
    let mut inspect = Command::new("docker");
    inspect.args(["inspect", "--format", &format]).args(&ids);
    // One that disappears meanwhile makes the call fail; the others are printed all the same.
    let answer = output_within(&mut inspect, ANSWERS_WITHIN)?;
    Some(answer.stdout.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Found> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [id, service, state, pid, restarts, image, owner, workspace, folder] = fields[..] else {
        return None;
    };
    Some(Found {
        id: id.to_owned(),
        service: service.to_owned(),
        container: Container {
            state: state.to_owned(),
            pid: pid.parse().ok().filter(|pid| *pid != 0),
            restarts: restarts.parse().ok()?,
            version: image.rsplit_once(':').map(|(_, tag)| tag.to_owned()),
        },
        owner: (!owner.is_empty()).then(|| (owner.to_owned(), workspace.to_owned())),
        folder: folder.to_owned(),
    })
}

/// Ours, and the stack that the others make up.
fn sort(found: Vec<Found>, state_dir: &Path) -> (Vec<Found>, Option<Stranger>) {
    let me = real(state_dir);
    // Containers without a label are those of somebody's compose, or of a run before there was one.
    let recorded = has_stack(state_dir);
    let (ours, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|one| match &one.owner {
        Some((state_dir, _)) => *state_dir == me,
        None => recorded,
    });
    let stranger = others.first().map(|first| Stranger {
        services: others.iter().map(|one| one.service.clone()).collect(),
        owner: first.owner.clone(),
        folder: first.folder.clone(),
    });
    (ours, stranger)
}

fn has_stack(state_dir: &Path) -> bool {
    Stack::read(state_dir).is_some_and(|stack| stack.has_containers())
}

/// Removes our containers and their network; with `purge` the volumes, too. Needs neither compose nor its file.
pub(crate) fn remove(state_dir: &Path, purge: bool) -> Result<Removed> {
    let claimed = owner_file(state_dir).is_file();
    let recorded = has_stack(state_dir);
    let Some(found) = all() else {
        if recorded || (purge && claimed) {
            bail!(
                "no Docker engine answers (`docker ps`), but this state folder has {}; start the engine and try again",
                if recorded {
                    "a Docker stack"
                } else {
                    "volumes in it"
                }
            );
        }
        return Ok(Removed::default());
    };
    let (ours, stranger) = sort(found, state_dir);
    let ids: Vec<String> = ours.iter().map(|one| one.id.clone()).collect();
    let mut removed = Removed {
        containers: ours.into_iter().map(|one| one.service).collect(),
        stranger,
        ..Removed::default()
    };
    if !ids.is_empty() {
        docker(&["stop", "-t", "2"], &ids)?;
        docker(&["rm", "--force", "--volumes"], &ids)?;
    }
    if removed.stranger.is_some() {
        return Ok(removed);
    }
    let known = claimed || recorded || !ids.is_empty();
    if known {
        docker(
            &["network", "rm"],
            &ask(&["network", "ls", "-q"]).unwrap_or_default(),
        )?;
    }
    if purge {
        let volumes = ask(&["volume", "ls", "-q"]).context("the engine doesn't tell its volumes")?;
        if known {
            docker(&["volume", "rm"], &volumes)?;
            removed.volumes = volumes;
        } else {
            removed.foreign_volumes = volumes;
        }
    }
    Ok(removed)
}

/// The words that a listing of our project prints; `None` when no engine answers.
fn ask(listing: &[&str]) -> Option<Vec<String>> {
    let mut command = Command::new("docker");
    command
        .args(listing)
        .args(["--filter", &format!("label=com.docker.compose.project={PROJECT}")]);
    let answer = output_within(&mut command, ANSWERS_WITHIN).filter(|answer| answer.success)?;
    Some(answer.stdout.split_whitespace().map(str::to_owned).collect())
}

/// Does something to all of `what`.
fn docker(verb: &[&str], what: &[String]) -> Result<()> {
    if what.is_empty() {
        return Ok(());
    }
    let verb_shown = verb.join(" ");
    let Captured { success, stderr, .. } =
        output_within(Command::new("docker").args(verb).args(what), REMOVES_WITHIN)
            .with_context(|| format!("`docker {verb_shown}` does not end"))?;
    if !success {
        bail!("`docker {verb_shown}` failed: {}", stderr.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_read_from_the_engines_answer() {
        let line = "abc\tprometheus\trunning\t4711\t2\tprom/prometheus:v3.5.3\t/s\t/w\t/w/f";
        let found = parse(line).unwrap();
        let expected = Container {
            state: "running".into(),
            pid: Some(4711),
            restarts: 2,
            version: Some("v3.5.3".into()),
        };
        assert_eq!(
            (found.service.as_str(), found.container),
            ("prometheus", expected)
        );
        assert_eq!(found.owner, Some(("/s".into(), "/w".into())));
        let stopped = parse("abc\tgrafana\texited\t0\t0\tgrafana\t\t\t/f").unwrap();
        assert_eq!((stopped.container.pid, stopped.owner), (None, None));
        assert_eq!(parse("half a line"), None);
    }

    #[test]
    fn a_folder_has_one_name_also_behind_a_link_and_when_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
        assert_eq!(
            real(&dir.path().join("link/gone")),
            real(&dir.path().join("real/gone"))
        );
        assert_eq!(real(&dir.path().join("link")), real(&dir.path().join("real")));
    }
}
