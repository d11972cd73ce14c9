//! The probe and calls against a real EVM node.
//!
//! `ANVIL_BIN` names anvil's binary (npm: `@foundry-rs/anvil`); `cargo xtask test` obtains it. Without it the trials are
//! reported as ignored, and the reason is printed.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    pin::Pin,
    process::{Child, Command, Stdio},
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};
use pool_core::{CheckCx, Endpoint, EndpointConfig, EndpointId, Pool, PoolConfig, PoolId, Report, Unfit};
use pool_rpc::{
    Broadcast, BroadcastAnswer, BroadcastError, Class, JsonRpcEndpoint, Probe, Quorum, RawTx, RpcCall,
    RpcConfig, RpcConn, RpcError, RpcRequest,
};
use serde_json::json;

fn main() {
    let arguments = Arguments::from_args();
    let binary = std::env::var_os("ANVIL_BIN");
    let trials = [
        trial(&binary, "anvil_is_probed_and_called", |binary| {
            Box::pin(anvil_is_probed_and_called(binary))
        }),
        trial(&binary, "anvil_mines_what_is_broadcast", |binary| {
            Box::pin(anvil_mines_what_is_broadcast(binary))
        }),
    ];
    libtest_mimic::run(&arguments, trials.into()).exit();
}

type Test = fn(OsString) -> Pin<Box<dyn Future<Output = ()>>>;

fn trial(binary: &Option<OsString>, name: &'static str, test: Test) -> Trial {
    if binary.is_none() {
        println!("NOT RUN {name}: ANVIL_BIN names no anvil; `cargo xtask test` obtains one");
    }
    let (missing, binary) = (binary.is_none(), binary.clone());
    let run = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(test(binary.ok_or("ANVIL_BIN is not set")?));
        Ok::<(), Failed>(())
    };
    Trial::test(name, run).with_ignored_flag(missing)
}

async fn check(endpoint: &JsonRpcEndpoint) -> Result<Report, RpcError> {
    endpoint.check(&CheckCx::new(Duration::from_secs(3))).await
}

struct Anvil(Child);

