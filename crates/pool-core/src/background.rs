//! The tasks that work while nobody asks: a health checker for each endpoint, and one that lets time pass.
//!
//! Each ends when the pool is dropped or closed. None runs in the way of a request.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::{
    CheckCx, Endpoint, HealthConfig, Report, Unfit,
    admission::{Checked, GateId, Settle},
    concurrency::learn_capacities,
    core::Core,
    health::HealthReason,
    member::Member,
    outlier::look_for_outliers,
    warm::LOOK_EVERY,
};

pub(crate) fn spawn<E: Endpoint>(core: &Arc<Core<E>>) {
    for (key, seat) in core.setup.load().members() {
        check_endpoint(core, key.into(), Arc::clone(&seat.member));
    }
    tokio::spawn(until_shutdown(
        core.shutdown.subscribe(),
        let_time_pass(Arc::clone(core)),
    ));
    tokio::spawn(until_shutdown(core.shutdown.subscribe(), prune(Arc::clone(core))));
    tokio::spawn(until_shutdown(
        core.shutdown.subscribe(),
        look_for_outliers(Arc::clone(core)),
    ));
    tokio::spawn(until_shutdown(
        core.shutdown.subscribe(),
        learn_capacities(Arc::clone(core)),
    ));
}

/// Begins the checks of an endpoint; they end with it.
pub(crate) fn check_endpoint<E: Endpoint>(core: &Arc<Core<E>>, id: GateId, member: Arc<Member<E>>) {
    let ended = member.shutdown.subscribe();
    tokio::spawn(until_shutdown(ended, check(Arc::clone(core), id, member)));
}

async fn until_shutdown(mut shutdown: watch::Receiver<bool>, task: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        // an error means that the pool is gone, which is as good
        _closed = shutdown.wait_for(|closed| *closed) => {}
        () = task => {}
    }
}

/// Checks one endpoint for ever. The first check is at once, or as soon as its turn comes. Other settings count from the next check on, and that is
/// planned anew.
async fn check<E: Endpoint>(core: Arc<Core<E>>, id: GateId, member: Arc<Member<E>>) {
    loop {
        let mut reconfigured = pin!(core.reconfigured.notified());
        reconfigured.as_mut().enable();
        let turn = core.check_turns.next().await;
        let config = core.setup.load().config.health.clone();
        check_once(&core, id, &member, &config).await;
        drop(turn);
        let ended = Instant::now();
        let mut interval = config.interval;
        loop {
            let share = 1.0 + config.jitter * (core.chance.share() * 2.0 - 1.0);
            let now = Instant::now();
            let (next, effects) = core
                .admission
                .check_planned(id, ended + interval.mul_f64(share), now);
            core.apply(effects);
            tokio::select! {
                () = rested(&core, id, next) => break,
                () = reconfigured.as_mut() => {
                    reconfigured.set(core.reconfigured.notified());
                    reconfigured.as_mut().enable();
                    interval = core.setup.load().config.health.interval;
                }
            }
        }
    }
}

/// Until that moment, or longer if a pause is asked for meanwhile.
async fn rested<E: Endpoint>(core: &Core<E>, id: GateId, mut next: Instant) {
    loop {
        tokio::time::sleep_until(next).await;
        let now = Instant::now();
        let (later, effects) = core.admission.check_planned(id, next, now);
        core.apply(effects);
        if later <= now {
            return;
        }
        next = later;
    }
}

