//! Where relayers are looked for, what is sent elsewhere, and what containers may take.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::path::Path;

use monitoring_provisioning::{GeneratedFile, Runtime, Spec, generate, validate};

fn problems(text: &str) -> Vec<String> {
    match Spec::parse(text, Path::new("m.yaml")) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

fn docker(text: &str) -> Vec<GeneratedFile> {
    let spec = Spec::parse(text, Path::new("monitoring/monitoring.yaml")).unwrap();
    let files = generate(&spec, Runtime::Docker).unwrap();
    assert_eq!(validate(&spec, &files), Vec::new(), "{text}");
    files
}

fn yaml(files: &[GeneratedFile], path: &str) -> serde_yaml::Value {
    let file = files.iter().find(|file| file.path == Path::new(path)).unwrap();
    serde_yaml::from_str(&file.contents).unwrap()
}

const PROMETHEUS: &str = "monitoring/prometheus/prometheus.yml";
const COMPOSE: &str = "docker-compose.monitoring.yml";

#[test]
fn bad_settings_are_refused_in_their_line() {
    for (text, message) in [
        (
            "discovery:\n  files: [targets/relayers.txt]",
            "m.yaml:2:11: a file of targets ends in `.yml`, `.yaml` or `.json`; only the last part may hold a `*`",
        ),
        (
            "discovery:\n  files: ['*/relayers.yml']",
            "m.yaml:2:11: a file of targets ends in",
        ),
        (
            "discovery:\n  files: [relayers.yml]",
            "m.yaml:2:11: a file of targets stands in no folder of its own; the folder is mounted into Prometheus' container",
        ),
        (
            "discovery:\n  files: [../secrets/relayers.yml]",
            "m.yaml:2:11: a file of targets stands in no folder of its own",
        ),
        (
            "discovery:\n  dns: [{ names: [] }]",
            "m.yaml:2:18: `names` are names that the DNS resolves",
        ),
        (
            "discovery:\n  dns: [{ names: ['http://h'] }]",
            "m.yaml:2:18: `names` are names that the DNS resolves; at least one, without scheme and port",
        ),
        (
            "discovery:\n  dns: [{ names: [h], type: A }]",
            "m.yaml:2:9: addresses without a `port`; give the relayers' port, or look for `SRV` records, which hold it",
        ),
        (
            "discovery:\n  dns: [{ names: [h], port: 9090 }]",
            "m.yaml:2:29: `port` has no effect beside `type: SRV`",
        ),
        (
            "discovery:\n  dns: [{ names: [h], type: MX }]",
            "m.yaml:2:29: unknown name `MX`; allowed: `SRV`, `A`, `AAAA`",
        ),
        (
            "discovery:\n  docker: [{ labels: [] }]",
            "m.yaml:2:22: without labels every container would be scraped as a relayer",
        ),
        (
            "discovery:\n  docker: [{ labels: [a], host: docker }]",
            "m.yaml:2:33: `host` is not a Docker engine's address",
        ),
        (
            "discovery:\n  docker: [{ labels: [a], network: n }, { labels: [b] }]",
            "m.yaml:2:11: some of the engines have a `network` and some have none",
        ),
        (
            "discovery:\n  kubernetes: [{ selector: '' }]",
            "m.yaml:2:28: without a selector every pod would be scraped as a relayer",
        ),
        (
            "prometheus:\n  remote_write: [{ url: metrics.example.org }]",
            "m.yaml:2:25: `url` is not a web address",
        ),
        (
            "prometheus:\n  remote_write: [{ url: 'https://u:p@h/w' }]",
            "m.yaml:2:25: a secret in the spec: an address with user and password",
        ),
        (
            "prometheus:\n  remote_write: [{ url: 'https://h/w', password: x }]",
            "m.yaml:2:40: a secret in the spec: `password`",
        ),
        (
            "prometheus:\n  remote_write: [{ url: 'https://h/w', username: u }]",
            "m.yaml:2:18: `username` and `password_file` belong together",
        ),
        (
            "prometheus:\n  remote_write: [{ url: 'https://h/w', username: u, password_file: p, credentials_file: c }]",
            "m.yaml:2:89: two ways to say who writes",
        ),
        (
            "prometheus:\n  scrape_protocols: [text]",
            "m.yaml:2:22: `text` is no format of metrics; allowed: PrometheusProto,",
        ),
        (
            "prometheus:\n  scrape_protocols: [OpenMetricsText1.0.0]\ntarget: { prometheus: 2.42 }",
            "m.yaml:2:21: Prometheus 2.42 doesn't know `scrape_protocols`; 2.49 is the first that does",
        ),
        (
            "prometheus:\n  query_offset: 5s\ntarget: { prometheus: 2.52 }",
            "m.yaml:2:17: Prometheus 2.52 doesn't know `query_offset`; 2.53 is the first that does",
        ),
        (
            "prometheus:\n  scrape_protocols: [PrometheusText1.0.0]\ntarget: { prometheus: 2.55 }",
            "m.yaml:2:22: Prometheus 2.55 doesn't know `PrometheusText1.0.0`; 3.0 is the first that does",
        ),
        (
            "resources:\n  prometheus: { memory: 1 GiB }",
            "m.yaml:2:25: `1 GiB` of memory; a whole number with `k`, `m` or `g`, 32m or more",
        ),
        (
            "resources:\n  grafana: { memory: 1m }",
            "m.yaml:2:22: `1m` of memory",
        ),
        (
            "resources:\n  alertmanager: { cpus: 0 }",
            "m.yaml:2:25: `cpus` must be from 0.01 to 1024",
        ),
    ] {
        let found = problems(text);
        assert!(
            found.iter().any(|line| line.starts_with(message)),
            "{text}\n{found:#?}"
        );
    }
}

/// Both jobs of relayers look in the same places, and still share out the series between them.
#[test]
fn whatever_is_found_is_scraped_under_both_jobs_and_named_for_people() {
    let files = docker(
        "discovery:\n  files: [targets/*.yml, /srv/more/*.json]\n  dns: [{ names: [relayers.example.org], type: A, port: 9090 }]\n  \
         docker: [{ labels: [fusion.relayer=true], port: 9191, network: swap.net }]\n  \
         kubernetes: [{ selector: app=relayer, namespaces: [swaps], kubeconfig_file: secrets/kubeconfig }]\n",
    );
    let config = yaml(&files, PROMETHEUS);
    let jobs = config["scrape_configs"].as_sequence().unwrap();
    for (job, name, action) in [
        (&jobs[0], "fusion-relayer", "drop"),
        (&jobs[1], "connection-pools", "keep"),
    ] {
        assert_eq!(job["job_name"], name);
        assert_eq!(job["metric_relabel_configs"][0]["action"], action);
        assert_eq!(
            job["static_configs"],
            serde_yaml::Value::Null,
            "nothing was listed"
        );
        assert_eq!(
            job["file_sd_configs"][0]["files"][0],
            "/etc/fusion-targets/0/*.yml"
        );
        assert_eq!(
            job["file_sd_configs"][0]["files"][1],
            "/etc/fusion-targets/1/*.json"
        );
        assert_eq!(job["dns_sd_configs"][0]["type"], "A");
        assert_eq!(job["docker_sd_configs"][0]["port"], 9191);
        let cluster = &job["kubernetes_sd_configs"][0];
        assert_eq!(cluster["namespaces"]["names"][0], "swaps");
        assert_eq!(
            cluster["kubeconfig_file"],
            "/run/secrets/fusion/kubernetes-0-kubeconfig_file"
        );
        let named: Vec<&str> = job["relabel_configs"]
            .as_sequence()
            .unwrap()
            .iter()
            .filter(|rule| rule["target_label"] == "instance")
            .filter_map(|rule| rule["source_labels"][0].as_str())
            .collect();
        assert_eq!(
            named,
            ["__meta_docker_container_name", "__meta_kubernetes_namespace"]
        );
        let kept = job["relabel_configs"][1]["regex"].as_str().unwrap();
        assert_eq!(kept, ";.*|.+;(swap\\.net)");
    }
    assert_eq!(jobs[2]["relabel_configs"], serde_yaml::Value::Null);
    let volumes = yaml(&files, COMPOSE)["services"]["prometheus"]["volumes"].clone();
    let volumes: Vec<&str> = volumes
        .as_sequence()
        .unwrap()
        .iter()
        .filter_map(|one| one.as_str())
        .collect();
    for wanted in [
        "./monitoring/targets:/etc/fusion-targets/0:ro",
        "/srv/more:/etc/fusion-targets/1:ro",
        "./monitoring/secrets/kubeconfig:/run/secrets/fusion/kubernetes-0-kubeconfig_file:ro",
        "/var/run/docker.sock:/var/run/docker.sock:ro",
    ] {
        assert!(volumes.contains(&wanted), "{wanted} in {volumes:#?}");
    }
}

#[test]
fn what_is_listed_is_scraped_beside_what_is_found() {
    let files = docker("relayers: ['10.0.0.5:9090']\ndiscovery: { dns: [{ names: [_m._tcp.example.org] }] }");
    let config = yaml(&files, PROMETHEUS);
    for job in [0, 1] {
        let job = &config["scrape_configs"][job];
        assert_eq!(job["static_configs"][0]["targets"][0], "10.0.0.5:9090");
        assert_eq!(job["dns_sd_configs"][0]["type"], "SRV");
    }
}

#[test]
fn remote_write_takes_its_secrets_from_files_and_limits_reach_the_containers() {
    let files = docker(
        "prometheus:\n  remote_write:\n    - { url: 'https://a/w', credentials_file: secrets/a }\n    \
         - { url: 'https://b/w', username: u, password_file: secrets/b }\n    - { url: 'http://c/w' }\n  \
         query_offset: 10s\n  scrape_protocols: [OpenMetricsText1.0.0]\n\
         resources: { prometheus: { memory: 2g, cpus: 1.5 }, node_exporter: { memory: 64m } }\n",
    );
    let config = yaml(&files, PROMETHEUS);
    let remotes = &config["remote_write"];
    assert_eq!(
        remotes[0]["authorization"]["credentials_file"],
        "/run/secrets/fusion/remote-write-0-credentials_file"
    );
    assert_eq!(remotes[1]["basic_auth"]["username"], "u");
    assert_eq!(
        remotes[1]["basic_auth"]["password_file"],
        "/run/secrets/fusion/remote-write-1-password_file"
    );
    assert_eq!(remotes[2]["url"], "http://c/w");
    assert_eq!(config["global"]["scrape_protocols"][0], "OpenMetricsText1.0.0");
    let rules = yaml(&files, "monitoring/prometheus/alerts/connection-pool.yml");
    for group in rules["groups"].as_sequence().unwrap() {
        assert_eq!(group["query_offset"], "10s");
    }
    let compose = yaml(&files, COMPOSE);
    let services = &compose["services"];
    assert_eq!(services["prometheus"]["mem_limit"], "2g");
    assert_eq!(services["prometheus"]["cpus"], 1.5);
    assert_eq!(services["node-exporter"]["mem_limit"], "64m");
    assert_eq!(services["grafana"]["mem_limit"], serde_yaml::Value::Null);
    let text = serde_yaml::to_string(&services["prometheus"]["volumes"]).unwrap();
    assert!(
        text.contains("./monitoring/secrets/b:/run/secrets/fusion/remote-write-1-password_file:ro"),
        "{text}"
    );
    let alertmanager = serde_yaml::to_string(&services["alertmanager"]["volumes"]).unwrap();
    assert!(!alertmanager.contains("remote-write"), "{alertmanager}");
}

/// Whatever names a file, in a stack whose Compose file doesn't stand beside the spec.
#[test]
fn files_are_found_from_where_the_spec_is() {
    let text = "receivers:\n  webhook: { a: { url_file: s/a, credentials_file: s/b } }\n  slack: { c: { channel: x, api_url_file: s/c } }\n  \
                pagerduty: { d: { routing_key_file: s/d } }\n  discord: { e: { webhook_url_file: s/e } }\n  \
                email: { f: { to: a@b, from: c@d, smarthost: 'h:25', auth_username: u, auth_password_file: s/f } }\n  \
                telegram: { g: { bot_token_file: s/g, chat_id: 1 } }\n  msteams: { h: { webhook_url_file: s/h } }\n  \
                opsgenie: { i: { api_key_file: s/i } }\n\
                prometheus: { remote_write: [{ url: 'https://h', credentials_file: s/j }, { url: 'https://i', username: u, password_file: s/k }] }\n\
                grafana: { admin_password_file: s/l }\n\
                discovery: { files: [t/*.yml], kubernetes: [{ selector: a=b, kubeconfig_file: /etc/m }] }\n";
    let spec = Spec::parse(text, Path::new("m.yaml")).unwrap();
    let there = spec.clone().with_files_at(Path::new("/srv/monitoring"));
    assert_eq!(spec.secret_files().len(), 13);
    for (before, after) in spec.secret_files().iter().zip(there.secret_files()) {
        assert_eq!(after.path, Path::new("/srv/monitoring").join(&before.path));
    }
    let files = generate(&there, Runtime::Docker).unwrap();
    let compose = files.iter().find(|file| file.path == Path::new(COMPOSE)).unwrap();
    for part in [
        "/srv/monitoring/s/a:",
        "/srv/monitoring/t:/etc/fusion-targets/0",
        "/etc/m:/run",
        "/srv/monitoring/s/l:",
    ] {
        assert!(compose.contents.contains(part), "{part}");
    }
    assert!(
        !compose.contents.contains("./monitoring/s/"),
        "{}",
        compose.contents
    );
}
