//! The pools that are compared, behind one small face. Connections are numbers, so that only the pools cost anything.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use anyhow::{Result, anyhow};
use deadpool::managed;
use parking_lot::Mutex;
use pool_core::{EndpointConfig, EndpointId, Lease, Pool, PoolId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::suites::numbers::Numbers;

/// Connections of each pool.
pub(super) const SLOTS: u32 = 16;
/// How long a caller waits at the most, where a pool knows such a thing.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What is compared.
pub(super) trait Side: Clone + Send + Sync + 'static {
    type Held: Send;

    /// A connection, within [`PATIENCE`].
    fn get(&self) -> impl Future<Output = Result<Self::Held>> + Send;

    /// A connection within another time, by the pool's own means where it has any.
    fn get_within(&self, patience: Duration) -> impl Future<Output = Result<Self::Held>> + Send {
        async move { tokio::time::timeout(patience, self.get()).await? }
    }

    /// Gives it back, as a request that went well does.
    fn put(held: Self::Held) {
        drop(held);
    }
}

impl managed::Manager for Numbers {
    type Type = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(7)
    }

    async fn recycle(&self, _: &mut u64, _: &managed::Metrics) -> managed::RecycleResult<Infallible> {
        Ok(())
    }
}

impl Side for managed::Pool<Numbers> {
    type Held = managed::Object<Numbers>;

    async fn get(&self) -> Result<Self::Held> {
        Ok(Self::get(self).await?)
    }

    async fn get_within(&self, patience: Duration) -> Result<Self::Held> {
        let timeouts = managed::Timeouts {
            wait: Some(patience),
            ..managed::Timeouts::new()
        };
        Ok(self.timeout_get(&timeouts).await?)
    }
}

impl bb8::ManageConnection for Numbers {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(7)
    }

    async fn is_valid(&self, _: &mut u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

impl Side for bb8::Pool<Numbers> {
    type Held = bb8::PooledConnection<'static, Numbers>;

    async fn get(&self) -> Result<Self::Held> {
        Ok(self.get_owned().await?)
    }
}

#[async_trait::async_trait]
impl mobc::Manager for Numbers {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(7)
    }

    async fn check(&self, connection: u64) -> Result<u64, Infallible> {
        Ok(connection)
    }
}

impl Side for mobc::Pool<Numbers> {
    type Held = mobc::Connection<Numbers>;

    async fn get(&self) -> Result<Self::Held> {
        Ok(Self::get(self).await?)
    }

    async fn get_within(&self, patience: Duration) -> Result<Self::Held> {
        Ok(self.get_timeout(patience).await?)
    }
}

impl fast_pool::Manager for Numbers {
    type Connection = u64;
    type Error = String;

    async fn connect(&self) -> Result<u64, String> {
        Ok(7)
    }

    async fn check(&self, _: &mut u64) -> Result<(), String> {
        Ok(())
    }
}

impl Side for fast_pool::Pool<Numbers> {
    type Held = fast_pool::ConnectionGuard<Numbers>;

    async fn get(&self) -> Result<Self::Held> {
        Self::get(self).await.map_err(|error| anyhow!(error))
    }

    async fn get_within(&self, patience: Duration) -> Result<Self::Held> {
        self.get_timeout(Some(patience))
            .await
            .map_err(|error| anyhow!(error))
    }
}

/// A semaphore and a list: what no pool can do without. No time-out, no check, no count.
#[derive(Clone, Debug)]
pub(super) struct Floor {
    slots: Arc<Semaphore>,
    kept: Arc<Mutex<Vec<u64>>>,
}

/// A connection of [`Floor`].
#[derive(Debug)]
pub(super) struct Kept {
    number: u64,
    of: Arc<Mutex<Vec<u64>>>,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.of.lock().push(self.number);
    }
}

impl Floor {
    pub(super) fn new() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(SLOTS as usize)),
            kept: Arc::default(),
        }
    }
}

impl Side for Floor {
    type Held = Kept;

    async fn get(&self) -> Result<Kept> {
        let slot = Arc::clone(&self.slots).acquire_owned().await?;
        let number = self.kept.lock().pop().unwrap_or(7);
        Ok(Kept {
            number,
            of: Arc::clone(&self.kept),
            _slot: slot,
        })
    }
}

impl Side for Pool<Numbers> {
    type Held = Lease<Numbers>;

