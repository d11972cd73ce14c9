//! Overlays: `monitoring.<profile>.yaml` over `monitoring.yaml`, each problem with the file that the value came from.

use std::path::{Path, PathBuf};

use monitoring_provisioning::{AlertName, Overlay, Profile, Runtime, Spec, Surroundings, generate, validate};

fn parse(lower: &str, profile: &str, upper: &str) -> Result<Spec, Vec<String>> {
    let overlay = Overlay {
        profile,
        text: upper,
        file: Path::new("m.up.yaml"),
    };
    Spec::parse_overlaid(lower, Path::new("m.yaml"), overlay)
        .map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
}

fn refused(lower: &str, profile: &str, upper: &str) -> Vec<String> {
    parse(lower, profile, upper).err().unwrap_or_default()
}

#[test]
fn mappings_are_merged_and_lists_are_replaced() {
    let lower = "relayers: [a:1, b:1]\nports: { grafana: 3002, prometheus: 9095 }\n\
                 alerts: { EndpointUnhealthy: { for: 2m, labels: { chain: x } } }\n";
    let upper = "relayers: [c:1]\nports: { grafana: 3003 }\nlinks:\n\
                 alerts: { EndpointUnhealthy: { for: 3m, labels: { site: y } } }\n";
    let spec = parse(lower, "site", upper).unwrap();
    assert_eq!(spec.relayers, ["c:1"]);
    assert_eq!((spec.ports.grafana, spec.ports.prometheus), (3003, 9095));
    let alert = &spec.alerts[&AlertName::EndpointUnhealthy];
    assert_eq!(alert.for_.unwrap().to_string(), "3m");
    assert_eq!(alert.labels.keys().collect::<Vec<_>>(), ["chain", "site"]);
    assert_eq!(
        spec.profile,
        Profile::Local,
        "a name of the operator's own says nothing about the profile"
    );
    assert_eq!(
        spec.source,
        Path::new("m.yaml"),
        "secret files stand beside the spec"
    );
}

#[test]
fn an_empty_overlay_changes_nothing() {
    let lower = include_str!("../../../monitoring/monitoring.yaml");
    let plain = Spec::parse(lower, Path::new("m.yaml")).unwrap();
    for upper in ["", "# nothing yet\n", "ports:\nalerts:\n"] {
        let spec = parse(lower, "local", upper).unwrap();
        assert_eq!(format!("{spec:?}"), format!("{plain:?}"), "{upper:?}");
    }
}

#[test]
fn each_problem_names_the_file_that_the_value_came_from() {
    let lower = "time_scale: 0.5\nports:\n  relayer: 0\n  grafana: 3002\n";
    let upper = "\nports:\n  prometheus: 3002\n  grafanna: 1\nrelayers:\n  - x\n  - y:1\n  - y:1\n";
    assert_eq!(
        refused(lower, "site", upper),
        [
            "m.yaml:1:13: `time_scale` is 0.5; allowed: 1 to 120",
            "m.yaml:3:12: port 0 for `relayer`; allowed: 1 to 65535",
            "m.yaml:4:12: port 3002 is given to both `prometheus` and `grafana`; give each its own",
            "m.up.yaml:4:3: unknown key `grafanna`; did you mean `grafana`?",
            "m.up.yaml:6:5: a relayer is given as `host:port`; without scheme and path, for example `10.0.0.5:9090`; `/metrics` \
             is implied",
            "m.up.yaml:8:5: a relayer is listed twice; it already stands in line 7; keep one",
        ]
    );
}

#[test]
fn what_the_overlay_replaces_is_not_judged() {
    assert!(parse("time_scale: fast\n", "site", "time_scale: 2\n").is_ok());
    assert_eq!(
        refused("ports: { grafana: 3002 }\n", "site", "ports: [1]\n"),
        ["m.up.yaml:1:8: expected a mapping, found a list"]
    );
}

#[test]
fn broken_overlays_are_refused_with_their_place() {
    assert_eq!(
        refused("", "site", "time_scale: 1\ntime_scale: 2\n"),
        ["m.up.yaml:2:1: the key `time_scale` is given twice; it already stands in line 1; keep one"]
    );
    for upper in ["{", "a: [", "- 1", "5", "a: 1\n---\nb: 2\n"] {
        let found = refused("", "production", upper);
        assert!(
            found.iter().all(|line| line.starts_with("m.up.yaml:")),
            "{upper:?}: {found:?}"
        );
        assert!(!found.is_empty(), "{upper:?}");
    }
}

