//! What fires, and from when to when, by Prometheus' own samples of `ALERTS`: nothing between two looks is missed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::running::now;
use crate::probe::Probe;
use crate::prometheus_api;

/// Labels of an alert, its name among them.
pub(super) type Labels = BTreeMap<String, String>;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How far each look goes back, in seconds. A Prometheus that can't be asked for longer leaves a gap, which is told.
const LOOK_BACK: f64 = 20.0;
/// One look.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// A time during which an alert fired without a break; seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spell {
    pub(super) labels: Labels,
    /// The evaluation at which it fired.
    pub(super) from: f64,
    /// The last evaluation that saw it firing.
    pub(super) to: f64,
}

/// Looks at one Prometheus until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    spells: Vec<Spell>,
    /// When the last look succeeded.
    looked: Option<f64>,
    /// Times for which nothing is known.
    gaps: Vec<(f64, f64)>,
}

impl Watch {
    /// `break_after`: seconds without a sample after which an alert has ended.
    pub(super) fn begin(prometheus: String, break_after: f64) -> Self {
        let (seen, stop) = (
            Arc::new(Mutex::new(Seen::default())),
            Arc::new(AtomicBool::new(false)),
        );
        let (noted, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let probe = Probe::new(ANSWERS_WITHIN);
            while !stopped.load(Ordering::SeqCst) {
                look(&probe, &prometheus, &noted, break_after);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Self {
            seen,
            stop,
            thread: Some(thread),
        }
    }

    /// Everything that fired so far.
    pub(super) fn spells(&self) -> Vec<Spell> {
        self.lock().spells.clone()
    }

    /// When the last look succeeded; in seconds since 1970.
    pub(super) fn looked(&self) -> Option<f64> {
        self.lock().looked
    }

    /// Times, from and to, for which nothing is known.
    pub(super) fn gaps(&self) -> Vec<(f64, f64)> {
        self.lock().gaps.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn look(probe: &Probe, prometheus: &str, noted: &Mutex<Seen>, break_after: f64) {
    let at = now();
    let selector = format!("ALERTS{{alertstate=\"firing\"}}[{LOOK_BACK:.0}s]");
    let Ok(answer) = prometheus_api::moments(probe, prometheus, &selector) else {
        return;
    };
    let mut seen = noted.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(before) = seen.looked.filter(|before| at - before >= LOOK_BACK) {
        seen.gaps.push((before, at - LOOK_BACK));
    }
    seen.looked = Some(at);
    for mut series in answer {
        series.labels.remove("alertstate");
        note(&mut seen.spells, &series.labels, &series.at, break_after);
    }
}

/// Adds samples to the spells, oldest first; those that are known already change nothing.
fn note(spells: &mut Vec<Spell>, labels: &Labels, moments: &[f64], break_after: f64) {
    for &moment in moments {
        let last = spells.iter_mut().rev().find(|spell| spell.labels == *labels);
        match last {
            Some(spell) if moment <= spell.to => {}
            Some(spell) if moment - spell.to <= break_after => spell.to = moment,
            _ => spells.push(Spell {
                labels: labels.clone(),
                from: moment,
                to: moment,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_seen_twice_count_once_and_a_break_begins_a_new_spell() {
        let labels = |pool: &str| Labels::from([("pool".to_owned(), pool.to_owned())]);
        let (one, other) = (labels("one"), labels("other"));
        let mut spells = Vec::new();
        note(&mut spells, &one, &[1.0, 1.25, 1.5], 0.6);
        note(&mut spells, &other, &[1.5], 0.6);
        note(&mut spells, &one, &[1.25, 1.5, 1.75], 0.6);
        note(&mut spells, &one, &[1.75, 3.0], 0.6);
        let shown: Vec<(&str, f64, f64)> = spells
            .iter()
            .map(|spell| (spell.labels["pool"].as_str(), spell.from, spell.to))
            .collect();
        assert_eq!(
            shown,
            [("one", 1.0, 1.75), ("other", 1.5, 1.5), ("one", 3.0, 3.0)]
        );
    }
}
