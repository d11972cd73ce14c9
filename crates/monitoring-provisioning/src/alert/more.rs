//! What else an operator would miss: the relayer, the monitoring itself, and the objectives.

use super::{
    Definition, Subject,
    frozen::{definition, threshold, window},
};
use crate::spec::AlertName;

/// In the order of the rule file.
pub(crate) static MORE: [Definition; 14] = [
    definition(
        AlertName::RelayerDown,
        "critical",
        Subject::Relayer,
        60,
        "no scrape of the relayer succeeds",
        "Relayer {{ $labels.instance }} is down.",
        "No scrape of {{ $labels.instance }} has succeeded for {for}: the process is gone or can't be reached, and what its pools \
         do is not known.",
    ),
    definition(
        AlertName::PoolMetricsMissing,
        "critical",
        Subject::Relayer,
        60,
        "the relayer answers, but exposes no pool",
        "Relayer {{ $labels.instance }} exposes no connection pool.",
        "{{ $labels.instance }} is scraped, but has shown no pool's metrics for {for}: every other alert is blind to it.",
    ),
    Definition {
        windows: Some("20s"),
        ..definition(
            AlertName::NoRelayerScraped,
            "critical",
            Subject::Stack,
            60,
            "no relayer is scraped at all",
            "No relayer is scraped.",
            "Prometheus has had no relayer among its targets for {for}: every other alert is blind.",
        )
    },
    definition(
        AlertName::ScrapeTargetDown,
        "warning",
        Subject::Target,
        300,
        "a target that isn't a relayer can't be scraped",
        "{{ $labels.job }} at {{ $labels.instance }} is down.",
        "No scrape of {{ $labels.job }} at {{ $labels.instance }} has succeeded for {for}; a part of the monitoring is blind.",
    ),
    Definition {
        window: window(600),
        remembers: true,
        value: "{{ $value | humanize }} not given back",
        ..definition(
            AlertName::ConnectionLeak,
            "warning",
            Subject::Pool,
            0,
            "a connection was held for longer than leak_after within {window}",
            "Pool {{ $labels.pool }} loses connections.",
            "About {{ $value | humanize }} connections of pool {{ $labels.pool }} on {{ $labels.instance }} were not given back in \
             time within {window}; the relayer's log names the places that took them.",
        )
    },
    Definition {
        window: window(300),
        averages: true,
        threshold: threshold(
            10.0,
            -1.0,
            1e9,
            "retries and hedges that were refused within the window, 0 or more",
        ),
        value: "{{ $value | humanize }} not sent",
        ..definition(
            AlertName::RetryBudgetExhausted,
            "warning",
            Subject::Pool,
            0,
            "more than {threshold} retries and hedges were refused for want of budget within {window}",
            "The budget for retries and hedges of pool {{ $labels.pool }} is spent.",
            "About {{ $value | humanize }} retries and hedges of pool {{ $labels.pool }} on {{ $labels.instance }} were not sent \
             within {window}, because too many others already were (limit {threshold}); callers see the errors of single nodes.",
        )
    },
    Definition {
        window: window(60),
        averages: true,
        threshold: threshold(10.0, 0.0, 1e9, "blocks, above 0"),
        value: "{{ $value | humanize }} blocks behind",
        ..definition(
            AlertName::EndpointBlockLag,
            "warning",
            Subject::Endpoint,
            60,
            "the endpoint is never less than {threshold} blocks behind the others within {window}",
            "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} is behind.",
            "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} on {{ $labels.instance }} is {{ $value | humanize }} blocks \
             behind the others (least of {window}, limit {threshold}): what it answers is of the past.",
        )
    },
    Definition {
        window: window(300),
        averages: true,
        threshold: threshold(0.5, 0.0, 1.0, "share of the time, above 0 and below 1"),
        value: "{{ $value | humanizePercentage }} of the time",
        ..definition(
            AlertName::EndpointThrottled,
            "warning",
            Subject::Endpoint,
            300,
            "the endpoint is throttled for more than {threshold} of the time (mean over {window})",
            "Endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} is throttled.",
            "The provider of endpoint {{ $labels.endpoint }} of pool {{ $labels.pool }} on {{ $labels.instance }} has throttled it \
             {{ $value | humanizePercentage }} of the time (mean over {window}, limit {threshold}).",
        )
    },
    Definition {
        window: window(900),
        remembers: true,
        value: "{{ $value | humanize }} refused",
        ..definition(
            AlertName::ReconfigurationFailed,
            "warning",
            Subject::Pool,
            0,
            "new settings were refused within {window}",
            "New settings of pool {{ $labels.pool }} were refused.",
            "Pool {{ $labels.pool }} on {{ $labels.instance }} refused new settings about {{ $value | humanize }} times within \
             {window} and goes on with the old ones; the relayer's log says why.",
        )
    },
    Definition {
        windows: Some("5m and 1h, 30m and 6h"),
        averages: true,
        value: "{{ $value | humanizePercentage }} failed",
        ..definition(
            AlertName::PoolAvailabilityBurnFast,
            "critical",
            Subject::Pool,
            0,
            "attempts fail through nodes 14.4 times (1h) or 6 times (6h) as often as the objective of {availability} allows, from \
             {slo_min_rate} attempts/s",
            "Pool {{ $labels.pool }} uses up its error budget within days.",
            "{{ $value | humanizePercentage }} of the attempts of pool {{ $labels.pool }} on {{ $labels.instance }} failed through \
             nodes over the last 1 h or 6 h (objective {availability}): the budget of 30 days would last 2 to 5 days.",
        )
    },
    Definition {
        windows: Some("2h and 1d, 6h and 3d"),
        averages: true,
        value: "{{ $value | humanizePercentage }} failed",
        ..definition(
            AlertName::PoolAvailabilityBurnSlow,
            "warning",
            Subject::Pool,
            0,
            "attempts fail through nodes 3 times (1d) as often as the objective of {availability} allows, or more often than it \
             allows (3d), from {slo_min_rate} attempts/s",
            "Pool {{ $labels.pool }} will miss its availability objective.",
            "{{ $value | humanizePercentage }} of the attempts of pool {{ $labels.pool }} on {{ $labels.instance }} failed through \
             nodes over the last day or three (objective {availability}): the budget of 30 days won't last.",
        )
    },
    Definition {
        windows: Some("5m and 1h, 30m and 6h"),
        averages: true,
        value: "{{ $value | humanizePercentage }} slow",
        ..definition(
            AlertName::PoolLatencyBurnFast,
            "critical",
            Subject::Pool,
            0,
            "attempts take more than {latency_ms} ms 14.4 times (1h) or 6 times (6h) as often as the objective of {latency} allows, \
             from {slo_min_rate} attempts/s",
            "Pool {{ $labels.pool }} uses up its latency budget within days.",
            "{{ $value | humanizePercentage }} of the attempts of pool {{ $labels.pool }} on {{ $labels.instance }} took more than \
             {latency_ms} ms over the last 1 h or 6 h (objective: {latency} within it): the budget of 30 days would last 2 to 5 days.",
        )
    },
    Definition {
        windows: Some("2h and 1d, 6h and 3d"),
        averages: true,
        value: "{{ $value | humanizePercentage }} slow",
        ..definition(
            AlertName::PoolLatencyBurnSlow,
            "warning",
            Subject::Pool,
            0,
            "attempts take more than {latency_ms} ms 3 times (1d) as often as the objective of {latency} allows, or more often \
             than it allows (3d), from {slo_min_rate} attempts/s",
            "Pool {{ $labels.pool }} will miss its latency objective.",
            "{{ $value | humanizePercentage }} of the attempts of pool {{ $labels.pool }} on {{ $labels.instance }} took more than \
             {latency_ms} ms over the last day or three (objective: {latency} within it): the budget of 30 days won't last.",
        )
    },
    Definition {
        windows: Some("-"),
        ..definition(
            AlertName::DeadMansSwitch,
            "heartbeat",
            Subject::Stack,
            0,
            "always: it proves that alerts arrive",
            "The monitoring works.",
            "This alert always fires. Whoever receives it outside of this stack must raise the alarm when it stays away: then \
             Prometheus, Alertmanager or the way to its receivers has failed.",
        )
    },
];