async fn check_once<E: Endpoint>(core: &Core<E>, id: GateId, member: &Member<E>, config: &HealthConfig) {
    let begun = Instant::now();
    let (ticket, effects) = core
        .admission
        .check_begins(id, member.endpoint.check_cost(), begun, begun);
    core.apply(effects);
    let cx = CheckCx {
        timeout: config.timeout,
        head_age: config.max_lag_time.is_some(),
    };
    let check = caught(async {
        let checked = member.endpoint.check(&cx).await;
        checked.map_err(|error| (member.endpoint.classify(&error), error.to_string()))
    });
    let answer = tokio::time::timeout(config.timeout, check).await;
    let now = Instant::now();
    let failed = |reason| Checked {
        position: None,
        age: None,
        outcome: Settle::Failure,
        throttle: None,
        result: Err(reason),
    };
    let elapsed = now.saturating_duration_since(begun);
    let checked = match answer {
        Err(_elapsed) => failed(HealthReason::CheckTimedOut(config.timeout)),
        Ok(Err(_panic)) => failed(HealthReason::CheckFailed("the check panicked".to_owned())),
        Ok(Ok(Err((verdict, error)))) => {
            core.cool_down(id.key, &verdict);
            let mut checked = failed(HealthReason::CheckFailed(error));
            checked.throttle = verdict.throttle;
            if !verdict.counts_for_breaker {
                checked.outcome = Settle::Neutral;
            }
            checked
        }
        Ok(Ok(Ok(report))) => judge(core, id.key, member, report, config, now),
    };
    if checked.result.is_err() {
        member.stats.check_failed();
    }
    if let Some(observer) = &member.observer {
        let tell = || observer.check_ended(elapsed, checked.result.is_ok());
        core.observers_bugs.call(&core.id, tell);
    }
    core.apply(core.admission.check_ended(id, ticket, checked, now));
}

/// The endpoint answered. One that is merely unfit works, so its breaker hears nothing.
fn judge<E: Endpoint>(
    core: &Core<E>,
    key: u32,
    member: &Member<E>,
    report: Report,
    config: &HealthConfig,
    now: Instant,
) -> Checked {
    let Report { position, age, unfit } = report;
    let (position, age, result) = match unfit {
        // what a node of another chain says of its height says nothing of ours
        Some(unfit @ Unfit::WrongChain { .. }) => (None, None, Err(unfit)),
        Some(unfit) => (position, age, Err(unfit)),
        None => (position, age, Ok(())),
    };
    let blocks = position.map(|position| core.admission.lag(key, position, config.fresh_since(now)));
    if let Some(blocks) = blocks {
        member.stats.set_lag(blocks);
    }
    let result = result.and_then(|()| behind(core, key, (blocks, age), config, now));
    let result = result.map_err(HealthReason::Unfit);
    Checked {
        position,
        age,
        outcome: if result.is_ok() {
            Settle::Success
        } else {
            Settle::Neutral
        },
        throttle: None,
        result,
    }
}

/// The future's output, or an error if it panics: a bug in one check must not end all checks of its endpoint.
async fn caught<F: Future>(future: F) -> std::thread::Result<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

/// Whether its lag and its age are within what is allowed.
fn behind<E: Endpoint>(
    core: &Core<E>,
    key: u32,
    (lag, age): (Option<u64>, Option<Duration>),
    config: &HealthConfig,
    now: Instant,
) -> Result<(), Unfit> {
    if let (Some(blocks), Some(most)) = (lag, config.max_lag)
        && blocks > most
    {
        return Err(Unfit::Lagging { blocks });
    }
    if let (Some(age), Some(most)) = (age, config.max_lag_time) {
        let reference = core
            .admission
            .reference_age(Some((key, age)), config.fresh_since(now), now);
        let reference = reference.unwrap_or(age);
        if age.saturating_sub(reference) > most {
            return Err(Unfit::Stale { age, reference });
        }
    }
    Ok(())
}

/// Opens breakers half, ends throttles, serves the line: whatever changes by time alone.
async fn let_time_pass<E: Endpoint>(core: Arc<Core<E>>) {
    loop {
        let mut rearm = pin!(core.rearm.notified());
        rearm.as_mut().enable();
        let (next, effects) = core.admission.tick(Instant::now());
        core.apply(effects);
        match next {
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = rearm => {}
            },
            None => rearm.await,
        }
    }
}

async fn prune<E: Endpoint>(core: Arc<Core<E>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = Instant::now();
        let eligible = core.admission.roster().keys.clone();
        let setup = core.setup.load_full();
        for (key, seat) in setup.members() {
            // it asks the endpoint; a panic there must not end this for all
            let prune = || {
                core.put_back_rested(key, &setup.config, now);
                seat.member.prune(setup.config.idle_timeout, now);
            };
            core.endpoints_bugs.call(&core.id, prune);
            if eligible.contains(&key) {
                seat.member.keep_warm(&core.ready_transports(key), now);
                if let Some(keepalive) = setup.config.keepalive {
                    seat.member.keep_alive(keepalive, setup.config.idle_timeout, now);
                }
            }
        }
        core.trim(&setup);
        core.sweep();
        core.look_for_leaks(now);
    }
}
