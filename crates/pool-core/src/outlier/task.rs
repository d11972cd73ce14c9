//! The task that looks for outliers.

use std::{pin::pin, sync::Arc};

use tokio::time::Instant;

use super::{Detector, OutlierConfig, Seen, Totals};
use crate::{
    Endpoint,
    admission::{Ejection, GateId},
    core::Core,
    moment::after,
};

/// Looks at each interval, for ever; while nobody asks for it, it waits for other settings.
pub(crate) async fn look_for_outliers<E: Endpoint>(core: Arc<Core<E>>) {
    let mut detector: Option<Detector> = None;
    loop {
        let mut reconfigured = pin!(core.reconfigured.notified());
        reconfigured.as_mut().enable();
        let Some(config) = core.setup.load().config.outlier.clone() else {
            if detector.take().is_some() {
                core.apply(core.admission.end_ejections(Instant::now()));
            }
            reconfigured.await;
            continue;
        };
        let interval = config.interval;
        detector
            .get_or_insert_with(|| Detector::new(config.clone()))
            .configure(config.clone());
        if let Some(detector) = &mut detector {
            look(&core, detector, &config);
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = reconfigured => {}
        }
    }
}

fn look<E: Endpoint>(core: &Core<E>, detector: &mut Detector, config: &OutlierConfig) {
    let now = Instant::now();
    let mut seen = Vec::new();
    core.admission.read(now, |key, gate| {
        let (key, serial) = (key as u32, gate.serial);
        // in the opposite order of counting, so that no sum is above what it is part of
        let took = gate.stats.latency.took();
        let errors = gate.stats.errors();
        let totals = Totals::of(gate.stats.requests(), &errors, took);
        seen.push(Seen {
            id: GateId { key, serial },
            totals,
            usable: gate.usable(now),
        });
    });
    for (id, why) in detector.look(&seen) {
        let until = after(now, detector.sentence(id, core.chance.share()));
        let most_out = |endpoints| config.most_out(endpoints);
        let (ejected, effects) = core.admission.eject(id, Ejection { until, why }, most_out, now);
        core.apply(effects);
        if ejected {
            detector.ejected(id);
        }
    }
}
