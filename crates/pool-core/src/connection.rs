//! What deadpool stores for an endpoint, and how it makes and renews it.
//!
//! deadpool is the storage. Its limit, queue and time-outs are not used: slots are admission's business, and a `get`
//! never waits. Its clock is not used either, because it reads std's: a connection carries its own times.

use std::sync::{
    Arc,
    atomic::{
        AtomicU64,
        Ordering::{AcqRel, Acquire},
    },
};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use tokio::time::Instant;

use crate::{
    CloseReason, Endpoint, RecycleCx, ReusableTimer,
    connect::{CLOSED_AT_ONCE, Connects},
    connect_failure::{ConnectFailure, Why},
    keepalive::Proven,
    moment::after,
    transport::{Lane, Transport},
};

/// A connection as stored and leased.
pub(crate) struct Pooled<E: Endpoint> {
    pub(crate) conn: E::Conn,
    pub(crate) lane: Lane<E>,
    pub(crate) returned_at: Instant,
    /// When it was last tried in the background, and worked.
    pub(crate) proven_at: Option<Instant>,
    /// Cuts off the calls on it.
    pub(crate) timer: ReusableTimer,
}

impl<E: Endpoint> Pooled<E> {
    pub(crate) fn expired(&self, now: Instant) -> bool {
        now >= self.lane.transport().expires_at
    }

    /// When it was last known to work.
    pub(crate) fn worked_at(&self) -> Instant {
        self.proven_at
            .map_or(self.returned_at, |proven| proven.max(self.returned_at))
    }
}

/// deadpool's manager of one endpoint.
pub(crate) struct Connector<E: Endpoint> {
    pub(crate) connects: Arc<Connects<E>>,
    epoch: Instant,
    /// Connections that were returned before this are not used any more: the endpoint failed since. Nanoseconds from the
    /// epoch, plus 1; 0 as long as it has not failed.
    stale_before: AtomicU64,
    pub(crate) proven: Proven<E>,
}

impl<E: Endpoint> Connector<E> {
    pub(crate) fn new(connects: Arc<Connects<E>>) -> Self {
        Self {
            connects,
            epoch: Instant::now(),
            stale_before: AtomicU64::new(0),
            proven: Proven::default(),
        }
    }

    fn moment(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch);
        u64::try_from(since.as_nanos()).map_or(u64::MAX, |nanos| nanos.saturating_add(1))
    }

    /// From now on no connection is used that was idle at this moment.
    pub(crate) fn distrust_idle(&self, now: Instant, why: CloseReason) {
        self.distrust(now);
        self.connects.drop_spares(why);
    }

    /// Never moves back: a slow validation may end after a newer verdict.
    fn distrust(&self, returned_until: Instant) {
        self.stale_before.fetch_max(self.moment(returned_until), AcqRel);
    }

    /// Whether an idle connection may be used again.
    pub(crate) fn usable(&self, pooled: &Pooled<E>, now: Instant) -> bool {
        !self.is_stale(pooled) && !pooled.expired(now)
    }

    #[inline]
    pub(crate) fn is_stale(&self, pooled: &Pooled<E>) -> bool {
        let stale_before = self.stale_before.load(Acquire);
        stale_before > 0 && self.moment(pooled.worked_at()) <= stale_before
    }

    /// Whether an idle connection can be used as it is, without a look at the network.
    #[inline]
    pub(crate) fn is_ready(&self, pooled: &Pooled<E>, now: Instant) -> bool {
        let (endpoint, knobs) = (&self.connects.endpoint, &self.connects.knobs);
        self.usable(pooled, now)
            && now < after(pooled.worked_at(), knobs.validate_after_idle.get())
            && endpoint.lanes(&pooled.lane.transport().inner) > 0
            && endpoint.is_clean(&pooled.conn)
    }

    /// A lane, and whether it is the first on a transport that was opened a while ago.
    async fn lane(&self) -> Result<(Lane<E>, bool), ConnectFailure<E::Error>> {
        let connects = &self.connects;
        loop {
            if let Some(lane) = connects.spare_lane(Instant::now()) {
                return Ok((lane, false));
            }
            let transport = connects.next().await?;
            if let Some(lane) = transport.reserve(&connects.endpoint) {
                let rested = transport.opened_at.elapsed() >= connects.knobs.validate_after_idle.get();
                return Ok((lane, rested));
            }
            if connects.endpoint.lanes(&transport.inner) == 0 {
                transport.closing(CloseReason::Dead);
                return Err(ConnectFailure::own(Why::Useless(CLOSED_AT_ONCE)));
            }
            // others were quicker to take its lanes
        }
    }

    async fn open(&self, lane: Lane<E>) -> Result<Pooled<E>, ConnectFailure<E::Error>> {
        lane.transport().closing(CloseReason::Cancelled);
        let opening = self.connects.endpoint.open(&lane.transport().inner);
        // a lane that never opens must count as a failure even if every caller is more patient than the endpoint
        let timeout = self.connects.knobs.connect_timeout.get();
        let opened = tokio::time::timeout(timeout, opening).await;
        lane.transport().closing(match &opened {
            Ok(Ok(_)) => CloseReason::Shutdown,
            _ => CloseReason::Broken,
        });
        let conn = opened
            .map_err(|_elapsed| ConnectFailure::own(Why::TimedOut(timeout)))?
            .map_err(|error| ConnectFailure::own(Why::Endpoint(Arc::new(error))))?;
        Ok(Pooled {
            conn,
            lane,
            returned_at: Instant::now(),
            proven_at: None,
            timer: ReusableTimer::new(),
        })
    }

    /// Opens a lane on a transport that has waited for its first use, and validates it. `None` if the transport has died
    /// meanwhile; the other spares are then not trusted either.
    async fn open_rested(&self, lane: Lane<E>) -> Option<Pooled<E>> {
        let cx = RecycleCx {
            idle_since: lane.transport().opened_at,
            now: Instant::now(),
        };
        let transport = Arc::clone(lane.transport());
        let first_use = async {
            let mut pooled = self.open(lane).await.ok()?;
            let answer = self.connects.endpoint.recycle(&mut pooled.conn, &cx).await;
            answer.is_ok().then_some(pooled)
        };
        let pooled = tokio::time::timeout(self.connects.knobs.recycle_timeout.get(), first_use)
            .await
            .ok()
            .flatten();
        if pooled.is_none() {
            tracing::debug!(endpoint = %self.connects.stats.id, "a connection opened ahead is dead");
            transport.closing(CloseReason::Dead);
            self.connects.drop_spares(CloseReason::Distrusted);
        }
        pooled
    }
}

