//! Bad input: one message with file, line, what is wrong and what is allowed; exit status 2; nothing started.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{relayer, run, write_config};

/// A file that is right, to be spoilt in one place. The line numbers below count on its shape.
const GOOD: &str = "\
pools:
  - id: ethereum
    dialect: evm
    chain_id: 1
    endpoints:
      - id: one
        url: http://127.0.0.1:1/${RELAYER_TEST_KEY}
        weight: 1
      - id: two
        url: http://127.0.0.1:2/
        headers:
          x-key: ${RELAYER_TEST_KEY}
    settings:
      acquire_timeout: 5s
      breaker:
        failure_ratio: 0.5
    follow:
      poll_interval: 2s
      escrow:
        address: \"0x00000000000000000000000000000000e5c20000\"
  - id: cosmos
    dialect: cometbft
    chain_id: cosmoshub-4
    endpoints:
      - {id: one, url: 'http://127.0.0.1:3/'}
";

/// Replace the first by the second, and the message is `pools.yaml:` followed by the third.
const SPOILT: &[(&str, &str, &str)] = &[
    (
        "pools:\n",
        "defaults:\n  settings: { max_attempts: 0 }\npools:\n",
        "2: defaults.settings.max_attempts: 0 is not possible; allowed: 1 to 100",
    ),
    (
        "pools:\n",
        "defaults:\n  settings:\n    breaker: { window: 5 }\npools:\n",
        "3: defaults.settings.breaker.window: `5` is not a duration; write a number with a unit: 250ms, 5s, 1m30s, 2h, \
         1d",
    ),
    (
        "pools:\n",
        "defaults: { timeouts: { tls: 11m } }\npools:\n",
        "1: defaults.timeouts.tls: 660s is not possible; allowed: 1ms to 10m",
    ),
    (
        "pools:\n",
        "defaults: { endpoint: { url: x } }\npools:\n",
        "1: defaults.endpoint: unknown field `url`, expected one of `weight`, `max_connections`, `max_requests`, `tier`, \
         `min_idle`, `provider`, `quota`, `http`, `http2`, `gzip`, `proxy`",
    ),
    (
        "pools:\n",
        "providers:\n  - id: acme\n    quota: { per_second: 0 }\npools:\n",
        "3: providers[0].quota.per_second: 0 is not possible; allowed: 0.001 to 1000000",
    ),
    (
        "pools:\n",
        "providers:\n  - id: acme\n    quota: { per_secnd: 9 }\npools:\n",
        "3: providers[0].quota: unknown field `per_secnd`, expected one of `per_second`, `burst`, `daily`",
    ),
    (
        "pools:\n",
        "providers:\n  - id: acme\n  - id: acme\npools:\n",
        "3: providers[1].id: another provider is called acme already; rename one",
    ),
    (
        "pools:\n",
        "providers:\n  - id: acme\n    costs: { 'eth_*Logs': 9 }\npools:\n",
        "3: providers[0].costs.eth_*Logs: not a method; allowed: its name, or the beginning of its name and a * at the \
         end",
    ),
    (
        "weight: 1",
        "provider: acme",
        "8: pools[0].endpoints[0].provider: acme is not one of the file's providers; there are none",
    ),
    (
        "pools:\n",
        "providers: [{ id: acme }]\ndefaults: { endpoint: { provider: acne } }\npools:\n",
        "2: defaults.endpoint.provider: acne is not one of the file's providers; allowed: acme",
    ),
    (
        "weight: 1",
        "quota: { burst: 3 }",
        "8: pools[0].endpoints[0].quota.per_second: null is not possible; allowed: a number for this or for quota.daily",
    ),
    (
        "weight: 1",
        "timeouts: { response: 3m }",
        "8: pools[0].endpoints[0].timeouts.response: 180s is not possible; allowed: 1ms to 2m",
    ),
    (
        "weight: 1",
        "max_requests: 3",
        "8: pools[0].endpoints[0].max_requests: 3 is not possible; allowed: max_connections to 100000",
    ),
    (
        "x-key: ${RELAYER_TEST_KEY}",
        "x-key: ${file:SECRETLESS/none}",
        "12: pools[0].endpoints[1].headers.x-key: the file SECRETLESS/none can't be read: No such file or directory (os \
         error 2)",
    ),
    (
        "    follow:\n",
        "    fallow: {}\n    follow:\n",
        "17: pools[0]: unknown field `fallow`, expected one of `id`, `dialect`, `chain_id`, `balancer`, `endpoints`, \
         `settings`, `timeouts`, `follow`",
    ),
    ("    chain_id: 1\n", "", "2: pools[0]: missing field `chain_id`"),
    (
        "    settings:\n",
        "    timeouts: { response: 121s }\n    settings:\n",
        "13: pools[0].timeouts.response: 121s is not possible; allowed: 1ms to 2m",
    ),
    (
        "weight: 1",
        "weigth: 1",
        "8: pools[0].endpoints[0]: unknown field `weigth`, expected one of `id`, `url`, `weight`, `max_connections`, \
         `max_requests`, `tier`, `min_idle`, `provider`, `quota`, `http`, `http2`, `gzip`, `proxy`, `timeouts`, `headers`, `ca_file`, \
         `methods`",
    ),
    (
        "weight: 1",
        "http2: { ping_timeout: 0s }",
        "8: pools[0].endpoints[0].http2.ping_timeout: 0ns is not possible; allowed: 1ms to 10m",
    ),
    (
        "pools:\n",
        "defaults: { endpoint: { http2: { max_streams: 0 } } }\npools:\n",
        "1: defaults.endpoint.http2.max_streams: 0 is not possible; allowed: above 0",
    ),
    (
        "weight: 1",
        "http2: { ping_interval: 15 }",
        "8: pools[0].endpoints[0].http2.ping_interval: `15` is not a duration; write a number with a unit: 250ms, 5s, \
         1m30s, 2h, 1d",
    ),
    (
        "weight: 1",
        "weight: heavy",
        "8: pools[0].endpoints[0].weight: invalid type: a text, expected f64",
    ),
    (
        "weight: 1",
        "weight: https://user:SECRETKEY@h/",
        "8: pools[0].endpoints[0].weight: invalid type: a text, expected f64",
    ),
    (
        "weight: 1",
        "weight: 0",
        "8: pools[0].endpoints[0].weight: 0 is not possible; allowed: 0.001 to 1000000",
    ),
    (
        "weight: 1",
        "max_connections: 0",
        "8: pools[0].endpoints[0].max_connections: 0 is not possible; allowed: 1 to 100000",
    ),
    (
        "dialect: evm",
        "dialect: solana",
        "3: pools[0].dialect: `solana` is not a dialect; allowed: evm, cometbft",
    ),
    (
        "chain_id: 1",
        "chain_id: mainnet",
        "4: pools[0].chain_id: not an EVM chain id; allowed: a number above 0, such as 1 or 137",
    ),
    (
        "chain_id: cosmoshub-4",
        "chain_id: cosmos hub",
        "23: pools[1].chain_id: not a network's name; allowed: 1 to 50 letters, digits, -, _ or ., such as cosmoshub-4",
    ),
    (
        "acquire_timeout: 5s",
        "acquire_timeout: 5",
        "14: pools[0].settings.acquire_timeout: `5` is not a duration; write a number with a unit: 250ms, 5s, 1m30s, \
         2h, 1d",
    ),
    (
        "failure_ratio: 0.5",
        "consecutive_failures: 5\n        window: 1.5s",
        "17: pools[0].settings.breaker.window: `1.5s` is not a duration; write a number with a unit: 250ms, 5s, 1m30s, \
         2h, 1d",
    ),
    (
        "failure_ratio: 0.5",
        "failure_ratio: 50",
        "16: pools[0].settings.breaker.failure_ratio: 50 is not possible; allowed: 0.0 to 1.0 (1 switches it off)",
    ),
    (
        "poll_interval: 2s",
        "poll_interval: 2 s",
        "18: pools[0].follow.poll_interval: `2 s` is not a duration; write a number with a unit: 250ms, 5s, 1m30s, \
         2h, 1d",
    ),
    (
        "poll_interval: 2s",
        "poll_interval: 1ms",
        "18: pools[0].follow.poll_interval: 1ms is not possible; allowed: 10ms to 1h",
    ),
    (
        "poll_interval: 2s",
        "requests_per_second: -1",
        "18: pools[0].follow.requests_per_second: -1 is not possible; allowed: 0 to 100000",
    ),
    (
        "\"0x00000000000000000000000000000000e5c20000\"",
        "\"0xe5c2\"",
        "20: pools[0].follow.escrow.address: not 20 bytes of hex; allowed: 0x and 40 hex digits, in quotes",
    ),
    (
        "http://127.0.0.1:1/${RELAYER_TEST_KEY}",
        "http://127.0.0.1:1/${RELAYER_TEST_UNSET}",
        "7: pools[0].endpoints[0].url: environment variable RELAYER_TEST_UNSET is not set",
    ),
    (
        "http://127.0.0.1:1/${RELAYER_TEST_KEY}",
        "wss://127.0.0.1:1/${RELAYER_TEST_KEY}",
        "7: pools[0].endpoints[0].url: the URL's scheme must be http or https",
    ),
    (
        "http://127.0.0.1:1/${RELAYER_TEST_KEY}",
        "nowhere/${RELAYER_TEST_KEY}",
        "7: pools[0].endpoints[0].url: not a valid URL; expected http://host[:port]/path or https://host[:port]/path",
    ),
    (
        "x-key: ${",
        "x key: ${",
        "12: pools[0].endpoints[1].headers.x key: \"x key\" is not the name of a header; use letters, digits and hyphens",
    ),
    (
        "x-key: ${RELAYER_TEST_KEY}",
        "x-key: ${RELAYER_TEST_KEY",
        "12: pools[0].endpoints[1].headers.x-key: `${` at character 1 is never closed by `}`; write `$${` for a literal \
         `${`",
    ),
    (
        "          x-key: ${RELAYER_TEST_KEY}",
        "          x-key: a\n          x-key: b",
        "13: pools[0].endpoints[1].headers.x-key: this key already stands in line 12; keep one",
    ),
    (
        "id: two",
        "id: one",
        "9: pools[0].endpoints[1].id: another endpoint of this pool is called one already; rename one",
    ),
    (
        "id: cosmos\n",
        "id: ethereum\n",
        "21: pools[1].id: another pool is called ethereum already; metrics could not tell them apart",
    ),
    (
        "id: two",
        "id: https://host/SECRETKEY",
        "9: pools[0].endpoints[1].id: character ':' is not allowed in an id; allowed are A-Z a-z 0-9 . _ - (a URL is \
         never an id: it is a secret)",
    ),
    (
        "        url: http://127.0.0.1:2/\n",
        "",
        "9: pools[0].endpoints[1]: missing field `url`",
    ),
    (
        "      - {id: one, url: 'http://127.0.0.1:3/'}",
        "      []",
        "24: pools[1].endpoints: there are no endpoints; give at least one",
    ),
    (
        "    dialect: cometbft",
        "    follow: {escrow: {address: '0x00'}}\n    dialect: cometbft",
        "22: pools[1].follow.escrow.address: not for the cometbft dialect; allowed: events (types of ABCI events)",
    ),
    (
        "        headers:",
        "        ca_file: missing.pem\n        headers:",
        "11: pools[0].endpoints[1].ca_file: FOLDER/missing.pem can't be read: No such file or directory (os error 2)",
    ),
    (
        "    chain_id: 1\n",
        "    chain_id: 1\n    chain_id: 2\n",
        "5: pools[0].chain_id: this key already stands in line 4; keep one",
    ),
];

