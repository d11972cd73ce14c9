//! Name to connected socket: DNS at each connect, then a race over the addresses.

use std::{collections::VecDeque, future::Future, io, net::IpAddr, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use crate::error::{ConnectPhase, Phase, RpcError};

/// A stream of bytes to a peer.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// Head start of an address over the next one: the "Connection Attempt Delay" that RFC 8305 recommends.
const HEAD_START: Duration = Duration::from_millis(250);

/// Opens a TCP connection: resolves the name, then tries its addresses in a staggered race.
///
/// Cancelling closes all attempts. A name lookup under way runs to its end on a blocking thread; its result is lost.
pub(crate) async fn dial(
    host: &str,
    port: u16,
    limits: (Duration, Duration),
    keepalive: Option<Duration>,
) -> Result<TcpStream, RpcError> {
    let resolve = async |host: &str, port| Ok(lookup_host((host, port)).await?.collect());
    dial_by(resolve, host, port, limits, keepalive).await
}

/// The same with a resolver of one's own, which is asked for each connection: a provider that moves a name is followed at the
/// next connect, and `max_lifetime` brings that about.
async fn dial_by(
    resolve: impl AsyncFn(&str, u16) -> io::Result<Vec<SocketAddr>>,
    host: &str,
    port: u16,
    (dns_limit, tcp_limit): (Duration, Duration),
    keepalive: Option<Duration>,
) -> Result<TcpStream, RpcError> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => in_time(ConnectPhase::Dns, dns_limit, resolve(host, port)).await?,
    };
    let connect = move |address| async move {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if let Some(idle) = keepalive {
            let keepalive = socket2::TcpKeepalive::new()
                .with_time(idle)
                .with_interval(idle.min(Duration::from_secs(10)));
            socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        }
        Ok(stream)
    };
    in_time(
        ConnectPhase::Tcp,
        tcp_limit,
        race(alternate(addresses), HEAD_START, connect),
    )
    .await
}

/// Runs a part of the connect within its limit.
pub(crate) async fn in_time<T>(
    phase: ConnectPhase,
    limit: Duration,
    part: impl Future<Output = io::Result<T>>,
) -> Result<T, RpcError> {
    match timeout(limit, part).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(source)) => Err(RpcError::Connect { phase, source }),
        Err(_) => Err(RpcError::Timeout {
            phase: Phase::Connect(phase),
            after: limit,
        }),
    }
}

/// Lets the families take turns, beginning with the one that the resolver put first.
fn alternate(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut own, mut other): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut turns = VecDeque::with_capacity(own.len() + other.len());
    while !own.is_empty() || !other.is_empty() {
        turns.extend(own.pop_front());
        turns.extend(other.pop_front());
    }
    turns
}

/// Tries each address, the next one when the last has failed or had its head start; the first to connect wins.
///
/// When all fail, the last error stands for all.
async fn race<T, F, Fut>(
    mut addresses: VecDeque<SocketAddr>,
    head_start: Duration,
    connect: F,
) -> io::Result<T>
where
    T: Send + 'static,
    F: Fn(SocketAddr) -> Fut,
    Fut: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    // Dropping the set aborts what is still under way.
    let mut attempts = JoinSet::new();
    loop {
        if let Some(address) = addresses.pop_front() {
            attempts.spawn(connect(address));
        }
        let next_start = Instant::now() + head_start;
        let ended = if addresses.is_empty() {
            attempts.join_next().await
        } else {
            match timeout_at(next_start, attempts.join_next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        };
        match ended {
            Some(Ok(Ok(connected))) => return Ok(connected),
            Some(Ok(Err(failed))) => error = failed,
            Some(Err(aborted)) => error = io::Error::other(aborted),
            None => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        let resolved = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(alternate(resolved), expected);
        assert_eq!(alternate(Vec::new()), Vec::new());
    }

    /// Real sockets: the same name first leads to one server, then to another.
    #[tokio::test]
    async fn a_name_that_moves_is_followed_at_the_next_connect() {
        let old = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let new = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (old, new) = (old.local_addr().unwrap(), new.local_addr().unwrap());
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let resolve = async |name: &str, port: u16| {
            assert_eq!((name, port), ("node.example", 443));
            let turn = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(vec![if turn == 0 { old } else { new }])
        };
        let limits = (Duration::from_secs(5), Duration::from_secs(5));
        let mut reached = Vec::new();
        for _ in 0..3 {
            let stream = dial_by(&resolve, "node.example", 443, limits, None)
                .await
                .unwrap();
            reached.push(stream.peer_addr().unwrap());
        }
        assert_eq!(reached, [old, new, new]);
    }

    /// Connects to port P of 1.1.1.x take P milliseconds; to 2.2.2.x they fail after so long.
    async fn run(texts: &[&str]) -> (io::Result<SocketAddr>, Duration) {
        let begin = Instant::now();
        let won = race(
            addresses(texts).into(),
            Duration::from_millis(250),
            |address: SocketAddr| async move {
                tokio::time::sleep(Duration::from_millis(address.port().into())).await;
                if address.ip().to_string().starts_with("2.") {
                    Err(io::Error::from(io::ErrorKind::ConnectionRefused))
                } else {
                    Ok(address)
                }
            },
        )
        .await;
        (won, begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn the_race_is_staggered() {
        for (tried, winner, millis) in [
            // the first is quick enough
            (vec!["1.1.1.1:200", "1.1.1.2:1"], Some("1.1.1.1:200"), 200),
            // it loses its head start
            (vec!["1.1.1.1:9000", "1.1.1.2:10"], Some("1.1.1.2:10"), 260),
            // and may still win
            (vec!["1.1.1.1:300", "1.1.1.2:900"], Some("1.1.1.1:300"), 300),
            // a failure starts the next at once
            (vec!["2.2.2.1:5", "1.1.1.2:10"], Some("1.1.1.2:10"), 15),
            (vec!["2.2.2.1:5", "2.2.2.2:5"], None, 10),
            (vec![], None, 0),
        ] {
            let (won, took) = run(&tried).await;
            assert_eq!(
                won.ok().map(|address| address.to_string()).as_deref(),
                winner,
                "{tried:?}"
            );
            assert_eq!(took.as_millis(), millis, "{tried:?}");
        }
    }

    #[tokio::test]
    async fn sockets_send_at_once_and_are_kept_alive() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let limits = (Duration::from_secs(5), Duration::from_secs(5));
        for idle in [None, Some(Duration::from_secs(7))] {
            let stream = dial("localhost", port, limits, idle).await.unwrap();
            let socket = socket2::SockRef::from(&stream);
            assert!(socket.tcp_nodelay().unwrap());
            assert_eq!(socket.keepalive().unwrap(), idle.is_some());
            if let Some(idle) = idle {
                assert_eq!(socket.tcp_keepalive_time().unwrap(), idle);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_limit() {
        let limit = Duration::from_secs(3);
        let silent = race(addresses(&["1.1.1.1:1"]).into(), HEAD_START, |_| {
            std::future::pending::<io::Result<()>>()
        });
        let error = in_time(ConnectPhase::Tcp, limit, silent).await.unwrap_err();
        let expected = Phase::Connect(ConnectPhase::Tcp);
        assert!(
            matches!(error, RpcError::Timeout { phase, after } if phase == expected && after == limit),
            "{error}"
        );
        assert_eq!(error.to_string(), "connect (TCP) took longer than 3s");
    }
}
