//! The binary as a process: what it prints, how it ends, what it refuses.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

use common::Client;
use serde_json::json;

struct Running {
    child: Child,
    lines: Vec<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, as some tests want it to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devnet"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(args: &[&str]) -> Running {
    let child = command(args).spawn().unwrap();
    let mut running = Running {
        child,
        lines: Vec::new(),
    };
    let stdout = BufReader::new(running.child.stdout.take().unwrap());
    for line in stdout.lines() {
        let line = line.unwrap();
        if line == "devnet ready" {
            return running;
        }
        running.lines.push(line);
    }
    panic!("it ended before it was ready: {:?}", running.lines);
}

fn field(line: &str, key: &str) -> String {
    let fields = line.split(' ').filter_map(|field| field.split_once('='));
    fields
        .into_iter()
        .find(|(name, _)| *name == key)
        .unwrap()
        .1
        .to_owned()
}

fn addr(line: &str, key: &str) -> SocketAddr {
    field(line, key).strip_prefix("http://").unwrap().parse().unwrap()
}

fn refused(args: &[&str]) -> String {
    let Output {
        status,
        stderr,
        stdout,
    } = command(args).output().unwrap();
    assert_eq!(status.code(), Some(2), "{args:?}");
    assert_eq!(stdout, b"", "{args:?}");
    String::from_utf8(stderr).unwrap()
}

#[tokio::test]
async fn nodes_are_announced_and_serve_one_chain() {
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--control",
        "127.0.0.1:0",
        "--nodes",
        "3",
        "--chain-id",
        "10",
        "--seed",
        "7",
    ];
    let running = start(&args);
    assert_eq!(running.lines.len(), 3);
    for (place, line) in running.lines.iter().enumerate() {
        assert!(
            line.starts_with(&format!("devnet node={place} url=http://127.0.0.1:")),
            "{line}"
        );
        assert_eq!(field(line, "seed"), (7 + place).to_string());
        let mut client = Client::connect(addr(line, "url")).await.unwrap();
        assert_eq!(
            client.rpc("eth_chainId", json!([])).await.unwrap().json()["result"],
            "0xa"
        );
        let mut control = Client::connect(addr(line, "control")).await.unwrap();
        control.send("GET", "/stats", "").await.unwrap();
        assert_eq!(
            control.receive().await.unwrap().json()["requests"]["eth_chainId"],
            1
        );
    }
}

#[tokio::test]
async fn a_killed_process_comes_back_on_the_same_chain() {
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--block-time",
        "1h",
        "--dialect",
        "cometbft",
    ];
    let mut first = start(&args);
    let listen = addr(&first.lines[0], "url");
    let head = async || {
        let mut client = Client::connect(listen).await.unwrap();
        client.rpc("block", json!({"height": "9"})).await.unwrap().json()["result"].clone()
    };
    let before = head().await;
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let _second = start(&[
        "--listen",
        &listen.to_string(),
        "--block-time",
        "1h",
        "--dialect",
        "cometbft",
    ]);
    assert_eq!(head().await, before);
    assert!(before["block"].is_object());
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_and_sigint_end_it_in_order() {
    for signal in ["-TERM", "-INT"] {
        let mut running = start(&["--listen", "127.0.0.1:0"]);
        let mut client = Client::connect(addr(&running.lines[0], "url")).await.unwrap();
        client.rpc("eth_chainId", json!([])).await.unwrap();
        let pid = running.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        assert!(client.ended().await);
        assert_eq!(running.child.wait().unwrap().code(), Some(0));
    }
}

#[tokio::test]
async fn faults_come_from_a_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(br#"{"chain_id": "5"}"#).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let running = start(&["--listen", "127.0.0.1:0", "--faults", &path]);
    let mut client = Client::connect(addr(&running.lines[0], "url")).await.unwrap();
    assert_eq!(
        client.rpc("eth_chainId", json!([])).await.unwrap().json()["result"],
        "0x5"
    );
    file.write_all(b"x").unwrap();
    let message = refused(&["--listen", "127.0.0.1:0", "--faults", &path]);
    assert!(
        message.contains(&path) && message.contains("line 1 column 18"),
        "{message}"
    );
}

