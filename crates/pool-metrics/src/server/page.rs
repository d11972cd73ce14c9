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
    rows::section,
    status::{State, Status},
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
    let _infallible = writeln!(
        out,
        "<header data-title=\"{title}\"><h1>Connection pools</h1><p>{title}, {usable} of {} endpoints usable</p></header>",
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

#[cfg(test)]
mod tests {
    use super::*;

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
