//! The endpoint that the pool sees.

use std::{
    error::Error as StdError,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use deadpool::managed::{Hook, Manager};
use pool_core::{BoxFuture, CheckCx, ConnectCx, Endpoint, ErrorType, RecycleCx, Report, Verdict};
use tokio::time::Instant;

use super::{DeadpoolConn, DeadpoolError, DeadpoolTransport, unknown_error};

type Look<T> = Box<dyn Fn(&T) -> bool + Send + Sync>;
type Classify<X> = Box<dyn Fn(&X) -> Verdict + Send + Sync>;
type Check<T, X> = Box<dyn for<'c> Fn(&'c mut T) -> BoxFuture<'c, Result<Report, X>> + Send + Sync>;

/// Makes an endpoint of a [`deadpool::managed::Manager`].
///
/// * A connection is what the manager [creates](Manager::create). It is exclusive: connections and slots are one to one.
/// * Before each use it is [recycled](Manager::recycle), as in deadpool's own pool, unless
///   [`with_is_clean`](Self::with_is_clean) says that it needs no look.
/// * When it leaves, the manager [detaches](Manager::detach) it.
/// * A lease that is dropped in the middle of an operation destroys it.
///
/// Without [`with_check`](Self::with_check) a server is healthy while the manager can connect, or recycle the connection of the check
/// before. Without [`with_classify`](Self::with_classify) a failed connect counts for the breaker, and any other error is an
/// [`unknown_error`].
///
/// `postgres` and `redis` (with their features) make endpoints that know those servers.
///
/// ```
/// use deadpool::managed::{Manager, Metrics, RecycleResult};
/// use pool_core::{EndpointConfig, EndpointId, ErrorType, Pool, PoolId, Report, Verdict};
/// use pool_rpc::database::DeadpoolEndpoint;
///
/// /// Any manager will do.
/// struct Files;
///
/// impl Manager for Files {
///     type Type = Vec<u8>;
///     type Error = std::io::Error;
///     async fn create(&self) -> Result<Vec<u8>, std::io::Error> { Ok(Vec::new()) }
///     async fn recycle(&self, _: &mut Vec<u8>, _: &Metrics) -> RecycleResult<std::io::Error> { Ok(()) }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = DeadpoolEndpoint::new(Files)
///     .with_check(|file| Box::pin(async move { Ok(Report::fit(Some(file.len() as u64))) }))
///     .with_classify(|error| match error.kind() {
///         std::io::ErrorKind::InvalidInput => Verdict::of(ErrorType::InvalidRequest),
///         _ => Verdict::of(ErrorType::Transport),
///     });
/// let pool = Pool::builder(PoolId::new("files")?)
///     .endpoint(EndpointId::new("one")?, endpoint, EndpointConfig::default())
///     .build()?;
/// let mut lease = pool.acquire().await?;
/// lease.push(7);
/// lease.succeed();
/// # Ok(())
/// # }
/// ```
pub struct DeadpoolEndpoint<M: Manager> {
    manager: Arc<M>,
    is_open: Option<Look<M::Type>>,
    is_clean: Option<Look<M::Type>>,
    check: Option<Check<M::Type, M::Error>>,
    classify: Option<Classify<M::Error>>,
    post_create: Vec<Hook<M>>,
    pre_recycle: Vec<Hook<M>>,
    post_recycle: Vec<Hook<M>>,
    /// The health check's own, kept between checks.
    checked: Mutex<Option<DeadpoolConn<M>>>,
}

impl<M: Manager> DeadpoolEndpoint<M> {
    /// Makes the endpoint; nothing is connected yet.
    pub fn new(manager: M) -> Self {
        Self {
            manager: Arc::new(manager),
            is_open: None,
            is_clean: None,
            check: None,
            classify: None,
            post_create: Vec::new(),
            pre_recycle: Vec::new(),
            post_recycle: Vec::new(),
            checked: Mutex::default(),
        }
    }

