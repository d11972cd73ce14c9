//! From each metric of the catalogue to the number in a snapshot.

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Histogram, Meter},
};
use pool_core::{EndpointSnapshot, PoolSnapshot, health::HealthStatus};

use crate::{
    catalogue::{self, Kind, Label, Metric, Unit},
    collection::{Collector, View},
    reach,
};

/// Where the value of a metric stands.
#[derive(Clone, Copy)]
pub(crate) enum Read {
    /// One number for the process.
    Process(u64),
    /// One number per pool.
    Pool(fn(&PoolSnapshot) -> u64),
    /// One number per pool that need not be whole.
    PoolReal(fn(&PoolSnapshot) -> f64),
    /// One number per pool and value of the closed label, by its place in the catalogue.
    PoolBy(fn(&PoolSnapshot, usize) -> u64),
    /// One number per endpoint.
    Endpoint(fn(&EndpointSnapshot) -> u64),
    /// One number per endpoint that need not be whole.
    EndpointReal(fn(&EndpointSnapshot) -> f64),
    /// One number per endpoint and value of the closed label, by its place in the catalogue.
    EndpointBy(fn(&EndpointSnapshot, usize) -> u64),
}

/// All metrics that are read when somebody collects.
pub(crate) const OBSERVED: &[(Metric, Read)] = &[
    (
        catalogue::CONNECTIONS_TOTAL,
        Read::Endpoint(EndpointSnapshot::connections_total),
    ),
    (
        catalogue::CONNECTIONS_ACTIVE,
        Read::Endpoint(|e| e.connections_active),
    ),
    (
        catalogue::CONNECTIONS_IDLE,
        Read::Endpoint(|e| e.connections_idle),
    ),
    (catalogue::REQUESTS_TOTAL, Read::Endpoint(|e| e.requests)),
    (catalogue::QUEUE_SIZE, Read::Pool(|p| p.queue_size)),
    (catalogue::QUEUE_TIMEOUTS_TOTAL, Read::Pool(|p| p.queue_timeouts)),
    (
        catalogue::HEALTH_STATUS,
        Read::Endpoint(|e| u64::from(e.health != HealthStatus::Healthy)),
    ),
    (
        catalogue::CIRCUIT_BREAKER_STATUS,
        Read::Endpoint(|e| u64::from(!e.breaker.is_closed())),
    ),
    (catalogue::ENDPOINT_WEIGHT, Read::EndpointReal(|e| e.weight)),
    (
        catalogue::ERRORS_TOTAL,
        Read::EndpointBy(|e, class| e.errors[class]),
    ),
    (
        catalogue::HEALTH_CHECK_FAILURES_TOTAL,
        Read::Endpoint(|e| e.health_check_failures),
    ),
    (
        catalogue::CONNECTIONS_CREATED_TOTAL,
        Read::Endpoint(|e| e.connections_created),
    ),
    (
        catalogue::CONNECTIONS_DESTROYED_TOTAL,
        Read::Endpoint(|e| e.connections_destroyed),
    ),
    (catalogue::CONNECTIONS_MAX, Read::Endpoint(|e| e.connections_max)),
    (catalogue::SLOTS_ACTIVE, Read::Endpoint(|e| e.slots_active)),
    (catalogue::SLOTS_MAX, Read::Endpoint(|e| e.slots_max)),
    (catalogue::SLOTS_USABLE, Read::Pool(|p| p.slots_usable)),
    (catalogue::SLOTS_FREE, Read::Pool(|p| p.slots_free)),
    (
        catalogue::CIRCUIT_BREAKER_OPENED_TOTAL,
        Read::Endpoint(|e| e.breaker_opened),
    ),
    (catalogue::QUEUE_LIMIT, Read::Pool(|p| p.queue_limit)),
    (
        catalogue::REJECTIONS_TOTAL,
        Read::PoolBy(|p, reason| p.rejections[reason]),
    ),
    (
        catalogue::BLOCK_HEIGHT,
        Read::Endpoint(|e| e.position.unwrap_or(0)),
    ),
    (catalogue::RETRIES_TOTAL, Read::Pool(|p| p.retries)),
    (catalogue::HEDGES_TOTAL, Read::Pool(|p| p.hedges)),
    (catalogue::HEDGES_WON_TOTAL, Read::Pool(|p| p.hedges_won)),
    (
        catalogue::RETRY_BUDGET_EXHAUSTED_TOTAL,
        Read::Pool(|p| p.budget_exhausted),
    ),
    (catalogue::LEASE_LEAKS_TOTAL, Read::Pool(|p| p.leaks)),
    (
        catalogue::CIRCUIT_BREAKER_STATE,
        Read::EndpointBy(|e, state| u64::from(e.breaker.index() == state)),
    ),
    (
        catalogue::CIRCUIT_BREAKER_TRANSITIONS_TOTAL,
        Read::EndpointBy(|e, state| e.breaker_moves[state]),
    ),
    (catalogue::HEDGES_LOST_TOTAL, Read::Pool(|p| p.hedges_lost)),
    (
        catalogue::HEDGE_BUDGET_EXHAUSTED_TOTAL,
        Read::Pool(|p| p.hedges_refused),
    ),
    (
        catalogue::PANIC_THRESHOLD_ACTIVE,
        Read::Pool(|p| p.panicking.into()),
    ),
    (
        catalogue::RECONFIGURATIONS_TOTAL,
        Read::PoolBy(|p, result| [p.updates, p.updates_refused][result]),
    ),
    (
        catalogue::EJECTION_STATUS,
        Read::Endpoint(|e| e.ejected_until.is_some().into()),
    ),
    (
        catalogue::CONCURRENCY_LIMIT,
        Read::Endpoint(|e| e.concurrency_limit),
    ),
    (catalogue::EJECTIONS_TOTAL, Read::Endpoint(|e| e.ejections)),
    (
        catalogue::THROTTLE_STATUS,
        Read::Endpoint(|e| e.throttled_until.is_some().into()),
    ),
    (
        catalogue::THROTTLES_TOTAL,
        Read::EndpointBy(|e, cause| e.throttles[cause]),
    ),
    (
        catalogue::QUOTA_LEFT,
        Read::Endpoint(|e| e.quota_left.unwrap_or(0)),
    ),
    (
        catalogue::QUOTA_LIMIT,
        Read::Endpoint(|e| e.quota_limit.unwrap_or(0)),
    ),
    (catalogue::BLOCK_LAG, Read::Endpoint(|e| e.lag.unwrap_or(0))),
    (
        catalogue::HEAD_AGE_SECONDS,
        Read::EndpointReal(|e| seconds(e.head_age)),
    ),
    (
        catalogue::REFERENCE_HEAD_AGE_SECONDS,
        Read::PoolReal(|p| seconds(p.head_age)),
    ),
    (
        catalogue::TIMEOUTS_BEYOND_BUCKETS,
        Read::Pool(|p| reach::beyond(p.timeouts.as_ref()).count() as u64),
    ),
    (
        catalogue::CONNECTIONS_CLOSED_TOTAL,
        Read::EndpointBy(|e, reason| e.connections_closed[reason]),
    ),
    (catalogue::BUILD_INFO, Read::Process(1)),
];

