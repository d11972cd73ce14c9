//! The text: what the default configuration reaches, how our configurations compare, and each trace in full.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    cast::Cast,
    contestant::Side,
    measures::Verdict,
    outcome::{Entrant, Outcome},
    plot,
    score::Score,
};
use crate::frame::{Finding, Series, Table};

/// Text, figures and pictures of all traces.
pub(crate) fn find(outcomes: &[Outcome], cast: &Cast) -> Result<Finding> {
    let mut text = String::new();
    let met = reached(&mut text, outcomes, &cast.default)?;
    configurations(&mut text, outcomes, cast)?;
    let mut images = Vec::new();
    for outcome in outcomes {
        let image = plot::draw(outcome, cast)?;
        trace(&mut text, outcome, &image.name, cast)?;
        images.push(image);
    }
    let traces = outcomes
        .iter()
        .map(|outcome| (outcome.scenario.name.to_owned(), figures(outcome, cast)));
    Ok(Finding {
        text,
        value: Value::Object(traces.collect()),
        images,
        met,
    })
}

/// What the default configuration reaches, trace by trace. Returns whether that is everything.
fn reached(text: &mut String, outcomes: &[Outcome], named: &str) -> Result<bool> {
    let head = [
        "trace",
        "success",
        "best peer",
        "wrong",
        "p99 ms",
        "best peer",
        "limit",
        "calls/call",
        "not reached",
    ];
    let mut table = Table::new(head);
    let (mut all, mut near) = (0, 0);
    for outcome in outcomes {
        let Some(ours) = outcome.of(named) else { continue };
        let verdict = Verdict::on(outcome, ours);
        all += usize::from(verdict.is_met());
        near += usize::from(verdict.near_limit);
        table.row([
            outcome.scenario.name.to_owned(),
            percent(ours.median(|score| score.success)),
            format!("{} ({})", percent(verdict.best_success.1), verdict.best_success.0),
            percent(ours.median(|score| score.wrong)),
            format!("{:.0}", ours.median(|score| score.p99)),
            format!("{:.0} ({})", verdict.best_p99.1, verdict.best_p99.0),
            format!("{:.0}", verdict.limit),
            format!("{:.3}", ours.median(|score| score.cost)),
            missed(&verdict),
        ]);
    }
    let count = outcomes.len();
    writeln!(
        text,
        "The default configuration, `{named}`, reaches every measure in {all} of {count} traces, and is within 1.5 times the limit's p99 in \
         {near} of them.\n\n{table}"
    )?;
    Ok(all == count && 2 * near >= count)
}

fn missed(verdict: &Verdict) -> String {
    let measures = [
        (verdict.success, "success"),
        (verdict.wrong, "wrong answers"),
        (verdict.p99, "p99"),
        (verdict.cost, "cost"),
    ];
    let missed: Vec<_> = measures
        .into_iter()
        .filter(|(met, _)| !met)
        .map(|(_, name)| name)
        .collect();
    if missed.is_empty() {
        "–".to_owned()
    } else {
        missed.join(", ")
    }
}

/// Our configurations over all traces.
fn configurations(text: &mut String, outcomes: &[Outcome], cast: &Cast) -> Result<()> {
    let Some(first) = outcomes.first() else {
        return Ok(());
    };
    let head = [
        "configuration",
        "all measures",
        "p99 within 1.5 × limit",
        "p99 / limit",
        "p99.9 / limit",
        "calls/call",
    ];
    let mut rows = Vec::new();
    for ours in first.results.iter().filter(|entrant| entrant.side == Side::Ours) {
        let runs = || {
            outcomes
                .iter()
                .filter_map(|outcome| Some((outcome, outcome.of(&ours.name)?)))
        };
        let count = |such: fn(&Verdict) -> bool| {
            runs()
                .filter(|(outcome, run)| such(&Verdict::on(outcome, run)))
                .count()
        };
        let ratio = |figure| to_limit(outcomes, &ours.name, figure);
        let cost: f64 = runs().map(|(_, run)| run.median(|score| score.cost)).sum();
        let met = count(Verdict::is_met);
        let typical = ratio(|score| score.p99);
        let row = [
            emphasised(&ours.name, cast),
            met.to_string(),
            count(|verdict| verdict.near_limit).to_string(),
            format!("{typical:.2}"),
            format!("{:.2}", ratio(|score| score.p999)),
            format!("{:.3}", cost / outcomes.len() as f64),
        ];
        rows.push((met, typical, row));
    }
    rows.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.total_cmp(&b.1)));
    let mut table = Table::new(head);
    for (_, _, row) in rows {
        table.row(row);
    }
    writeln!(
        text,
        "Our configurations over all {} traces, the best first; the ratios to the omniscient limit are geometric means.\n\n{table}",
        outcomes.len()
    )?;
    Ok(())
}