    /// The manager.
    pub fn manager(&self) -> &M {
        &self.manager
    }

    /// Sets how to tell from a connection, without a look at the network, that it is closed. Such a one is neither handed
    /// on nor recycled. Default: nothing is known of it.
    #[must_use]
    pub fn with_is_open(mut self, look: impl Fn(&M::Type) -> bool + Send + Sync + 'static) -> Self {
        self.is_open = Some(Box::new(look));
        self
    }

    /// Sets when a returned connection may go to the next caller as it is, without [recycling](Manager::recycle): that
    /// saves its round trips. Default: never.
    ///
    /// Say so only where no operation leaves anything behind on its connection: no open transaction, no session
    /// setting, no subscription.
    #[must_use]
    pub fn with_is_clean(mut self, look: impl Fn(&M::Type) -> bool + Send + Sync + 'static) -> Self {
        self.is_clean = Some(Box::new(look));
        self
    }

    /// Sets what a health check does, on a connection of its own that is recycled before and kept between checks. An
    /// error means that the check failed; the connection is dropped then, as it is when the check is cancelled.
    #[must_use]
    pub fn with_check<F>(mut self, check: F) -> Self
    where
        F: for<'c> Fn(&'c mut M::Type) -> BoxFuture<'c, Result<Report, M::Error>> + Send + Sync + 'static,
    {
        self.check = Some(Box::new(check));
        self
    }

    /// Sets what errors mean. The verdict on an error while connecting is corrected: no request had been sent, so it is
    /// never the caller's fault, nothing can have been executed, and unless the server is known to be merely busy or away
    /// it is [`ErrorType::Connect`].
    #[must_use]
    pub fn with_classify(mut self, classify: impl Fn(&M::Error) -> Verdict + Send + Sync + 'static) -> Self {
        self.classify = Some(Box::new(classify));
        self
    }

    /// Adds a deadpool hook that runs on each new connection; an error closes it and fails the connect. Hooks of a kind
    /// run in the order in which they were added.
    #[must_use]
    pub fn post_create(mut self, hook: Hook<M>) -> Self {
        self.post_create.push(hook);
        self
    }

    /// Adds a deadpool hook that runs before a connection is recycled; an error closes it.
    #[must_use]
    pub fn pre_recycle(mut self, hook: Hook<M>) -> Self {
        self.pre_recycle.push(hook);
        self
    }

    /// Adds a deadpool hook that runs after a connection was recycled; an error closes it.
    #[must_use]
    pub fn post_recycle(mut self, hook: Hook<M>) -> Self {
        self.post_recycle.push(hook);
        self
    }

    fn looks_open(&self, inner: &M::Type) -> bool {
        self.is_open.as_ref().is_none_or(|look| look(inner))
    }

    fn checked(&self) -> MutexGuard<'_, Option<DeadpoolConn<M>>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Manager<Error: StdError + 'static>> DeadpoolEndpoint<M> {
    async fn create(&self) -> Result<DeadpoolConn<M>, DeadpoolError<M::Error>> {
        let inner = self.manager.create().await.map_err(DeadpoolError::Connect)?;
        let mut conn = DeadpoolConn::new(inner, Arc::clone(&self.manager));
        match run(&self.post_create, &mut conn).await {
            Err(DeadpoolError::Backend(error)) => Err(DeadpoolError::Connect(error)),
            Err(other) => Err(other),
            Ok(()) => Ok(conn),
        }
    }

    async fn renew(&self, conn: &mut DeadpoolConn<M>) -> Result<(), DeadpoolError<M::Error>> {
        if !self.looks_open(conn) {
            return Err(DeadpoolError::Refused("it is closed".into()));
        }
        run(&self.pre_recycle, conn).await?;
        self.manager
            .recycle(&mut conn.inner, &conn.metrics)
            .await
            .map_err(DeadpoolError::of_recycle)?;
        run(&self.post_recycle, conn).await?;
        conn.metrics.recycle_count += 1;
        conn.metrics.recycled = Some(Instant::now().into_std());
        Ok(())
    }

    /// The check's connection, in nobody's hands but the check's: cancelled, it is dropped.
    async fn checking(&self) -> Result<DeadpoolConn<M>, DeadpoolError<M::Error>> {
        let kept = self.checked().take();
        if let Some(mut conn) = kept
            && self.renew(&mut conn).await.is_ok()
        {
            return Ok(conn);
        }
        self.create().await
    }
}

