//! Pools over nodes that repeat what they are told: their events, explanations, snapshots and errors, also as alloy's
//! and tower's.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_rpc_client::RpcClient;
use pool_core::{
    EndpointConfig, EndpointId, EndpointObserver, ErrorType, Event, HedgeConfig, Observer, OutlierConfig,
    Pool, PoolConfig, PoolId, PoolUpdate,
};
use pool_rpc::{JsonRpcEndpoint, PoolTransport, RpcBatch, RpcCall, RpcRequest};
use tokio::task::JoinSet;
use tower_service::Service as _;

use crate::{
    echo::{Echo, IN_RESULTS, Say, WAYS, healthy},
    node::{config, evm, url},
    shown::Shown,
};

/// Writes down every event.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Observer for Notes {
    fn endpoint(&self, _pool: &PoolId, _endpoint: &EndpointId) -> Arc<dyn EndpointObserver> {
        Arc::new(Deaf)
    }

    fn event(&self, pool: &PoolId, event: &Event) {
        let note = format!("{pool} {event:?} {event:#?}");
        self.0.lock().unwrap().push(note);
    }
}

struct Deaf;

impl EndpointObserver for Deaf {
    fn attempt_ended(&self, _elapsed: Duration, _error: Option<ErrorType>) {}
}

fn settings() -> PoolConfig {
    let mut settings = PoolConfig::default();
    settings.health.interval = Duration::from_millis(50);
    settings.acquire_timeout = Duration::from_millis(100);
    settings.leak_after = Some(Duration::from_millis(20));
    settings.outlier = Some(OutlierConfig::default());
    settings.hedge = Some(HedgeConfig::default());
    // what fails is used all the same
    settings.panic_threshold = Some(1.0);
    settings
}

fn endpoint(echo: &Echo) -> JsonRpcEndpoint {
    JsonRpcEndpoint::new(&config(&url("http", echo.addr), evm())).unwrap()
}

pub(crate) async fn drive(shown: &Arc<Shown>) {
    let mut ways = JoinSet::new();
    for (way, say) in WAYS {
        let shown = Arc::clone(shown);
        ways.spawn(async move { drive_by(&shown, way, *say).await });
    }
    let events: usize = ways.join_all().await.into_iter().sum();
    assert!(events > 2 * WAYS.len(), "only {events} events");
}

/// Returns how many events there were.
async fn drive_by(shown: &Shown, way: &str, say: Say) -> usize {
    let one = Echo::start(say).await;
    let two = Echo::start(move |head, body| healthy(body).unwrap_or_else(|| say(head, body))).await;
    let notes = Arc::new(Notes::default());
    let builder = Pool::builder(PoolId::new("p").unwrap())
        .config(settings())
        .observer(Arc::clone(&notes) as Arc<dyn Observer>)
        .endpoint(
            EndpointId::new("one").unwrap(),
            endpoint(&one),
            EndpointConfig::default(),
        )
        .endpoint(
            EndpointId::new("two").unwrap(),
            endpoint(&two),
            EndpointConfig::default(),
        );
    shown.debug(way, &builder);
    let pool = builder.build().unwrap();
    pool.ready(Duration::from_secs(1)).await;
    ask(shown, way, &pool).await;
    look(shown, way, &pool).await;
    if !IN_RESULTS.contains(&way) {
        ask_through_alloy(shown, way, &pool).await;
    }
    let update = PoolUpdate::new(settings())
        .keep(EndpointId::new("two").unwrap(), EndpointConfig::default())
        .endpoint(
            EndpointId::new("three").unwrap(),
            endpoint(&one),
            EndpointConfig::default(),
        );
    shown.debug(way, &update);
    shown.debug(way, &pool.apply(update).unwrap());
    shown.debug(way, &pool.close(Duration::from_millis(100)).await);
    let closed = pool.acquire().await.unwrap_err();
    shown.error(way, closed);
    let notes = std::mem::take(&mut *notes.0.lock().unwrap());
    notes.iter().for_each(|note| shown.text("an event", note));
    notes.len()
}

/// Every way to ask that a caller has.
async fn ask(shown: &Shown, way: &str, pool: &Pool<JsonRpcEndpoint>) {
    let request = || RpcRequest::raw("eth_getBalance", None);
    for method in ["eth_getBalance", "eth_sendRawTransaction", "broadcast_tx_sync"] {
        let call = RpcCall::new(RpcRequest::raw(method, None));
        for _ in 0..3 {
            if let Err(error) = pool
                .run(&call, &call.pool_request().timeout(Duration::from_secs(1)))
                .await
            {
                shown.error(way, error);
            }
        }
    }
    let batch = RpcBatch::new(vec![request(), request()]);
    match pool.run(&batch, &batch.pool_request()).await {
        Ok(items) => items
            .iter()
            .flat_map(|item| item.as_ref().err())
            .for_each(|error| shown.both(way, error)),
        Err(error) => shown.error(way, error),
    }
    if let Err(error) = pool.clone().call(request()).await {
        shown.error(way, error);
    }
    let soon = Duration::from_millis(1);
    if let Err(error) = pool
        .run(&RpcCall::new(request()), &batch.pool_request().timeout(soon))
        .await
    {
        shown.error(way, error);
    }
    match pool.acquire().await {
        Ok(lease) => {
            shown.debug(way, &lease);
            shown.debug(way, &*lease);
            tokio::time::sleep(Duration::from_millis(30)).await;
            lease.neutral();
        }
        Err(error) => shown.error(way, error),
    }
}

/// What the pool says of itself.
async fn look(shown: &Shown, way: &str, pool: &Pool<JsonRpcEndpoint>) {
    shown.debug(way, pool);
    shown.debug(way, &pool.snapshot());
    for explanation in pool.explain() {
        shown.both(way, &explanation);
    }
    // a leak is noticed once a second
    if way == WAYS[0].0 {
        let leaked = pool.acquire().await;
        tokio::time::sleep(Duration::from_millis(1300)).await;
        drop(leaked);
    }
}

async fn ask_through_alloy(shown: &Shown, way: &str, pool: &Pool<JsonRpcEndpoint>) {
    let transport = PoolTransport::new(pool.clone());
    shown.debug(way, &transport);
    let client = RpcClient::new(transport, true);
    for method in ["eth_getBalance", "eth_sendRawTransaction", "eth_newFilter"] {
        if let Err(error) = client.request_noparams::<String>(method).await {
            shown.error(way, error);
        }
    }
    let mut batch = client.new_batch();
    let calls: Vec<_> = (0..2)
        .map(|_| batch.add_call::<_, String>("eth_getBalance", &()).unwrap())
        .collect();
    if let Err(error) = batch.send().await {
        shown.error(way, error);
    }
    for call in calls {
        if let Err(error) = call.await {
            shown.error(way, error);
        }
    }
}