/// The metrics that are recorded as it happens.
#[cfg(test)]
pub(crate) const RECORDED: &[Metric] = &[
    catalogue::REQUEST_DURATION_MS,
    catalogue::QUEUE_WAIT_SECONDS,
    catalogue::CONNECT_DURATION_SECONDS,
    catalogue::HEALTH_CHECK_DURATION_SECONDS,
];

/// The metric that the Prometheus bridge itself adds to what it shows.
#[cfg(test)]
pub(crate) const ADDED: Metric = catalogue::METRICS_OVERFLOW;

/// Creates all observable instruments on the meter, in the order of [`OBSERVED`]: the collector relies on it.
pub(crate) fn observe_all(meter: &Meter, collector: &Arc<Collector>) {
    for (position, (metric, read)) in OBSERVED.iter().enumerate() {
        let collector = Arc::clone(collector);
        match (metric.kind, *read) {
            (_, read @ (Read::PoolReal(_) | Read::EndpointReal(_))) => {
                let read = move |out: &dyn AsyncInstrument<f64>| {
                    observe_real(read, &collector.view(position), out);
                };
                let builder = meter.f64_observable_gauge(metric.name);
                builder
                    .with_description(metric.help)
                    .with_unit(unit(metric))
                    .with_callback(read)
                    .build();
            }
            (Kind::Counter, read) => {
                let read = move |out: &dyn AsyncInstrument<u64>| {
                    observe(metric, read, &collector.view(position), out);
                };
                let builder = meter.u64_observable_counter(metric.name);
                builder
                    .with_description(metric.help)
                    .with_unit(unit(metric))
                    .with_callback(read)
                    .build();
            }
            (_, read) => {
                let read = move |out: &dyn AsyncInstrument<u64>| {
                    observe(metric, read, &collector.view(position), out);
                };
                let builder = meter.u64_observable_gauge(metric.name);
                builder
                    .with_description(metric.help)
                    .with_unit(unit(metric))
                    .with_callback(read)
                    .build();
            }
        }
    }
}

