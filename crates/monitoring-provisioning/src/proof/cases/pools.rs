//! Alerts with limits of single pools: `high` and `low` have their own, every other pool has that of the alert.

use super::Case;
use crate::{
    proof::{case::Of, pools},
    spec::AlertName,
};

fn queue_case(name: &'static str) -> Case {
    let alert = AlertName::ConnectionPoolQueueGrowing;
    Case::of(Of::ByPool(alert, "warning", pools::QUEUE), name)
}

/// 10 waiting callers; 40 for `high`, 5 for `low`.
pub(super) fn queue() -> Vec<Case> {
    [queue_limits(), queue_texts(), queue_shapes()].concat()
}

fn queue_limits() -> Vec<Case> {
    let case = queue_case;
    vec![
        case("each pool is judged by its own limit: between 5 and 10")
            .given("queue_size", "i/p", "8x60")
            .given("queue_size", "i/high", "8x60")
            .given("queue_size", "i/low", "8x60")
            .fires("2m", ["i/low"]),
        case("between 10 and 40")
            .given("queue_size", "i/p", "20x60")
            .given("queue_size", "i/high", "20x60")
            .given("queue_size", "i/low", "0x60")
            .fires("2m", ["i/p"]),
        case("above all limits")
            .given("queue_size", "i/p", "50x60")
            .given("queue_size", "i/high", "50x60")
            .given("queue_size", "i/low", "50x60")
            .silent("115s")
            .fires("2m", ["i/p", "i/high", "i/low"]),
    ]
}

fn queue_texts() -> Vec<Case> {
    let texts = [
        (
            "i/p",
            "Callers queue for pool p.",
            "50 callers wait for a slot of pool p on i (mean over 1m, limit 10).",
        ),
        (
            "i/high",
            "Callers queue for pool high.",
            "50 callers wait for a slot of pool high on i (mean over 1m, limit 40).",
        ),
        (
            "i/low",
            "Callers queue for pool low.",
            "50 callers wait for a slot of pool low on i (mean over 1m, limit 5).",
        ),
    ];
    let cases = texts.map(|(path, summary, description)| {
        queue_case("the text names the pool's own limit")
            .given("queue_size", path, "50x60")
            .says("2m", path, summary, description)
    });
    cases.into()
}

/// What is true of each of the limits.
fn queue_shapes() -> Vec<Case> {
    let case = queue_case;
    let mut all = Vec::new();
    for (pool, others) in [("i/p", 1.0), ("i/high", 4.0), ("i/low", 0.5)] {
        let of = |values: &[(f64, &str)]| -> String {
            let parts: Vec<String> = values
                .iter()
                .map(|(value, times)| format!("{}{times}", value * others))
                .collect();
            parts.join(" ")
        };
        let steady = |value: f64| of(&[(value, "x60")]);
        let two_jobs = ["job=a", "job=b"].map(|job| match (pool, job) {
            ("i/p", "job=a") => "i/p/job=a",
            ("i/p", _) => "i/p/job=b",
            ("i/high", "job=a") => "i/high/job=a",
            ("i/high", _) => "i/high/job=b",
            (_, "job=a") => "i/low/job=a",
            _ => "i/low/job=b",
        });
        let elsewhere = match pool {
            "i/p" => "j/p",
            "i/high" => "j/high",
            _ => "j/low",
        };
        all.extend([
            case("exactly at the limit")
                .given("queue_size", pool, steady(10.0))
                .silent("4m"),
            case("a little above the limit")
                .given("queue_size", pool, steady(10.05))
                .given("queue_size", elsewhere, steady(0.0))
                .fires("2m", [pool]),
            case("the mean of a minute counts")
                .given("queue_size", pool, of(&[(0.0, "x19"), (30.0, "x100")]))
                .silent("235s")
                .fires("240s", [pool]),
            case("a peak that the mean levels")
                .given("queue_size", pool, of(&[(0.0, "x20"), (60.0, ""), (0.0, "x60")]))
                .silent("4m"),
            case("below the limit, under two jobs no more")
                .given("queue_size", pool, steady(8.0))
                .silent("4m"),
            case("one of two jobs scrapes in the lulls")
                .given("queue_size", two_jobs[0], steady(20.0))
                .given("queue_size", two_jobs[1], steady(0.0))
                .fires("2m", [pool]),
        ]);
    }
    all
}

