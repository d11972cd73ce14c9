//! The command line: what `cargo xtask help` shows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Generate, check, run and test the monitoring of the connection pools.
///
/// Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted; `monitoring-status` also 3 when nothing runs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The hand-written spec [default: monitoring/monitoring.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    /// Lay monitoring.NAME.yaml, which stands beside the spec, over it
    #[arg(long, global = true, value_name = "NAME", value_parser = parse_profile)]
    pub(crate) profile: Option<String>,
    /// State, data, logs of a running stack [default: target/monitoring]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Don't look for the secret files that the spec names: for a machine that doesn't hold them, such as CI
    #[arg(long, global = true)]
    pub(crate) without_secrets: bool,
    /// Where the generated files belong [default: the workspace]
    #[arg(long, global = true, value_name = "DIR", hide = true)]
    pub(crate) out: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write every generated file that is stale
    Generate {
        /// Write nothing; show what is stale as a diff, and fail when something is
        #[arg(long)]
        check: bool,
    },
    /// Check the generated files: types, PromQL, metrics, labels; then promtool and amtool where present
    Validate {
        /// Fail when promtool or amtool can't be found
        #[arg(long)]
        require_tools: bool,
    },
    /// What fires when, and the proof of it
    #[command(subcommand)]
    Alerts(Alerts),
    /// Edits of dashboards made in Grafana
    #[command(subcommand)]
    Dashboard(Dashboard),
    /// Start Prometheus, Alertmanager, Grafana and Node Exporter, and wait until they are ready
    MonitoringUp(Up),
    /// Stop what `monitoring-up` started; data stay
    MonitoringDown {
        /// Remove data, logs and state as well
        #[arg(long)]
        purge: bool,
    },
    /// Show services, scrape targets and rules
    MonitoringStatus {
        /// As one JSON document for scripts
        #[arg(long)]
        json: bool,
    },
    /// Show the logs of one service, or the end of all
    MonitoringLogs(Logs),
    /// Run every test, the end-to-end ones included, after getting what they need
    Test {
        /// Don't install anything; what is missing is named and left out
        #[arg(long)]
        no_install: bool,
        /// Passed on to `cargo test`, e.g. `-- --nocapture`
        #[arg(last = true)]
        cargo_args: Vec<String>,
    },
    /// Measure our crates beside their peers, and every balancer through the same faults; writes docs/benchmarks.md
    Bench(Bench),
    /// Watches over the native services; started by `monitoring-up`
    #[command(hide = true)]
    Supervise {
        /// The state folder of the run
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Webhook receiver that keeps every notification; started by `monitoring-up`
    #[command(hide = true)]
    NotificationLog {
        /// Address to listen on; may be repeated
        #[arg(long, required = true, value_name = "ADDR:PORT")]
        listen: Vec<SocketAddr>,
        /// One JSON document per line is appended here
        #[arg(long, value_name = "PATH")]
        file: PathBuf,
    },
}

/// Options of `bench`. The suites check what is in them: which there are is known there only.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Fewer rounds: shows that it works, and leaves docs/benchmarks.md as it is
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only this suite; may be repeated. `trace` is the faults in simulated time
    #[arg(long, value_name = "SUITE")]
    pub(crate) only: Vec<String>,
    /// Write all figures there as well, as one JSON document
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Passed on to the benches' program, e.g. `-- --filter slow-node`; `-- --help` lists them
    #[arg(last = true)]
    pub(crate) more: Vec<String>,
}

/// The commands of `alerts`.
#[derive(Debug, Subcommand)]
pub(crate) enum Alerts {
    /// Show every alert: what it is about, when it fires, with the limits in force
    List,
    /// Put an alert's condition into words, with each part's present value from a running Prometheus
    Explain {
        /// The alert
        #[arg(value_name = "ALERT")]
        alert: String,
        /// Prometheus to ask [default: the one of this stack, on this host]
        #[arg(long, value_name = "URL")]
        prometheus: Option<String>,
    },
    /// Run the unit tests of the rules with promtool: each alert fires when it should, and only then
    Test {
        /// Only these alerts
        #[arg(value_name = "ALERT")]
        alerts: Vec<String>,
    },
    /// Cause each alert's fault in a real stack: it must fire, be told of and end in its time, and nothing else may
    ///
    /// The stack is devnet's nodes, relayers, Prometheus, Alertmanager and a webhook, on ports of their own. First comes a healthy
    /// day on which nothing may fire. The thresholds are those of the spec; the faults are made for the defaults.
    Prove(Prove),
}