#[test]
fn secrets_in_an_overlay_are_refused_and_not_repeated() {
    let upper = "receivers:\n  pagerduty:\n    a: { routing_key: T0PSECRET }\n";
    let found = refused("time_scale: 1\n", "site", upper).join("\n");
    assert!(
        found.contains("m.up.yaml:3:10: a secret in the spec: `routing_key`"),
        "{found}"
    );
    assert!(!found.contains("T0PSECRET"), "{found}");
}

const COMPLETE: &str = "receivers: { webhook: { outside: { url: 'https://h/x' }, people: { url: 'https://p/x' } } }\n\
    grafana: { admin_password: x }\n\
    notifications: { heartbeat: { receivers: [outside] }, critical: { receivers: [people] } }\n";

#[test]
fn the_overlay_of_production_is_of_profile_production() {
    let spec = parse("profile: local\n", "production", COMPLETE).unwrap();
    assert_eq!(spec.profile, Profile::Production);
    let spec = parse("profile: production\n", "local", "").unwrap();
    assert_eq!(spec.profile, Profile::Local);
    let found = refused("profile: local\n", "production", "# to do\n");
    assert!(
        found[0]
            .starts_with("m.up.yaml:1:1: profile `production` without a receiver for the dead man's switch"),
        "{found:?}"
    );
    assert_eq!(
        refused("", "production", &format!("{COMPLETE}profile: local\n")),
        [
            "m.up.yaml:4:10: another `profile` than `production`, which this overlay is for; drop the line: the name of the \
             overlay says it"
        ]
    );
    assert!(parse("", "production", &format!("{COMPLETE}profile: production\n")).is_ok());
}

#[test]
fn an_overlay_stands_beside_its_spec() {
    let path = |path: &str, profile: &str| Spec::overlay_path(Path::new(path), profile);
    assert_eq!(
        path("a/monitoring.yaml", "production"),
        PathBuf::from("a/monitoring.production.yaml")
    );
    assert_eq!(path("spec", "x"), PathBuf::from("spec.x"));

    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("m.yaml");
    std::fs::write(&spec, "ports: { grafana: 3002 }\n").unwrap();
    let missing = Spec::load_profile(&spec, "site").unwrap_err().to_string();
    assert!(
        missing.starts_with(&format!(
            "{}: can't be read:",
            folder.path().join("m.site.yaml").display()
        )),
        "{missing}"
    );
    assert!(missing.contains("profile `site` reads it on top of"), "{missing}");
    std::fs::write(folder.path().join("m.site.yaml"), "ports: { prometheus: 9095 }\n").unwrap();
    let spec = Spec::load_profile(&spec, "site").unwrap();
    assert_eq!((spec.ports.grafana, spec.ports.prometheus), (3002, 9095));
}

#[test]
fn broken_text_never_panics() {
    let good = include_str!("../../../monitoring/monitoring.yaml");
    for end in (0..good.len())
        .filter(|end| good.is_char_boundary(*end))
        .step_by(31)
    {
        let _ = parse(good, "site", &good[..end]);
        let _ = parse(&good[..end], "site", "a: &x {b: *x}\nports: *x\n");
    }
}

/// The committed overlays are examples that work, once their secrets are there.
#[test]
fn the_committed_overlays_are_taken_and_generate() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../monitoring/monitoring.yaml");
    for (name, profile) in [("local", Profile::Local), ("production", Profile::Production)] {
        let spec = Spec::load_profile(&file, name).unwrap();
        assert_eq!(spec.profile, profile);
        let files = generate(&spec, Runtime::Docker).unwrap();
        assert_eq!(validate(&spec, &files), Vec::new(), "{name}");
        let compose = files
            .iter()
            .find(|file| file.path == Path::new("docker-compose.monitoring.yml"));
        let compose = &compose.unwrap().contents;
        let is_well_known = compose.contains("fusion123");
        assert_eq!(is_well_known, profile == Profile::Local, "{compose}");
        let from_file = "GF_SECURITY_ADMIN_PASSWORD__FILE: /run/secrets/fusion/grafana-admin_password_file";
        assert_eq!(compose.contains(from_file), profile == Profile::Production);
    }
    let secrets = Surroundings {
        secret_files: true,
        ..Surroundings::default()
    };
    let missing = Spec::load_in(&file, Some("production"), secrets)
        .unwrap_err()
        .to_string();
    assert!(
        missing
            .lines()
            .all(|line| line.contains("monitoring.production.yaml:") && line.contains("the secret file")),
        "{missing}"
    );
    assert_eq!(missing.lines().count(), 4, "{missing}");
}