async fn run<M: Manager<Error: StdError + 'static>>(
    hooks: &[Hook<M>],
    conn: &mut DeadpoolConn<M>,
) -> Result<(), DeadpoolError<M::Error>> {
    for hook in hooks {
        match hook {
            Hook::Fn(hook) => hook(&mut conn.inner, &conn.metrics),
            Hook::AsyncFn(hook) => hook(&mut conn.inner, &conn.metrics).await,
        }
        .map_err(DeadpoolError::of_hook)?;
    }
    Ok(())
}

impl<M> Endpoint for DeadpoolEndpoint<M>
where
    M: Manager<Error: StdError + Send + Sync + 'static, Type: 'static> + 'static,
{
    type Transport = DeadpoolTransport<M>;
    type Conn = DeadpoolConn<M>;
    type Error = DeadpoolError<M::Error>;

    async fn connect(&self, _cx: &ConnectCx) -> Result<DeadpoolTransport<M>, Self::Error> {
        self.create().await.map(DeadpoolTransport::new)
    }

    fn lanes(&self, transport: &DeadpoolTransport<M>) -> u32 {
        transport.is_open(|inner| self.looks_open(inner)).into()
    }

    async fn open(&self, transport: &Arc<DeadpoolTransport<M>>) -> Result<DeadpoolConn<M>, Self::Error> {
        transport.take().ok_or(DeadpoolError::Taken)
    }

    fn is_clean(&self, conn: &DeadpoolConn<M>) -> bool {
        self.is_clean.as_ref().is_some_and(|look| look(conn)) && self.looks_open(conn)
    }

    async fn recycle(&self, conn: &mut DeadpoolConn<M>, _cx: &RecycleCx) -> Result<(), Self::Error> {
        self.renew(conn).await
    }

    async fn check(&self, _cx: &CheckCx) -> Result<Report, Self::Error> {
        let mut conn = self.checking().await?;
        let report = match &self.check {
            Some(check) => check(&mut conn.inner).await?,
            None => Report::fit(None),
        };
        *self.checked() = Some(conn);
        Ok(report)
    }

    fn classify(&self, error: &Self::Error) -> Verdict {
        match (error, &self.classify) {
            (DeadpoolError::Connect(error), Some(classify)) => connecting(classify(error)),
            (DeadpoolError::Backend(error), Some(classify)) => classify(error),
            (DeadpoolError::Connect(_) | DeadpoolError::Refused(_), _) => Verdict::of(ErrorType::Connect),
            (DeadpoolError::Backend(_), None) => unknown_error(),
            (DeadpoolError::Taken, _) => Verdict::of(ErrorType::Local),
        }
    }
}

/// What an error means when it came from a connect.
fn connecting(verdict: Verdict) -> Verdict {
    let known = matches!(
        verdict.error_type,
        ErrorType::RateLimited | ErrorType::Unauthorized | ErrorType::Unavailable
    );
    let verdict = if known {
        verdict
    } else {
        Verdict::of(ErrorType::Connect)
    };
    verdict.with_maybe_executed(false).with_keep_connection(false)
}

impl<M: Manager> fmt::Debug for DeadpoolEndpoint<M> {
    // never the manager: it knows passwords
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadpoolEndpoint")
            .field("post_create", &self.post_create)
            .field("pre_recycle", &self.pre_recycle)
            .field("post_recycle", &self.post_recycle)
            .finish_non_exhaustive()
    }
}
