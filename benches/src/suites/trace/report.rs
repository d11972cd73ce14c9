//! Tables.

use anyhow::Result;
use serde_json::json;

use super::{
    contestant::{Contestant, Side},
    contestants,
    measures::Verdict,
    outcome::{Entrant, Outcome},
};
use crate::frame::{Finding, Table};

pub(crate) fn find(outcomes: &[Outcome]) -> Result<Finding> {
    let mut text = String::new();
    for outcome in outcomes {
        text += &format!("### {}\n\n", outcome.scenario.name);
        let mut t = Table::new([
            "who", "ok%", "wrong%", "p50", "p99", "p99.9", "p99r", "cost", "fo", "fb", "imb", "met",
        ]);
        for e in &outcome.results {
            let v = Verdict::on(outcome, e);
            let f = |b: bool, c: &str| if b { String::new() } else { c.to_owned() };
            let met = if e.side == Side::Ours {
                format!(
                    "{}{}{}{}{}",
                    f(v.success, "S"),
                    f(v.wrong, "W"),
                    f(v.p99, "P"),
                    f(v.cost, "C"),
                    f(v.near_limit, "n")
                )
            } else {
                String::new()
            };
            t.row([
                e.name.clone(),
                format!("{:.3}", 100.0 * e.median(|s| s.success)),
                format!("{:.3}", 100.0 * e.median(|s| s.wrong)),
                format!("{:.0}", e.median(|s| s.p50)),
                format!("{:.0}", e.median(|s| s.p99)),
                format!("{:.0}", e.median(|s| s.p999)),
                format!("{:.0}", e.median(|s| s.p99_right)),
                format!("{:.3}", e.median(|s| s.cost)),
                format!("{:.1}", e.median(|s| s.failover)),
                format!("{:.1}", e.median(|s| s.failback)),
                format!("{:.2}", e.median(|s| s.imbalance)),
                met,
            ]);
        }
        text += &t.to_string();
        text += "\n";
    }
    let _ = contestants::default().name();
    let _: Option<&Entrant> = outcomes[0].of("x");
    Ok(Finding {
        text,
        value: json!(null),
        images: vec![],
        met: true,
    })
}
