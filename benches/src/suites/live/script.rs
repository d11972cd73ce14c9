//! What a node is told to do, and when: the traces' words for faults, in devnet's.

use devnet::{Capacity, Delay, Faults, Garbage, HttpBody, HttpError, Latency, Quota, RpcError, Tail, When};

use crate::suites::trace::node::{Effect, Fault, Spec};

/// Spread of the logarithm of service times, as in the simulated nodes.
const SIGMA: f64 = 0.35;
/// One call in a hundred takes three times the median longer, as there.
const TAIL: (f64, f64) = (0.01, 3.0);
/// Milliseconds in which a node that fails fast has failed.
const FAST: f64 = 2.0;

/// What a node is to be from one moment on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    /// Its port is closed, and so are its connections.
    pub(super) down: bool,
    pub(super) faults: Faults,
}

/// What the node is like at a moment.
pub(super) fn state(spec: &Spec, now: u64) -> State {
    let is_on = |fault: &&Fault| fault.from <= now && now < fault.to;
    let mut factor = 1.0;
    let mut fast = false;
    let mut state = State {
        down: false,
        faults: Faults {
            capacity: Some(Capacity {
                slots: spec.slots as u32,
                queue: spec.queue as u32,
            }),
            ..Faults::default()
        },
    };
    let faults = &mut state.faults;
    for fault in spec.faults.iter().filter(is_on) {
        match fault.effect {
            Effect::Slow(times) => factor *= times,
            Effect::Doubling(every) => factor *= 2_f64.powi(1 + ((now - fault.from) / every) as i32),
            Effect::Failing(share) => {
                fast = true;
                faults.http_errors.push(HttpError {
                    status: 500,
                    body: HttpBody::Html,
                    when: When::sometimes(share),
                });
            }
            Effect::Payload(share) => payload(faults, share),
            Effect::Quota(per_second, wait) => {
                faults.quota = Some(Quota {
                    per_second,
                    burst: per_second.max(1.0),
                    retry_after_s: Some(wait.div_ceil(1_000)),
                });
            }
            Effect::Down => state.down = true,
            Effect::Hanging => faults.hang = Some(When::always()),
            Effect::Stuck => faults.frozen_head = true,
        }
    }
    let median_ms = spec.median_ms * factor;
    faults.latency = Some(if fast {
        Latency::new(Delay::Constant { ms: FAST })
    } else {
        Latency {
            tail: Some(Tail {
                probability: TAIL.0,
                extra_ms: TAIL.1 * median_ms,
            }),
            ..Latency::new(Delay::LogNormal {
                median_ms,
                sigma: SIGMA,
            })
        }
    });
    state
}

/// HTTP 200 with anything but the answer in it, for about this share of the calls: half of that a JSON-RPC error, a quarter a
/// proxy's HTML page, a quarter an answer under an id that nobody asked under.
fn payload(faults: &mut Faults, share: f64) {
    faults.rpc_errors.push(RpcError {
        when: When::sometimes(share / 2.0),
        ..RpcError::new(-32_603, "internal error")
    });
    faults.garbage = Some(Garbage {
        when: When::sometimes(share / 4.0),
        ..Garbage::default()
    });
    faults.wrong_id = Some(When::sometimes(share / 4.0));
}

/// When any node's state changes, in order; the beginning first.
pub(super) fn moments(nodes: &[Spec]) -> Vec<u64> {
    let mut moments = vec![0];
    for fault in nodes.iter().flat_map(|node| &node.faults) {
        moments.extend([fault.from, fault.to]);
        if let Effect::Doubling(every) = fault.effect {
            moments.extend((fault.from..fault.to).step_by(every.max(1) as usize));
        }
    }
    moments.sort_unstable();
    moments.dedup();
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(effect: Effect) -> Spec {
        Spec {
            slots: 2,
            queue: 28,
            median_ms: 20.0,
            provider: 0,
            joins: None,
            faults: vec![Fault {
                from: 1_000,
                to: 4_000,
                effect,
            }],
        }
    }

    #[test]
    fn faults_begin_and_end_and_a_brown_out_goes_by_steps() {
        let spec = spec(Effect::Doubling(1_000));
        assert_eq!(
            moments(std::slice::from_ref(&spec)),
            [0, 1_000, 2_000, 3_000, 4_000]
        );
        let median = |now| match state(&spec, now).faults.latency.unwrap().delay {
            Delay::LogNormal { median_ms, .. } => median_ms,
            other => panic!("{other:?}"),
        };
        let medians = [0, 1_000, 2_500, 3_999, 4_000].map(median);
        assert_eq!(medians, [20.0, 40.0, 80.0, 160.0, 20.0]);
    }

    #[test]
    fn every_effect_is_something_that_a_node_takes() {
        for effect in [
            Effect::Slow(10.0),
            Effect::Failing(1.0),
            Effect::Payload(0.5),
            Effect::Quota(5.0, 2_000),
            Effect::Down,
            Effect::Hanging,
            Effect::Stuck,
        ] {
            let spec = spec(effect);
            let (before, during) = (state(&spec, 0), state(&spec, 2_000));
            assert_ne!(before, during, "{effect:?}");
            assert_eq!(during.faults.validate(devnet::Dialect::Evm), Ok(()), "{effect:?}");
        }
    }
}