/// Creates one of the histograms that record while requests run.
pub(crate) fn histogram(meter: &Meter, metric: &Metric) -> Histogram<f64> {
    meter
        .f64_histogram(metric.name)
        .with_description(metric.help)
        .with_unit(unit(metric))
        .with_boundaries(metric.buckets.to_vec())
        .build()
}

fn observe(metric: &Metric, read: Read, view: &View, out: &dyn AsyncInstrument<u64>) {
    match read {
        Read::Process(value) => {
            let labels: Vec<_> = metric.labels.iter().flat_map(values).collect();
            out.observe(value, &labels);
        }
        Read::Pool(value) => {
            for pool in &view.pools {
                out.observe(value(&pool.snapshot), &pool.labels);
            }
        }
        Read::PoolBy(value) => {
            for pool in &view.pools {
                for (place, class) in closed(metric) {
                    let [pool_id] = pool.labels.clone();
                    out.observe(value(&pool.snapshot, place), &[pool_id, class]);
                }
            }
        }
        Read::Endpoint(value) => {
            for (labels, endpoint) in endpoints(view) {
                out.observe(value(endpoint), labels);
            }
        }
        Read::EndpointBy(value) => {
            for (labels, endpoint) in endpoints(view) {
                for (place, class) in closed(metric) {
                    let [endpoint_id, pool_id] = labels.clone();
                    // by name, as the SDK wants them
                    let labels = if class.key < pool_id.key {
                        [endpoint_id, class, pool_id]
                    } else {
                        [endpoint_id, pool_id, class]
                    };
                    out.observe(value(endpoint, place), &labels);
                }
            }
        }
        // another type of number
        Read::PoolReal(_) | Read::EndpointReal(_) => {}
    }
}

fn observe_real(read: Read, view: &View, out: &dyn AsyncInstrument<f64>) {
    match read {
        Read::PoolReal(value) => {
            for pool in &view.pools {
                out.observe(value(&pool.snapshot), &pool.labels);
            }
        }
        Read::EndpointReal(value) => {
            for (labels, endpoint) in endpoints(view) {
                out.observe(value(endpoint), labels);
            }
        }
        // another type of number
        Read::Process(_) | Read::Pool(_) | Read::PoolBy(_) | Read::Endpoint(_) | Read::EndpointBy(_) => {}
    }
}

/// 0 while it is not known.
fn seconds(age: Option<Duration>) -> f64 {
    age.unwrap_or_default().as_secs_f64()
}

/// The values of a metric's closed label, the last one, with their places.
fn closed(metric: &Metric) -> impl Iterator<Item = (usize, KeyValue)> {
    metric.labels.last().into_iter().flat_map(values).enumerate()
}

fn values(label: &'static Label) -> impl Iterator<Item = KeyValue> {
    let values = label.values.iter();
    values.map(|value| KeyValue::new(label.name, *value))
}

fn endpoints(view: &View) -> impl Iterator<Item = (&[KeyValue; 2], &EndpointSnapshot)> {
    view.pools
        .iter()
        .flat_map(|pool| pool.endpoints.iter().zip(&pool.snapshot.endpoints))
}

/// The unit as OpenTelemetry writes it (UCUM). Kept as metadata; the Prometheus bridge adds no suffix for it.
const fn unit(metric: &Metric) -> &'static str {
    match metric.unit {
        Unit::Connections => "{connection}",
        Unit::Slots => "{slot}",
        Unit::Count => "{event}",
        Unit::Milliseconds => "ms",
        Unit::Seconds => "s",
        Unit::Flag | Unit::Ratio => "1",
        Unit::Blocks => "{block}",
    }
}

#[cfg(test)]
#[path = "instruments_tests.rs"]
mod tests;
