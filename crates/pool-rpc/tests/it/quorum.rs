//! Reads that several nodes must agree on.

use std::time::Duration;

use devnet::{Delay, Faults, Latency};
use pool_core::{ErrorType, Request};
use pool_rpc::{Dissents, Distinct, InvalidQuorum, Quorum, QuorumAnswer, QuorumError, RpcCall};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    many::{Setting, at_rest, calls, errors, evm_nodes, hangs, id, liar, pool_of, says},
    support::until,
};

/// A read that honest nodes agree on.
fn block() -> RpcCall {
    RpcCall::of("eth_getBlockByNumber", &json!(["0x1", false])).unwrap()
}

const BLOCK: &str = "eth_getBlockByNumber";

fn two_of_three() -> Quorum {
    Quorum::new(2, 3).unwrap()
}

fn slow(ms: f64) -> Faults {
    Faults {
        latency: Some(Latency::new(Delay::Constant { ms })),
        ..Faults::default()
    }
}

#[tokio::test]
async fn honest_nodes_agree() {
    let [a, b, c, d] = &evm_nodes::<4>().await;
    let pool = pool_of(&[a, b, c, d], 4, Setting::default()).await;
    let quorum = two_of_three();
    let agreed = quorum.read(&pool, &block()).await.unwrap();
    assert!(
        agreed.result.get().contains("\"number\":\"0x1\""),
        "{:?}",
        agreed.result
    );
    assert!(agreed.by.len() >= 2 && agreed.others.is_empty(), "{agreed:?}");
    at_rest(&pool).await;
    let asked: u64 = [a, b, c, d].map(|node| calls(node, BLOCK)).iter().sum();
    assert_eq!(asked, 3);
    let counts = quorum.counts();
    assert_eq!((counts.reads, counts.agreed, counts.dissents.len()), (1, 1, 0));
    let destroyed: u64 = pool
        .snapshot()
        .endpoints
        .iter()
        .map(|one| one.connections_destroyed)
        .sum();
    assert_eq!(
        destroyed, 0,
        "the one that was not waited for keeps its connection"
    );
}

#[tokio::test]
async fn a_liar_is_outvoted_counted_and_penalised() {
    let [a, b] = &evm_nodes::<2>().await;
    let c = &liar().await;
    let pool = pool_of(&[a, b, c], 3, Setting::default()).await;
    let truth = Quorum::new(2, 2).unwrap();
    let honest = pool_of(&[a, b], 2, Setting::default()).await;
    let expected = truth.read(&honest, &block()).await.unwrap().result;
    let quorum = two_of_three();
    for round in 1..=3 {
        let agreed = quorum.read(&pool, &block()).await.unwrap();
        assert_eq!(agreed.result.get(), expected.get());
        assert!(!agreed.by.contains(&id(2)), "{agreed:?}");
        // it may come after the decision, and counts all the same
        at_rest(&pool).await;
        let known = Dissents {
            endpoint: id(2),
            differed: round,
            penalised: round,
        };
        until("it is counted", || quorum.counts().dissents == [known.clone()]).await;
        assert_eq!(errors(&pool, 2, ErrorType::Malformed), round);
    }
    assert_eq!(
        errors(&pool, 0, ErrorType::Malformed) + errors(&pool, 1, ErrorType::Malformed),
        0
    );
    // the breaker has heard of it: enough of them open it
    for _ in 0..20 {
        let _ = quorum.read(&pool, &block()).await;
        at_rest(&pool).await;
    }
    assert!(
        pool.snapshot().endpoints[2].breaker_opened > 0,
        "{:?}",
        pool.snapshot().endpoints[2]
    );
}

#[tokio::test]
async fn a_liar_that_is_faster_is_found_out_as_well() {
    let [a, b] = &evm_nodes::<2>().await;
    let c = &liar().await;
    let pool = pool_of(&[a, b, c], 3, Setting::default()).await;
    a.set_faults(slow(60.0)).unwrap();
    b.set_faults(slow(60.0)).unwrap();
    let agreed = two_of_three().read(&pool, &block()).await.unwrap();
    assert_eq!(agreed.others.len(), 1);
    assert_eq!(agreed.others[0].endpoint, Some(id(2)));
    assert!(matches!(agreed.others[0].answer, QuorumAnswer::Result(_)));
    assert_eq!(
        errors(&pool, 2, ErrorType::Malformed),
        1,
        "told before the caller is"
    );
}

