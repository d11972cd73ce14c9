//! What calls travel over.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use devnet::{Chain, Node, NodeConfig, TestCa, Tls};
use pool_rpc::{HttpVersion, JsonRpcEndpoint, Probe, RpcConfig, Timeouts};

pub(crate) const CHAIN_ID: u64 = 31;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wire {
    Http1,
    Http2,
    TlsHttp1,
    TlsHttp2,
}

struct Certificates {
    ca: TestCa,
    both: Tls,
    http1: Tls,
}

fn certificates() -> &'static Certificates {
    static MADE: OnceLock<Certificates> = OnceLock::new();
    MADE.get_or_init(|| {
        let ca = TestCa::new("the matrix").unwrap();
        let both = ca.issue(&["127.0.0.1"]).unwrap();
        let http1 = both.clone().http1_only();
        Certificates { ca, both, http1 }
    })
}

impl Wire {
    pub(crate) const ALL: [Self; 4] = [Self::Http1, Self::Http2, Self::TlsHttp1, Self::TlsHttp2];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::TlsHttp1 => "TLS HTTP/1.1",
            Self::TlsHttp2 => "TLS HTTP/2",
        }
    }

    pub(crate) const fn is_tls(self) -> bool {
        matches!(self, Self::TlsHttp1 | Self::TlsHttp2)
    }

    pub(crate) const fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::TlsHttp2)
    }

    /// A node of this chain.
    pub(crate) async fn node(self, chain: &Arc<Chain>, seed: u64) -> Node {
        let tls = match self {
            Self::Http1 | Self::Http2 => None,
            Self::TlsHttp1 => Some(certificates().http1.clone()),
            Self::TlsHttp2 => Some(certificates().both.clone()),
        };
        let config = NodeConfig {
            seed,
            tls,
            ..NodeConfig::default()
        };
        Node::start(Arc::clone(chain), config).await.unwrap()
    }

    /// The way to a node: over TLS the version is what the node agrees to.
    pub(crate) fn endpoint(self, node: &Node, patience: Duration) -> JsonRpcEndpoint {
        let version = match self {
            Self::Http2 => HttpVersion::Http2PriorKnowledge,
            _ => HttpVersion::Auto,
        };
        let mut config = RpcConfig::new(node.url().parse().unwrap(), Probe::Evm { chain_id: CHAIN_ID })
            .http_version(version)
            .timeouts(Timeouts {
                dns: patience,
                connect: patience,
                tls: patience,
                response: patience,
            });
        if self.is_tls() {
            config = config.extra_ca_pem(certificates().ca.pem());
        }
        JsonRpcEndpoint::new(&config).unwrap()
    }
}

/// The time-outs of an endpoint whose node says nothing: short, or it would hold the matrix up.
pub(crate) const SHORT: Duration = Duration::from_millis(1200);
/// Those of all others: a busy machine must not be taken for a node that says nothing.
pub(crate) const LONG: Duration = Duration::from_secs(8);
