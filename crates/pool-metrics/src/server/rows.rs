//! The status page's pools and endpoints.

use std::fmt::Write as _;

use super::{
    figures::{Text, count, latency, period, weight},
    status::{EndpointStatus, PoolStatus, State},
    svg,
};

/// A pool: what is true of all of it, then its endpoints.
pub(super) fn section(out: &mut String, pool: &PoolStatus, every_ms: u64) {
    let (look, word) = verdict(pool);
    let _infallible = write!(
        out,
        "<section aria-labelledby=\"pool-{id}\"><h2 id=\"pool-{id}\">{id} {}</h2>\n<dl>",
        badge(look, &word),
        id = Text(&pool.id),
    );
    let mut fact = |name: &str, value: String, alarm: bool| {
        let class = if alarm { " class=\"alarm\"" } else { "" };
        let _infallible = write!(out, "<div{class}><dt>{name}</dt><dd>{value}</dd></div>");
    };
    let queue = &pool.queue;
    fact(
        "free slots",
        format!("{} of {}", pool.slots.free, pool.slots.usable),
        false,
    );
    fact(
        "waiting",
        format!("{} of {}", queue.waiting, queue.limit),
        queue.waiting > 0,
    );
    fact(
        "timed out waiting",
        count(queue.timeouts_total),
        queue.timeouts_total > 0,
    );
    fact(
        "rejected",
        count(queue.rejections_total),
        queue.rejections_total > 0,
    );
    fact("retries", count(pool.retries_total), false);
    fact(
        "hedges (won)",
        format!("{} ({})", count(pool.hedges_total), count(pool.hedges_won_total)),
        false,
    );
    fact(
        "out of retry budget",
        count(pool.budget_exhausted_total),
        pool.budget_exhausted_total > 0,
    );
    if pool.leaks_total > 0 {
        fact("leaks", count(pool.leaks_total), true);
    }
    if let Some(age) = pool.head_age_ms {
        fact("head age", period(age), false);
    }
    out.push_str(
        "</dl>\n<table><thead><tr><th scope=\"col\">endpoint</th><th scope=\"col\">state</th><th \
         scope=\"col\">health</th><th scope=\"col\">breaker</th><th scope=\"col\" class=\"n\">weight</th><th \
         scope=\"col\">in flight</th><th scope=\"col\">connections</th><th scope=\"col\" class=\"n\">requests</th><th \
         scope=\"col\" class=\"n\">errors</th><th scope=\"col\">latency</th></tr></thead><tbody>\n",
    );
    let highest = pool
        .endpoints
        .iter()
        .flat_map(|e| e.latency.mean_ms.iter().flatten());
    let highest = highest.copied().fold(0.0, f64::max);
    for endpoint in &pool.endpoints {
        row(out, endpoint, highest);
    }
    out.push_str("</tbody></table>\n");
    if highest > 0.0 {
        let points = pool
            .endpoints
            .iter()
            .map(|e| e.latency.mean_ms.len())
            .max()
            .unwrap_or(0);
        let _infallible = writeln!(
            out,
            "<p class=\"scale\">Latency: mean of the successful attempts in each {}, over the last {}; all curves of \
             this pool on one (square root) scale, 0 to {}.</p>",
            period(every_ms),
            period(every_ms * points as u64),
            latency(highest),
        );
    }
    out.push_str("</section>\n");
}

