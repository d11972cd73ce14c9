//! Packets of alloy's through a pool. alloy's own client and provider are tried in the crate `e2e-alloy`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_json_rpc::{
    Id, Request, RequestPacket, ResponsePacket, ResponsePayload, RpcError, SerializedRequest,
};
use alloy_transport::{TransportError, TransportErrorKind};
use pool_core::{
    EndpointConfig, EndpointId, Explanation, Pool, PoolConfig, PoolId, PoolUpdate, RoundRobin, RunError,
};
use pool_rpc::{JsonRpcEndpoint, PoolHints, PoolTransport, PoolTransportError};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower_service::Service as _;

use crate::{
    answering::{Answered, Answering},
    support::{config, impatient, until},
};

async fn pool(nodes: &[&Answering]) -> Pool<JsonRpcEndpoint> {
    slots(nodes, 16).await
}

/// A pool of so many slots for each node.
async fn slots(nodes: &[&Answering], slots: u32) -> Pool<JsonRpcEndpoint> {
    let mut builder = Pool::builder(PoolId::new("test").unwrap()).balancer(Arc::new(RoundRobin::new()));
    for (index, node) in nodes.iter().enumerate() {
        let url = node.url.replace("http://", "http://SECRETKEY:SECRETKEY@") + "/SECRETKEY";
        let endpoint = JsonRpcEndpoint::new(&config(&url).timeouts(impatient())).unwrap();
        let id = EndpointId::new(format!("n{index}")).unwrap();
        builder = builder.endpoint(id, endpoint, EndpointConfig::default().max_connections(slots));
    }
    let pool = builder.build().unwrap();
    until("all endpoints are healthy", || {
        pool.explain().iter().all(Explanation::is_usable)
    })
    .await;
    pool
}

fn request(id: impl Into<Id>, method: &'static str, params: Value) -> SerializedRequest {
    Request::new(method, id.into(), params).serialize().unwrap()
}

fn hinted(id: u64, method: &'static str, hints: PoolHints) -> SerializedRequest {
    Request::new(method, Id::Number(id), json!([]))
        .map_meta(|meta| hints.attach(meta))
        .serialize()
        .unwrap()
}

async fn send(
    transport: &PoolTransport,
    packet: impl Into<RequestPacket>,
) -> Result<ResponsePacket, TransportError> {
    transport.clone().call(packet.into()).await
}

/// The result of one call as the node wrote it.
async fn call(
    transport: &PoolTransport,
    method: &'static str,
    params: Value,
) -> Result<String, (i64, String)> {
    let answer = send(transport, request(1, method, params)).await.unwrap();
    let payload = answer.single_payload().unwrap();
    match payload.as_error() {
        Some(error) => Err((error.code, error.message.to_string())),
        None => Ok(payload.as_success().unwrap().get().to_owned()),
    }
}

/// The pool's own error inside alloy's, and whether it may be retried after how long.
fn ours(error: &TransportError) -> &PoolTransportError {
    match error {
        RpcError::Transport(TransportErrorKind::NonRetryable(error) | TransportErrorKind::Custom(error)) => {
            error.downcast_ref().unwrap()
        }
        other => panic!("not ours: {other:?}"),
    }
}

/// As few nodes do, and as all may.
const ODD: &str = r#"{ "b" : 1.50,
  "a":[ ] }"#;
const LIMITED: &str = r#"{"code":-32005,"message":"rate limit exceeded"}"#;
const REVERT: &str = r#"{"code":3,"message":"execution reverted: no","data":"0x08c379a0"}"#;

#[expect(clippy::unnecessary_wraps, reason = "as a node's closure must")]
fn odd(_method: &str, _params: &Value) -> Answered {
    Ok(ODD.to_owned())
}

#[tokio::test]
async fn ids_are_alloys_and_results_the_nodes_own_text() {
    let node = Answering::start(odd).await;
    let transport = PoolTransport::new(pool(&[&node]).await);
    for id in [Id::Number(7), Id::String("seven".to_owned())] {
        let packet = request(id.clone(), "eth_getBlockByNumber", json!(["0x1", false]));
        let answer = send(&transport, packet).await.unwrap();
        let ResponsePacket::Single(response) = answer else {
            panic!("a single request has a single answer")
        };
        assert_eq!(response.id, id);
        assert_eq!(response.payload.as_success().unwrap().get(), ODD);
    }
    assert_eq!(node.calls.lock().unwrap()[0].1, json!(["0x1", false]));

    let ids = [Id::Number(3), Id::String("x".to_owned()), Id::Number(1)];
    let batch = ids
        .iter()
        .map(|id| request(id.clone(), "eth_getBalance", json!([])));
    let answer = send(&transport, batch.collect::<RequestPacket>()).await.unwrap();
    assert!(answer.as_batch().is_some() && answer.is_success());
    assert_eq!(answer.response_ids().cloned().collect::<Vec<_>>(), ids);

    let none: RequestPacket = Vec::new().into_iter().collect();
    assert!(send(&transport, none).await.unwrap().responses().is_empty());
}

