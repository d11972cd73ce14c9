//! The faults, each with what is to be made of it.

use std::{collections::BTreeSet, time::Duration};

use devnet::{
    Capacity, Delay, Faults, Garbage, HandshakeStyle, HttpBody, HttpError, Latency, Quota, RpcError,
    TlsHandshake, TooManyRequests, Truncate, TruncateStyle, When,
};
use pool_core::ErrorType as E;

use crate::{
    expect::{First, Judgement, Pause, broken, told},
    wire::{LONG, SHORT, Wire},
    work::METHODS,
};

/// A fault and what is to be made of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) trouble: Trouble,
    pub(crate) first: First,
    /// Whether the fault needs TLS.
    pub(crate) tls: bool,
    /// Whether the first sight is all there is to it: to the pool it is like another case.
    pub(crate) sight: bool,
    /// Whether connections that are open already may break, which says nothing of the node.
    pub(crate) breaks: bool,
    /// Whether it shows by nothing but silence.
    pub(crate) silent: bool,
    /// Whether it goes on for hundreds of calls.
    pub(crate) lasting: bool,
}

/// What is done to a node.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    Faults(Box<Faults>),
    /// The process is gone.
    Killed,
}

/// The methods that are measured.
fn hits() -> When {
    When::methods(METHODS)
}

fn case(name: impl Into<String>, faults: Faults, first: First) -> Case {
    Case {
        name: name.into(),
        trouble: Trouble::Faults(Box::new(faults)),
        first,
        tls: false,
        sight: false,
        breaks: false,
        silent: false,
        lasting: false,
    }
}

fn judged(name: impl Into<String>, faults: Faults, judgement: Judgement) -> Case {
    case(name, faults, First::Judged(judgement))
}

fn silent(name: &str, faults: Faults, judgement: Judgement) -> Case {
    Case {
        silent: true,
        ..judged(name, faults, judgement)
    }
}

/// Every way in which one answer, or none, shows that something is wrong; and what looks like trouble and is none.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = connections();
    cases.extend(limits());
    cases.extend(statuses());
    cases.extend(errors());
    cases.extend(bodies());
    cases
}

fn connections() -> Vec<Case> {
    let late = |ms: f64| Latency {
        when: hits(),
        ..Latency::new(Delay::Constant { ms })
    };
    let connect = broken(E::Connect).not_done();
    let patience = SHORT.as_secs_f64() * 1000.0;
    let none = Faults::default;
    let mut cases = vec![
        case(
            "late",
            Faults {
                latency: Some(late(patience / 10.0)),
                ..none()
            },
            First::Right,
        ),
        silent(
            "too late",
            Faults {
                latency: Some(late(patience * 3.0)),
                ..none()
            },
            broken(E::Timeout),
        ),
        judged(
            "reset",
            Faults {
                reset: Some(hits()),
                ..none()
            },
            broken(E::Transport),
        ),
        silent(
            "hang",
            Faults {
                hang: Some(hits()),
                ..none()
            },
            broken(E::Timeout),
        ),
        judged(
            "refuse",
            Faults {
                refuse: true,
                ..none()
            },
            connect,
        ),
        closing(1),
        closing(3),
        Case {
            name: "killed".to_owned(),
            trouble: Trouble::Killed,
            first: First::Judged(connect),
            tls: false,
            sight: false,
            breaks: true,
            silent: false,
            lasting: false,
        },
    ];
    for style in HANDSHAKES {
        let handshake = TlsHandshake {
            style,
            ..TlsHandshake::default()
        };
        let name = format!("handshake {}", handshake_name(style));
        let faults = Faults {
            tls_handshake: Some(handshake),
            ..none()
        };
        cases.push(Case {
            tls: true,
            silent: style == HandshakeStyle::Hang,
            ..judged(name, faults, connect)
        });
    }
    cases
}

/// A connection that ends between two requests costs another attempt at the worst.
fn closing(answers: u64) -> Case {
    let faults = Faults {
        close_after: Some(answers),
        ..Faults::default()
    };
    Case {
        breaks: true,
        ..case(format!("close after {answers}"), faults, First::Right)
    }
}

fn limits() -> Vec<Case> {
    let limited = told(E::RateLimited).not_counted().not_done();
    let quota = Quota {
        per_second: 0.01,
        burst: 2.0,
        retry_after_s: None,
    };
    let mut cases = vec![judged(
        "quota",
        Faults {
            quota: Some(quota),
            ..Faults::default()
        },
        limited.paused(Pause::AsTold),
    )];
    // a request at a time is all that comes here, so it answers rightly; that the next is refused like any 429, devnet's own
    // tests show
    let capacity = Capacity { slots: 1, queue: 100 };
    cases.push(case(
        "one at a time",
        Faults {
            capacity: Some(capacity),
            ..Faults::default()
        },
        First::Right,
    ));
    for body in BODIES {
        for retry_after_s in [None, Some(7)] {
            let fault = TooManyRequests {
                retry_after_s,
                body,
                when: hits(),
            };
            let faults = Faults {
                too_many_requests: Some(fault),
                ..Faults::default()
            };
            let said = if retry_after_s.is_some() {
                ", Retry-After"
            } else {
                ""
            };
            let first = match body {
                // whatever the status says, the answer is there
                HttpBody::Answer => First::Right,
                _ => First::Judged(limited.paused(Pause::Seconds(retry_after_s.unwrap_or(1)))),
            };
            let sight = retry_after_s.is_none() || body == HttpBody::Empty;
            let name = format!("429 {}{said}", body_name(body));
            cases.push(Case {
                sight,
                ..case(name, faults, first)
            });
        }
    }
    cases
}