impl Drop for Anvil {
    fn drop(&mut self) {
        // npm's anvil is a script that starts the real one: with the script alone killed, that would run on
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node of chain 1337 on a port of its own.
fn anvil(binary: OsString) -> (Anvil, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut command = Command::new(binary);
    command.args(["--silent", "--chain-id", "1337", "--port", &port.to_string()]);
    let command = command
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn();
    (Anvil(child.unwrap()), format!("http://127.0.0.1:{port}"))
}

async fn anvil_is_probed_and_called(binary: OsString) {
    let (_anvil, url) = anvil(binary);
    let endpoint = |chain_id| {
        JsonRpcEndpoint::new(&RpcConfig::new(url.parse().unwrap(), Probe::Evm { chain_id })).unwrap()
    };

    let right = endpoint(1337);
    let mut report = check(&right).await;
    for _ in 0..100 {
        if report.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        report = check(&right).await;
    }
    let report = report.unwrap();
    assert_eq!((report.unfit, report.position), (None, Some(0)));
    assert!(matches!(
        check(&endpoint(1)).await.unwrap().unfit,
        Some(Unfit::WrongChain { .. })
    ));

    let mut conn = right.dial().await.unwrap();
    let request = |method, params| RpcRequest::new(method, &params).unwrap();
    conn.send(&request("anvil_mine", json!(["0x3"]))).await.unwrap();
    assert_eq!(check(&right).await.unwrap().position, Some(3));
    let accounts = conn.call("eth_accounts", None).await.unwrap();
    let accounts: Vec<String> = serde_json::from_str(accounts.get()).unwrap();
    let batch = [
        request("eth_getBalance", json!([accounts[0], "latest"])),
        request(
            "eth_getTransactionReceipt",
            json!([format!("0x{}", "0".repeat(64))]),
        ),
        request("no_such_method", json!([])),
    ];
    let answers = conn.batch(&batch).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().get(), "\"0x21e19e0c9bab2400000\"");
    assert_eq!(answers[1].as_ref().unwrap().get(), "null");
    assert_eq!(answers[2].as_ref().unwrap_err().class(), Class::Unsupported);

    // PUSH1 0 PUSH1 0 REVERT
    let revert = request("eth_call", json!([{"data": "0x60006000fd"}, "latest"]));
    assert_eq!(
        conn.send(&revert).await.unwrap_err().object().unwrap().class(),
        Class::Reverted
    );
    let poor = json!([{"from": accounts[0], "to": accounts[1], "value": "0xffffffffffffffffffffffff"}]);
    let refused = conn
        .send(&request("eth_sendTransaction", poor))
        .await
        .unwrap_err();
    assert_eq!(
        refused.object().unwrap().class(),
        Class::InsufficientFunds,
        "{refused}"
    );
    let garbage = conn
        .send(&request("eth_getBalance", json!(["0x1"])))
        .await
        .unwrap_err();
    assert_eq!(
        garbage.object().unwrap().class(),
        Class::InvalidRequest,
        "{garbage}"
    );
    assert!(conn.is_clean());
}

/// A signed transfer from the first of anvil's accounts to the second.
async fn signed(conn: &mut RpcConn, nonce: u64, value: &str) -> RawTx {
    let accounts = conn.call("eth_accounts", None).await.unwrap();
    let accounts: Vec<String> = serde_json::from_str(accounts.get()).unwrap();
    let transfer = json!([{
        "from": accounts[0], "to": accounts[1], "value": value, "nonce": format!("{nonce:#x}"), "gas": "0x5208",
        "maxFeePerGas": "0x174876e800", "maxPriorityFeePerGas": "0x1", "chainId": "0x539",
    }]);
    let request = RpcRequest::new("eth_signTransaction", &transfer).unwrap();
    let raw: String = serde_json::from_str(conn.send(&request).await.unwrap().get()).unwrap();
    RawTx::evm(&raw).unwrap()
}

async fn anvil_mines_what_is_broadcast(binary: OsString) {
    let (_anvil, url) = anvil(binary);
    let endpoint = || {
        JsonRpcEndpoint::new(&RpcConfig::new(
            url.parse().unwrap(),
            Probe::Evm { chain_id: 1337 },
        ))
        .unwrap()
    };
    let mut config = PoolConfig::default();
    config.health.interval = Duration::from_millis(200);
    let mut builder = Pool::builder(PoolId::new("anvil").unwrap()).config(config);
    for name in ["one", "two", "three"] {
        let settings = EndpointConfig::default();
        builder = builder.endpoint(EndpointId::new(name).unwrap(), endpoint(), settings);
    }
    let pool = builder.build().unwrap();
    for _ in 0..150 {
        if pool.explain().iter().all(pool_core::Explanation::is_usable) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut conn = endpoint().dial().await.unwrap();

    // the node mines at once: two of the three find the nonce used, by this very transaction
    let tx = signed(&mut conn, 0, "0x10").await;
    let sent = Broadcast::new().send(&pool, &tx).await.unwrap();
    let said = sent.rest.finish().await;
    assert!(
        said.len() == 3 && said.iter().all(|said| said.answer.is_success()),
        "{said:?}"
    );
    let receipt = RpcCall::of("eth_getTransactionReceipt", &[&sent.hash]).unwrap();
    let quorum = Quorum::new(2, 3).unwrap();
    let mut agreed = quorum.read(&pool, &receipt).await.unwrap();
    for _ in 0..100 {
        if agreed.result.get() != "null" {
            break;
        }
        // taken, and not mined yet
        tokio::time::sleep(Duration::from_millis(50)).await;
        agreed = quorum.read(&pool, &receipt).await.unwrap();
    }
    assert!(agreed.result.get().contains(tx.hash()), "{:?}", agreed.result);

    // another one with the same nonce
    let late = signed(&mut conn, 0, "0x11").await;
    let refused = Broadcast::new().send(&pool, &late).await.unwrap_err();
    assert!(
        matches!(
            &refused,
            BroadcastError::Refused {
                class: Class::NonceTooLow,
                ..
            }
        ) && !refused.maybe_sent(),
        "{refused}"
    );
    let poor = signed(&mut conn, 1, "0xffffffffffffffffffffffff").await;
    let refused = Broadcast::new().send(&pool, &poor).await.unwrap_err();
    assert!(
        matches!(
            &refused,
            BroadcastError::Refused {
                class: Class::InsufficientFunds,
                ..
            }
        ),
        "{refused}"
    );

    // not mined at once: then the others know it
    conn.call(
        "evm_setAutomine",
        Some(&serde_json::value::to_raw_value(&[false]).unwrap()),
    )
    .await
    .unwrap();
    let pending = signed(&mut conn, 1, "0x12").await;
    let said = Broadcast::new()
        .send(&pool, &pending)
        .await
        .unwrap()
        .rest
        .finish()
        .await;
    let known = said
        .iter()
        .filter(|said| matches!(said.answer, BroadcastAnswer::AlreadyKnown));
    assert_eq!(known.count(), 2, "{said:?}");
}