#[tokio::test]
async fn a_made_certificate_is_trusted_by_whoever_has_its_ca() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--nodes",
        "2",
        "--self-signed",
        "--ca-out",
    ];
    let running = start(&[&args[..], &[ca.to_str().unwrap()]].concat());
    let ca = std::fs::read(&ca).unwrap();
    for line in &running.lines {
        let url = field(line, "url");
        let addr = url.strip_prefix("https://").unwrap().parse().unwrap();
        for name in ["localhost", "127.0.0.1"] {
            let stream = common::tls::connect(addr, name, &ca, &[]).await.unwrap();
            let answer = common::tls::call(stream).await.unwrap();
            assert!(answer.ends_with(r#""result":"0x1"}"#), "{answer}");
        }
    }
    let leftovers = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(leftovers, 1, "nothing but the CA is written");
}

#[tokio::test]
async fn a_given_certificate_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let made = rcgen::generate_simple_self_signed(vec!["node.example".to_owned()]).unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    let certificate = write("certificate.pem", &made.cert.pem());
    let key = write("key.pem", &made.signing_key.serialize_pem());
    let other = write("other.pem", &other.serialize_pem());
    let with = |certificate: &str, key: &str| {
        [
            "--listen",
            "127.0.0.1:0",
            "--tls-cert",
            certificate,
            "--tls-key",
            key,
        ]
        .map(str::to_owned)
    };
    let args = with(&certificate, &key);
    let running = start(&args.each_ref().map(String::as_str));
    let url = field(&running.lines[0], "url");
    let addr = url.strip_prefix("https://").unwrap().parse().unwrap();
    let ca = made.cert.pem();
    let stream = common::tls::connect(addr, "node.example", ca.as_bytes(), &[])
        .await
        .unwrap();
    assert!(common::tls::call(stream).await.is_ok());

    for (certificate, key, expected) in [
        ("/nonexistent.pem", key.as_str(), "cannot read /nonexistent.pem"),
        (&certificate, "/nonexistent.pem", "cannot read /nonexistent.pem"),
        (&key, &key, "not PEM with at least one certificate"),
        (&certificate, &certificate, "not PEM with a private key"),
        (
            &certificate,
            &other,
            "certificate and key can't be served together: ",
        ),
    ] {
        let args = with(certificate, key);
        let message = refused(&args.each_ref().map(String::as_str));
        assert!(message.contains(expected), "{message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    }
}

#[test]
fn bad_input_is_one_message_and_exit_code_2() {
    let any = ["--listen", "127.0.0.1:0"];
    let cases: [(&[&str], &str); 14] = [
        (&["--listen", "0.0.0.0:0"], "--allow-remote"),
        (
            &["--listen", "127.0.0.1:0", "--control", "0.0.0.0:0"],
            "--allow-remote",
        ),
        (&["--listen", "nowhere"], "invalid value 'nowhere'"),
        (&["--chain-id", "mainnet"], "decimal number"),
        (&["--block-time", "0s"], "block time 0ns is too short"),
        (&["--block-time", "soon"], "invalid value 'soon'"),
        (&["--max-log-range", "0"], "at least 1 block"),
        (&["--genesis-time", "99999999999"], "in the future"),
        (
            &["--faults", "/nonexistent.json"],
            "cannot read /nonexistent.json",
        ),
        (&["--nodes", "0"], "0 is not in 1..=256"),
        (&["--self-signed"], "--ca-out <FILE>"),
        (&["--ca-out", "ca.pem"], "--self-signed"),
        (&["--tls-cert", "cert.pem"], "--tls-key <FILE>"),
        (
            &["--self-signed", "--ca-out", "/nonexistent/ca.pem"],
            "cannot write /nonexistent/ca.pem",
        ),
    ];
    for (args, expected) in cases {
        let args = if args.contains(&"--listen") {
            args.to_vec()
        } else {
            [&any, args].concat()
        };
        let message = refused(&args);
        assert!(
            message.starts_with("error: ") && message.contains(expected),
            "{args:?}: {message}"
        );
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().to_string();
    let message = refused(&["--listen", &port]);
    assert!(message.contains(&port) && message.contains("in use"), "{message}");
}
