//! tower's balancers.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::{Result, anyhow};
use tokio::{runtime::Builder, time::Instant};
use tower::{
    Service, ServiceExt,
    balance::p2c::Balance,
    discover::ServiceList,
    load::{CompleteOnResponse, Load, PeakEwma, PendingRequests},
};

use super::{Make, Picker};

pub(super) const EWMA: &str = "tower P2C, peak EWMA";
pub(super) const PENDING: &str = "tower P2C, pending requests";

pub(super) const PICKERS: [(&str, Make); 2] = [
    (EWMA, |endpoints, threads| {
        picker(threads, move || {
            (0..endpoints)
                // as linkerd has it
                .map(|_| {
                    PeakEwma::new(
                        Mock,
                        Duration::from_millis(30),
                        1e10,
                        CompleteOnResponse::default(),
                    )
                })
                .collect()
        })
    }),
    (PENDING, |endpoints, threads| {
        picker(threads, move || {
            (0..endpoints)
                .map(|_| PendingRequests::new(Mock, CompleteOnResponse::default()))
                .collect()
        })
    }),
];

/// A service that is always ready, and answers at once.
#[derive(Clone, Copy, Debug)]
struct Mock;

impl Service<()> for Mock {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(()))
    }
}

/// Each thread has a balancer of its own: it must be owned to be used.
fn picker<S, F>(threads: usize, services: F) -> Result<Picker>
where
    S: Service<(), Response = ()> + Load + Send + 'static,
    S::Metric: std::fmt::Debug,
    S::Error: Into<tower::BoxError>,
    S::Future: Send,
    F: Fn() -> Vec<S> + Clone + Send + Sync + 'static,
{
    let workers = (0..threads)
        .map(|_| worker(services.clone()))
        .collect::<Result<Vec<_>>>()?;
    Ok(Box::new(move |picks| {
        let begin = Arc::new(std::sync::Barrier::new(threads));
        for (orders, _) in &workers {
            orders.send((picks, Arc::clone(&begin)))?;
        }
        let mut longest = Duration::ZERO;
        for (_, answers) in &workers {
            let took = answers.recv()?.map_err(|error| anyhow!("tower: {error}"))?;
            longest = longest.max(took);
        }
        Ok(longest.as_nanos() as f64 / picks as f64)
    }))
}

type Orders = std::sync::mpsc::Sender<(u64, Arc<std::sync::Barrier>)>;
type Answers = std::sync::mpsc::Receiver<Result<Duration, tower::BoxError>>;

/// A thread that keeps its balancer, so that making one does not count; it ends when nobody orders any more.
fn worker<S, F>(services: F) -> Result<(Orders, Answers)>
where
    S: Service<(), Response = ()> + Load + Send + 'static,
    S::Metric: std::fmt::Debug,
    S::Error: Into<tower::BoxError>,
    S::Future: Send,
    F: Fn() -> Vec<S> + Send + 'static,
{
    let (orders, incoming) = std::sync::mpsc::channel::<(u64, Arc<std::sync::Barrier>)>();
    let (outgoing, answers) = std::sync::mpsc::channel();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        let mut balance = Balance::new(ServiceList::new::<()>(services()));
        while let Ok((picks, begin)) = incoming.recv() {
            begin.wait();
            let took = runtime.block_on(async {
                let begun = Instant::now();
                for _ in 0..picks {
                    balance.ready().await?.call(()).await?;
                    black_box(());
                }
                Ok(begun.elapsed())
            });
            if outgoing.send(took).is_err() {
                return;
            }
        }
    });
    Ok((orders, answers))
}
