//! The status page.
//!
//! One renderer makes the whole page and the part that refreshes it, so a browser with and one without JavaScript see the
//! same. Nothing is loaded from elsewhere; the policy that goes with it allows the style and the script by their digests
//! and nothing else, so that even text that got through unescaped could not do anything.

use std::{fmt::Write as _, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use sha2::{Digest, Sha256};

use super::{
    status::{EndpointStatus, PoolStatus, State, Status},
    svg,
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M1 \
                    8h3l2-5 4 10 2-5h3' fill='none' stroke='%230072b2' stroke-width='2'/%3E%3C/svg%3E";

/// The policy for the page.
pub(super) static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let digest = |text: &str| STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        digest(SCRIPT),
        digest(STYLE)
    );
    // base64 and ASCII: always a header
    policy.try_into().ok()
});

/// The whole page.
pub(super) fn page(status: &Status) -> String {
    let mut out = String::with_capacity(32_768);
    let _infallible = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n<meta \
         name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" \
         content=\"light dark\">\n<link rel=\"icon\" href=\"{ICON}\">\n<noscript><meta http-equiv=\"refresh\" \
         content=\"10\"></noscript>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
        title(status),
    );
    part(&mut out, status);
    let _infallible = write!(
        out,
        "</main>\n<footer><p id=\"note\" role=\"status\"><noscript>Reloaded every 10 seconds.</noscript></p><p>The same \
         as JSON: <a href=\"pools\">pools</a>. For Prometheus: <a href=\"metrics\">metrics</a>.</p></footer>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    );
    out
}

/// What changes.
pub(super) fn fragment(status: &Status) -> String {
    let mut out = String::with_capacity(16_384);
    part(&mut out, status);
    out
}

fn title(status: &Status) -> String {
    let ready = status.pools.iter().filter(|pool| pool.ready).count();
    format!("{ready} of {} pools ready", status.pools.len())
}

fn part(out: &mut String, status: &Status) {
    let endpoints = || status.pools.iter().flat_map(|pool| &pool.endpoints);
    let usable = endpoints()
        .filter(|endpoint| endpoint.state == State::Usable)
        .count();
    let _infallible = write!(
        out,
        "<header data-title=\"{title}\"><h1>Connection pools</h1><p>{title}, {usable} of {} endpoints usable</p></header>\n",
        endpoints().count(),
        title = title(status),
    );
    if status.pools.is_empty() {
        out.push_str("<p class=\"none\">There is no pool yet.</p>\n");
    }
    for pool in &status.pools {
        section(out, pool, status.sampled_every_ms);
    }
}

fn section(out: &mut String, pool: &PoolStatus, every_ms: u64) {
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
        let _infallible = write!(
            out,
            "<p class=\"scale\">Latency: mean of the successful attempts in each {}, over the last {}; all curves of \
             this pool on one scale, 0 to {}.</p>\n",
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
    let (slots, connections) = (&endpoint.slots, &endpoint.connections);
    let _infallible = write!(
        out,
        "</div></td><td data-l=\"breaker\"><div>{}{opened}</div></td><td data-l=\"weight\" class=\"n\">{}</td><td \
         data-l=\"in flight\"><div>{} of {}{}</div></td><td data-l=\"connections\"><div>{} busy<small>{} idle, {} at \
         most</small></div></td><td data-l=\"requests\" class=\"n\">{}</td><td data-l=\"errors\" class=\"n\"><div>{}",
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
    let _infallible = write!(out, "<span>{newest}</span></div></td></tr>\n");
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
    // what keeps it from being used stands beside the state already
    if endpoint.health.status == "healthy"
        && let Some(reason) = &endpoint.health.reason
    {
        note(&format!("last check: {reason}"));
    }
    if endpoint.health.check_failures_total > 0 {
        note(&format!(
            "{} failed checks",
            count(endpoint.health.check_failures_total)
        ));
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

/// Digits in groups of three.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn weight(weight: f64) -> String {
    let text = format!("{weight:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn latency(ms: f64) -> String {
    match ms {
        ..10.0 => format!("{ms:.1} ms"),
        ..999.5 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1e3),
    }
}

fn period(ms: u64) -> String {
    match ms {
        ..1_000 => format!("{ms} ms"),
        ..120_000 => format!("{} s", ms / 1_000),
        _ => format!("{} min", ms / 60_000),
    }
}

/// Text that can't become markup.
struct Text<'a>(&'a str);

impl std::fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0.0, 1.0, 0.5, 10.0, 1.256].map(weight),
            ["0", "1", "0.5", "10", "1.26"]
        );
        assert_eq!(
            [0.42, 9.96, 31.4, 999.6, 12_340.0].map(latency),
            ["0.4 ms", "10.0 ms", "31 ms", "1.0 s", "12.3 s"]
        );
        assert_eq!(
            [250, 5_000, 90_000, 600_000].map(period),
            ["250 ms", "5 s", "90 s", "10 min"]
        );
    }

    #[test]
    fn text_can_not_become_markup() {
        let text = Text("<script>alert('1')</script>&\"").to_string();
        assert_eq!(text, "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;");
    }

    #[test]
    fn the_style_and_the_script_end_where_they_should() {
        for text in [STYLE, SCRIPT] {
            assert!(
                !text.contains("</") && !text.contains("<!--"),
                "it would end early"
            );
            assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("url("));
        }
        assert!(POLICY.is_some());
    }
}