#[test]
fn a_spoilt_file_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    for (right, wrong, expected) in SPOILT {
        assert!(GOOD.contains(right), "{right}");
        let file = write_config(folder.path(), &GOOD.replacen(right, wrong, 1));
        for check in [true, false] {
            let mut command = relayer();
            command.env("RELAYER_TEST_KEY", "SECRETKEY");
            command.arg("--config").arg(&file);
            command.args(if check {
                &["--check"][..]
            } else {
                &["--listen", "127.0.0.1:0"]
            });
            let ended = run(command);
            let place = folder.path().display().to_string();
            let message = format!(
                "error: {place}/pools.yaml:{}\n",
                expected.replace("FOLDER", &place)
            );
            assert_eq!(
                (ended.code, ended.stderr.as_str()),
                (Some(2), message.as_str()),
                "{wrong}"
            );
            assert_eq!(ended.stdout, "", "{wrong}");
        }
    }
}

#[test]
fn text_that_is_no_yaml_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    for (text, line) in [
        ("pools:\n  - id: \"a\n", "3: found unexpected end of stream"),
        (
            "pools:\n\t- id: a\n",
            "2: found character that cannot start any token",
        ),
        ("pools: {}\n", "1: pools: invalid type: map, expected a sequence"),
        ("pools: [[]]\n", "1: pools[0]: "),
        ("pools: []\n", "1: pools: there are no pools; give at least one"),
        ("", "1: missing field `pools`"),
    ] {
        let mut command = relayer();
        command
            .arg("--config")
            .arg(write_config(folder.path(), text))
            .arg("--check");
        let ended = run(command);
        assert_eq!(ended.code, Some(2), "{text}");
        let start = format!("error: {}/pools.yaml:{line}", folder.path().display());
        assert!(ended.stderr.starts_with(&start), "{text:?}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn a_good_file_passes_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = write_config(folder.path(), GOOD);
    let mut command = relayer();
    command
        .env("RELAYER_TEST_KEY", "SECRETKEY")
        .arg("--check")
        .arg("--config")
        .arg(&file);
    let ended = run(command);
    let expected = format!("{}: ok (pools: 2, endpoints: 3)\n", file.display());
    assert_eq!(
        (ended.code, ended.stdout, ended.stderr),
        (Some(0), expected, String::new())
    );
}

#[test]
fn a_missing_file_and_wrong_flags_are_refused() {
    for (args, expected) in [
        (
            &["--config", "/nowhere/pools.yaml"][..],
            "/nowhere/pools.yaml: can't be read: No such file or directory (os error 2); give the path of a pools.yaml",
        ),
        (&[], "<--config <FILE>|--devnet>"),
        (
            &["--config", "x", "--devnet"],
            "'--config <FILE>' cannot be used with '--devnet'",
        ),
        (&["--config", "x", "--calm"], "--devnet"),
        (&["--devnet", "--check"], "--config <FILE>"),
        (&["--devnet", "--speed", "0"], "not a factor; allowed: 0.1 to 100"),
        (
            &["--devnet", "--listen", "9090"],
            "not an address; write IP:PORT, for instance 127.0.0.1:9090",
        ),
        (&["--devnet", "--sped", "2"], "unexpected argument '--sped' found"),
    ] {
        let mut command = relayer();
        command.args(args);
        let ended = run(command);
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut command = relayer();
    command.args([
        "--devnet",
        "--calm",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        &address.to_string(),
    ]);
    let ended = run(command);
    let expected = format!(
        "error: cannot serve metrics on {address}: another process listens there; stop it or choose another port (`ss \
         -ltnp 'sport = :{}'` shows which process; --listen ADDR:PORT chooses another)\n",
        address.port()
    );
    assert_eq!((ended.code, ended.stderr), (Some(2), expected));
    assert_eq!(ended.stdout, "");
}

#[test]
fn certificates_and_credentials_that_can_not_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let pair = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (one, two) = (pair(), pair());
    let certificate = file("crt", &one.cert.pem());
    let key = file("other-key", &two.signing_key.serialize_pem());
    let (empty, spaced) = (file("empty", "\n"), file("spaced", "SECRETKEY SECRETKEY\n"));
    let (bare, nameless) = (file("bare", "SECRETKEY"), file("nameless", ":SECRETKEY\n"));
    for (args, expected) in [
        (
            vec!["--tls-cert", &certificate, "--tls-key", &key],
            format!(
                "the key {key} does not belong to the certificate {certificate}; give the pair that belongs together"
            ),
        ),
        (
            vec!["--tls-cert", &certificate, "--tls-key", "/nowhere/key"],
            "the TLS key /nowhere/key can't be read: No such file or directory (os error 2)".to_owned(),
        ),
        (
            vec!["--tls-cert", &empty, "--tls-key", &key],
            format!("{empty} holds no TLS certificate; expected PEM with -----BEGIN CERTIFICATE-----"),
        ),
        (
            vec!["--bearer-token-file", &empty],
            format!(
                "{empty}: the bearer token is empty; give one of random characters, for instance from `openssl rand -hex \
                 32`"
            ),
        ),
        (
            vec!["--bearer-token-file", &spaced],
            format!("{spaced}: the bearer token holds a space or a character outside visible ASCII, which no header can carry"),
        ),
        (
            vec!["--bearer-token-file", "/nowhere/token"],
            "/nowhere/token: can't be read: No such file or directory (os error 2); give a file that this process may read"
                .to_owned(),
        ),
        (
            vec!["--basic-auth-file", &bare],
            format!("{bare}: there is no colon; write one line of the form user:password"),
        ),
        (
            vec!["--basic-auth-file", &nameless],
            format!(
                "{nameless}: the user's name for basic authentication must not be empty nor hold a colon or a control \
                 character"
            ),
        ),
    ] {
        let mut command = relayer();
        command.args(["--devnet", "--calm", "--listen", "127.0.0.1:0"]).args(&args);
        let ended = run(command);
        assert_eq!(
            (ended.code, ended.stderr),
            (Some(2), format!("error: {expected}\n")),
            "{args:?}"
        );
        assert_eq!(ended.stdout, "");
    }
    let mut command = relayer();
    command.args(["--devnet", "--tls-cert", &certificate]);
    let ended = run(command);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--tls-key <FILE>"), "{}", ended.stderr);
}
