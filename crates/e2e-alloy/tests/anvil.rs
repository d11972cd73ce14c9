//! alloy's provider on a pool over a real EVM node, beside the same on alloy's own HTTP transport.
//!
//! `ANVIL_BIN` names anvil's binary (npm: `@foundry-rs/anvil`); `cargo xtask test` obtains it. Without it the trials are
//! reported as ignored, and the reason is printed.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::{ffi::OsString, future::Future, pin::Pin, time::Duration};

use alloy_network::EthereumWallet;
use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use alloy_provider::{PendingTransactionError, Provider, ProviderBuilder};
use alloy_rpc_client::{BatchRequest, PollerBuilder, RpcClient};
use alloy_rpc_types_eth::{BlockNumberOrTag, Filter, Log, TransactionRequest};
use alloy_signer_local::PrivateKeySigner;
use alloy_transport::{TransportError, TransportResult};
use alloy_transport_http::ReqwestTransport;
use e2e_alloy::{ANVIL, Anvil, Proxy, healthy, pool};
use libtest_mimic::{Arguments, Failed, Trial};
use pool_core::{Pool, PoolConfig};
use pool_rpc::{JsonRpcEndpoint, PoolTransport};

const CHAIN_ID: u64 = 1337;
/// The first of the accounts that anvil endows; everybody knows its key.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const SHORT: Duration = Duration::from_millis(50);

type Test = fn(OsString) -> Pin<Box<dyn Future<Output = ()>>>;

