//! The relayer from start to stop: what it serves, and other files read while it runs.

use std::{sync::Arc, time::Duration};

use pool_core::Observer;
use pool_metrics::{MetricsServer, PrometheusBridge};
use relayer::{Relayer, config};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    echo::{Echo, WAYS, healthy},
    file::{env, good},
    marks::FROM_FILE,
    shown::Shown,
};

pub(crate) async fn drive(shown: &Shown) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), FROM_FILE).unwrap();
    let file = folder.path().join("pools.yaml");
    let bridge = PrometheusBridge::new().unwrap();
    let observer: Arc<dyn Observer> = Arc::new(bridge.metrics().clone());
    let echoes = [Echo::start(WAYS[0].1).await, Echo::start(WAYS[1].1).await];
    let well = Echo::start(|head, body| healthy(body).unwrap_or_else(|| WAYS[4].1(head, body))).await;
    let parse = |node: &str| config::parse(&good(node), &file, env).unwrap();

    let mut relayer = Relayer::start(parse(&echoes[0].addr.to_string()), 1, &observer).unwrap();
    let any = ["127.0.0.1:0".parse().unwrap()];
    let server = MetricsServer::bind(&any, &bridge).await.unwrap();
    let addr = server.local_addrs()[0];
    tokio::spawn(server.serve(std::future::pending()));
    for node in [echoes[1].addr, well.addr] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for path in ["/metrics", "/readyz", "/healthz", "/pools", "/"] {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
            answer.lines().for_each(|line| shown.text(path, line));
        }
        shown.debug("the relayer", &relayer);
        shown.debug("a reload", &relayer.apply(parse(&node.to_string())).unwrap());
        let twice = good("127.0.0.1:1");
        let mut twice = config::parse(&twice, &file, env).unwrap();
        twice.pools.extend(parse("127.0.0.1:2").pools);
        shown.error("a reload", relayer.apply(twice).unwrap_err());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    shown.debug("the end", &relayer.stop(Duration::from_secs(1)).await);
}
