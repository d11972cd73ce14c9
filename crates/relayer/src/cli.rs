//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgGroup, Parser};

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

    /// Serves /metrics, /healthz and /readyz here; may be given several times
    ///
    /// There is no authentication: loopback, or behind something that has it. Port 0 takes any free port; the first line
    /// on standard output says which.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9090", value_parser = address)]
    pub listen: Vec<SocketAddr>,

    /// With --devnet: no faults
    #[arg(long, requires = "devnet", conflicts_with = "config")]
    pub calm: bool,

    /// With --devnet: how much faster than normal the scenario runs, 0.1 to 100
    #[arg(long, value_name = "FACTOR", default_value = "1", requires = "devnet", conflicts_with = "config", value_parser = speed)]
    pub speed: f64,

    /// Decides all chance of the devnet, its scenario and the reads, so that a run can be repeated
    #[arg(long, default_value = "1")]
    pub seed: u64,

    /// With --devnet: also sends a transaction to each chain every few seconds
    #[arg(long, requires = "devnet", conflicts_with = "config")]
    pub transactions: bool,
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
