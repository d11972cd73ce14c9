//! Compressed answers.

use std::{io::Write as _, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use pool_rpc::{JsonRpcEndpoint, Malformed, RpcConfig, RpcConn, RpcError, classify};

use crate::{
    script::{GOOD, Make, Reply, Server},
    support::{call, config},
};

const LIMIT: usize = 100_000;

fn pack(plain: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Answers with this status and with what is made of the good body.
fn answer(status: u16, make: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Reply {
    let made: Make = Arc::new(move |request, id| {
        let head = String::from_utf8_lossy(request).to_lowercase();
        assert!(head.contains("\r\naccept-encoding: gzip\r\n"), "{head}");
        let body = make(&GOOD.replace("{id}", id));
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} x\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n");
        [head.into_bytes(), body].concat()
    });
    Reply::Made(made)
}

async fn conn(reply: Reply, change: impl Fn(RpcConfig) -> RpcConfig) -> RpcConn {
    let server = Box::leak(Box::new(Server::start(reply).await));
    let config = change(config(&server.url()).max_response_bytes(LIMIT));
    JsonRpcEndpoint::new(&config).unwrap().dial().await.unwrap()
}

#[tokio::test]
async fn a_compressed_answer_is_an_answer() {
    let mut conn = conn(answer(200, pack), |config| config).await;
    for _ in 0..3 {
        assert_eq!(call(&mut conn).await.unwrap(), "\"0x1f\"");
        assert!(conn.is_clean());
    }
}

#[tokio::test]
async fn damage_is_a_malformed_answer() {
    let cut = |plain: &str| {
        let packed = pack(plain);
        packed[..packed.len() - 9].to_vec()
    };
    for reply in [answer(200, cut), answer(200, |plain| plain.as_bytes().to_vec())] {
        let mut conn = conn(reply, |config| config).await;
        let error = call(&mut conn).await.unwrap_err();
        assert!(matches!(error, RpcError::Malformed(Malformed::Gzip)), "{error:?}");
        assert!(!conn.is_clean());
    }
    let mut conn = conn(answer(503, cut), |config| config).await;
    let error = call(&mut conn).await.unwrap_err();
    assert!(
        matches!(error, RpcError::HttpStatus { status: 503, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_limit_is_on_what_is_decoded() {
    let padded = |to: usize| move |plain: &str| pack(&format!("{plain}{}", " ".repeat(to - plain.len())));
    let mut fits = conn(answer(200, padded(LIMIT)), |config| config).await;
    assert_eq!(call(&mut fits).await.unwrap(), "\"0x1f\"");

    for bomb in [LIMIT + 1, 100 * LIMIT] {
        assert!(padded(bomb)("").len() < LIMIT + 1, "what comes is small");
        let mut conn = conn(answer(200, padded(bomb)), |config| config).await;
        let error = call(&mut conn).await.unwrap_err();
        assert!(matches!(error, RpcError::TooLarge { limit: LIMIT }), "{error:?}");
        assert!(!conn.is_clean() && !classify(&error).retry_elsewhere);
    }
}

#[tokio::test]
async fn switched_off_it_is_neither_asked_for_nor_taken() {
    let made: Make = Arc::new(|request, _| {
        let head = String::from_utf8_lossy(request).to_lowercase();
        assert!(!head.contains("accept-encoding"), "{head}");
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}".to_vec()
    });
    let mut conn = conn(Reply::Made(made), |config| config.gzip(false)).await;
    let error = call(&mut conn).await.unwrap_err();
    assert!(
        matches!(error, RpcError::Malformed(Malformed::Encoding)),
        "{error:?}"
    );
}
