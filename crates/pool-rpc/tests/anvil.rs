//! The probe and calls against a real EVM node.
//!
//! `ANVIL_BIN` names anvil's binary (npm: `@foundry-rs/anvil`); `cargo xtask test` obtains it. Without it the trial is
//! reported as ignored, and the reason is printed.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::{
    ffi::OsString,
    process::{Child, Command, Stdio},
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};
use pool_core::{CheckCx, Endpoint, Report, Unfit};
use pool_rpc::{Class, JsonRpcEndpoint, Probe, RpcConfig, RpcError, RpcRequest};
use serde_json::json;

fn main() {
    let arguments = Arguments::from_args();
    let binary = std::env::var_os("ANVIL_BIN");
    if binary.is_none() {
        println!(
            "NOT RUN anvil_is_probed_and_called: ANVIL_BIN names no anvil; `cargo xtask test` obtains one"
        );
    }
    let missing = binary.is_none();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(anvil_is_probed_and_called(binary.ok_or("ANVIL_BIN is not set")?));
        Ok::<(), Failed>(())
    };
    let trial = Trial::test("anvil_is_probed_and_called", run).with_ignored_flag(missing);
    libtest_mimic::run(&arguments, vec![trial]).exit();
}

async fn check(endpoint: &JsonRpcEndpoint) -> Result<Report, RpcError> {
    endpoint.check(&CheckCx::new(Duration::from_secs(3))).await
}

struct Anvil(Child);

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn anvil_is_probed_and_called(binary: OsString) {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut command = Command::new(binary);
    command.args(["--silent", "--chain-id", "1337", "--port", &port.to_string()]);
    let _anvil = Anvil(
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let url = format!("http://127.0.0.1:{port}");
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
