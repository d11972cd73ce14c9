//! From the command line to the exit status.

use std::{
    io::Write as _, net::SocketAddr, path::Path, pin::pin, process::ExitCode, sync::Arc, time::Duration,
};

use anyhow::Context as _;
use pool_core::Observer;
use pool_metrics::{PoolMetrics, PrometheusBridge, Tls};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Relayer,
    cli::Cli,
    config::{self, Config, ConfigProblem},
    devnet::{Devnet, Options},
    faults::{FaultEndpoint, FaultProblem, Hiding, Lookup},
    serve::{ServeProblem, Serving},
    shutdown::{Signals, Wish},
};

/// For what is under way to end after a signal. With `LAST_SCRAPE` and the rest it stays below five seconds.
const DRAIN: Duration = Duration::from_secs(3);

/// For a scrape that is under way to end when all else has.
const LAST_SCRAPE: Duration = Duration::from_secs(1);

/// What an operator must correct: exit status 2. Nothing has been started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadInput {
    /// The configuration file. The message names file and line.
    #[error(transparent)]
    Config(#[from] ConfigProblem),
    /// The address to listen on, the certificate or the credentials. The message says what to do.
    #[error(transparent)]
    Serve(#[from] ServeProblem),
    /// The address of the fault endpoint. The message says what to do.
    #[error(transparent)]
    Faults(#[from] FaultProblem),
}

/// Runs the relayer and tells the exit status; errors are printed on standard error.
pub fn main(cli: Cli) -> ExitCode {
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<BadInput>() => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    let config = match &cli.config {
        Some(file) => Some(config::load(file).map_err(BadInput::from)?),
        None => None,
    };
    if let (true, Some(config), Some(file)) = (cli.check, &config, &cli.config) {
        let endpoints: usize = config.pools.iter().map(|pool| pool.endpoints.len()).sum();
        say(&format!(
            "{}: ok (pools: {}, endpoints: {endpoints})",
            file.display(),
            config.pools.len()
        ));
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started")?;
    let result = runtime.block_on(run(cli, config));
    // a name that is being looked up blocks a thread; nobody waits for it
    runtime.shutdown_background();
    result
}

async fn run(cli: Cli, config: Option<Config>) -> anyhow::Result<()> {
    let mut signals = Signals::install().context("signals can't be handled")?;
    let bridge = PrometheusBridge::new()?;
    // before anything is started: who can't be seen should not work
    let hiding = Hiding::default();
    let drill = cli.fault_endpoint.is_some().then_some(&hiding);
    let Serving { server, tls, guarded } = Serving::open(&cli, &bridge, drill)
        .await
        .map_err(BadInput::from)?;
    let drill = match cli.fault_endpoint {
        Some(addr) => Some(FaultEndpoint::open(addr, hiding).await.map_err(BadInput::from)?),
        None => None,
    };
    let file = cli.config.clone();
    let (devnet, config) = match config {
        Some(config) => (None, config),
        None => {
            let (devnet, config) = Devnet::start(options(&cli)).await?;
            tracing::info!(seed = cli.seed, calm = cli.calm, "devnet started");
            (Some(devnet), config)
        }
    };
    let observer: Arc<dyn Observer> = Arc::new(bridge.metrics().clone());
    let mut relayer = Relayer::start(config, cli.seed, &observer)?;
    tell_timeouts(&relayer, bridge.metrics());

    let addresses = server.local_addrs();
    let (stop_server, server_stopped) = oneshot::channel::<()>();
    let mut server = tokio::spawn(server.serve(async {
        // an error means that the sender is gone, which is as good
        let _gone = server_stopped.await;
    }));
    announce(&addresses, tls.is_some(), guarded);
    // without a fault endpoint nobody ever asks
    let (lookups, mut looked_up) = mpsc::channel::<Lookup>(1);
    let drill = drill.map(|endpoint| {
        say(&format!("taking faults on http://{}/faults", endpoint.addr()));
        tracing::warn!(address = %endpoint.addr(), "whoever reaches this address can disturb the relayer (--fault-endpoint)");
        tokio::spawn(endpoint.serve(lookups))
    });

    let mut play = pin!(async {
        match &devnet {
            Some(devnet) => devnet.play().await,
            None => std::future::pending().await,
        }
    });
    let end = loop {
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::Reload => {
                    renew(tls.as_ref());
                    reload(&mut relayer, file.as_deref());
                    tell_timeouts(&relayer, bridge.metrics());
                }
                Wish::End(name) => {
                    tracing::info!("{name}: stopping");
                    break Ok(());
                }
            },
            () = relayer.failed() => {
                break Err(anyhow::anyhow!("a task that follows a chain panicked; the log says where"));
            }
            _ended = &mut server => break Err(anyhow::anyhow!("the metrics server ended by itself; the log says why")),
            () = &mut play => break Ok(()),
            Some(Lookup { pool, answer }) = looked_up.recv() => {
                // whoever asked may have gone
                let _gone = answer.send(relayer.pool(&pool).cloned());
            }
        }
    };
    signals.end_at_next();
    if let Some(drill) = drill {
        // gives back what it holds: the pools wait for it otherwise
        drill.abort();
        let _aborted = drill.await;
    }
    stop(relayer).await;
    drop(stop_server);
    if !server.is_finished() && tokio::time::timeout(LAST_SCRAPE, &mut server).await.is_err() {
        tracing::warn!("a scrape did not end within {LAST_SCRAPE:?} and was cut off");
        server.abort();
    }
    tracing::info!("stopped");
    end
}

/// Pools don't know what their requests are given; the metrics must, to say whether they show it.
fn tell_timeouts(relayer: &Relayer, metrics: &PoolMetrics) {
    for (pool, timeout) in relayer.request_timeouts() {
        metrics.request_timeout(pool, timeout);
    }
}

/// Reads the certificate again. What is wrong with it is logged, and it stays as it was.
fn renew(tls: Option<&Tls>) {
    match tls.map(Tls::reload) {
        Some(Ok(true)) => tracing::info!("SIGHUP: the renewed TLS certificate is in use"),
        Some(Err(error)) => tracing::error!("SIGHUP: the TLS certificate stays as it was: {error}"),
        Some(Ok(false)) | None => {}
    }
}

/// Reads the file again. What is wrong with it is logged, and everything goes on as it was.
fn reload(relayer: &mut Relayer, file: Option<&Path>) {
    let Some(file) = file else {
        tracing::warn!("SIGHUP: there is no file to read again, the nodes are the devnet's own");
        return;
    };
    let config = match config::load(file) {
        Ok(config) => config,
        Err(problem) => {
            relayer.note_refused();
            tracing::error!("SIGHUP: not reloaded, everything goes on as before: {problem}");
            return;
        }
    };
    match relayer.apply(config) {
        Err(error) => {
            relayer.note_refused();
            tracing::error!("SIGHUP: not reloaded, everything goes on as before: {error}");
        }
        Ok(applied) if applied.is_nothing() => {
            tracing::info!("SIGHUP: reloaded, nothing has changed for the pools");
        }
        Ok(applied) => {
            let removed = applied.removed.iter().map(|pool| pool.id().as_str());
            tracing::info!(
                added = ?applied.added,
                changed = ?applied.changed,
                removed = ?removed.collect::<Vec<_>>(),
                "SIGHUP: reloaded"
            );
        }
    }
}

/// Closes the pools and tells how it went.
async fn stop(relayer: Relayer) {
    for (pool, report) in relayer.stop(DRAIN).await {
        if report.unfinished == 0 {
            tracing::info!(%pool, "pool closed");
        } else {
            let unfinished = report.unfinished;
            tracing::warn!(%pool, unfinished, "pool closed with requests that did not end within {DRAIN:?}");
        }
    }
}

fn options(cli: &Cli) -> Options {
    Options {
        seed: cli.seed,
        calm: cli.calm,
        speed: cli.speed,
        transactions: cli.transactions,
    }
}

/// One stable line for each address, for whoever started this process.
fn announce(addresses: &[SocketAddr], encrypted: bool, guarded: bool) {
    let scheme = if encrypted { "https" } else { "http" };
    for address in addresses {
        say(&format!("listening on {scheme}://{address}/metrics"));
        if address.ip().is_loopback() {
            continue;
        }
        if !guarded {
            tracing::info!(%address, "everybody who reaches this address can read the metrics");
        } else if !encrypted {
            tracing::warn!(%address, "credentials travel to this address unencrypted; --tls-cert and --tls-key help");
        }
    }
}

/// Writes a line to standard output. Whoever reads it may have gone; that is no reason to stop.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        tracing::debug!(%error, "standard output is closed");
    }
}
