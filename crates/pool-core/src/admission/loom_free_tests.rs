//! The short way in and out: who takes a slot that is free without making ready to wait, and a success that comes back while
//! nobody waits.

use super::*;

/// One waits, and the slot comes back: who takes what is free does not overtake, whether before, between or after.
#[test]
fn who_takes_what_is_free_does_not_overtake_the_line() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(1, now);
        let held = take(&line, now);
        let mut waiter = Waiter::enqueue(&line, now).expect("there is room");
        let first = waiter.look();
        let releaser = {
            let line = Arc::clone(&line);
            thread::spawn(move || give_back(&line, held, Settle::Success, now))
        };
        assert!(line.take_free(0, None, now).is_none(), "it was not its turn");
        releaser.join().unwrap();
        let grant = waiter.must_be_served(first);
        give_back(&line, grant, Settle::Success, now);
        ends_free(&line);
    });
}

/// A slot comes back while one takes what is free and another asks. Of the two who want the one slot one has it, and the
/// other gets it in the end; the connection goes with it.
#[test]
fn one_takes_what_is_free_while_one_asks_and_a_slot_comes_back() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(1, now);
        let held = take(&line, now);
        let releaser = {
            let line = Arc::clone(&line);
            thread::spawn(move || give_back(&line, held, Settle::Success, now))
        };
        let taker = {
            let line = Arc::clone(&line);
            thread::spawn(move || {
                let taken = line.take_free(0, None, now);
                if let Some(grant) = taken {
                    assert!(grant.object.is_some(), "what came back lies ready");
                    assert_eq!(line.taken(), 1);
                    give_back(&line, grant, Settle::Success, now);
                }
            })
        };
        let mut waiter = Waiter::enqueue(&line, now).expect("there is room");
        let first = waiter.look();
        releaser.join().unwrap();
        taker.join().unwrap();
        let grant = waiter.must_be_served(first);
        assert!(grant.object.is_some(), "the connection went lost");
        give_back(&line, grant, Settle::Success, now);
        ends_free(&line);
    });
}

/// The pool is closed while one takes what is free and gives it back: nothing lies ready afterwards.
#[test]
fn a_close_meets_one_who_takes_what_is_free() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(1, now);
        let held = take(&line, now);
        give_back(&line, held, Settle::Success, now);
        let closer = {
            let line = Arc::clone(&line);
            thread::spawn(move || {
                apply(line.close());
                put_back(line.end_stash())
            })
        };
        let taken = line.take_free(0, None, now);
        let had = taken.is_some();
        if let Some(grant) = taken {
            give_back(&line, grant, Settle::Success, now);
        }
        let put = closer.join().unwrap();
        assert!(had || put == 1, "the connection went lost");
        assert_eq!(
            put_back(line.end_stash()),
            0,
            "it is closed, and something lies ready"
        );
        assert!(line.take_free(0, None, now).is_none(), "it is closed");
        ends_free(&line);
    });
}

/// The breaker opens while one takes what is free: afterwards nobody does, and what it took is given back into the void.
#[test]
fn a_breaker_that_opens_meets_one_who_takes_what_is_free() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(2, now);
        let bad = take(&line, now);
        let failing = {
            let line = Arc::clone(&line);
            thread::spawn(move || give_back(&line, bad, Settle::Failure, now))
        };
        let taken = line.take_free(0, None, now);
        failing.join().unwrap();
        assert!(line.take_free(0, None, now).is_none(), "the breaker is open");
        if let Some(taken) = taken {
            give_back(&line, connected(&line, taken), Settle::Success, now);
        }
        assert!(line.take_free(0, None, now).is_none(), "a straggler closed it");
        ends_free(&line);
    });
}
