//! The wait until everything that was started is ready.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::interrupt::Interrupt;
use crate::probe::Probe;
use crate::report::{Report, ServiceStatus, look};
use crate::state::Stack;

/// How often the stack is looked at while it starts.
const POLL: Duration = Duration::from_millis(100);
/// A process that ended so often during one start will not come up.
const CRASHES: u32 = 3;

/// Why a wait ended without everything being well.
#[derive(Debug)]
pub(crate) struct NotReady {
    /// One sentence.
    pub(crate) why: String,
    /// What isn't ready, and why.
    pub(crate) missing: BTreeMap<String, String>,
}

/// Waits until all services say that they are ready, all rules are loaded and all awaited targets are up; shows
/// each as it comes. Scrapes of a relayer before `relayer_since` (seconds since 1970) don't count. The outer error is
/// an interruption.
pub(crate) fn wait(
    stack: &Stack,
    state_dir: &Path,
    timeout: Duration,
    relayer_since: Option<f64>,
    interrupt: &Interrupt,
) -> Result<Result<Report, NotReady>> {
    let probe = Probe::new(Duration::from_millis(800));
    let begun = Instant::now();
    let mut waited_for: BTreeSet<String> = BTreeSet::new();
    let mut shown: BTreeSet<String> = BTreeSet::new();
    loop {
        interrupt.check()?;
        let mut report = look(stack, state_dir, &probe);
        report.relayer_since = relayer_since;
        let missing = report.missing();
        let names = report.services.iter().map(|service| service.name.clone());
        waited_for.extend(
            names
                .chain(report.jobs.iter().map(|job| format!("target {job}")))
                .chain(["rules".to_owned()]),
        );
        for name in waited_for.iter().filter(|name| !missing.contains_key(*name)) {
            if shown.insert(name.clone()) {
                outln!("  ready     {name} ({:.1} s)", begun.elapsed().as_secs_f64());
            }
        }
        if missing.is_empty() {
            return Ok(Ok(report));
        }
        if let Some(crashing) = report
            .services
            .iter()
            .find(|one| one.state == ServiceStatus::Down && one.restarts >= CRASHES)
        {
            return Ok(Err(NotReady {
                why: format!("{} ends again and again", crashing.name),
                missing,
            }));
        }
        if begun.elapsed() >= timeout {
            return Ok(Err(NotReady {
                why: format!("not everything was ready within {timeout:?}"),
                missing,
            }));
        }
        interrupt.sleep(POLL)?;
    }
}
