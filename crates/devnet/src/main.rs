//! `devnet`: serves one chain on one or several ports, each a node that misbehaves on command.

mod certificate_options;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use certificate_options::CertificateOptions;
use clap::{Parser, ValueEnum};
use devnet::{Chain, ChainConfig, Dialect, Faults, Node, NodeConfig};
use tokio::signal::unix::{SignalKind, signal};

/// A JSON-RPC node that misbehaves on command.
///
/// Prints one line per node on stdout once it serves: `devnet node=0 url=http://127.0.0.1:8545
/// control=http://127.0.0.1:8546 dialect=evm chain_id=1 seed=7` (the URL is https with TLS, control is `-` without one),
/// then `devnet ready`.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Interface of the nodes.
    #[arg(long, value_enum, default_value = "evm")]
    dialect: DialectName,
    /// Chain id: a number for evm, a name for cometbft [default: 1, or devnet-1].
    #[arg(long)]
    chain_id: Option<String>,
    /// Time between two blocks, such as 2s or 500ms.
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    block_time: Duration,
    /// Unix time of block 0 in seconds: processes that share it agree about the height, also after a restart.
    #[arg(long, default_value_t = 1_767_225_600)]
    genesis_time: u64,
    /// Widest block range of eth_getLogs and tx_search.
    #[arg(long, default_value_t = 10_000)]
    max_log_range: u64,
    /// Address of the first node; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:8545")]
    listen: SocketAddr,
    /// Address of the first node's control endpoint [default: none].
    #[arg(long)]
    control: Option<SocketAddr>,
    /// Number of nodes; they take consecutive ports, and so do their control endpoints.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    nodes: u16,
    /// Seed of the first node's chance; the others count on from it [default: drawn].
    #[arg(long)]
    seed: Option<u64>,
    /// Faults to begin with, as JSON in the form that the control endpoint takes.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Serve on other than loopback addresses. There is no authentication.
    #[arg(long)]
    allow_remote: bool,
    #[command(flatten)]
    certificate: CertificateOptions,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DialectName {
    Evm,
    Cometbft,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    // The handlers come first: a signal during start-up must end it in order, too.
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let nodes = start(&options).await?;
    for (place, node) in nodes.iter().enumerate() {
        println!("{}", describe(place, node));
    }
    println!("devnet ready");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    for node in &nodes {
        node.stop().await;
    }
    Ok(())
}

async fn start(options: &Options) -> anyhow::Result<Vec<Node>> {
    for addr in std::iter::once(options.listen).chain(options.control) {
        if !addr.ip().is_loopback() && !options.allow_remote {
            bail!("{addr} is not a loopback address: add --allow-remote to serve it without authentication");
        }
    }
    let config = chain_config(options)?;
    let faults = options
        .faults
        .as_deref()
        .map(|path| read_faults(path, config.dialect))
        .transpose()?;
    let faults = faults.unwrap_or_default();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let chain = Arc::new(Chain::new(config)?);
    let certificate = options.certificate.certificate(options.listen)?;
    let mut nodes = Vec::new();
    for place in 0..options.nodes {
        let config = NodeConfig {
            listen: nth(options.listen, place)?,
            control: options.control.map(|control| nth(control, place)).transpose()?,
            seed: seed.wrapping_add(place.into()),
            faults: faults.clone(),
            tls: certificate.tls.clone(),
        };
        nodes.push(Node::start(Arc::clone(&chain), config).await?);
    }
    certificate.publish()?;
    Ok(nodes)
}

fn chain_config(options: &Options) -> anyhow::Result<ChainConfig> {
    let (dialect, default_id) = match options.dialect {
        DialectName::Evm => (Dialect::Evm, "1"),
        DialectName::Cometbft => (Dialect::CometBft, "devnet-1"),
    };
    let chain_id = options.chain_id.clone().unwrap_or_else(|| default_id.to_owned());
    let mut config = ChainConfig::new(dialect, chain_id, options.block_time);
    config.genesis_time = options.genesis_time;
    config.max_log_range = options.max_log_range;
    let age = since_epoch().checked_sub(Duration::from_secs(options.genesis_time));
    config.age = age.with_context(|| {
        format!(
            "--genesis-time {} is in the future by this machine's clock",
            options.genesis_time
        )
    })?;
    Ok(config)
}

#[expect(
    clippy::disallowed_types,
    reason = "the one place where the wall clock enters: the chain's age"
)]
fn since_epoch() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

fn read_faults(path: &Path, dialect: Dialect) -> anyhow::Result<Faults> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let faults: Faults = serde_json::from_str(&text).with_context(|| shown.to_string())?;
    faults.validate(dialect).with_context(|| shown.to_string())?;
    Ok(faults)
}

/// The address `place` ports further on; port 0 stays 0, any free port.
fn nth(first: SocketAddr, place: u16) -> anyhow::Result<SocketAddr> {
    let mut addr = first;
    if first.port() != 0 {
        let port = first.port().checked_add(place);
        addr.set_port(port.with_context(|| format!("no {place} ports are left after {first}"))?);
    }
    Ok(addr)
}

fn describe(place: usize, node: &Node) -> String {
    let control = node
        .control_addr()
        .map_or_else(|| "-".to_owned(), |addr| format!("http://{addr}"));
    let config = node.chain().config();
    let dialect = match config.dialect {
        Dialect::Evm => "evm",
        Dialect::CometBft => "cometbft",
    };
    let (url, id, seed) = (node.url(), &config.chain_id, node.seed());
    format!("devnet node={place} url={url} control={control} dialect={dialect} chain_id={id} seed={seed}")
}