    async fn get(&self) -> Result<Self::Held> {
        Ok(self.acquire_within(PATIENCE).await?)
    }

    async fn get_within(&self, patience: Duration) -> Result<Self::Held> {
        Ok(self.acquire_within(patience).await?)
    }

    fn put(held: Self::Held) {
        held.succeed();
    }
}

/// Ours, with all its defaults and so many endpoints, each of which has [`SLOTS`].
pub(super) async fn ours(endpoints: usize) -> Result<Pool<Numbers>> {
    let mut builder = Pool::builder(PoolId::new("bench")?);
    for number in 0..endpoints {
        let settings = EndpointConfig::default().max_connections(SLOTS);
        builder = builder.endpoint(EndpointId::new(format!("e{number}"))?, Numbers, settings);
    }
    let pool = builder.build()?;
    while pool.snapshot().slots_usable < u64::from(SLOTS) * endpoints as u64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(pool)
}

/// deadpool; without a time-out it touches no timer, which it does by default.
pub(super) fn deadpool(wait: Option<Duration>) -> Result<managed::Pool<Numbers>> {
    let timeouts = managed::Timeouts {
        wait,
        ..managed::Timeouts::new()
    };
    let builder = managed::Pool::builder(Numbers).max_size(SLOTS as usize);
    Ok(builder
        .runtime(deadpool::Runtime::Tokio1)
        .timeouts(timeouts)
        .build()?)
}

/// bb8, which does not look at a connection before it hands it out, as the others don't.
pub(super) async fn bb8() -> Result<bb8::Pool<Numbers>> {
    let builder = bb8::Pool::builder().max_size(SLOTS).connection_timeout(PATIENCE);
    Ok(builder.test_on_check_out(false).build(Numbers).await?)
}

/// mobc, likewise; it keeps all its connections, where two are its default.
pub(super) fn mobc() -> mobc::Pool<Numbers> {
    let builder = mobc::Pool::builder()
        .max_open(u64::from(SLOTS))
        .max_idle(u64::from(SLOTS));
    builder
        .test_on_check_out(false)
        .get_timeout(Some(PATIENCE))
        .build(Numbers)
}

/// fast_pool; its look at a connection can't be turned off, and costs nothing here.
pub(super) fn fast_pool() -> fast_pool::Pool<Numbers> {
    let pool = fast_pool::Pool::new(Numbers);
    pool.set_max_open(u64::from(SLOTS));
    pool.set_timeout_wait(Some(PATIENCE));
    pool
}

/// Does the same with each pool.
pub(super) trait Visit<'a> {
    fn visit<S: Side>(&mut self, name: &'static str, side: &'a S);
}

/// The name of ours.
pub(super) const OURS: &str = "**pool-core**";
/// What ratios are to: the peer that gives the same promise, a bounded wait.
pub(super) const YARDSTICK: &str = "deadpool, wait time-out";

/// Every pool, with [`SLOTS`] connections each.
pub(super) struct All {
    yardstick: managed::Pool<Numbers>,
    deadpool: managed::Pool<Numbers>,
    bb8: bb8::Pool<Numbers>,
    mobc: mobc::Pool<Numbers>,
    fast_pool: fast_pool::Pool<Numbers>,
    floor: Floor,
    ours: Pool<Numbers>,
}

impl All {
    /// Within a runtime, where the pools' own tasks will live. Ours has so many endpoints.
    pub(super) async fn new(endpoints: usize) -> Result<Self> {
        Ok(Self {
            yardstick: deadpool(Some(PATIENCE))?,
            deadpool: deadpool(None)?,
            bb8: bb8().await?,
            mobc: mobc(),
            fast_pool: fast_pool(),
            floor: Floor::new(),
            ours: ours(endpoints).await?,
        })
    }

    /// Ours is the last.
    pub(super) fn each<'a>(&'a self, visitor: &mut impl Visit<'a>) {
        visitor.visit(YARDSTICK, &self.yardstick);
        visitor.visit("deadpool, no time-out", &self.deadpool);
        visitor.visit("bb8", &self.bb8);
        visitor.visit("mobc", &self.mobc);
        visitor.visit("fast_pool", &self.fast_pool);
        visitor.visit("floor: semaphore and list", &self.floor);
        visitor.visit(OURS, &self.ours);
    }
}