impl<E: Endpoint> Connector<E> {
    /// Opens a lane on a transport that has waited for its first use, if it still works.
    pub(crate) async fn first_use(&self, transport: &Arc<Transport<E>>) -> Option<Box<Pooled<E>>> {
        let lane = transport.reserve(&self.connects.endpoint)?;
        self.open_rested(lane).await.map(Box::new)
    }

    /// Whether an idle connection can be given to its next caller: at once if it was known to work a moment ago, else
    /// after a validation.
    async fn serves(&self, pooled: &mut Pooled<E>) -> bool {
        let now = Instant::now();
        if self.is_ready(pooled, now) {
            return true;
        }
        let usable = self.usable(pooled, now);
        let serves = usable
            && self.connects.endpoint.lanes(&pooled.lane.transport().inner) > 0
            && self.answers(pooled).await;
        if !serves {
            let why = if usable {
                CloseReason::Dead
            } else {
                CloseReason::Distrusted
            };
            pooled.lane.transport().closing_at(now, why);
        }
        serves
    }

    /// Validates an idle connection. The first that turns out dead makes all stale that have rested as long, so that a
    /// row of dead ones costs one look and not one each.
    pub(crate) async fn answers(&self, pooled: &mut Pooled<E>) -> bool {
        let now = Instant::now();
        let cx = RecycleCx {
            idle_since: pooled.returned_at,
            now,
        };
        let mut unanswered = Unanswered {
            connector: Some(self),
            since: now,
        };
        pooled.lane.transport().closing(CloseReason::Cancelled);
        let timeout = self.connects.knobs.recycle_timeout.get();
        let recycled = self.connects.endpoint.recycle(&mut pooled.conn, &cx);
        let answer = tokio::time::timeout(timeout, recycled).await;
        unanswered.connector = None;
        match answer {
            Ok(Ok(())) => {
                pooled.lane.transport().closing(CloseReason::Shutdown);
                return true;
            }
            Ok(Err(error)) => {
                tracing::debug!(endpoint = %self.connects.stats.id, %error, "an idle connection is dead");
                self.distrust(pooled.worked_at());
            }
            Err(_elapsed) => {
                tracing::debug!(endpoint = %self.connects.stats.id, "an idle connection did not answer in time");
                self.distrust(now);
            }
        }
        false
    }
}

impl<E: Endpoint> managed::Manager for Connector<E> {
    /// Boxed once, when it is opened: it is moved several times for each use.
    type Type = Box<Pooled<E>>;
    type Error = ConnectFailure<E::Error>;

    async fn create(&self) -> Result<Self::Type, Self::Error> {
        while let Some(mut proven) = self.proven.take() {
            if self.serves(&mut proven).await {
                return Ok(proven);
            }
        }
        loop {
            let (lane, rested) = self.lane().await?;
            if !rested {
                return self.open(lane).await.map(Box::new);
            }
            if let Some(pooled) = self.open_rested(lane).await {
                return Ok(Box::new(pooled));
            }
        }
    }

    /// An error makes deadpool drop the connection and look at the next.
    async fn recycle(&self, pooled: &mut Self::Type, _metrics: &Metrics) -> RecycleResult<Self::Error> {
        if self.serves(pooled).await {
            Ok(())
        } else {
            Err(RecycleError::message("expired, stale, closed or dead"))
        }
    }
}

/// A validation that has not been answered. If its caller gives it up after a good part of the time it was allowed, what
/// was idle before is not trusted either: else a row of dead connections would cost one caller's deadline each.
struct Unanswered<'a, E: Endpoint> {
    connector: Option<&'a Connector<E>>,
    since: Instant,
}

impl<E: Endpoint> Drop for Unanswered<'_, E> {
    fn drop(&mut self) {
        if let Some(connector) = self.connector
            && self.since.elapsed() >= connector.connects.knobs.recycle_timeout.get() / 10
        {
            connector.distrust(self.since);
        }
    }
}
