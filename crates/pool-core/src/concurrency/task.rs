//! The task that looks at the answers, and sets the limits.

use std::{collections::BTreeMap, pin::pin, sync::Arc};

use tokio::time::Instant;

use super::known::Known;
use crate::{Endpoint, admission::GateId, core::Core, stats::Stats};

/// Looks at each interval, for ever; while nobody asks for it, it waits for other settings.
pub(crate) async fn learn_capacities<E: Endpoint>(core: Arc<Core<E>>) {
    let mut known = BTreeMap::new();
    let mut last = Instant::now();
    loop {
        let mut reconfigured = pin!(core.reconfigured.notified());
        reconfigured.as_mut().enable();
        let Some(config) = core.setup.load().config.adaptive_concurrency.clone() else {
            known.clear();
            core.apply(core.admission.lift_limits(Instant::now()));
            reconfigured.await;
            last = Instant::now();
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep_until(last + config.interval) => {}
            () = reconfigured => continue,
        }
        let elapsed = last.elapsed();
        last += elapsed;
        let mut seen: Vec<(GateId, Arc<Stats>, u32)> = Vec::new();
        core.admission.read(last, |key, gate| {
            let (key, serial) = (key as u32, gate.serial);
            seen.push((GateId { key, serial }, Arc::clone(&gate.stats), gate.slots));
        });
        known.retain(|id, _| seen.iter().any(|(seen, ..)| seen == id));
        let limits = seen.iter().map(|(id, stats, slots)| {
            let known = known.entry(*id).or_insert_with(Known::new);
            let limit = known.look(&stats.curves, elapsed, &config, *slots);
            (*id, limit)
        });
        let limits: Vec<_> = limits.collect();
        core.apply(core.admission.limit(&limits, config.growth(), last));
    }
}
