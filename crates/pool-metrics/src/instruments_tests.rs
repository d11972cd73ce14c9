//! The sources against the catalogue, and its closed sets against the pool's own.

use pool_core::{CloseReason, ErrorType, Fault, Rejection, ThrottleCause, breaker::BreakerState};

use super::*;
use crate::catalogue::Value;

#[test]
fn every_metric_of_the_catalogue_has_exactly_one_source() {
    let mut ours: Vec<_> = OBSERVED
        .iter()
        .map(|(metric, _)| metric.name)
        .chain(RECORDED.iter().map(|metric| metric.name))
        .chain([ADDED.name])
        .collect();
    let mut catalogue: Vec<_> = catalogue::METRICS.iter().map(|metric| metric.name).collect();
    ours.sort_unstable();
    catalogue.sort_unstable();
    assert_eq!(ours, catalogue);
}

#[test]
fn sources_have_the_labels_of_the_catalogue() {
    for (metric, read) in OBSERVED {
        let (chosen, closed): (&[&str], usize) = match read {
            Read::Process(_) => (&[], 1),
            Read::Pool(_) | Read::PoolReal(_) => (&["pool"], 0),
            Read::PoolBy(_) => (&["pool"], 1),
            Read::Endpoint(_) | Read::EndpointReal(_) => (&["pool", "endpoint"], 0),
            Read::EndpointBy(_) => (&["pool", "endpoint"], 1),
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| label.name).collect();
        assert_eq!(labels.len(), chosen.len() + closed, "{}", metric.name);
        assert_eq!(&labels[..chosen.len()], chosen, "{}", metric.name);
        for label in metric.labels {
            let is_chosen = chosen.contains(&label.name);
            assert_eq!(
                label.values.is_empty(),
                is_chosen,
                "{}: {}",
                metric.name,
                label.name
            );
        }
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

fn names(values: &[Value]) -> Vec<&str> {
    values.iter().map(|value| value.value).collect()
}

#[test]
fn the_other_closed_sets_are_the_pools_too() {
    assert_eq!(
        Rejection::ALL.map(Rejection::as_str).to_vec(),
        names(catalogue::REJECTIONS)
    );
    assert_eq!(
        CloseReason::ALL.map(CloseReason::as_str).to_vec(),
        names(catalogue::CLOSE_REASONS)
    );
    assert_eq!(
        ThrottleCause::ALL.map(ThrottleCause::as_str).to_vec(),
        names(catalogue::THROTTLE_CAUSES)
    );
    assert_eq!(BreakerState::NAMES.to_vec(), names(catalogue::BREAKER_STATES));
    for (place, reason) in Rejection::ALL.iter().enumerate() {
        assert_eq!(reason.index(), place);
    }
    for (place, reason) in CloseReason::ALL.iter().enumerate() {
        assert_eq!(reason.index(), place);
    }
}

#[test]
fn every_entry_says_what_it_is_for() {
    for metric in catalogue::METRICS {
        assert!(metric.help.ends_with('.'), "{}", metric.name);
        assert!(metric.question.ends_with('?'), "{}", metric.name);
        assert!(metric.since.split('.').count() == 3, "{}", metric.name);
        for label in metric.labels {
            assert_eq!(label.values.len(), label.meanings.len(), "{}", metric.name);
        }
    }
}
