//! The status page in a real browser: Chromium, without a window. Where there is none the trials are reported as ignored,
//! and the reason is printed. `CHROMIUM=/path/to/chromium` names one that is not on PATH.
//!
//! `STATUS_PAGE=http://127.0.0.1:9090/ STATUS_IMAGE=docs/images/status.png cargo test -p pool-metrics --test browser picture`
//! takes a picture of a running relayer's page instead (paths are relative to the workspace).

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "real processes live in real time"
)]

#[path = "browser/chromium.rs"]
mod chromium;
#[path = "server/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the server")]
mod support;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use libtest_mimic::{Arguments, Trial};
use pool_core::{
    NotUsable, ThrottleCause,
    breaker::BreakerState,
    health::{HealthReason, HealthStatus},
};
use pool_metrics::{PrometheusBridge, RoutesBuilder};
use serde_json::{Value, json};

use chromium::{Chromium, Scheme, Tab};
use support::SetPool;

/// Gets the program.
type Test = fn(&Path);

/// Widths of a laptop's window and of a telephone.
const WIDTHS: [u32; 2] = [1280, 390];

fn main() {
    let arguments = Arguments::from_args();
    let asked = std::env::var("STATUS_PAGE")
        .ok()
        .zip(std::env::var_os("STATUS_IMAGE"));
    let mut tests: Vec<(&str, Test)> = vec![
        ("the_page_reads_well_wide_and_narrow_dark_and_light", reads_well),
        ("the_page_refreshes_itself_and_says_when_it_can_not", refreshes),
        ("the_page_works_without_javascript", without_javascript),
    ];
    let (program, missing) = match Chromium::find() {
        Some(program) => (program, false),
        None => (PathBuf::new(), true),
    };
    let mut trials = Vec::new();
    if let Some((url, image)) = asked {
        tests.clear();
        let program = program.clone();
        let picture = move || {
            picture(&program, &url, Path::new(&image));
            Ok(())
        };
        trials.push(Trial::test("picture", picture).with_ignored_flag(missing));
    }
    for (name, test) in tests {
        if missing {
            println!(
                "NOT RUN {name}: no chromium, chromium-browser or google-chrome on PATH, and $CHROMIUM is not set"
            );
        }
        let program = program.clone();
        let run = move || {
            test(&program);
            Ok(())
        };
        trials.push(Trial::test(name, run).with_ignored_flag(missing));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A server with pools in every state, and a runtime that keeps it alive.
struct Stage {
    runtime: tokio::runtime::Runtime,
    url: String,
    running: support::Running,
    pools: Vec<Arc<SetPool>>,
}

impl Stage {
    fn new() -> Self {
        let bridge = PrometheusBridge::new().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let guard = runtime.enter();
        let metrics = bridge.metrics();
        let well = SetPool::attach(metrics, "ethereum", &["alchemy", "infura", "own-node"]);
        let mixed = SetPool::attach(
            metrics,
            "polygon",
            &[
                "usable",
                "unhealthy",
                "breaker-open",
                "throttled",
                "full",
                "not-checked",
            ],
        );
        let dark = SetPool::attach(
            metrics,
            "cosmoshub",
            &["a-name-as-long-as-names-may-be-0123456789-0123456789-0123456789"],
        );
        set_mixed(&mixed);
        dark.set(|pool, explained| {
            (
                pool.slots_usable,
                pool.slots_free,
                pool.queue_size,
                pool.queue_limit,
            ) = (0, 0, 999, 1000);
            (pool.queue_timeouts, pool.queue_rejections) = (1_234_567, 89_012);
            let reason = HealthReason::CheckFailed(format!("said {}", "very long words ".repeat(30)));
            pool.endpoints[0].health = HealthStatus::Unhealthy;
            pool.endpoints[0].health_reason = Some(reason.to_string());
            explained[0].not_usable = Some(NotUsable::Unhealthy { reason: Some(reason) });
        });
        let routes = RoutesBuilder::from(&bridge)
            .sample_every(Duration::from_millis(10))
            .build();
        let running = runtime.block_on(support::serve(routes));
        drop(guard);
        let stage = Self {
            url: format!("http://{}/", running.addrs[0]),
            runtime,
            running,
            pools: vec![well, mixed, dark],
        };
        stage.work();
        stage
    }

    /// Keeps one pool at work, for its curves, as long as it is there.
    fn work(&self) {
        let pool = Arc::downgrade(&self.pools[0]);
        std::thread::spawn(move || {
            for step in 0_u64.. {
                let Some(pool) = pool.upgrade() else { return };
                pool.set(|pool, _| {
                    for (at, endpoint) in (1..).zip(&mut pool.endpoints) {
                        endpoint.requests += 1;
                        endpoint.latency_sum += Duration::from_millis(10 * at + (step / 20 * at) % 17);
                    }
                });
                drop(pool);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
    }
}

fn set_mixed(pool: &SetPool) {
    pool.set(|pool, explained| {
        (
            pool.slots_usable,
            pool.slots_free,
            pool.queue_size,
            pool.queue_limit,
        ) = (20, 7, 3, 1000);
        pool.head_age = Some(Duration::from_millis(2_400));
        let wait = Duration::from_secs(12);
        let reason = HealthReason::CheckFailed("HTTP 502 Bad Gateway".to_owned());
        pool.endpoints[1].health = HealthStatus::Unhealthy;
        pool.endpoints[1].health_reason = Some(reason.to_string());
        pool.endpoints[2].breaker = BreakerState::Open {
            until: pool.taken_at + wait,
        };
        pool.endpoints[2].breaker_opened = 4;
        (pool.endpoints[3].quota_left, pool.endpoints[3].quota_limit) = (Some(0), Some(250_000));
        pool.endpoints[4].slots_active = 10;
        pool.endpoints[5].health = HealthStatus::Unknown;
        for (at, endpoint) in (1_u64..).zip(&mut pool.endpoints) {
            (endpoint.requests, endpoint.errors[1], endpoint.errors[5]) = (at * 98_765, at * 321, 2 * at);
            endpoint.position = Some(61_234_567 + at);
            endpoint.head_age = Some(Duration::from_millis(at * 1_700));
        }
        explained[0].next = true;
        explained[1].not_usable = Some(NotUsable::Unhealthy { reason: Some(reason) });
        explained[2].not_usable = Some(NotUsable::BreakerOpen { wait: Some(wait) });
        explained[3].not_usable = Some(NotUsable::Throttled {
            wait,
            cause: ThrottleCause::Quota,
        });
        explained[4].not_usable = Some(NotUsable::Full { slots: 10 });
        explained[5].not_usable = Some(NotUsable::Unhealthy {
            reason: Some(HealthReason::NotChecked),
        });
    });
}

/// For each element with text of its own: the contrast of its colour with what is behind it, and its size.
const LEGIBILITY: &str = "(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  const found = [];
  for (const e of document.body.querySelectorAll('*')) {
    if (e.closest('noscript, script, style, svg') || !e.offsetParent) continue;
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const style = getComputedStyle(e), [a, b] = [light(parse(style.color)), light(behind(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const box = e.getBoundingClientRect();
    if (contrast < 4.5 || parseFloat(style.fontSize) < 11.5 || box.right > innerWidth + 0.5 || box.left < 0)
      found.push(e.tagName + ' ' + e.textContent.trim().slice(0, 40) + ': contrast ' + contrast.toFixed(1)
        + ', size ' + style.fontSize + ', from ' + box.left + ' to ' + box.right);
  }
  return found;
})()";

fn reads_well(program: &Path) {
    let stage = Stage::new();
    let mut chromium = Chromium::start(program);
    for width in WIDTHS {
        for scheme in [Scheme::Light, Scheme::Dark] {
            let mut tab = chromium.open(width, scheme, true);
            tab.visit(&stage.url);
            let place = format!("{width} {scheme:?}");
            assert_eq!(tab.eval("document.title"), "2 of 3 pools ready", "{place}");
            let rows = "[...document.querySelectorAll('tbody tr')].filter((row) => row.getBoundingClientRect().height > 20)";
            assert_eq!(tab.eval(&format!("{rows}.length")), 10, "{place}");
            assert_eq!(
                tab.eval("document.documentElement.scrollWidth <= innerWidth"),
                true,
                "{place}"
            );
            assert_eq!(tab.eval(LEGIBILITY), json!([]), "{place}");
            // the curves of the pool that works are drawn, and have a height
            let curves = "[...document.querySelectorAll('.curve path:not(.base)')].filter((p) => p.getBBox().height > 4)";
            tab.until(&format!("{curves}.length === 3"));
            let picture = tab.picture();
            if let Some(folder) = std::env::var_os("STATUS_PICTURES") {
                std::fs::write(
                    Path::new(&folder).join(format!("{width}-{scheme:?}.png")),
                    &picture,
                )
                .unwrap();
            }
            assert!(
                picture.starts_with(b"\x89PNG") && picture.len() > 20_000,
                "{} bytes",
                picture.len()
            );
            assert_eq!(tab.complaints(), Vec::<String>::new(), "{place}");
        }
    }
}

fn refreshes(program: &Path) {
    let stage = Stage::new();
    let mut chromium = Chromium::start(program);
    let mut tab = chromium.open(1280, Scheme::Light, true);
    tab.visit(&stage.url);
    let text = "document.querySelector('#pool-polygon').closest('section').innerText";
    let holds = |what: &str| format!("{text}.includes({})", json!(what));
    assert_eq!(tab.eval(&holds("3 of 1000")), true);
    stage.pools[1].set(|pool, _| pool.queue_size = 432);
    tab.until(&holds("432 of 1000"));
    assert_eq!(tab.eval("document.title"), "2 of 3 pools ready");
    assert_eq!(tab.eval("document.body.classList.contains('stale')"), false);
    assert_eq!(tab.complaints(), Vec::<String>::new());
    // the server goes: the page says so, and keeps what it had
    stage.running.stop.send(()).unwrap();
    stage.runtime.block_on(stage.running.ended).unwrap();
    tab.until("document.body.classList.contains('stale')");
    tab.until("document.getElementById('note').textContent.startsWith('No answer since ')");
    assert_eq!(tab.eval(&holds("432 of 1000")), true);
}

fn without_javascript(program: &Path) {
    let stage = Stage::new();
    let mut chromium = Chromium::start(program);
    let mut tab: Tab<'_> = chromium.open(1280, Scheme::Light, false);
    tab.visit(&stage.url);
    let text = tab.eval("document.body.innerText");
    let text = text.as_str().unwrap();
    for part in [
        "ethereum",
        "own-node",
        "check failed: HTTP 502 Bad Gateway",
        "3 of 1000",
        "head 1 s old",
        "Reloaded every 10 seconds.",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(tab.complaints(), Vec::<String>::new());
}

/// A picture of a page that somebody else serves.
fn picture(program: &Path, url: &str, image: &Path) {
    let mut chromium = Chromium::start(program);
    let mut tab = chromium.open(1280, Scheme::Light, true);
    tab.visit(url);
    assert_ne!(
        tab.eval("document.querySelectorAll('tbody tr').length"),
        Value::from(0)
    );
    assert_eq!(tab.complaints(), Vec::<String>::new());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::write(workspace.join(image), tab.picture()).unwrap();
}
