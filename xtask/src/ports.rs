//! Which ports are taken, and by whom.

use std::fmt;
use std::net::{IpAddr, SocketAddr, TcpListener};

/// A port that one of our services needs.
#[derive(Debug, Clone)]
pub(crate) struct Needed {
    /// Our service.
    pub(crate) service: String,
    /// Where it will listen.
    pub(crate) address: SocketAddr,
}

/// A port that something else holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Our service that needs it.
    pub(crate) service: String,
    /// The address.
    pub(crate) address: SocketAddr,
    /// Process id and name; `None` when the system doesn't tell (another user's process).
    pub(crate) by: Option<(u32, String)>,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needs {}, which is taken by ", self.service, self.address)?;
        let Some((pid, name)) = &self.by else {
            return f.write_str("a process that this user may not see (try `sudo ss -ltnp`)");
        };
        write!(f, "{name} (pid {pid})")?;
        if let Some(unit) = system_unit(name) {
            write!(
                f,
                "; if that is the system's own service: sudo systemctl stop {unit}"
            )?;
        }
        Ok(())
    }
}

/// Those of `needed` that can't be listened on, except where one of `ours` (process ids) holds them.
pub(crate) fn taken(needed: &[Needed], ours: &[u32]) -> Vec<Taken> {
    let refused: Vec<&Needed> = needed.iter().filter(|need| is_taken(need.address)).collect();
    if refused.is_empty() {
        return Vec::new();
    }
    let listeners = listeners::get_all().unwrap_or_default();
    refused
        .into_iter()
        .filter_map(|need| {
            let holder = listeners
                .iter()
                .filter(|other| {
                    other.protocol == listeners::Protocol::TCP
                        && other.state == listeners::SocketState::Listen
                })
                .find(|other| overlaps(other.socket, need.address));
            let by = holder.map(|other| (other.process.pid, other.process.name.clone()));
            if by.as_ref().is_some_and(|(pid, _)| ours.contains(pid)) {
                return None;
            }
            Some(Taken {
                service: need.service.clone(),
                address: need.address,
                by,
            })
        })
        .collect()
}

/// Only an address in use counts: one that this machine doesn't have is reported by whoever listens on it.
fn is_taken(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}

/// True when a listener on `theirs` is in the way of one on `ours`.
fn overlaps(theirs: SocketAddr, ours: SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    theirs.port() == ours.port() && (theirs.ip() == ours.ip() || any(theirs.ip()) || any(ours.ip()))
}

/// The systemd unit that usually runs a program of this name.
fn system_unit(process: &str) -> Option<&'static str> {
    // Linux cuts process names to 15 characters.
    match process {
        "prometheus" => Some("prometheus"),
        "prometheus-aler" | "prometheus-alertmanager" | "alertmanager" => Some("prometheus-alertmanager"),
        "prometheus-node" | "prometheus-node-exporter" | "node_exporter" => Some("prometheus-node-exporter"),
        "grafana" | "grafana-server" => Some("grafana-server"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(address: SocketAddr) -> Vec<Needed> {
        vec![Needed {
            service: "prometheus".into(),
            address,
        }]
    }

    #[test]
    fn names_the_holder_unless_it_is_ours() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap();
        let me = std::process::id();
        let found = taken(&need(address), &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].by.as_ref().map(|(pid, _)| *pid), Some(me));
        assert!(
            found[0].to_string().contains(&format!("(pid {me})")),
            "{}",
            found[0]
        );
        assert!(taken(&need(address), &[me]).is_empty());
        drop(holder);
        assert!(taken(&need(address), &[]).is_empty());
    }

    #[test]
    fn a_listener_on_every_address_is_in_the_way_too() {
        let holder = TcpListener::bind("0.0.0.0:0").unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], holder.local_addr().unwrap().port()));
        assert_eq!(
            taken(&need(address), &[])[0].by.as_ref().map(|(pid, _)| *pid),
            Some(std::process::id())
        );
    }

    #[test]
    fn hints_at_the_systems_own_service() {
        let one = Taken {
            service: "prometheus".into(),
            address: SocketAddr::from(([127, 0, 0, 1], 9091)),
            by: Some((7, "prometheus".into())),
        };
        assert_eq!(
            one.to_string(),
            "prometheus needs 127.0.0.1:9091, which is taken by prometheus (pid 7); if that is the system's own service: \
             sudo systemctl stop prometheus"
        );
    }
}
