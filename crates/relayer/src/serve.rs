//! The server for metrics, probes and the status page, as the command line wants it.

use std::{
    io,
    path::{Path, PathBuf},
};

use pool_metrics::{
    Auth, AuthError, MetricsServer, PrometheusBridge, Routes, RoutesBuilder, ServeError, Tls,
};

use crate::{cli::Cli, faults::Hiding};

/// Why the server can't be had. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeProblem {
    /// The address or the certificate.
    #[error("{source}{}", hint(.source))]
    Server {
        /// Which, and why.
        #[from]
        source: ServeError,
    },
    /// A file with credentials can't be read.
    #[error("{}: can't be read: {source}; give a file that this process may read", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file's credentials can't be used.
    #[error("{}: {source}", .file.display())]
    Credentials {
        /// The file.
        file: PathBuf,
        /// Why.
        source: AuthError,
    },
    /// A fault of this crate: what can be hidden was refused by a registry of its own.
    #[error("the metrics can't be put behind the fault endpoint: {0}")]
    Hiding(#[from] prometheus::Error),
    /// A file for basic authentication has no colon.
    #[error("{}: there is no colon; write one line of the form user:password", .0.display())]
    NoColon(PathBuf),
}

fn hint(error: &ServeError) -> String {
    match error {
        ServeError::Bind { addr, source } if source.kind() == io::ErrorKind::AddrInUse => {
            format!(
                " (`ss -ltnp 'sport = :{}'` shows which process; --listen ADDR:PORT chooses another)",
                addr.port()
            )
        }
        ServeError::Bind { .. } => " (--listen ADDR:PORT chooses another)".to_owned(),
        _ => String::new(),
    }
}

/// What is served, and where.
#[derive(Debug)]
pub struct Serving {
    /// The server, which listens already.
    pub server: MetricsServer,
    /// The certificate, if it is TLS.
    pub tls: Option<Tls>,
    /// Whether credentials are asked for.
    pub guarded: bool,
}

impl Serving {
    /// Reads certificate and credentials, then listens. `hiding` may hide the pools' series later.
    ///
    /// # Errors
    /// [`ServeProblem`]; then nothing listens.
    pub async fn open(
        cli: &Cli,
        bridge: &PrometheusBridge,
        hiding: Option<&Hiding>,
    ) -> Result<Self, ServeProblem> {
        let routes = match hiding {
            Some(hiding) => Routes::builder(hiding.registry(bridge)?).pools(bridge.metrics()),
            None => RoutesBuilder::from(bridge),
        };
        let mut routes = routes.readiness(cli.ready.clone());
        let auth = credentials(cli)?;
        let guarded = auth.is_some();
        if let Some(auth) = auth {
            routes = routes.auth(auth);
        }
        let tls = match (&cli.tls_cert, &cli.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Tls::from_files(certificate, key).map_err(ServeError::from)?)
            }
            _ => None,
        };
        let mut server = MetricsServer::bind(&cli.listen, routes.build()).await?;
        if let Some(tls) = &tls {
            server = server.tls(tls.clone());
        }
        Ok(Self { server, tls, guarded })
    }
}

fn credentials(cli: &Cli) -> Result<Option<Auth>, ServeProblem> {
    let wrong = |file: &Path| {
        let file = file.to_owned();
        |source| ServeProblem::Credentials { file, source }
    };
    let bearer = match &cli.bearer_token_file {
        Some(file) => Some(Auth::bearer(&line(file)?).map_err(wrong(file))?),
        None => None,
    };
    let basic = match &cli.basic_auth_file {
        Some(file) => {
            let line = line(file)?;
            let (user, password) = line
                .split_once(':')
                .ok_or_else(|| ServeProblem::NoColon(file.clone()))?;
            Some(Auth::basic(user, password).map_err(wrong(file))?)
        }
        None => None,
    };
    Ok(match (bearer, basic) {
        (Some(bearer), Some(basic)) => Some(bearer.or(basic)),
        (one, other) => one.or(other),
    })
}

/// What a file holds, without the line's end that editors add.
fn line(file: &Path) -> Result<String, ServeProblem> {
    let read = std::fs::read_to_string(file).map_err(|source| ServeProblem::Read {
        file: file.to_owned(),
        source,
    })?;
    Ok(read.trim_end_matches(['\r', '\n']).to_owned())
}
