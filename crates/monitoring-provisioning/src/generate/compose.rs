//! The Compose file.

use std::net::IpAddr;

use indexmap::IndexMap;

use super::{
    addresses::{from_compose, in_container},
    discovery::target_folders,
};
use crate::{
    model::compose::{Compose, HealthCheck, Network, Service, Volume},
    spec::{Limits, SecretOwner, Spec},
};

const NETWORK: &str = "fusion-monitoring";
/// Address of the host on Docker's default bridge. `host-gateway` can't be used in a listen address.
const HOST_GATEWAY: &str = "${FUSION_HOST_GATEWAY:-172.17.0.1}";
/// The four services.
pub(super) fn compose(spec: &Spec) -> Compose {
    Compose {
        services: IndexMap::from([
            limited("prometheus", prometheus(spec), &spec.resources.prometheus),
            limited("alertmanager", alertmanager(spec), &spec.resources.alertmanager),
            limited("grafana", grafana(spec), &spec.resources.grafana),
            limited(
                "node-exporter",
                node_exporter(spec),
                &spec.resources.node_exporter,
            ),
        ]),
        networks: IndexMap::from([(
            NETWORK.to_owned(),
            Network {
                driver: "bridge".to_owned(),
            },
        )]),
        volumes: ["prometheus-data", "alertmanager-data", "grafana-data"]
            .map(|name| (name.to_owned(), Volume {}))
            .into(),
    }
}

fn limited(name: &str, service: Service, limits: &Limits) -> (String, Service) {
    let service = Service {
        mem_limit: limits.memory.clone(),
        cpus: limits.cpus,
        ..service
    };
    (name.to_owned(), service)
}

/// The secret files of one server, each mounted by itself.
fn secrets(spec: &Spec, owner: SecretOwner) -> Vec<String> {
    spec.secret_files()
        .iter()
        .filter(|file| file.owner == owner)
        .map(|file| format!("{}:{}:ro", escape(&from_compose(&file.path)), in_container(file)))
        .collect()
}

/// What all services have in common; `healthy` is fetched from inside the container.
fn service(name: &str, image: &str, healthy: &str) -> Service {
    Service {
        image: image.to_owned(),
        container_name: format!("fusion-{name}"),
        restart: "unless-stopped".to_owned(),
        healthcheck: HealthCheck {
            test: ["CMD", "wget", "-q", "-O", "/dev/null", healthy]
                .map(str::to_owned)
                .to_vec(),
            interval: "5s".to_owned(),
            timeout: "3s".to_owned(),
            retries: 6,
            start_period: "20s".to_owned(),
        },
        ..Service::default()
    }
}

/// The same in the stack's own network, one port published.
fn networked(spec: &Spec, name: &str, image: &str, healthy: &str, port: u16, inner: u16) -> Service {
    Service {
        ports: vec![format!("{}:{port}:{inner}", host(spec.bind_address))],
        networks: vec![NETWORK.to_owned()],
        ..service(name, image, healthy)
    }
}

fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// Folders are mounted rather than files: a file that is replaced by renaming would stay the old one in the container.
fn prometheus(spec: &Spec) -> Service {
    let base = networked(
        spec,
        "prometheus",
        &spec.images.prometheus,
        "http://127.0.0.1:9090/-/ready",
        spec.ports.prometheus,
        9090,
    );
    let mut command = texts([
        "--config.file=/etc/prometheus/prometheus.yml",
        "--storage.tsdb.path=/prometheus",
        "--web.enable-lifecycle",
    ]);
    command.push(format!("--storage.tsdb.retention.time={}", spec.retention()));
    command.push(format!(
        "--web.external-url=http://localhost:{}/",
        spec.ports.prometheus
    ));
    command.extend(spec.scaled_flags());
    let mut volumes = texts([
        "./monitoring/prometheus:/etc/prometheus:ro",
        "prometheus-data:/prometheus",
    ]);
    volumes.extend(secrets(spec, SecretOwner::Prometheus));
    let folders = target_folders(&spec.discovery.files).into_iter();
    volumes.extend(folders.map(|(folder, mount)| format!("{}:{mount}:ro", escape(&from_compose(&folder)))));
    let sockets = spec.discovery.docker.iter();
    let mut sockets: Vec<&str> = sockets
        .filter_map(|docker| docker.host.strip_prefix("unix://"))
        .collect();
    sockets.dedup();
    volumes.extend(sockets.into_iter().map(|socket| format!("{socket}:{socket}:ro")));
    Service {
        command,
        volumes,
        extra_hosts: vec![
            "host.docker.internal:host-gateway".to_owned(),
            format!("node-exporter:{HOST_GATEWAY}"),
        ],
        ..base
    }
}

