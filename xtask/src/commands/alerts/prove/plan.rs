//! Which fault proves which alert, and what else may fire beside it. Each alert has a pool, a relayer or a server of its own, so
//! that many are proven at once and whatever fires has exactly one trial to answer for it.

use monitoring_provisioning::AlertName::*;
use monitoring_provisioning::{AlertName, PromDuration};

use super::pools::{GONE, Setup};

/// A relayer of the laboratory. Each serves its own pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Site {
    /// Most of the pools.
    Pools,
    /// The pools of the objectives, which the faster Prometheus scrapes, too.
    Objectives,
    /// It will be killed.
    Gone,
    /// It will hide its pools.
    Hidden,
}

impl Site {
    pub(super) const ALL: [Self; 4] = [Self::Pools, Self::Objectives, Self::Gone, Self::Hidden];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pools => "relayer-pools",
            Self::Objectives => "relayer-objectives",
            Self::Gone => "relayer-gone",
            Self::Hidden => "relayer-hidden",
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// Faults of nodes, as devnet's control endpoint takes them.
    Nodes(Which, &'static str),
    /// The first node closes its port and its connections.
    NodeGone,
    /// The relayer holds so many connections and doesn't give them back.
    Leaks(u32),
    /// The pool is offered settings that can't be.
    RefusedUpdate,
    /// The relayer's page shows no pool.
    HiddenPools,
    /// The relayer's process is killed.
    RelayerKilled,
    /// Node Exporter's process is killed.
    ExporterKilled,
    /// Prometheus reads a configuration without the relayers.
    NoTargets,
    /// Prometheus' process is killed.
    PrometheusKilled,
}

/// Which nodes of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    First,
    All,
}

/// Where the fault is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In a pool.
    Pool(Setup),
    /// In a relayer as a whole.
    Relayer(Site),
    /// In a scrape target that isn't a relayer.
    Target,
    /// In the monitoring itself.
    Monitoring,
}

/// A fault of a pool's first node that lasts for a while before the trial's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prelude {
    pub(super) pool: &'static str,
    /// As devnet's control endpoint takes it.
    pub(super) faults: &'static str,
    /// Divided by the scale.
    pub(super) lasts: PromDuration,
}

/// What of the relayer's own time passes before a fault shows in its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// None.
    AtOnce,
    /// The requests under way must have felt it: a second.
    Load,
    /// Two health checks.
    Checks,
    /// Prometheus hands a changed list of targets on every five seconds.
    Discovery,
    /// A connection must have been held for a second, and somebody must have looked.
    Leak,
}

/// One alert's proof.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub(super) alert: AlertName,
    /// The fault in words.
    pub(super) what: &'static str,
    pub(super) place: Place,
    pub(super) fault: Fault,
    pub(super) reaction: Reaction,
    /// What goes wrong before.
    pub(super) prelude: Option<Prelude>,
    /// Labels of the alert besides those of its subject.
    pub(super) more_labels: &'static [(&'static str, &'static str)],
    /// What may fire beside it. Anything else that does fails the proof.
    pub(super) beside: &'static [AlertName],
    /// Of these, what must stay silent, because this alert says it all.
    pub(super) silenced: &'static [AlertName],
    /// The fault goes on until this one fires, too, so that its silence means something.
    pub(super) until: Option<AlertName>,
}

const fn trial(
    alert: AlertName,
    what: &'static str,
    place: Place,
    fault: Fault,
    reaction: Reaction,
) -> Trial {
    Trial {
        alert,
        what,
        place,
        fault,
        reaction,
        prelude: None,
        more_labels: &[],
        beside: &[],
        silenced: &[],
        until: None,
    }
}

const fn pool(id: &'static str, rate: u32, concurrency: u32) -> Setup {
    Setup::new(id, rate, concurrency)
}

/// So many of the answers to typical reads are internal errors. Health checks are answered.
macro_rules! failing {
    ($share:literal) => {
        concat!(
            r#"{"rpc_errors":[{"code":-32603,"message":"internal error","when":{"probability":"#,
            $share,
            r#","methods":["eth_call","eth_getBalance","eth_getTransactionCount","eth_getBlockByNumber","eth_gasPrice"]}}]}"#
        )
    };
}

/// The alerts about an objective, which go with every node fault that many attempts feel.
const BUDGETS: &[AlertName] = &[PoolAvailabilityBurnFast, PoolAvailabilityBurnSlow];
const SLOWNESS: &[AlertName] = &[PoolLatencyBurnFast, PoolLatencyBurnSlow];

