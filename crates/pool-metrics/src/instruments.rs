//! From each metric of the catalogue to the number in a snapshot.

use std::sync::Arc;

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Histogram, Meter},
};
use pool_core::{EndpointSnapshot, ErrorType, PoolSnapshot, health::HealthStatus};

use crate::{
    catalogue::{self, Kind, Metric, Unit},
    collection::{Collector, View},
};

/// Where the value of a metric stands.
#[derive(Clone, Copy)]
pub(crate) enum Read {
    /// One number per pool.
    Pool(fn(&PoolSnapshot) -> u64),
    /// One number per endpoint.
    Endpoint(fn(&EndpointSnapshot) -> u64),
    /// One fraction per endpoint.
    EndpointFraction(fn(&EndpointSnapshot) -> f64),
    /// One number per endpoint and class of error.
    Errors(fn(&EndpointSnapshot) -> &[u64; ErrorType::ALL.len()]),
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
    (catalogue::ENDPOINT_WEIGHT, Read::EndpointFraction(|e| e.weight)),
    (catalogue::ERRORS_TOTAL, Read::Errors(|e| &e.errors)),
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
        catalogue::QUEUE_REJECTIONS_TOTAL,
        Read::Pool(|p| p.queue_rejections),
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
];

/// The one metric that is recorded as it happens.
pub(crate) const RECORDED: Metric = catalogue::REQUEST_DURATION_MS;

/// Creates all observable instruments on the meter, in the order of [`OBSERVED`]: the collector relies on it.
pub(crate) fn observe_all(meter: &Meter, collector: &Arc<Collector>) {
    for (position, (metric, read)) in OBSERVED.iter().enumerate() {
        let collector = Arc::clone(collector);
        match (metric.kind, *read) {
            (_, Read::EndpointFraction(value)) => {
                let read = move |out: &dyn AsyncInstrument<f64>| {
                    let view = collector.view(position);
                    for (labels, endpoint) in endpoints(&view) {
                        out.observe(value(endpoint), labels);
                    }
                };
                let builder = meter.f64_observable_gauge(metric.name);
                builder
                    .with_description(metric.help)
                    .with_unit(unit(metric))
                    .with_callback(read)
                    .build();
            }
            (Kind::Counter, read) => {
                let read =
                    move |out: &dyn AsyncInstrument<u64>| observe(read, &collector.view(position), out);
                let builder = meter.u64_observable_counter(metric.name);
                builder
                    .with_description(metric.help)
                    .with_unit(unit(metric))
                    .with_callback(read)
                    .build();
            }
            (_, read) => {
                let read =
                    move |out: &dyn AsyncInstrument<u64>| observe(read, &collector.view(position), out);
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

/// Creates the latency histogram.
pub(crate) fn duration(meter: &Meter) -> Histogram<f64> {
    meter
        .f64_histogram(RECORDED.name)
        .with_description(RECORDED.help)
        .with_unit(unit(&RECORDED))
        .with_boundaries(RECORDED.buckets.to_vec())
        .build()
}

fn observe(read: Read, view: &View, out: &dyn AsyncInstrument<u64>) {
    match read {
        Read::Pool(value) => {
            for pool in &view.pools {
                out.observe(value(&pool.snapshot), &pool.labels);
            }
        }
        Read::Endpoint(value) => {
            for (labels, endpoint) in endpoints(view) {
                out.observe(value(endpoint), labels);
            }
        }
        Read::Errors(counts) => {
            for (labels, endpoint) in endpoints(view) {
                for (class, count) in ErrorType::ALL.iter().zip(counts(endpoint)) {
                    let [pool, endpoint] = labels.clone();
                    out.observe(
                        *count,
                        &[pool, endpoint, KeyValue::new("error_type", class.as_str())],
                    );
                }
            }
        }
        // has a callback of its own: another number type
        Read::EndpointFraction(_) => {}
    }
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
        Unit::Flag | Unit::Ratio => "1",
        Unit::Blocks => "{block}",
    }
}

#[cfg(test)]
mod tests {
    use pool_core::Fault;

    use super::*;

    #[test]
    fn every_metric_of_the_catalogue_has_exactly_one_source() {
        let mut ours: Vec<_> = OBSERVED
            .iter()
            .map(|(metric, _)| metric.name)
            .chain([RECORDED.name])
            .collect();
        let mut catalogue: Vec<_> = catalogue::METRICS.iter().map(|metric| metric.name).collect();
        ours.sort_unstable();
        catalogue.sort_unstable();
        assert_eq!(ours, catalogue);
    }

    #[test]
    fn sources_have_the_labels_of_the_catalogue() {
        for (metric, read) in OBSERVED {
            let expected: &[&str] = match read {
                Read::Pool(_) => &["pool"],
                Read::Endpoint(_) | Read::EndpointFraction(_) => &["pool", "endpoint"],
                Read::Errors(_) => &["pool", "endpoint", "error_type"],
            };
            let labels: Vec<_> = metric.labels.iter().map(|label| label.name).collect();
            assert_eq!(labels, expected, "{}", metric.name);
        }
    }

    #[test]
    fn error_types_of_the_pool_are_those_of_the_catalogue() {
        let fault = |fault| match fault {
            Fault::Node => catalogue::Fault::Node,
            Fault::Caller => catalogue::Fault::Caller,
            Fault::Local => catalogue::Fault::Local,
        };
        let pool: Vec<_> = ErrorType::ALL
            .iter()
            .map(|class| (class.as_str(), fault(class.fault())))
            .collect();
        let catalogue: Vec<_> = catalogue::ERROR_TYPES
            .iter()
            .map(|class| (class.value, class.fault))
            .collect();
        assert_eq!(pool, catalogue);
    }
}