/// The geometric mean, over the traces, of a figure's ratio to the omniscient limit's.
fn to_limit(outcomes: &[Outcome], name: &str, figure: fn(&Score) -> f64) -> f64 {
    let ratios = outcomes.iter().filter_map(|outcome| {
        let limit = outcome
            .results
            .iter()
            .find(|entrant| entrant.side == Side::Limit)?;
        Some((outcome.of(name)?.median(figure) / limit.median(figure)).ln())
    });
    let ratios = Series::new(ratios);
    (ratios.rounds().iter().sum::<f64>() / ratios.rounds().len() as f64).exp()
}

/// What was chosen by the tuning seeds, on these and on others.
pub(crate) fn held_out(outcomes: &[Outcome], tuned: &[Outcome], cast: &Cast) -> String {
    let mut table = Table::new([
        "configuration",
        "p99 / limit, held-out seeds",
        "tuning seeds",
        "p99.9 / limit, held-out seeds",
        "tuning seeds",
    ]);
    for name in [&cast.default, &cast.hedged] {
        let ratio = |outcomes, figure| format!("{:.3}", to_limit(outcomes, name, figure));
        table.row([
            name.clone(),
            ratio(outcomes, |score| score.p99),
            ratio(tuned, |score| score.p99),
            ratio(outcomes, |score| score.p999),
            ratio(tuned, |score| score.p999),
        ]);
    }
    format!(
        "The same on the seeds that settings were chosen by; all other figures are of held-out seeds, by which nothing was chosen.\n\n{table}\n"
    )
}

fn emphasised(name: &str, cast: &Cast) -> String {
    if name == cast.default {
        format!("**{name}** (default)")
    } else if name == cast.hedged {
        format!("{name} (recommended for reads)")
    } else {
        name.to_owned()
    }
}

fn trace(text: &mut String, outcome: &Outcome, image: &str, cast: &Cast) -> Result<()> {
    let (scenario, rounds) = (
        &outcome.scenario,
        outcome.results.first().map_or(0, |one| one.scores.len()),
    );
    let mut table = Table::new([
        "contestant",
        "success",
        "wrong",
        "p50",
        "p99 (spread)",
        "p99.9",
        "calls/call",
        "failover s",
        "fail-back s",
        "imbalance",
    ]);
    for entrant in &outcome.results {
        let (low, high) = entrant.series(|score| score.p99).spread();
        table.row([
            emphasised(&entrant.name, cast),
            percent(entrant.median(|score| score.success)),
            percent(entrant.median(|score| score.wrong)),
            format!("{:.0}", entrant.median(|score| score.p50)),
            format!("{:.0} ({low:.0}–{high:.0})", entrant.median(|score| score.p99)),
            format!("{:.0}", entrant.median(|score| score.p999)),
            format!("{:.3}", entrant.median(|score| score.cost)),
            seconds(entrant.median(|score| score.failover)),
            seconds(entrant.median(|score| score.failback)),
            format!("{:.2}", entrant.median(|score| score.imbalance)),
        ]);
    }
    writeln!(
        text,
        "### {heading}{name}\n\n{what}.\n\n![p99 over time, distribution of latencies, cost against p99](images/bench/{image})\n\n\
         <details><summary>All contestants, medians of {rounds} rounds</summary>\n\n{table}\n</details>\n",
        heading = cast.heading,
        name = scenario.name,
        what = capitalised(scenario.what),
    )?;
    Ok(())
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn seconds(seconds: f64) -> String {
    if seconds.is_nan() {
        "–".to_owned()
    } else if seconds.is_infinite() {
        "never".to_owned()
    } else {
        format!("{seconds:.0}")
    }
}

/// All figures of a trace, for programs: of each, every round.
fn figures(outcome: &Outcome, cast: &Cast) -> Value {
    let of = |entrant: &Entrant, figure: fn(&Score) -> f64| {
        // JSON knows no infinity; what never happened is null, and so is what does not apply
        json!(entrant.series(figure).rounds())
    };
    let entrant = |entrant: &Entrant| {
        let figures = json!({
            "default": entrant.name == cast.default,
            "recommended_for_reads": entrant.name == cast.hedged,
            "success": of(entrant, |score| score.success),
            "wrong": of(entrant, |score| score.wrong),
            "p50_ms": of(entrant, |score| score.p50),
            "p99_ms": of(entrant, |score| score.p99),
            "p999_ms": of(entrant, |score| score.p999),
            "p99_of_right_answers_ms": of(entrant, |score| score.p99_right),
            "calls_per_call": of(entrant, |score| score.cost),
            "failover_s": of(entrant, |score| score.failover),
            "failback_s": of(entrant, |score| score.failback),
            "imbalance": of(entrant, |score| score.imbalance),
        });
        (entrant.name.clone(), figures)
    };
    Value::Object(outcome.results.iter().map(entrant).collect())
}