/// Every trial, in the order of [`AlertName::ALL`].
pub(super) static TRIALS: [Trial; AlertName::ALL.len()] = [
    Trial {
        beside: &[ConnectionPoolHighUtilization],
        silenced: &[ConnectionPoolHighUtilization],
        until: Some(ConnectionPoolHighUtilization),
        ..trial(
            ConnectionPoolExhausted,
            "nodes answer after 0.8 s, so 4 slots serve 5 of 20 reads/s",
            Place::Pool(pool("exhausted", 20, 12).endpoint("max_connections: 2")),
            Fault::Nodes(
                Which::All,
                r#"{"latency":{"delay":{"kind":"constant","ms":800}}}"#,
            ),
            Reaction::Load,
        )
    },
    Trial {
        beside: &[
            EndpointUnhealthy,
            ConnectionPoolHighErrorRate,
            PoolAvailabilityBurnFast,
            PoolAvailabilityBurnSlow,
        ],
        silenced: &[EndpointUnhealthy, ConnectionPoolHighErrorRate],
        until: Some(ConnectionPoolHighErrorRate),
        ..trial(
            CircuitBreakerOpen,
            "one of two nodes is gone",
            // in turn: the default leaves a node that fails with so few requests that the errors may not show. And the longest
            // pause is the default, at this scale: else it has grown by then to more than all the rest takes
            Place::Pool(
                pool("breaker", 10, 16)
                    .balancer("round_robin")
                    .settings("breaker: { open_max: <1m> }"),
            ),
            Fault::NodeGone,
            Reaction::Load,
        )
    },
    Trial {
        beside: &[EndpointUnhealthy],
        silenced: &[EndpointUnhealthy],
        until: Some(EndpointUnhealthy),
        ..trial(
            NoHealthyEndpoints,
            "both nodes say that they are syncing",
            Place::Pool(
                pool("no-healthy", 0, 1)
                    .settings("acquire_timeout: <10m>")
                    .request_timeout("<10m>"),
            ),
            Fault::Nodes(Which::All, r#"{"syncing":true}"#),
            Reaction::Checks,
        )
    },
    Trial {
        beside: &[ConnectionPoolExhausted, ConnectionPoolHighUtilization],
        ..trial(
            ConnectionPoolQueueTimeouts,
            "nodes answer after 0.8 s, and callers wait for 3 s at most",
            Place::Pool(
                pool("queue-timeouts", 10, 11)
                    .endpoint("max_connections: 1")
                    .settings("acquire_timeout: 3s"),
            ),
            Fault::Nodes(
                Which::All,
                r#"{"latency":{"delay":{"kind":"constant","ms":800}}}"#,
            ),
            Reaction::Load,
        )
    },
    trial(
        ConnectionPoolHighUtilization,
        "nodes answer after 0.45 s, so 10 or 11 of 12 slots are in use",
        // slots in use are what this is about, not how many of them the nodes seem to bear
        Place::Pool(
            pool("utilization", 30, 10)
                .endpoint("max_connections: 6")
                .settings("adaptive_concurrency: null"),
        ),
        Fault::Nodes(
            Which::All,
            r#"{"latency":{"delay":{"kind":"constant","ms":450}}}"#,
        ),
        Reaction::Load,
    ),
    trial(
        EndpointUnhealthy,
        "one of two nodes says that it is syncing",
        Place::Pool(pool("unhealthy", 4, 16)),
        Fault::Nodes(Which::First, r#"{"syncing":true}"#),
        Reaction::Checks,
    ),
    Trial {
        beside: BUDGETS,
        ..trial(
            ConnectionPoolHighErrorRate,
            "30 % of one node's reads end in internal errors",
            // in turn: the default leaves a node that fails with so few requests that they lie about the alert's floor
            Place::Pool(
                pool("error-rate", 20, 16)
                    .balancer("round_robin")
                    .settings("breaker: { consecutive_failures: 0, failure_ratio: 1 }"),
            ),
            Fault::Nodes(Which::First, failing!("0.3")),
            Reaction::AtOnce,
        )
    },
    Trial {
        beside: SLOWNESS,
        ..trial(
            ConnectionPoolHighLatency,
            "one of two nodes answers after 1.5 s",
            // in turn, for the same reason
            Place::Pool(pool("latency", 5, 16).balancer("round_robin")),
            Fault::Nodes(
                Which::First,
                r#"{"latency":{"delay":{"kind":"constant","ms":1500}}}"#,
            ),
            Reaction::Load,
        )
    },
    Trial {
        beside: &[
            ConnectionPoolHighErrorRate,
            PoolAvailabilityBurnFast,
            PoolAvailabilityBurnSlow,
            EndpointThrottled,
        ],
        ..trial(
            ConnectionPoolQueueGrowing,
            "both providers answer reads by 429 with Retry-After: 1, and 20 reads/s go on coming",
            Place::Pool(
                pool("queue-growing", 20, 40)
                    .endpoint("max_connections: 1")
                    .settings("acquire_timeout: <10m>")
                    .request_timeout("<10m>"),
            ),
            Fault::Nodes(
                Which::All,
                r#"{"too_many_requests":{"retry_after_s":1,"when":{"methods":["eth_call","eth_getBalance","eth_getTransactionCount","eth_getBlockByNumber","eth_gasPrice"]}}}"#,
            ),
            Reaction::Load,
        )
    },
    trial(
        ConnectionPoolHighChurn,
        "one of two nodes closes each connection after three answers",
        // in turn: connecting anew makes a node slower, and the default may leave it alone for that
        Place::Pool(pool("churn", 10, 16).balancer("round_robin")),
        Fault::Nodes(Which::First, r#"{"close_after":3}"#),
        Reaction::AtOnce,
    ),
    Trial {
        // what the last samples say goes on for minutes: nobody can know any more whether it is so
        prelude: Some(Prelude {
            pool: GONE.id,
            faults: r#"{"too_many_requests":{"retry_after_s":5}}"#,
            lasts: PromDuration::from_secs(240),
        }),
        beside: &[
            EndpointThrottled,
            ConnectionPoolHighErrorRate,
            PoolAvailabilityBurnFast,
            PoolAvailabilityBurnSlow,
        ],
        silenced: &[EndpointThrottled],
        until: Some(EndpointThrottled),
        ..trial(
            RelayerDown,
            "the relayer is killed, four minutes after a provider began to throttle it",
            Place::Relayer(Site::Gone),
            Fault::RelayerKilled,
            Reaction::AtOnce,
        )
    },
    Trial {
        more_labels: &[("job", "connection-pools")],
        ..trial(
            PoolMetricsMissing,
            "the relayer's page shows no pool",
            Place::Relayer(Site::Hidden),
            Fault::HiddenPools,
            Reaction::AtOnce,
        )
    },
    Trial {
        more_labels: &[("job", "connection-pools")],
        ..trial(
            NoRelayerScraped,
            "Prometheus' configuration has lost the relayers",
            Place::Monitoring,
            Fault::NoTargets,
            Reaction::Discovery,
        )
    },
    trial(
        ScrapeTargetDown,
        "Node Exporter is killed",
        Place::Target,
        Fault::ExporterKilled,
        Reaction::AtOnce,
    ),
    trial(
        ConnectionLeak,
        "two connections are not given back",
        Place::Pool(pool("leak", 2, 16).settings("leak_after: 1s")),
        Fault::Leaks(2),
        Reaction::Leak,
    ),
    Trial {
        beside: &[
            ConnectionPoolHighErrorRate,
            PoolAvailabilityBurnFast,
            PoolAvailabilityBurnSlow,
        ],
        ..trial(
            RetryBudgetExhausted,
            "40 % of both nodes' reads end in internal errors; the budget is 5 % and 1 a second",
            Place::Pool(pool("budget", 20, 16).settings(
                "budget: { share: 0.05, floor: 1 }, breaker: { consecutive_failures: 0, failure_ratio: 1 }",
            )),
            Fault::Nodes(Which::All, failing!("0.4")),
            Reaction::AtOnce,
        )
    },
    trial(
        EndpointBlockLag,
        "one of three nodes is 30 blocks behind",
        Place::Pool(pool("lag", 4, 16).three_nodes()),
        Fault::Nodes(Which::First, r#"{"lag_blocks":30}"#),
        Reaction::Checks,
    ),
    Trial {
        beside: &[
            EndpointUnhealthy,
            ConnectionPoolHighErrorRate,
            PoolAvailabilityBurnFast,
            PoolAvailabilityBurnSlow,
        ],
        ..trial(
            EndpointThrottled,
            "one of two providers answers 429 with Retry-After: 5",
            Place::Pool(pool("throttled", 10, 16)),
            Fault::Nodes(Which::First, r#"{"too_many_requests":{"retry_after_s":5}}"#),
            Reaction::Load,
        )
    },
    trial(
        ReconfigurationFailed,
        "the pool is offered settings that can't be",
        Place::Pool(pool("refused", 2, 16)),
        Fault::RefusedUpdate,
        Reaction::AtOnce,
    ),
    Trial {
        beside: &[PoolAvailabilityBurnSlow, ConnectionPoolHighErrorRate],
        ..trial(
            PoolAvailabilityBurnFast,
            "half of both nodes' reads end in internal errors",
            Place::Pool(
                pool("availability-fast", 10, 16)
                    .settings("breaker: { consecutive_failures: 0, failure_ratio: 1 }"),
            ),
            Fault::Nodes(Which::All, failing!("0.5")),
            Reaction::AtOnce,
        )
    },
    // in turn, since the pool's own times are not scaled: whoever is left alone for seconds after an error shows, at this scale, for
    // longer than the window of the error rate, that error among few attempts
    trial(
        PoolAvailabilityBurnSlow,
        "0.4 % of both nodes' reads end in internal errors",
        Place::Pool(
            pool("availability-slow", 100, 16)
                .balancer("round_robin")
                .settings("breaker: { consecutive_failures: 0, failure_ratio: 1 }"),
        ),
        Fault::Nodes(Which::All, failing!("0.004")),
        Reaction::AtOnce,
    ),
    Trial {
        beside: &[PoolLatencyBurnSlow, ConnectionPoolHighLatency],
        ..trial(
            PoolLatencyBurnFast,
            "nodes answer after 1.5 s",
            Place::Pool(pool("latency-fast", 10, 30)),
            Fault::Nodes(
                Which::All,
                r#"{"latency":{"delay":{"kind":"constant","ms":1500}}}"#,
            ),
            Reaction::Load,
        )
    },
    Trial {
        beside: &[ConnectionPoolHighLatency],
        ..trial(
            PoolLatencyBurnSlow,
            "3 % of the answers take 1.5 s",
            Place::Pool(pool("latency-slow", 60, 30)),
            Fault::Nodes(
                Which::All,
                r#"{"latency":{"delay":{"kind":"constant","ms":0},"tail":{"probability":0.03,"extra_ms":1500}}}"#,
            ),
            Reaction::Load,
        )
    },
    Trial {
        // a Prometheus that starts knows no target for its first five seconds, which is longer than a scaled minute
        beside: &[NoRelayerScraped],
        ..trial(
            DeadMansSwitch,
            "Prometheus is killed: the heartbeats stay away",
            Place::Monitoring,
            Fault::PrometheusKilled,
            Reaction::AtOnce,
        )
    },
];

impl Trial {
    /// The pool that it has for itself.
    pub(super) const fn pool(&self) -> Option<&Setup> {
        match &self.place {
            Place::Pool(setup) => Some(setup),
            _ => None,
        }
    }

    /// The relayer that it has for itself, or that its pool is on.
    pub(super) const fn site(&self) -> Option<Site> {
        match self.place {
            Place::Pool(_) if self.alert.is_burn_rate() => Some(Site::Objectives),
            Place::Pool(_) => Some(Site::Pools),
            Place::Relayer(site) => Some(site),
            Place::Target | Place::Monitoring => None,
        }
    }

    /// Whether the alert may fire while this trial's fault is on.
    pub(super) fn allows(&self, alert: &str) -> bool {
        self.alert.as_str() == alert || self.beside.iter().any(|other| other.as_str() == alert)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_alert_has_its_trial() {
        let trials: Vec<_> = TRIALS.iter().map(|trial| trial.alert).collect();
        assert_eq!(trials, AlertName::ALL);
    }

    #[test]
    fn no_two_trials_share_a_pool_and_what_is_silenced_is_declared() {
        let pools: Vec<_> = TRIALS
            .iter()
            .filter_map(|trial| trial.pool())
            .map(|pool| pool.id)
            .collect();
        assert_eq!(pools.iter().collect::<BTreeSet<_>>().len(), pools.len());
        for trial in &TRIALS {
            assert!(!trial.beside.contains(&trial.alert), "{}", trial.alert);
            let declared = |other: &AlertName| trial.beside.contains(other);
            assert!(trial.silenced.iter().all(declared), "{}", trial.alert);
            assert!(trial.until.is_none_or(|other| trial.silenced.contains(&other)));
        }
    }

    #[test]
    fn faults_are_json() {
        for trial in &TRIALS {
            if let Fault::Nodes(_, json) = trial.fault {
                let value: serde_json::Value = serde_json::from_str(json).unwrap();
                assert!(value.is_object(), "{}", trial.alert);
            }
        }
    }
}
