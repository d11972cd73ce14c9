//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgGroup, Parser};
use pool_core::PoolId;
use pool_metrics::Readiness;

/// The reference relayer: follows its chains through connection pools and serves their metrics.
///
/// Logs go to standard error; RUST_LOG sets the level (default `info`). SIGHUP reads the file again and changes the pools
/// without disturbing what is in flight; if the file is wrong, the log says what and nothing changes. SIGTERM and SIGINT stop it gracefully within five
/// seconds; a second one stops it at once. Exit status: 0 after a stop, 1 when something failed, 2 for bad input, 130
/// after a second signal.
#[derive(Clone, Debug, Parser)]
#[command(name = "relayer", version)]
#[command(group = ArgGroup::new("source").required(true).args(["config", "devnet"]))]
pub struct Cli {
    /// Reads pools, nodes and what to follow from this file
    ///
    /// `${NAME}` in URLs and headers is taken from the environment.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Starts nodes of its own, in this process, and works on them: no file is needed
    ///
    /// Two EVM chains and a CometBFT chain with three nodes each, and a scenario of faults that never hits all nodes of a
    /// pool at once.
    #[arg(long)]
    pub devnet: bool,

    /// Checks the file and the environment, and ends
    #[arg(long, requires = "config", conflicts_with = "devnet")]
    pub check: bool,

    /// Serves /metrics, /pools, /healthz, /readyz and the status page (/) here; may be given several times
    ///
    /// Everybody who reaches the address can read them, unless a token or a password is asked for. Port 0 takes any free
    /// port; the first line on standard output says which.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9090", value_parser = address)]
    pub listen: Vec<SocketAddr>,

    /// What must work for /readyz to say yes: `all` pools, `any` pool, or the names of pools with commas between them
    #[arg(long, value_name = "POOLS", default_value = "all", value_parser = readiness)]
    pub ready: Readiness,

    /// Serves over TLS with this certificate: PEM, the server's own first
    ///
    /// A renewed certificate and key are used within a minute, and at once after SIGHUP.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The private key of the certificate: PEM, not encrypted
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Asks for the bearer token that stands in this file; /healthz and /readyz answer without
    #[arg(long, value_name = "FILE")]
    pub bearer_token_file: Option<PathBuf>,

    /// Asks for user and password, which stand in this file as `user:password`; with --bearer-token-file either will do
    #[arg(long, value_name = "FILE")]
    pub basic_auth_file: Option<PathBuf>,

    /// With --devnet: no faults
    #[arg(long, requires = "devnet", conflicts_with = "config")]
    pub calm: bool,

    /// With --devnet: how much faster than normal the scenario runs, 0.1 to 100
    #[arg(long, value_name = "FACTOR", default_value = "1", requires = "devnet", conflicts_with = "config", value_parser = speed)]
    pub speed: f64,

    /// Decides all chance of the devnet, its scenario and the reads, so that a run can be repeated
    #[arg(long, default_value = "1")]
    pub seed: u64,

    /// Takes faults of the relayer itself here, for drills: leaks, refused settings, hidden metrics
    ///
    /// Only a loopback address is taken: everybody who reaches it can disturb the relayer. Port 0 takes any free port; a line on
    /// standard output says which. GET /faults shows what is in force; the module `faults` documents the rest.
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "check", value_parser = address)]
    pub fault_endpoint: Option<SocketAddr>,

    /// With --devnet: also sends a transaction to each chain every few seconds
    #[arg(long, requires = "devnet", conflicts_with = "config")]
    pub transactions: bool,
}

fn readiness(text: &str) -> Result<Readiness, String> {
    match text {
        "all" => Ok(Readiness::All),
        "any" => Ok(Readiness::Any),
        names => {
            let ids: Result<Vec<_>, _> = names.split(',').map(|name| PoolId::new(name.trim())).collect();
            let wrong =
                |error| format!("{error}; write all, any, or names of pools with commas between them");
            ids.map(Readiness::Pools).map_err(wrong)
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "not an address; write IP:PORT, for instance 127.0.0.1:9090 or [::1]:9090")
}

fn speed(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(factor) if (0.1..=100.0).contains(&factor) => Ok(factor),
        _ => Err("not a factor; allowed: 0.1 to 100"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn readiness_is_of_all_of_any_or_of_those_named() {
        let ready = |args: &[&str]| {
            Cli::try_parse_from([&["relayer", "--devnet"], args].concat()).map(|cli| cli.ready)
        };
        let id = |id| PoolId::new(id).unwrap();
        assert_eq!(ready(&[]).unwrap(), Readiness::All);
        assert_eq!(ready(&["--ready", "any"]).unwrap(), Readiness::Any);
        assert_eq!(
            ready(&["--ready", "ethereum, polygon"]).unwrap(),
            Readiness::Pools(vec![id("ethereum"), id("polygon")])
        );
        for wrong in ["", "a,,b", "a b"] {
            let said = ready(&["--ready", wrong]).unwrap_err().to_string();
            assert!(said.contains("write all, any, or names of pools"), "{said}");
        }
    }

    #[test]
    fn addresses_are_repeatable_and_loopback_by_default() {
        let listen = |args: &[&str]| {
            Cli::try_parse_from([&["relayer", "--devnet"], args].concat())
                .map(|cli| cli.listen.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(listen(&[]).unwrap(), ["127.0.0.1:9090"]);
        assert_eq!(
            listen(&["--listen", "127.0.0.1:1", "--listen", "[::1]:2"]).unwrap(),
            ["127.0.0.1:1", "[::1]:2"]
        );
        assert!(
            listen(&["--listen", "9090"])
                .unwrap_err()
                .to_string()
                .contains("write IP:PORT")
        );
    }
}