#[tokio::test]
async fn a_callers_fault_is_an_answer_and_asked_once() {
    let node = |_: &str, _: &Value| Err(REVERT.to_owned());
    let (one, other) = (Answering::start(node).await, Answering::start(node).await);
    let transport = PoolTransport::new(pool(&[&one, &other]).await);
    let answer = send(&transport, request(1, "eth_call", json!([]))).await.unwrap();
    let error = TransportError::err_resp(answer.as_error().unwrap().clone());
    let payload = error.as_error_resp().unwrap();
    assert_eq!(payload.as_revert_data().unwrap().to_string(), "0x08c379a0");
    assert_eq!(one.count("eth_call") + other.count("eth_call"), 1);
}

#[tokio::test]
async fn a_node_that_repeats_the_key_is_not_quoted() {
    const KEY: &str = r#"{"code":3,"message":"no SECRETKEY","data":{"see":"http://h/SECRETKEY"}}"#;
    const LIMIT: &str = r#"{"code":429,"message":"SECRETKEY: rate limit","data":"SECRETKEY"}"#;
    let node =
        Answering::start(|method, _| Err(if method == "eth_call" { KEY } else { LIMIT }.to_owned())).await;
    let transport = PoolTransport::new(pool(&[&node]).await);
    let single = send(&transport, request(1, "eth_call", json!([]))).await.unwrap();
    let error = single.as_error().unwrap();
    assert_eq!(error.data.as_ref().unwrap().get(), r#"{"see":"http://h***"}"#);
    let pair = [
        request(1, "eth_call", json!([])),
        request(2, "relay_act", json!([])),
    ];
    let batch = send(&transport, pair.into_iter().collect::<RequestPacket>())
        .await
        .unwrap();
    let failed = send(&transport, request(1, "relay_act", json!([])))
        .await
        .unwrap_err();
    let shown = format!("{error} {single:?} {batch:?} {failed} {failed:?}");
    assert!(!shown.contains("SECRET") && shown.contains("***"), "{shown}");
}

#[tokio::test]
async fn what_was_tried_everywhere_is_not_retried_above() {
    let node = |_: &str, _: &Value| Err(LIMITED.to_owned());
    let (one, other) = (Answering::start(node).await, Answering::start(node).await);
    let pool = pool(&[&one, &other]).await;
    let transport = PoolTransport::new(pool.clone());
    let failed = send(&transport, request(1, "eth_call", json!([])))
        .await
        .unwrap_err();
    assert_eq!((one.count("eth_call"), other.count("eth_call")), (1, 1));
    assert!(
        failed.as_transport_err().unwrap().is_non_retryable(),
        "{failed:?}"
    );
    let error = ours(&failed);
    assert!(error.sent() && error.retry_after() == Some(Duration::from_secs(1)));
    assert!(
        error.to_string().contains("rate limit exceeded") && matches!(error.cause(), RunError::Failed { .. }),
        "{error}"
    );

    // now both are throttled, nothing can be sent in time, and the wait is known
    let hasty = PoolHints::default().timeout(Duration::from_millis(20));
    let failed = send(&transport, hinted(2, "eth_call", hasty)).await.unwrap_err();
    let kind = failed.as_transport_err().unwrap();
    assert!(
        kind.is_retry_err() && kind.as_http_error().unwrap().status == 429,
        "{kind:?}"
    );
    assert!(
        kind.retry_after()
            .is_some_and(|wait| wait <= Duration::from_secs(1))
    );
    assert_eq!((one.count("eth_call"), other.count("eth_call")), (1, 1));
    let shown = format!("{failed} {failed:?} {transport:?}");
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[tokio::test]
async fn the_last_items_of_a_batch_are_its_answer() {
    let node = |method: &str, _: &Value| match method {
        "eth_getProof" => Err(r#"{"code":-32601,"message":"the method does not exist"}"#.to_owned()),
        "eth_getLogs" => Err(LIMITED.to_owned()),
        _ => Ok("1".to_owned()),
    };
    let (one, other) = (Answering::start(node).await, Answering::start(node).await);
    let transport = PoolTransport::new(pool(&[&one, &other]).await);
    let batch = |methods: &[&'static str]| {
        let requests = methods
            .iter()
            .zip(1..)
            .map(|(method, id)| request(id, method, json!([])));
        requests.collect::<RequestPacket>()
    };
    let answer = send(&transport, batch(&["eth_getBalance", "eth_getProof"]))
        .await
        .unwrap();
    let payloads: Vec<_> = answer.payloads().collect();
    assert!(payloads[0].is_success());
    assert_eq!(payloads[1].error_code(), Some(-32601));
    assert_eq!(
        one.count("eth_getProof") + other.count("eth_getProof"),
        2,
        "tried on both"
    );

    // alloy's retry layer would send the transaction again because of the other's rate limit
    let answer = send(&transport, batch(&["eth_sendRawTransaction", "eth_getLogs"]))
        .await
        .unwrap();
    let payloads: Vec<_> = answer.payloads().collect();
    assert!(payloads[0].is_success() && answer.iter_errors().all(|error| !error.is_retry_err()));
    let wrapped = payloads[1].error_data().unwrap().get();
    assert_eq!(
        serde_json::from_str::<Value>(wrapped).unwrap()["code"],
        json!(-32005)
    );
    let sent = one.count("eth_sendRawTransaction") + other.count("eth_sendRawTransaction");
    assert_eq!(sent, 1);
}

#[tokio::test]
async fn hints_reach_the_pool() {
    let node = Answering::start(odd).await;
    let transport = PoolTransport::new(pool(&[&node]).await);
    let met = hinted(1, "eth_call", PoolHints::default().min_block(16));
    assert!(send(&transport, met).await.is_ok());
    let late = hinted(2, "eth_call", PoolHints::default().deadline(Instant::now()));
    let failed = send(&transport, late).await.unwrap_err();
    assert!(
        failed.as_transport_err().unwrap().is_non_retryable() && !ours(&failed).sent(),
        "{failed:?}"
    );
    // by the transport's own hints, and by the request's
    let short = PoolHints::default().timeout(Duration::from_millis(50));
    let hasty = transport.with_hints(short);
    let above = hinted(3, "eth_call", PoolHints::default().min_block(17));
    let failed = send(&hasty, above).await.unwrap_err();
    assert!(
        failed.to_string().contains("at position 16, 17 needed"),
        "{failed}"
    );
    assert_eq!(node.count("eth_call"), 1);
}

/// Both nodes have told block 16 to the health checks; what is told here is a head of its own.
#[tokio::test]
async fn null_of_a_node_that_is_behind_is_not_taken_for_an_answer() {
    let told = |found: bool| move |_: &str, _: &Value| Ok(if found { ODD } else { "null" }.to_owned());
    let (one, other) = (
        Answering::start(told(false)).await,
        Answering::start(told(true)).await,
    );
    let transport = PoolTransport::new(pool(&[&one, &other]).await);
    let block = |block: &str| json!([block, false]);
    let calls = || one.count("eth_getBlockByNumber") + other.count("eth_getBlockByNumber");

    // block 17 is shown by the one that has it, while both tell a head of 16: null is provably stale
    let mut shown = false;
    while !shown {
        shown = call(&transport, "eth_getBlockByNumber", block("0x11"))
            .await
            .as_deref()
            == Ok(ODD);
    }
    for _ in 0..4 {
        let found = call(&transport, "eth_getBlockByNumber", block("0x11")).await;
        assert_eq!(found.as_deref(), Ok(ODD));
    }
    // far above every head it would be a lie: null is as good as any answer, and costs no more than a look
    call(&transport, "eth_getBlockByNumber", block("0xffffffff"))
        .await
        .unwrap();
    call(&transport, "eth_getBlockByNumber", block("0xffffffff"))
        .await
        .unwrap();
    let before = calls();
    for _ in 0..4 {
        call(&transport, "eth_getBlockByNumber", block("0x10"))
            .await
            .unwrap();
    }
    // half of them ask the one that says null, which is asked again since its head is no reason for null
    assert_eq!(calls() - before, 6);
}

/// A node that knows no `trace_block`.
async fn without_traces() -> Answering {
    let no = r#"{"code":-32601,"message":"the method trace_block does not exist/is not available"}"#;
    Answering::start(move |method, _| match method {
        "trace_block" => Err(no.to_owned()),
        _ => Ok("[]".to_owned()),
    })
    .await
}

#[tokio::test]
async fn a_method_that_a_node_lacks_goes_there_once() {
    let traces = |_: &str, _: &Value| Ok("[]".to_owned());
    let (lacking, whole) = (without_traces().await, Answering::start(traces).await);
    let transport = PoolTransport::new(pool(&[&lacking, &whole]).await);
    let number = json!(["0x1"]);
    for _ in 0..10 {
        assert!(call(&transport, "trace_block", number.clone()).await.is_ok());
        assert!(call(&transport, "eth_gasPrice", json!([])).await.is_ok());
    }
    assert_eq!(
        (lacking.count("trace_block"), whole.count("trace_block")),
        (1, 10)
    );
    assert!(lacking.count("eth_gasPrice") > 0, "the rest goes there as before");

    // a batch needs all of its methods, and has a memory of its own
    for _ in 0..6 {
        let batch = [
            request(1, "eth_gasPrice", json!([])),
            request(2, "trace_block", number.clone()),
        ];
        let answer = send(&transport, batch.into_iter().collect::<RequestPacket>()).await;
        assert!(answer.unwrap().is_success());
    }
    assert!(
        lacking.count("trace_block") <= 2,
        "{}",
        lacking.count("trace_block")
    );
}

/// A node with filters, whose ids begin at 1 as everybody's do.
async fn with_filters(name: &'static str) -> Answering {
    Answering::start(move |method, params| match method {
        "eth_newFilter" | "eth_newBlockFilter" => Ok("\"0x1\"".to_owned()),
        "eth_getFilterChanges" if params == &json!(["0x1"]) => Ok(format!("[\"{name}\"]")),
        "eth_uninstallFilter" => Ok("true".to_owned()),
        _ => Err(r#"{"code":-32000,"message":"Filter with id: 0x1 does not exist."}"#.to_owned()),
    })
    .await
}

#[tokio::test]
async fn a_filter_is_asked_where_it_lives() {
    let (one, other) = (with_filters("one").await, with_filters("other").await);
    let transport = PoolTransport::new(pool(&[&one, &other]).await);
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..6 {
        let id = call(&transport, "eth_newFilter", json!([{}])).await.unwrap();
        ids.push(serde_json::from_str(&id).unwrap());
    }
    let mut homes = Vec::new();
    for id in ids {
        let home = call(&transport, "eth_getFilterChanges", json!([id])).await;
        homes.push((id, home.unwrap()));
    }
    let on = |home: &str| homes.iter().filter(|(_, at)| at == home).count();
    assert_eq!(
        (on("[\"one\"]"), on("[\"other\"]")),
        (3, 3),
        "both nodes are used"
    );
    for (id, home) in homes.iter().rev() {
        let asked = call(&transport, "eth_getFilterChanges", json!([id])).await;
        assert_eq!(asked.as_ref(), Ok(home), "{id}");
    }

    // in a batch each goes to its own home, in its own place
    let batch = homes
        .iter()
        .zip(1..)
        .map(|((id, _), n)| request(n, "eth_getFilterChanges", json!([id])));
    let answer = send(&transport, batch.collect::<RequestPacket>()).await.unwrap();
    let told: Vec<_> = answer
        .payloads()
        .map(|payload| payload.as_success().unwrap().get())
        .collect();
    assert_eq!(
        told,
        homes.iter().map(|(_, home)| home.as_str()).collect::<Vec<_>>()
    );

    let (id, _) = &homes[0];
    let gone = Err((-32000, "filter not found".to_owned()));
    let end = || call(&transport, "eth_uninstallFilter", json!([id]));
    assert_eq!(
        (end().await.as_deref(), end().await.as_deref()),
        (Ok("true"), Ok("false"))
    );
    assert_eq!(call(&transport, "eth_getFilterChanges", json!([id])).await, gone);
    // a node that has forgotten it says so in words of its own
    assert_eq!(
        call(&transport, "eth_getFilterLogs", json!([homes[1].0])).await,
        gone
    );
    assert_eq!(
        call(&transport, "eth_getFilterChanges", json!([homes[1].0])).await,
        gone
    );
    // and another transport's ids are not ours
    let stranger = PoolTransport::new(transport.pool().clone());
    assert_eq!(
        call(&stranger, "eth_getFilterChanges", json!([homes[2].0])).await,
        gone
    );
}

#[tokio::test]
async fn a_filter_whose_node_is_gone_is_not_found() {
    let (one, other) = (with_filters("one").await, with_filters("other").await);
    let pool = pool(&[&one, &other]).await;
    let transport = PoolTransport::new(pool.clone());
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = call(&transport, "eth_newBlockFilter", json!([])).await.unwrap();
        ids.push(serde_json::from_str::<Value>(&id).unwrap());
    }
    drop(one);
    let mut told = Vec::new();
    for id in &ids {
        for _ in 0..40 {
            let asked = send(&transport, request(1, "eth_getFilterChanges", json!([id]))).await;
            // until the pool has noticed, the caller hears of the broken connection
            let Ok(answer) = asked else { continue };
            told.push(answer.first_error_message().map(ToOwned::to_owned));
            break;
        }
    }
    told.sort();
    assert_eq!(told, [None, Some("filter not found".to_owned())]);
    // in a batch it is one item's matter
    let gone = request(2, "eth_getFilterChanges", json!([ids[0]]));
    let other_gone = request(3, "eth_getFilterChanges", json!([ids[1]]));
    let batch = [request(1, "eth_getFilterLogs", json!([])), gone, other_gone];
    let answer = send(&transport, batch.into_iter().collect::<RequestPacket>())
        .await
        .unwrap();
    let failed: Vec<_> = answer.payloads().map(ResponsePayload::is_error).collect();
    assert_eq!(failed.iter().filter(|failed| **failed).count(), 2, "{answer:?}");
    assert!(failed[0], "a filter without an id is a node's to refuse");
}

#[tokio::test]
async fn a_filter_is_not_found_on_another_node_of_the_same_name() {
    let (old, new) = (with_filters("old").await, with_filters("new").await);
    let pool = pool(&[&old]).await;
    let transport = PoolTransport::new(pool.clone());
    let id = call(&transport, "eth_newBlockFilter", json!([])).await.unwrap();
    let id: Value = serde_json::from_str(&id).unwrap();
    let update = PoolUpdate::new(PoolConfig::default()).endpoint(
        EndpointId::new("n0").unwrap(),
        JsonRpcEndpoint::new(&config(&new.url)).unwrap(),
        EndpointConfig::default(),
    );
    pool.apply(update).unwrap();
    until("the new node is used", || {
        pool.explain().iter().all(Explanation::is_usable)
    })
    .await;
    assert_eq!(
        call(&transport, "eth_getFilterChanges", json!([id])).await,
        Err((-32000, "filter not found".to_owned()))
    );
    assert_eq!(
        new.count("eth_getFilterChanges"),
        0,
        "it has a filter of that id too"
    );
}

#[tokio::test]
async fn a_filter_whose_node_is_busy_or_throttled_stays() {
    let limited = Arc::new(AtomicBool::new(false));
    let on = Arc::clone(&limited);
    let home = Answering::start(move |method, _| match method {
        "eth_getFilterChanges" if on.load(Ordering::Relaxed) => Err(LIMITED.to_owned()),
        "eth_newFilter" => Ok("\"0x1\"".to_owned()),
        _ => Ok("[]".to_owned()),
    });
    let (home, other) = (home.await, Answering::start(odd).await);
    let pool = slots(&[&home, &other], 1).await;
    let transport = PoolTransport::new(pool.clone());
    let id = call(&transport, "eth_newFilter", json!([{}])).await.unwrap();
    let id: Value = serde_json::from_str(&id).unwrap();
    let ask = |hints: PoolHints| {
        let asked = Request::new("eth_getFilterChanges", Id::Number(1), json!([id]));
        asked.map_meta(|meta| hints.attach(meta)).serialize().unwrap()
    };

    // its only slot is taken: never asked elsewhere, and told that nothing was sent
    let at_home = pool_core::Request::new().only(EndpointId::new("n0").unwrap());
    let lease = pool.acquire_with(&at_home).await.unwrap();
    let hasty = PoolHints::default().timeout(Duration::from_millis(40));
    let failed = send(&transport, ask(hasty)).await.unwrap_err();
    assert!(
        !ours(&failed).sent() && failed.to_string().contains("no slot became free"),
        "{failed}"
    );
    let (patient, ()) = tokio::join!(send(&transport, ask(PoolHints::default())), async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        drop(lease);
    });
    assert!(patient.unwrap().is_success());

    limited.store(true, Ordering::Relaxed);
    let failed = send(&transport, ask(PoolHints::default())).await.unwrap_err();
    assert!(
        failed.as_transport_err().unwrap().is_non_retryable(),
        "{failed:?}"
    );
    limited.store(false, Ordering::Relaxed);
    let failed = send(&transport, ask(PoolHints::default())).await.unwrap_err();
    let wait = failed.as_transport_err().unwrap().retry_after().unwrap();
    tokio::time::sleep(wait + Duration::from_millis(10)).await;
    assert!(
        send(&transport, ask(PoolHints::default()))
            .await
            .unwrap()
            .is_success()
    );
    assert_eq!(other.count("eth_getFilterChanges"), 0);
}