fn statuses() -> Vec<Case> {
    let status = told(E::HttpStatus);
    let unauthorized = told(E::Unauthorized).not_done();
    let internal = told(E::NodeInternal);
    let request = told(E::InvalidRequest).callers().elsewhere();
    // without a body that says more, and with one
    let table = [
        (400, status, internal.not_counted()),
        (401, unauthorized, unauthorized),
        (
            402,
            unauthorized,
            told(E::RateLimited)
                .not_counted()
                .not_done()
                .paused(Pause::Seconds(300)),
        ),
        (403, unauthorized, unauthorized),
        (404, status, internal.not_counted()),
        (408, broken(E::Timeout), told(E::Timeout)),
        (413, request, request),
        (500, status, internal),
        (502, status, internal),
        (503, status, internal),
        (504, status, told(E::Timeout)),
        (530, status, internal.not_counted()),
    ];
    let mut cases = Vec::new();
    for (code, bare, with_error) in table {
        for body in BODIES {
            let error = HttpError {
                status: code,
                body,
                when: hits(),
            };
            let faults = Faults {
                http_errors: vec![error],
                ..Faults::default()
            };
            let first = match body {
                HttpBody::Answer => First::Right,
                HttpBody::RpcError => First::Judged(with_error),
                HttpBody::Html | HttpBody::Empty => First::Judged(bare),
            };
            let sight = code != 500 || body == HttpBody::Empty;
            let name = format!("{code} {}", body_name(body));
            cases.push(Case {
                sight,
                ..case(name, faults, first)
            });
        }
    }
    cases
}

/// What JSON-RPC errors come to that are the node's own; those that a node blames the caller for are among the lies.
fn errors() -> Vec<Case> {
    let unavailable = told(E::Unavailable).not_counted();
    let limited = told(E::RateLimited).not_counted().not_done();
    let table = [
        (-32005, "limit exceeded", limited.paused(Pause::Seconds(1))),
        (
            -32000,
            "daily request count exceeded",
            limited.paused(Pause::Seconds(300)),
        ),
        (-32000, "header not found", unavailable),
        (-32000, "missing trie node 1234", unavailable),
        (-32000, "node is syncing", unavailable),
        (
            -32601,
            "the method does not exist/is not available",
            told(E::Unsupported).not_counted().not_done(),
        ),
        (-32603, "Internal error", told(E::NodeInternal)),
        (-32000, "internal error", told(E::NodeInternal)),
        (-32000, "flux capacitor", told(E::NodeInternal).not_counted()),
        (-32002, "request timed out", told(E::Timeout)),
        (-32000, "no backends available", told(E::NodeInternal)),
        (-32000, "invalid api key", told(E::Unauthorized).not_done()),
        (
            -32000,
            "query returned more than 10000 results",
            told(E::InvalidRequest).callers().elsewhere(),
        ),
    ];
    let one = |(code, message, judgement): (i64, &str, Judgement)| {
        let error = RpcError {
            when: hits(),
            ..RpcError::new(code, message)
        };
        let faults = Faults {
            rpc_errors: vec![error],
            ..Faults::default()
        };
        judged(format!("error {message:?}"), faults, judgement)
    };
    // what the pool does with the others is the same, word for word
    let whole = [-32005, -32601, -32603];
    let words = ["header not found", "flux capacitor"];
    let sighted = |(code, message, judgement)| Case {
        sight: !whole.contains(&code) && !words.contains(&message),
        ..one((code, message, judgement))
    };
    // nothing opens a breaker here, and half of the calls need another attempt
    let last = |(code, message, judgement): (i64, &str, Judgement)| Case {
        name: format!("error {message:?} for long"),
        lasting: true,
        ..one((code, message, judgement))
    };
    let lasting: Vec<_> = table
        .into_iter()
        .filter(|row| words.contains(&row.1))
        .map(last)
        .collect();
    table.into_iter().map(sighted).chain(lasting).collect()
}