/// 80 % of the usable slots; 90 % for `high`.
pub(super) fn utilization() -> Vec<Case> {
    let case = |name| {
        let alert = AlertName::ConnectionPoolHighUtilization;
        Case::of(Of::ByPool(alert, "warning", pools::UTILIZATION), name)
    };
    let at = |name, pool, free: &'static str| {
        case(name)
            .given("slots_usable", pool, "1000x100")
            .given("slots_free", pool, free)
    };
    let mut all = vec![
        case("85 % is too much for one of them")
            .given("slots_usable", "i/p", "100x100")
            .given("slots_free", "i/p", "15x100")
            .given("slots_usable", "i/high", "100x100")
            .given("slots_free", "i/high", "15x100")
            .silent("295s")
            .fires("5m", ["i/p"]),
        case("95 % is too much for both")
            .given("slots_usable", "i/p", "100x100")
            .given("slots_free", "i/p", "5x100")
            .given("slots_usable", "i/high", "100x100")
            .given("slots_free", "i/high", "5x100")
            .given("slots_usable", "j/high", "100x100")
            .given("slots_free", "j/high", "50x100")
            .fires("5m", ["i/p", "i/high"]),
        at("the text names its own limit", "i/high", "50x100").says(
            "5m",
            "i/high",
            "Pool high is nearly full.",
            "95% of the usable slots of pool high on i are in use (mean over 2m, limit 90 %).",
        ),
        at("the text names the limit of all others", "i/p", "50x100").says(
            "5m",
            "i/p",
            "Pool p is nearly full.",
            "95% of the usable slots of pool p on i are in use (mean over 2m, limit 80 %).",
        ),
        at("exactly 80 %", "i/p", "200x100").silent("8m"),
        at("exactly 90 %", "i/high", "100x100").silent("8m"),
        at("a little above 80 %", "i/p", "195x100").fires("5m", ["i/p"]),
        at("a little below 80 %", "i/p", "205x100").silent("8m"),
        at("a little above 90 %", "i/high", "95x100").fires("5m", ["i/high"]),
        at("a little below 90 %", "i/high", "105x100").silent("8m"),
    ];
    all.extend(moving(
        case,
        "i/p",
        "i/p/job=a",
        "i/p/job=b",
        ["5x19 0x200", "30x200", "100x19 200x200"],
    ));
    all.extend(moving(
        case,
        "i/high",
        "i/high/job=a",
        "i/high/job=b",
        ["2.5x19 0x200", "15x200", "100x19 200x200"],
    ));
    all
}

/// The means over two minutes, one slot, and two jobs that saw different things; `free` falls, `left` are free of `usable`.
fn moving(
    case: impl Fn(&'static str) -> Case,
    pool: &'static str,
    a: &'static str,
    b: &'static str,
    [free, left, usable]: [&'static str; 3],
) -> Vec<Case> {
    vec![
        case("the mean of what is free counts")
            .given("slots_usable", pool, "10x200")
            .given("slots_free", pool, free)
            .silent("465s")
            .fires("475s", [pool]),
        case("the mean of what is usable counts")
            .given("slots_usable", pool, usable)
            .given("slots_free", pool, left)
            .silent("455s")
            .fires("460s", [pool]),
        case("a pool of one slot, in use")
            .given("slots_usable", pool, "1x100")
            .given("slots_free", pool, "0x100")
            .fires("5m", [pool]),
        case("no usable slot is not full")
            .given("slots_usable", pool, "0x100")
            .given("slots_free", pool, "0x100")
            .silent("8m"),
        case("one of two jobs saw more of it free")
            .given("slots_usable", pool, "10x100")
            .given("slots_free", a, "0.5x100")
            .given("slots_free", b, "5x100")
            .silent("8m"),
        case("one of two jobs saw less of it usable")
            .given("slots_usable", a, "40x100")
            .given("slots_usable", b, "10x100")
            .given("slots_free", pool, "3x100")
            .fires("5m", [pool]),
    ]
}