/// Options of `alerts prove`.
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// Instead: run the unit tests against every mutant of every rule, and show the survivors
    #[arg(long, conflicts_with_all = ["time_scale", "seed", "healthy_only", "skip_healthy", "write_readme"])]
    pub(crate) mutants: bool,
    /// How many times faster than real time, 1 to 40; the alerts about the objectives run 36 times as fast again
    #[arg(long, default_value = "12", value_name = "N", value_parser = parse_scale)]
    pub(crate) time_scale: f64,
    /// Decides all chance of nodes and reads
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Only the healthy day, of ten minutes divided by the scale
    #[arg(long, conflicts_with_all = ["skip_healthy", "write_readme", "alerts"])]
    pub(crate) healthy_only: bool,
    /// No healthy day before the faults
    #[arg(long, conflicts_with = "write_readme")]
    pub(crate) skip_healthy: bool,
    /// Write the table into the README
    #[arg(long, conflicts_with = "alerts")]
    pub(crate) write_readme: bool,
    /// Only these alerts
    #[arg(value_name = "ALERT")]
    pub(crate) alerts: Vec<String>,
}

/// The commands of `dashboard`.
#[derive(Debug, Subcommand)]
pub(crate) enum Dashboard {
    /// Fetch dashboards from Grafana and store what was edited there as patches, which generation applies again
    Pull {
        /// Only this dashboard, by its file's name without .json
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        grafana: GrafanaOptions,
    },
    /// Show the stored edits
    Diff {
        /// Only this dashboard
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Show instead what `pull` would change
        #[arg(long)]
        live: bool,
        #[command(flatten)]
        grafana: GrafanaOptions,
    },
}

/// Which Grafana, and who asks.
#[derive(Debug, Args)]
pub(crate) struct GrafanaOptions {
    /// Grafana's address [default: the one of this stack, on this host, with the spec's login]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Who logs in
    #[arg(
        long,
        value_name = "NAME",
        requires = "password_file",
        conflicts_with = "token_file"
    )]
    pub(crate) user: Option<String>,
    /// A file that holds the password of --user
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// A file that holds a service account's token
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Read Grafana's answer from a file instead of asking; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "user", "token_file"])]
    pub(crate) answer: Option<PathBuf>,
}

/// Options of `monitoring-up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Where the services run
    #[arg(long, value_enum, default_value_t = RuntimeChoice::Auto)]
    pub(crate) runtime: RuntimeChoice,
    /// Also run the relayer on nodes of its own, so that the dashboards move
    #[arg(long, conflicts_with = "relayer_config")]
    pub(crate) demo: bool,
    /// Also run the relayer with this configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) relayer_config: Option<PathBuf>,
    /// Services to leave out, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SERVICE")]
    pub(crate) without: Vec<Optional>,
    /// Install missing programs with the system's package manager without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// How long to wait until everything is ready, e.g. 60s, 2m
    #[arg(long, default_value = "60s", value_parser = parse_timeout, value_name = "TIME")]
    pub(crate) timeout: Duration,
    /// The relayer's program instead of building it
    #[arg(long, value_name = "PATH", hide = true)]
    pub(crate) relayer_bin: Option<PathBuf>,
}

/// Options of `monitoring-logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// A service's name as `monitoring-status` shows it, `supervisor` or `notifications`; all when left out
    pub(crate) service: Option<String>,
    /// Go on showing what is added
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How many lines from the end
    #[arg(long, short = 'n', default_value_t = 40)]
    pub(crate) lines: usize,
}

/// Where the services run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuntimeChoice {
    /// Docker when an engine answers and compose is there, else native
    Auto,
    /// Containers, by docker compose
    Docker,
    /// The machine's own binaries, supervised
    Native,
}

/// Services that `monitoring-up` can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Optional {
    /// Dashboards
    Grafana,
    /// Figures of the machine
    NodeExporter,
}

/// The name becomes a part of a file's name.
fn parse_profile(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if text.is_empty() || !text.chars().all(plain) {
        return Err(format!(
            "`{text}` can't name a profile; allowed are letters, digits, `-` and `_`, for example production"
        ));
    }
    Ok(text.to_owned())
}

fn parse_scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if (1.0..=40.0).contains(&scale) => Ok(scale),
        _ => Err(format!("`{text}` is not a scale; allowed are 1 to 40")),
    }
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time; write a whole number with ms, s or m: 500ms, 60s, 2m");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let time = match unit {
        "ms" => Duration::from_millis(number),
        "s" | "" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60).ok_or_else(wrong)?),
        _ => return Err(wrong()),
    };
    if time.is_zero() || time > Duration::from_secs(3600) {
        return Err(format!(
            "`{text}` is out of range; allowed are more than 0 and at most 60m"
        ));
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn profiles() {
        assert_eq!(parse_profile("site_a-2"), Ok("site_a-2".to_owned()));
        for bad in ["", "../x", "a.b", "a b"] {
            assert!(parse_profile(bad).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn timeouts() {
        assert_eq!(parse_timeout("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_timeout("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_timeout("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_timeout("30"), Ok(Duration::from_secs(30)));
        for bad in ["", "s", "1h", "-1s", "0s", "61m", "99999999999999999999s"] {
            assert!(parse_timeout(bad).is_err(), "{bad} was taken");
        }
    }
}