#[tokio::test]
async fn a_tie_is_an_error_that_says_who_said_what() {
    let [a, b] = &evm_nodes::<2>().await;
    let liars = [liar().await, liar().await];
    let pool = pool_of(&[a, b, &liars[0], &liars[1]], 4, Setting::default()).await;
    let quorum = Quorum::new(3, 4).unwrap();
    let disputed = quorum.read(&pool, &block()).await.unwrap_err();
    assert!(
        matches!(&disputed, QuorumError::Disputed { needed: 3, .. }),
        "{disputed:?}"
    );
    // the error is there as soon as nobody can win: after two and two, or later
    let said = disputed.said();
    assert_eq!(said.len(), 4, "{disputed}");
    let text = disputed.to_string();
    assert!(
        (0..4).all(|index| text.contains(&format!("n{index}: {{"))),
        "{text}"
    );
    assert_eq!(quorum.counts().disputed, 1);
    at_rest(&pool).await;
    let blamed: u64 = (0..4)
        .map(|index| errors(&pool, index, ErrorType::Malformed))
        .sum();
    assert_eq!(blamed, 0, "nobody knows who lied");
}

#[tokio::test]
async fn too_few_nodes_are_told_before_any_is_asked() {
    let [a, b, c] = &evm_nodes::<3>().await;
    let pool = pool_of(&[a, b, c], 3, Setting::watchful()).await;
    b.stop().await;
    c.stop().await;
    until("two are down", || {
        pool.explain().iter().filter(|one| !one.is_usable()).count() == 2
    })
    .await;
    let error = two_of_three().read(&pool, &block()).await.unwrap_err();
    assert!(
        matches!(&error, QuorumError::TooFew { needed: 2, usable: 1, unusable, .. } if unusable.len() == 2),
        "{error:?}"
    );
    assert_eq!(calls(a, BLOCK), 0);
}

#[tokio::test]
async fn two_of_two_usable_are_enough_of_three() {
    let [a, b, c] = &evm_nodes::<3>().await;
    c.stop().await;
    let pool = pool_of(&[a, b, c], 2, Setting::default()).await;
    assert_eq!(two_of_three().read(&pool, &block()).await.unwrap().by.len(), 2);
}

#[tokio::test]
async fn one_that_hangs_holds_nobody_up() {
    let [a, b, c] = &evm_nodes::<3>().await;
    let pool = pool_of(&[a, b, c], 3, Setting::default()).await;
    hangs(b, BLOCK);
    let begun = Instant::now();
    let agreed = two_of_three().read(&pool, &block()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(500));
    assert_eq!(agreed.by.len(), 2);
    at_rest(&pool).await;
    assert_eq!(
        errors(&pool, 1, ErrorType::Timeout),
        1,
        "and is noticed all the same"
    );
}