fn alertmanager(spec: &Spec) -> Service {
    let base = networked(
        spec,
        "alertmanager",
        &spec.images.alertmanager,
        "http://127.0.0.1:9093/-/ready",
        spec.ports.alertmanager,
        9093,
    );
    let mut command = texts([
        "--config.file=/etc/alertmanager/config.yml",
        "--storage.path=/alertmanager",
        // One instance: no cluster, and no start-up wait for peers.
        "--cluster.listen-address=",
    ]);
    command.push(format!(
        "--web.external-url=http://localhost:{}/",
        spec.ports.alertmanager
    ));
    let mut volumes = texts([
        "./monitoring/alertmanager:/etc/alertmanager:ro",
        "alertmanager-data:/alertmanager",
    ]);
    volumes.extend(secrets(spec, SecretOwner::Alertmanager));
    Service {
        command,
        volumes,
        extra_hosts: texts(["host.docker.internal:host-gateway"]),
        ..base
    }
}

fn grafana(spec: &Spec) -> Service {
    let base = networked(
        spec,
        "grafana",
        &spec.images.grafana,
        "http://127.0.0.1:3000/api/health",
        spec.ports.grafana,
        3000,
    );
    let in_file = spec
        .secret_files()
        .into_iter()
        .find(|file| file.owner == SecretOwner::Grafana);
    let password = match &in_file {
        Some(file) => ("GF_SECURITY_ADMIN_PASSWORD__FILE", in_container(file)),
        None => ("GF_SECURITY_ADMIN_PASSWORD", escape(&spec.grafana.admin_password)),
    };
    let mut volumes = texts([
        "./monitoring/grafana/provisioning:/etc/grafana/provisioning:ro",
        "./monitoring/grafana/dashboards:/var/lib/grafana/dashboards:ro",
        "grafana-data:/var/lib/grafana",
    ]);
    volumes.extend(secrets(spec, SecretOwner::Grafana));
    let environment = [
        ("GF_SECURITY_ADMIN_USER", escape(&spec.grafana.admin_user)),
        password,
        ("GF_SERVER_ROOT_URL", spec.grafana_url()),
        ("GF_USERS_ALLOW_SIGN_UP", "false".to_owned()),
        ("GF_ANALYTICS_REPORTING_ENABLED", "false".to_owned()),
        ("GF_ANALYTICS_CHECK_FOR_UPDATES", "false".to_owned()),
    ];
    Service {
        environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
        volumes,
        ..base
    }
}

/// Sees the host: its processes, its network and its file systems. It listens on loopback and where the containers reach
/// the host, nowhere else.
fn node_exporter(spec: &Spec) -> Service {
    let port = spec.ports.node_exporter;
    Service {
        command: vec![
            "--path.rootfs=/host".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
            format!("--web.listen-address={HOST_GATEWAY}:{port}"),
        ],
        // Without a propagation the engine takes `rslave` where the host's root allows it and falls back where it doesn't;
        // written out, it refuses to start there.
        volumes: texts(["/:/host:ro"]),
        network_mode: Some("host".to_owned()),
        pid: Some("host".to_owned()),
        ..service(
            "node-exporter",
            &spec.images.node_exporter,
            &format!("http://127.0.0.1:{port}/metrics"),
        )
    }
}

/// Compose replaces `$NAME`; `$$` is a plain dollar.
fn escape(text: &str) -> String {
    text.replace('$', "$$")
}