fn main() {
    let arguments = Arguments::from_args();
    let binary = std::env::var_os(ANVIL);
    if binary.is_none() {
        println!("NOT RUN, all: {ANVIL} names no anvil; `cargo xtask test` obtains one");
    }
    let tests: [(&str, Test); 2] = [
        ("the_same_program_gives_the_same_answers", |anvil| {
            Box::pin(the_same_program_gives_the_same_answers(anvil))
        }),
        ("a_node_that_dies_takes_only_its_filters_along", |anvil| {
            Box::pin(a_node_that_dies_takes_only_its_filters_along(anvil))
        }),
    ];
    let trials = tests.into_iter().map(|(name, test)| {
        let binary = binary.clone();
        let missing = binary.is_none();
        let run = move || {
            let binary = binary.ok_or("ANVIL_BIN is not set")?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let limit = Duration::from_secs(60);
            let done = runtime.block_on(async { tokio::time::timeout(limit, test(binary)).await });
            done.map_err(|_| Failed::from("not done within a minute"))
        };
        Trial::test(name, run).with_ignored_flag(missing)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// A node behind three ways to it: to a pool these are three nodes of one chain.
struct Network {
    ways: Vec<Proxy>,
    pool: Pool<JsonRpcEndpoint>,
    node: Anvil,
}

async fn network(binary: &OsString) -> Network {
    let node = Anvil::start(binary).unwrap();
    let mut ways = Vec::new();
    for _ in 0..3 {
        ways.push(Proxy::start(node.addr()).await.unwrap());
    }
    let pool = pool(CHAIN_ID, ways.iter().map(Proxy::url), PoolConfig::default()).unwrap();
    assert!(healthy(&pool, 3).await, "{:?}", pool.explain());
    Network { ways, pool, node }
}

fn plain(node: &Anvil) -> ReqwestTransport {
    ReqwestTransport::new(format!("http://{}", node.addr()).parse().unwrap())
}

async fn the_same_program_gives_the_same_answers(binary: OsString) {
    let wallet = || EthereumWallet::from(KEY.parse::<PrivateKeySigner>().unwrap());
    let one = network(&binary).await;
    let client = RpcClient::new(plain(&one.node), true);
    let of_alloy = program(ProviderBuilder::new().wallet(wallet()).connect_client(client))
        .await
        .unwrap();

    // a chain of its own, which begins as the other did
    let other = network(&binary).await;
    let transport = PoolTransport::new(other.pool.clone()).local(true);
    let provider = ProviderBuilder::new()
        .wallet(wallet())
        .connect_with(&transport)
        .await
        .unwrap();
    let of_ours = program(provider).await.unwrap();

    for (alloy, ours) in of_alloy.iter().zip(&of_ours) {
        println!("{} {ours}", if alloy == ours { "same" } else { "DIFFERENT" });
    }
    assert_eq!(of_alloy, of_ours);
    let used = other.pool.snapshot().endpoints;
    assert!(used.iter().all(|endpoint| endpoint.requests > 5), "{used:?}");
}

/// What a node said against something, as alloy has it.
fn refused<T: std::fmt::Debug>(answer: TransportResult<T>) -> String {
    let error = answer.unwrap_err();
    let payload = error.as_error_resp();
    payload.map_or_else(
        || format!("NOT THE NODE'S: {error}"),
        |payload| {
            format!(
                "{} {} {:?}",
                payload.code,
                payload.message,
                payload.as_revert_data()
            )
        },
    )
}

/// What alloy's users do with a provider, and what comes of it, line by line.
async fn program(provider: impl Provider) -> Result<Vec<String>, PendingTransactionError> {
    let client = provider.client();
    client.set_poll_interval(SHORT);
    // blocks at known times, so that two chains are alike
    client
        .request::<_, ()>("anvil_setBlockTimestampInterval", (12,))
        .await?;
    let mut lines = reads(&provider).await?;
    lines.extend(transactions(&provider).await?);
    lines.extend(watching(&provider).await?);
    Ok(lines)
}

async fn reads(provider: &impl Provider) -> TransportResult<Vec<String>> {
    let me = KEY.parse::<PrivateKeySigner>().unwrap().address();
    let mut lines = vec![
        format!("chain {}", provider.get_chain_id().await?),
        format!("head {}", provider.get_block_number().await?),
        format!("balance {}", provider.get_balance(me).await?),
        format!("gas price {}", provider.get_gas_price().await?),
        format!("accounts {:?}", provider.get_accounts().await?),
    ];
    let block = provider.get_block_by_number(BlockNumberOrTag::Latest).await?;
    lines.push(format!("time {:?}", block.map(|block| block.header.timestamp)));
    let missing = provider.get_transaction_receipt(B256::ZERO).await?;
    lines.push(format!("no receipt {missing:?}"));

    let mut batch = BatchRequest::new(provider.client());
    let head = batch.add_call::<_, String>("eth_blockNumber", &())?;
    let wrong = batch.add_call::<_, String>("no_such_method", &())?;
    let balance = batch.add_call::<_, U256>("eth_getBalance", &(me, "latest"))?;
    batch.send().await?;
    lines.push(format!("batch {} {}", head.await?, balance.await?));
    lines.push(format!("batch {}", refused(wrong.await)));

    // PUSH4 0xdeadbeef PUSH1 0 MSTORE PUSH1 4 PUSH1 28 REVERT
    let code = hex!("63deadbeef6000526004601cfd");
    let revert = TransactionRequest::default().input(Bytes::from(code).into());
    lines.push(format!("revert {}", refused(provider.call(revert).await)));
    let wrong = provider.client().request::<_, String>("eth_getBalance", ("0x1",));
    lines.push(format!("bad parameter {}", refused(wrong.await)));
    Ok(lines)
}

/// Code that deploys a contract which logs one topic whenever it is called.
fn logger(topic: B256) -> Bytes {
    // PUSH32 topic PUSH1 0 PUSH1 0 LOG1 STOP
    let runtime = [&[0x7f_u8][..], topic.as_slice(), &hex!("60006000a100")].concat();
    let length = u8::try_from(runtime.len()).unwrap();
    // PUSH1 length DUP1 PUSH1 11 PUSH1 0 CODECOPY PUSH1 0 RETURN
    let deploy = [0x60, length, 0x80, 0x60, 0x0b, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3];
    [&deploy[..], &runtime].concat().into()
}

async fn transactions(provider: &impl Provider) -> Result<Vec<String>, PendingTransactionError> {
    let mut lines = Vec::new();
    let to = Address::repeat_byte(0x11);
    let pay = || TransactionRequest::default().to(to).value(U256::from(7));
    let sent = provider.send_transaction(pay()).await?;
    lines.push(format!("sent {}", sent.tx_hash()));
    let receipt = sent.get_receipt().await?;
    lines.push(format!(
        "mined in {:?}, status {}, gas {}",
        receipt.block_number,
        receipt.status(),
        receipt.gas_used
    ));
    lines.push(format!("received {}", provider.get_balance(to).await?));
    let confirmed = provider
        .send_transaction(pay())
        .await?
        .with_required_confirmations(2)
        .with_timeout(Some(Duration::from_secs(20)))
        .register()
        .await?;
    provider.client().request::<_, ()>("anvil_mine", (2,)).await?;
    lines.push(format!("confirmed {}", confirmed.await?));

    let old = provider.send_transaction(pay().nonce(0)).await;
    lines.push(format!("old nonce {}", refused(old.map(drop))));
    let rich = provider
        .send_transaction(pay().nonce(2).value(U256::MAX >> 8))
        .await;
    lines.push(format!("too much {}", refused(rich.map(drop))));
    Ok(lines)
}

async fn watching(provider: &impl Provider) -> Result<Vec<String>, PendingTransactionError> {
    let mut lines = Vec::new();
    let topic = keccak256("Told()");
    let deploy = TransactionRequest::default().input(logger(topic).into());
    let receipt = provider
        .send_transaction(TransactionRequest {
            to: Some(alloy_primitives::TxKind::Create),
            ..deploy
        })
        .await?
        .get_receipt()
        .await?;
    let contract = receipt.contract_address.unwrap();
    lines.push(format!("contract {contract}"));

    let filter = Filter::new().address(contract).event_signature(topic);
    let mut logs = provider.watch_logs(&filter).await?.spawn();
    let mut blocks = provider.watch_blocks().await?.spawn();
    let by_hand = provider.new_filter(&filter).await?;
    for _ in 0..2 {
        let call = TransactionRequest::default().to(contract);
        let receipt = provider.send_transaction(call).await?.get_receipt().await?;
        lines.push(format!("called, {} log", receipt.logs().len()));
        lines.push(format!("polled {}", first(&mut logs, one_log).await));
        lines.push(format!(
            "polled {} block",
            first(&mut blocks, |_| String::from("a")).await
        ));
    }
    let changes: Vec<Log> = provider.get_filter_changes(by_hand).await?;
    lines.push(format!(
        "changes {:?}",
        changes.iter().map(one_log).collect::<Vec<_>>()
    ));
    let again: Vec<Log> = provider.get_filter_changes(by_hand).await?;
    lines.push(format!("told once: {}", again.len()));
    lines.push(format!(
        "all logs {}",
        provider.get_filter_logs(by_hand).await?.len()
    ));
    lines.push(format!(
        "uninstalled {}",
        provider.uninstall_filter(by_hand).await?
    ));
    lines.push(format!(
        "uninstalled {}",
        provider.uninstall_filter(by_hand).await?
    ));
    lines.push(refused(provider.get_filter_changes::<Log>(by_hand).await));
    lines.push(refused(provider.get_filter_changes::<Log>(U256::MAX).await));
    let all = provider.get_logs(&filter.from_block(0)).await?;
    lines.push(format!("logs {:?}", all.iter().map(one_log).collect::<Vec<_>>()));
    Ok(lines)
}

fn one_log(log: &Log) -> String {
    format!(
        "{:?} {:?} {:?}",
        log.block_number,
        log.transaction_hash,
        log.topics()
    )
}

/// The first entry of the next poll that found any.
async fn first<T: Clone>(
    polled: &mut alloy_rpc_client::PollChannel<Vec<T>>,
    show: impl Fn(&T) -> String,
) -> String {
    loop {
        if let Some(entry) = polled.recv().await.unwrap().first() {
            return show(entry);
        }
    }
}

async fn a_node_that_dies_takes_only_its_filters_along(binary: OsString) {
    let mut network = network(&binary).await;
    let transport = PoolTransport::new(network.pool.clone()).local(true);
    let wallet = EthereumWallet::from(KEY.parse::<PrivateKeySigner>().unwrap());
    let provider = ProviderBuilder::new()
        .wallet(wallet)
        .connect_with(&transport)
        .await
        .unwrap();
    provider.client().set_poll_interval(SHORT);
    // the pool takes turns: one on each node
    let mut watchers = Vec::new();
    for _ in 0..3 {
        watchers.push(provider.watch_blocks().await.unwrap());
    }
    let mut watchers: Vec<_> = watchers.into_iter().map(PollerBuilder::spawn).collect();
    let to = Address::repeat_byte(0x22);
    let pay = || TransactionRequest::default().to(to).value(U256::ONE);
    let mut mined = 0_u32;
    for round in 0..20 {
        if round == 5 {
            drop(network.ways.remove(0));
        }
        for _ in 0..10 {
            provider.get_balance(to).await.unwrap();
        }
        match provider.send_transaction(pay()).await {
            Ok(sent) => {
                assert!(sent.get_receipt().await.unwrap().status());
                mined += 1;
            }
            Err(error) => lost(&error),
        }
    }
    println!("{mined} of 20 transactions were mined without a word of the dead node");
    assert!(mined >= 18);
    assert_eq!(provider.get_balance(to).await.unwrap(), U256::from(mined));

    // the dead node's poller has ended, the others go on
    let mut ended = 0;
    for watcher in &mut watchers {
        // what it was told so far, or has missed, does not count
        let mut polls = watcher.resubscribe();
        let next = tokio::time::timeout(Duration::from_secs(5), polls.recv()).await;
        ended += u32::from(next.expect("a poller neither polls nor ends").is_err());
    }
    assert_eq!(ended, 1);
    let mut anew = provider.watch_blocks().await.unwrap().spawn();
    provider
        .client()
        .request::<_, ()>("anvil_mine", (1,))
        .await
        .unwrap();
    assert_eq!(first(&mut anew, |_| "block".to_owned()).await, "block");
}

/// A transaction that was on its way to the node that died: nobody can know whether it arrived, so it is not sent
/// again, by us or by a layer above.
fn lost(error: &TransportError) {
    println!("on its way when the node died: {error}");
    assert!(
        matches!(error, TransportError::Transport(kind) if kind.is_non_retryable()),
        "{error:?}"
    );
}
