//! Whether the pool counted what it should have.

use pool_core::{ErrorType, PoolSnapshot};

use crate::{
    cases::Case,
    cell::Cell,
    expect::{First, Pause},
    stage::CALLERS,
    work::Kind,
};

/// Holds what the pool counted against what it should have: the number of attempts that failed on nodes with the fault. `sent`
/// are the transactions that nodes were sent.
pub(crate) fn judge(
    cell: &Cell,
    case: &Case,
    before: &PoolSnapshot,
    after: &PoolSnapshot,
    sent: u64,
) -> Result<u64, String> {
    let faulty = cell.faulty;
    let mut failures = 0;
    for (place, (before, after)) in before.endpoints.iter().zip(&after.endpoints).enumerate() {
        let id = &after.id;
        if after.slots_active != 0 {
            return Err(format!(
                "{id} has {} slots taken and nobody calls",
                after.slots_active
            ));
        }
        let opened = after.breaker_opened - before.breaker_opened;
        for class in ErrorType::ALL {
            let count = after.errors[class.index()] - before.errors[class.index()];
            let expected = match case.first {
                _ if place >= faulty => false,
                _ if case.breaks && class == ErrorType::Transport => true,
                // another caller's answer may have closed it before the one who opened it came to use it
                _ if case.breaks && cell.wire.is_http2() && class == ErrorType::Connect => true,
                First::Judged(judgement) => judgement.class == class,
                First::Right => false,
            };
            if count > 0 && !expected {
                let explained = after.health_reason.as_deref().unwrap_or("healthy");
                return Err(format!(
                    "{id} has {count} errors of class {} ({explained})",
                    class.as_str()
                ));
            }
            failures += count;
        }
        let may_open = matches!(case.first, First::Judged(judgement) if judgement.breaker && place < faulty);
        if opened > 0 && !may_open {
            return Err(format!("the breaker of {id} opened {opened} times"));
        }
    }
    let First::Judged(judgement) = case.first else {
        return Ok(failures);
    };
    let retries = after.retries - before.retries;
    if failures == 0 {
        return Err("no attempt met the fault".to_owned());
    }
    // who asks for a connection gets one of another node without asking again
    let again = judgement.elsewhere && judgement.class != ErrorType::Connect;
    // a transaction is sent again only where it certainly was not taken; a broadcast asks others by itself
    let again = again
        && match cell.kind {
            Kind::Read | Kind::Batch => true,
            Kind::Send => !judgement.maybe_done,
            Kind::Broadcast => false,
        };
    if cell.kind == Kind::Send && judgement.maybe_done {
        // one that waits for its turn on a connection when that breaks was not sent, and is tried elsewhere
        let alone = !cell.wire.is_http2();
        if sent > CALLERS || alone && retries > 0 {
            return Err(format!(
                "transactions that may have been taken were sent again: {sent} for {CALLERS}, {retries} retries"
            ));
        }
    }
    if retries == 0 && again {
        return Err(format!("{failures} attempts failed and none was tried elsewhere"));
    }
    // who asks for a pause is not asked again before it is over
    let most = CALLERS * faulty as u64;
    if judgement.pause != Pause::None && failures > most {
        return Err(format!(
            "{failures} attempts failed on {faulty} nodes that asked for a pause"
        ));
    }
    Ok(failures)
}
