//! Health checks of many endpoints.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use pool_core::*;
use tokio::time::Instant;

/// What happens to the checks of a pool.
#[derive(Debug, Default)]
struct Watch {
    running: AtomicUsize,
    most: AtomicUsize,
}

/// An endpoint of which only the checks matter.
struct Checked {
    watch: Arc<Watch>,
    takes: Duration,
    /// When its checks began.
    begun: Arc<Mutex<Vec<Instant>>>,
}

struct Running<'a>(&'a Watch);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

impl Endpoint for Checked {
    type Transport = ();
    type Conn = ();
    type Error = Infallible;
    async fn connect(&self, _: &ConnectCx) -> Result<(), Infallible> {
        Ok(())
    }
    async fn open(&self, _: &Arc<()>) -> Result<(), Infallible> {
        Ok(())
    }
    fn is_clean(&self, (): &()) -> bool {
        true
    }
    async fn recycle(&self, (): &mut (), _: &RecycleCx) -> Result<(), Infallible> {
        Ok(())
    }
    async fn check(&self, _: &CheckCx) -> Result<Report, Infallible> {
        self.begun.lock().unwrap().push(Instant::now());
        let running = self.watch.running.fetch_add(1, SeqCst) + 1;
        let _running = Running(&self.watch);
        self.watch.most.fetch_max(running, SeqCst);
        tokio::time::sleep(self.takes).await;
        Ok(Report::fit(None))
    }
    fn classify(&self, error: &Infallible) -> Verdict {
        match *error {}
    }
}

struct Field {
    pool: Pool<Checked>,
    watch: Arc<Watch>,
    begun: Vec<Arc<Mutex<Vec<Instant>>>>,
}

fn field(endpoints: usize, most: u32, takes: impl Fn(usize) -> Duration) -> Field {
    let watch = Arc::new(Watch::default());
    let mut config = PoolConfig::default();
    config.health.max_concurrent = most;
    let mut builder = Pool::builder(PoolId::new("test").unwrap()).config(config).seed(7);
    let mut begun = Vec::new();
    for i in 0..endpoints {
        let endpoint = Checked {
            watch: Arc::clone(&watch),
            takes: takes(i),
            begun: Arc::default(),
        };
        begun.push(Arc::clone(&endpoint.begun));
        let id = EndpointId::new(format!("e{i}")).unwrap();
        builder = builder.endpoint(id, endpoint, EndpointConfig::default());
    }
    let pool = builder.build().unwrap();
    Field { pool, watch, begun }
}

impl Field {
    fn checks(&self) -> Vec<usize> {
        self.begun
            .iter()
            .map(|begun| begun.lock().unwrap().len())
            .collect()
    }

    fn longest_gap(&self) -> Duration {
        let gaps = self.begun.iter().flat_map(|begun| {
            let begun = begun.lock().unwrap();
            let gaps: Vec<_> = begun.windows(2).map(|pair| pair[1] - pair[0]).collect();
            gaps
        });
        gaps.max().unwrap()
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_endpoints_are_checked_in_time_by_sixteen_at_once() {
    let field = field(1_000, 16, |_| ms(50));
    tokio::time::sleep(ms(3_300)).await;
    assert!(
        field.checks().iter().all(|checks| *checks >= 1),
        "1000 x 50 ms / 16 = 3.1 s"
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(field.watch.most.load(SeqCst), 16);
    // the interval is at most 6 s, and a full line ahead is 3.1 s
    assert!(field.longest_gap() <= ms(9_200), "{:?}", field.longest_gap());
    let least = field.checks().into_iter().min().unwrap();
    assert!(least >= 8, "{least}");
    assert!(field.pool.explain().iter().all(Explanation::is_usable));
}

#[tokio::test(start_paused = true)]
async fn those_that_hang_hold_up_the_others_no_longer_than_their_time_out() {
    // every second one: the turns are all theirs for some time
    let hangs = |i: usize| {
        if i < 64 {
            Duration::from_secs(3_600)
        } else {
            ms(20)
        }
    };
    let field = field(128, 16, hangs);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(field.watch.most.load(SeqCst), 16);
    let checks = field.checks();
    // 64 that take 3 s each, by 16, are 12 s: longer than the interval, so all come late, and all alike
    let (hanging, well) = checks.split_at(64);
    for (name, checks) in [("hanging", hanging), ("well", well)] {
        let (least, most) = (checks.iter().min().unwrap(), checks.iter().max().unwrap());
        assert!(*least >= 5, "{name}: {least}");
        assert!(most - least <= 6, "{name}: {least} to {most}");
    }
    assert!(
        field.longest_gap() <= ms(6_000 + 3_000 + 4 * 3_000 + 100),
        "{:?}",
        field.longest_gap()
    );
}

#[tokio::test(start_paused = true)]
async fn another_number_counts_at_once() {
    let field = field(8, 1, |_| Duration::from_secs(1));
    tokio::time::sleep(ms(1_500)).await;
    assert_eq!(field.watch.running.load(SeqCst), 1);
    let mut config = PoolConfig::default();
    config.health.max_concurrent = 3;
    let mut update = PoolUpdate::new(config);
    for i in 0..8 {
        let id = EndpointId::new(format!("e{i}")).unwrap();
        update = update.keep(id, EndpointConfig::default());
    }
    field.pool.apply(update).unwrap();
    tokio::time::sleep(ms(10)).await;
    assert_eq!(field.watch.running.load(SeqCst), 4, "those under way go on");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(field.watch.running.load(SeqCst) <= 3);
}
