//! Watches over the native services: starts them, restarts what crashes, keeps logs bounded, stops all at the end.
//!
//! It runs detached, in a session of its own. `monitoring-up` talks to it by the plan file and SIGHUP ("read the
//! plan again"), `monitoring-down` by SIGTERM. Everything it knows stands in `state.json`, rewritten at each
//! change, so that its children are found again even when it is killed.

mod child;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use self::child::Supervised;
use crate::logs;
use crate::plan::{Plan, Reload};
use crate::process::{self, Identity};
use crate::state::{self, State};

/// Name of its own log.
pub(crate) const LOG: &str = "supervisor";
/// How long a service may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);
/// How often children, signals and due restarts are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How often the size of the logs is looked at.
const ROTATE_EVERY: Duration = Duration::from_secs(5);

/// Starts a detached supervisor for the plan in `state_dir`. The thread ends when the supervisor does.
pub(crate) fn spawn(state_dir: &Path) -> Result<JoinHandle<()>> {
    let program = std::env::current_exe().context("can't tell this program's own path")?;
    let log = logs::open(state_dir, LOG)?;
    let mut child = Command::new(&program)
        .arg("supervise")
        .arg(state_dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("can't start {}", program.display()))?;
    // Reaped when it ends while this process still lives, so that it doesn't stay as a zombie.
    Ok(std::thread::spawn(move || {
        let _ = child.wait();
    }))
}

/// Runs until SIGTERM or SIGINT, or until the state folder disappears.
pub(crate) fn run(state_dir: &Path) -> Result<()> {
    // Fails when it leads a group already (started by hand in a shell); then it is detached enough.
    let _ = rustix::process::setsid();
    let _only_one = state::lock(state_dir, "supervisor.lock").context("a supervisor runs already")?;
    let stop = Arc::new(AtomicBool::new(false));
    let reread = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    signal_hook::flag::register(SIGHUP, Arc::clone(&reread))?;

    let mut supervisor = Supervisor::new(state_dir)?;
    supervisor.take_over(Plan::read(state_dir)?)?;
    let mut last_rotation = Instant::now();
    loop {
        if stop.load(Ordering::SeqCst) {
            say("asked to stop");
            break;
        }
        if !state_dir.is_dir() {
            say("the state folder is gone: stopping");
            break;
        }
        if reread.swap(false, Ordering::SeqCst) {
            match Plan::read(state_dir) {
                Ok(plan) => supervisor.take_over(plan)?,
                Err(error) => say(&format!("the new plan is left aside: {error:#}")),
            }
        }
        supervisor.tick()?;
        if last_rotation.elapsed() >= ROTATE_EVERY {
            supervisor.rotate_logs();
            last_rotation = Instant::now();
        }
        std::thread::sleep(TICK);
    }
    supervisor.stop_all()
}

struct Supervisor {
    state_dir: PathBuf,
    me: Identity,
    plan_id: String,
    children: Vec<Supervised>,
    written: Option<State>,
}

impl Supervisor {
    fn new(state_dir: &Path) -> Result<Self> {
        let me = Identity::of(std::process::id()).context("can't tell when this process was started")?;
        Ok(Self {
            state_dir: state_dir.to_path_buf(),
            me,
            plan_id: String::new(),
            children: Vec::new(),
            written: None,
        })
    }

    /// Makes the running processes those of `plan`: what is unchanged goes on undisturbed.
    fn take_over(&mut self, plan: Plan) -> Result<()> {
        let plan_id = plan.id()?;
        if plan_id == self.plan_id {
            return self.write_state();
        }
        let mut old = std::mem::take(&mut self.children);
        let mut stopping = Vec::new();
        for next in plan.services {
            let found = old.iter().position(|child| child.plan.name == next.name);
            let Some(mut child) = found.map(|at| old.swap_remove(at)) else {
                self.children.push(Supervised::new(next));
                continue;
            };
            let reloads = child.plan.config != next.config;
            let hangup = child.plan.same_process(&next) && next.reload == Reload::Hangup;
            if reloads && hangup {
                say(&format!("{}: reloading its configuration", next.name));
                child.signal(Signal::HUP);
            } else if reloads || !child.plan.same_process(&next) {
                say(&format!("{}: restarting with the new configuration", next.name));
                stopping.extend(child.process());
                child.restart_when_stopped();
            }
            child.plan = next;
            self.children.push(child);
        }
        for gone in &old {
            say(&format!("{}: no longer wanted", gone.plan.name));
            stopping.extend(gone.process());
        }
        process::stop_groups(stopping, GRACE);
        old.iter_mut().for_each(Supervised::reap);
        self.plan_id = plan_id;
        self.tick()
    }

    /// Notices ends, starts what is due, writes the state when something changed.
    fn tick(&mut self) -> Result<()> {
        let now = Instant::now();
        for child in &mut self.children {
            child.tick(&self.state_dir, now);
        }
        self.write_state()
    }

    fn write_state(&mut self) -> Result<()> {
        let state = State {
            supervisor: self.me.clone(),
            plan_id: self.plan_id.clone(),
            services: self.children.iter().map(Supervised::state).collect(),
        };
        if self.written.as_ref() != Some(&state) && self.state_dir.is_dir() {
            state.write(&self.state_dir)?;
            self.written = Some(state);
        }
        Ok(())
    }

    fn rotate_logs(&self) {
        let names = self.children.iter().map(|child| child.plan.name.as_str());
        for name in names.chain([LOG]) {
            if let Err(error) = logs::rotate(&logs::path(&self.state_dir, name), logs::CAP) {
                say(&format!("{name}: its log can't be rotated: {error:#}"));
            }
        }
    }

    fn stop_all(mut self) -> Result<()> {
        let left = process::stop_groups(
            self.children.iter().filter_map(Supervised::process).collect(),
            GRACE,
        );
        self.children.iter_mut().for_each(Supervised::reap);
        if !left.is_empty() {
            bail!("still there after SIGKILL: {left:?}");
        }
        State::remove(&self.state_dir);
        say("everything is stopped");
        Ok(())
    }
}

/// One line in the supervisor's own log. Wall-clock seconds suffice to find it beside the services' own lines.
fn say(text: &str) {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    outln!("{} {text}", crate::notifications::utc(now.as_secs()));
}