fn row(out: &mut String, endpoint: &EndpointStatus, highest: f64) {
    let (look, word) = state(endpoint);
    let tier = if endpoint.tier > 0 {
        format!(" <small>tier {}</small>", endpoint.tier)
    } else {
        String::new()
    };
    let _infallible = write!(
        out,
        "<tr class=\"{}\"><th scope=\"row\">{}{tier}</th><td data-l=\"state\"><div>{}",
        look.class(),
        Text(&endpoint.id),
        badge(look, word),
    );
    if let Some(why) = why(endpoint) {
        let _infallible = write!(
            out,
            "<small class=\"why\" title=\"{why}\">{why}</small>",
            why = Text(why)
        );
    }
    out.push_str("</div></td><td data-l=\"health\"><div>");
    health(out, endpoint);
    let breaker = &endpoint.breaker;
    let opened = match breaker.opened_total {
        0 => String::new(),
        times => format!("<small>opened {}×</small>", count(times)),
    };
    let quota = match (endpoint.quota_left, endpoint.quota_limit) {
        (Some(left), Some(limit)) => format!("<small>quota {} of {}</small>", count(left), count(limit)),
        _ => String::new(),
    };
    let (slots, connections) = (&endpoint.slots, &endpoint.connections);
    let bears = match slots.bears < slots.max {
        true => format!("<small>bears {}</small>", slots.bears),
        false => String::new(),
    };
    let _infallible = write!(
        out,
        "</div></td><td data-l=\"breaker\"><div>{}{opened}</div></td><td data-l=\"weight\" class=\"n\">{}</td><td \
         data-l=\"in flight\"><div>{} of {}{}{bears}</div></td><td data-l=\"connections\"><div>{} busy<small>{} idle, {} at \
         most</small></div></td><td data-l=\"requests\" class=\"n\"><div>{}{quota}</div></td><td data-l=\"errors\" class=\"n\"><div>{}",
        breaker.status.replace('_', "-"),
        weight(endpoint.weight),
        slots.active,
        slots.max,
        svg::bar(slots.active, slots.max),
        connections.active,
        connections.idle,
        connections.max,
        count(endpoint.requests_total),
        count(endpoint.errors_total),
    );
    // the most frequent one; all of them are in the JSON
    if let Some((class, times)) = endpoint.errors_by_type.iter().max_by_key(|(_, times)| **times) {
        let _infallible = write!(
            out,
            "<small>{} {}</small>",
            count(*times),
            class.replace('_', " ")
        );
    }
    out.push_str("</div></td><td data-l=\"latency\"><div class=\"latency\">");
    out.push_str(&svg::curve(&endpoint.latency.mean_ms, highest));
    let newest = endpoint.latency.mean_ms.iter().rev().flatten().next();
    let newest = newest.map_or_else(|| "–".to_owned(), |mean| latency(*mean));
    let _infallible = writeln!(out, "<span>{newest}</span></div></td></tr>");
}

/// What the badge does not say yet.
fn why(endpoint: &EndpointStatus) -> Option<&str> {
    match endpoint.state {
        State::Usable => endpoint.next.then_some("the next request goes here"),
        State::NotChecked => None,
        State::Unhealthy => endpoint.health.reason.as_deref(),
        _ => endpoint.why.as_deref(),
    }
}

fn health(out: &mut String, endpoint: &EndpointStatus) {
    let status = match endpoint.health.status {
        "unknown" => "not checked",
        status => status,
    };
    out.push_str(status);
    let mut note = |text: &str| {
        let _infallible = write!(out, "<small>{}</small>", Text(text));
    };
    if let Some(position) = endpoint.position {
        note(&format!("block {}", count(position)));
    }
    if let Some(age) = endpoint.head_age_ms {
        note(&format!("head {} old", period(age)));
    }
    // what keeps it from being used stands beside the state already
    if endpoint.health.status == "healthy"
        && let Some(reason) = &endpoint.health.reason
    {
        note(&format!("last check: {reason}"));
    }
    match endpoint.health.check_failures_total {
        0 => {}
        1 => note("1 failed check"),
        times => note(&format!("{} failed checks", count(times))),
    }
}

/// How something looks: a colour and a sign, so that it does not depend on telling colours apart.
#[derive(Clone, Copy)]
enum Look {
    Good,
    Fair,
    Bad,
}

impl Look {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Bad => "bad",
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Good => svg::TICK,
            Self::Fair => svg::TRIANGLE,
            Self::Bad => svg::CROSS,
        }
    }
}

fn badge(look: Look, word: &str) -> String {
    format!(
        "<span class=\"badge {}\">{}{}</span>",
        look.class(),
        look.sign(),
        Text(word)
    )
}

fn verdict(pool: &PoolStatus) -> (Look, String) {
    let usable = |endpoint: &&EndpointStatus| matches!(endpoint.state, State::Usable | State::Full);
    let (usable, all) = (pool.endpoints.iter().filter(usable).count(), pool.endpoints.len());
    if pool.closed {
        (Look::Fair, "closed, draining".to_owned())
    } else if !pool.ready {
        (Look::Bad, "no usable endpoint".to_owned())
    } else if pool.panicking {
        (Look::Bad, "uses endpoints in spite of their record".to_owned())
    } else if pool.slots.free == 0 {
        (Look::Fair, "all slots taken".to_owned())
    } else if usable < all {
        (Look::Fair, format!("{usable} of {all} endpoints usable"))
    } else {
        (Look::Good, "ready".to_owned())
    }
}

const fn state(endpoint: &EndpointStatus) -> (Look, &'static str) {
    match endpoint.state {
        State::Usable => (Look::Good, "usable"),
        State::Full => (Look::Fair, "full"),
        State::NotChecked => (Look::Fair, "not checked"),
        State::Throttled => (Look::Fair, "throttled"),
        State::Ejected => (Look::Fair, "left out"),
        State::Unhealthy => (Look::Bad, "unhealthy"),
        State::BreakerOpen => (Look::Bad, "breaker open"),
        State::Other => (Look::Bad, "not usable"),
    }
}
