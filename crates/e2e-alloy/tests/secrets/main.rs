//! Nothing of ours tells a secret: no error, event, log, metric or `Debug`, whatever goes wrong.
//!
//! Secrets of which every eight letters occur nowhere else are put wherever a configuration may hold one. Then everything
//! is made to fail in every way that a configuration, a node or a proxy can bring about, and all that is shown
//! meanwhile is searched for them: as they are, in either case, percent-encoded, in base64, with JSON's escapes, as lists of
//! bytes, and for each part of at least eight letters.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

mod databases;
mod echo;
mod file;
mod marks;
mod node;
mod pool;
mod relayer;
mod shown;

use std::{sync::Arc, time::Duration};

use shown::Shown;

#[test]
fn nothing_tells_a_secret() {
    let log = shown::Log::install();
    let shown = Arc::new(Shown::default());
    file::drive(&shown);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let all = async {
            tokio::join!(
                node::drive(&shown),
                pool::drive(&shown),
                databases::drive(&shown),
                relayer::drive(&shown),
            );
        };
        tokio::time::timeout(Duration::from_secs(120), all).await.unwrap();
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    for line in log.lines() {
        shown.text("the log", line);
    }
    shown.assert_silent();
}