#[tokio::test]
async fn the_error_comes_as_soon_as_no_agreement_can() {
    let [a, b, c] = &evm_nodes::<3>().await;
    let pool = pool_of(&[a, b, c], 3, Setting::default()).await;
    says(a, [BLOCK], -32603, "Internal error");
    says(b, [BLOCK], -32603, "Internal error");
    hangs(c, BLOCK);
    let begun = Instant::now();
    let error = two_of_three().read(&pool, &block()).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(500), "{error}");
    assert!(
        matches!(&error, QuorumError::TooFew { said, .. } if said.len() == 2),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_deadline_holds() {
    let [a, b] = &evm_nodes::<2>().await;
    let pool = pool_of(&[a, b], 2, Setting::default()).await;
    hangs(a, BLOCK);
    hangs(b, BLOCK);
    let request = Request::new().timeout(Duration::from_millis(200));
    let begun = Instant::now();
    let error = two_of_three()
        .request(request)
        .read(&pool, &block())
        .await
        .unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(500));
    let silent = |said: &pool_rpc::QuorumSaid| matches!(said.answer, QuorumAnswer::TimedOut { .. });
    assert!(
        matches!(&error, QuorumError::TooFew { .. }) && error.said().iter().any(silent),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_node_that_fails_is_replaced() {
    let [a, b, c, d] = &evm_nodes::<4>().await;
    let pool = pool_of(&[a, b, c, d], 4, Setting::default()).await;
    says(a, [BLOCK], -32005, "limit exceeded");
    says(b, [BLOCK], -32005, "limit exceeded");
    let agreed = two_of_three().read(&pool, &block()).await.unwrap();
    let mut by = agreed.by.clone();
    by.sort();
    assert_eq!(by, [id(2), id(3)]);
}

#[tokio::test]
async fn a_revert_can_be_agreed_on() {
    let [a, b, c] = &evm_nodes::<3>().await;
    let pool = pool_of(&[a, b, c], 3, Setting::default()).await;
    for node in [a, b, c] {
        says(node, ["eth_call"], 3, "execution reverted: no");
    }
    let call = RpcCall::of(
        "eth_call",
        &json!([{"to": format!("0x{}", "11".repeat(20))}, "0x1"]),
    )
    .unwrap();
    let refused = two_of_three().read(&pool, &call).await.unwrap_err();
    assert!(
        matches!(&refused, QuorumError::Refused { by, .. } if by.len() >= 2),
        "{refused:?}"
    );
}

#[tokio::test]
async fn where_honest_nodes_differ_nobody_is_blamed() {
    let [a, b, c] = &evm_nodes::<3>().await;
    let pool = pool_of(&[a, b, c], 3, Setting::default()).await;
    c.set_faults(Faults {
        lag_blocks: 1,
        ..slow(0.0)
    })
    .unwrap();
    let head = RpcCall::of("eth_blockNumber", &json!([])).unwrap();
    let quorum = two_of_three();
    let agreed = quorum.read(&pool, &head).await.unwrap();
    assert!(!agreed.by.contains(&id(2)));
    at_rest(&pool).await;
    until("it is counted", || !quorum.counts().dissents.is_empty()).await;
    let dissent = &quorum.counts().dissents[0];
    assert_eq!((dissent.differed, dissent.penalised), (1, 0));
    let snapshot = pool.snapshot();
    assert_eq!(snapshot.endpoints[2].errors.iter().sum::<u64>(), 0);
}

#[tokio::test]
async fn what_is_no_read_is_not_asked() {
    let [a] = &evm_nodes::<1>().await;
    let pool = pool_of(&[a], 1, Setting::default()).await;
    let send = RpcCall::of("eth_sendRawTransaction", &json!(["0xc0"])).unwrap();
    let quorum = Quorum::new(1, 1).unwrap();
    assert!(matches!(
        quorum.read(&pool, &send).await,
        Err(QuorumError::NotARead { .. })
    ));
    assert_eq!(calls(a, "eth_sendRawTransaction"), 0);
    for (agree, ask) in [(1, 2), (2, 4), (3, 2), (0, 0), (0, 1)] {
        assert_eq!(Quorum::new(agree, ask).unwrap_err(), InvalidQuorum { agree, ask });
    }
}

#[tokio::test]
async fn a_caller_who_leaves_leaves_nothing_behind() {
    let [a, b] = &evm_nodes::<2>().await;
    let pool = pool_of(
        &[a, b],
        2,
        Setting {
            slots: 1,
            ..Setting::default()
        },
    )
    .await;
    let held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    let quorum = Quorum::new(2, 2).unwrap();
    let read = block();
    assert!(
        tokio::time::timeout(Duration::from_millis(50), quorum.read(&pool, &read))
            .await
            .is_err()
    );
    until("nobody waits", || pool.snapshot().queue_size == 0).await;
    held.into_iter().for_each(pool_core::Lease::succeed);
    at_rest(&pool).await;
    assert_eq!(calls(a, BLOCK) + calls(b, BLOCK), 0);
}

#[tokio::test]
async fn one_provider_has_one_vote() {
    let liar = &liar().await;
    let [honest] = &evm_nodes::<1>().await;
    // two URLs of one account lead to the same wrong node
    let providers = vec!["doubtful", "doubtful", "honest"];
    let pool = pool_of(
        &[liar, liar, honest],
        3,
        Setting {
            providers,
            ..Setting::default()
        },
    )
    .await;
    let read = Quorum::new(2, 3).unwrap().read(&pool, &block()).await;
    assert!(
        matches!(
            read,
            Err(QuorumError::TooFew { .. } | QuorumError::Disputed { .. })
        ),
        "{read:?}"
    );
    // who holds each URL for a witness of its own believes the wrong one
    let quorum = Quorum::new(2, 3).unwrap().distinct(Distinct::endpoints());
    let mut agreed = quorum.read(&pool, &block()).await.unwrap();
    // who is asked first is drawn
    agreed.by.sort();
    assert_eq!(agreed.by, [id(0), id(1)].to_vec(), "{agreed:?}");
}