fn bodies() -> Vec<Case> {
    let none = Faults::default;
    let malformed = broken(E::Malformed);
    let mut cases = vec![judged(
        "wrong id",
        Faults {
            wrong_id: Some(hits()),
            ..none()
        },
        malformed,
    )];
    for (name, body) in [
        ("page", Garbage::default().body),
        ("nothing", String::new()),
        (
            "half an answer",
            r#"{"jsonrpc":"2.0","id":1,"result":"#.to_owned(),
        ),
        (
            "two answers",
            r#"{"jsonrpc":"2.0","id":1,"result":1}{"jsonrpc":"2.0","id":1,"result":1}"#.to_owned(),
        ),
    ] {
        let garbage = Garbage { body, when: hits() };
        cases.push(judged(
            format!("garbage: {name}"),
            Faults {
                garbage: Some(garbage),
                ..none()
            },
            malformed,
        ));
    }
    for style in STYLES {
        let truncate = Truncate {
            style,
            keep_bytes: None,
            when: hits(),
        };
        let name = format!("truncated {}", style_name(style));
        cases.push(judged(
            name,
            Faults {
                truncate: Some(truncate),
                ..none()
            },
            broken(E::Transport),
        ));
    }
    cases
}

const BODIES: [HttpBody; 4] = [
    HttpBody::RpcError,
    HttpBody::Answer,
    HttpBody::Html,
    HttpBody::Empty,
];
const STYLES: [TruncateStyle; 2] = [TruncateStyle::ContentLength, TruncateStyle::Chunked];
const HANDSHAKES: [HandshakeStyle; 4] = [
    HandshakeStyle::Hang,
    HandshakeStyle::Close,
    HandshakeStyle::Reset,
    HandshakeStyle::PlainHttp,
];

// A new variant does not compile before it has a name here, and a place in the list above.

fn body_name(body: HttpBody) -> &'static str {
    match body {
        HttpBody::RpcError => "error",
        HttpBody::Answer => "answer",
        HttpBody::Html => "page",
        HttpBody::Empty => "empty",
    }
}

fn style_name(style: TruncateStyle) -> &'static str {
    match style {
        TruncateStyle::ContentLength => "length",
        TruncateStyle::Chunked => "chunked",
    }
}

fn handshake_name(style: HandshakeStyle) -> &'static str {
    match style {
        HandshakeStyle::Hang => "hang",
        HandshakeStyle::Close => "close",
        HandshakeStyle::Reset => "reset",
        HandshakeStyle::PlainHttp => "plain HTTP",
    }
}

/// The faults that are on. Taken apart without `..`: a new fault of devnet does not compile before it stands here, and
/// fails before a case has it.
fn switched_on(faults: &Faults) -> Vec<&'static str> {
    let Faults {
        latency,
        reset,
        hang,
        quota,
        too_many_requests,
        http_errors,
        rpc_errors,
        wrong_id,
        garbage,
        truncate,
        close_after,
        refuse,
        tls_handshake,
        frozen_head,
        lag_blocks,
        lie_high_blocks,
        chain_id,
        syncing,
        capacity,
    } = faults;
    let all = [
        ("latency", latency.is_some()),
        ("reset", reset.is_some()),
        ("hang", hang.is_some()),
        ("quota", quota.is_some()),
        ("too_many_requests", too_many_requests.is_some()),
        ("http_errors", !http_errors.is_empty()),
        ("rpc_errors", !rpc_errors.is_empty()),
        ("wrong_id", wrong_id.is_some()),
        ("garbage", garbage.is_some()),
        ("truncate", truncate.is_some()),
        ("close_after", close_after.is_some()),
        ("refuse", *refuse),
        ("tls_handshake", tls_handshake.is_some()),
        ("frozen_head", *frozen_head),
        ("lag_blocks", *lag_blocks > 0),
        ("lie_high_blocks", *lie_high_blocks > 0),
        ("chain_id", chain_id.is_some()),
        ("syncing", *syncing),
        ("capacity", capacity.is_some()),
    ];
    let on = |(name, on): (&'static str, bool)| on.then_some(name);
    all.into_iter().filter_map(on).collect()
}

/// Holds the cases against the list of faults that devnet itself keeps: the keys of its JSON.
pub(crate) fn all_are_there() -> Result<(), String> {
    let known = serde_json::to_value(Faults::default()).unwrap();
    let known: BTreeSet<_> = known.as_object().unwrap().keys().cloned().collect();
    let mut covered = BTreeSet::new();
    for case in cases() {
        if let Trouble::Faults(faults) = &case.trouble {
            covered.extend(switched_on(faults).into_iter().map(str::to_owned));
        }
    }
    for lie in crate::lies::lies() {
        covered.extend(switched_on(&lie.faults).into_iter().map(str::to_owned));
    }
    let missing: Vec<_> = known.difference(&covered).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("no case has the faults {missing:?}"))
    }
}

impl Case {
    pub(crate) const fn patience(&self) -> Duration {
        if self.silent { SHORT } else { LONG }
    }

    pub(crate) fn applies(&self, wire: Wire) -> bool {
        wire.is_tls() || !self.tls
    }
}
