//! What happens on the chain: orders are locked in an escrow contract and claimed by revealing a secret.
//!
//! Every block creates none, one or two orders, and reveals the secrets of those created [`REVEAL_AFTER`] blocks
//! before. All of it is derived from the block's number, so a range of any age is answered without an index.

use crate::chain::Chain;
use crate::digest::{Hash, keccak};

/// Blocks between an order and the secret that claims it.
pub(crate) const REVEAL_AFTER: u64 = 3;

/// What the escrow contract reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EscrowKind {
    /// Funds were locked under the hash of a secret.
    OrderCreated,
    /// The secret was shown and the funds were claimed.
    SecretRevealed,
}

/// One event of the escrow contract, in a transaction of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EscrowEvent {
    pub(crate) kind: EscrowKind,
    pub(crate) height: u64,
    /// Place within the block: of the transaction, and of its one log.
    pub(crate) index: u64,
    pub(crate) order: Hash,
    pub(crate) secret: Hash,
    pub(crate) maker: [u8; 20],
    /// In the smallest unit.
    pub(crate) amount: u64,
}

impl EscrowEvent {
    /// The hash the funds are locked under.
    pub(crate) fn hashlock(&self) -> Hash {
        keccak(&[&self.secret])
    }
}

/// The events of a block, in their order.
pub(crate) fn events_of(chain: &Chain, height: u64) -> Vec<EscrowEvent> {
    let created = orders_of(chain, height)
        .into_iter()
        .map(|order| (EscrowKind::OrderCreated, order));
    let revealed = height
        .checked_sub(REVEAL_AFTER)
        .map(|then| orders_of(chain, then))
        .unwrap_or_default();
    let revealed = revealed
        .into_iter()
        .map(|order| (EscrowKind::SecretRevealed, order));
    created
        .chain(revealed)
        .zip(0..)
        .map(|((kind, event), index)| EscrowEvent {
            kind,
            height,
            index,
            ..event
        })
        .collect()
}

/// How many events a block has, without computing them.
pub(crate) fn count_of(chain: &Chain, height: u64) -> u64 {
    order_count(chain, height)
        + height
            .checked_sub(REVEAL_AFTER)
            .map_or(0, |then| order_count(chain, then))
}

fn order_count(chain: &Chain, height: u64) -> u64 {
    // The genesis block holds no transactions.
    if height == 0 {
        0
    } else {
        u64::from(chain.derive("orders", height, 0)[0]) % 3
    }
}

fn orders_of(chain: &Chain, height: u64) -> Vec<EscrowEvent> {
    (0..order_count(chain, height))
        .map(|index| {
            let mut maker = [0; 20];
            maker.copy_from_slice(&chain.derive("maker", height, index)[..20]);
            let secret = chain.derive("secret", height, index);
            let amount = u64::from(u16::from_be_bytes([secret[0], secret[1]])) * 1_000_000 + 1;
            EscrowEvent {
                kind: EscrowKind::OrderCreated,
                height,
                index,
                order: chain.derive("order", height, index),
                secret,
                maker,
                amount,
            }
        })
        .collect()
}

/// The address of the escrow contract, the same on every chain.
pub fn escrow_address() -> [u8; 20] {
    let mut address = [0; 20];
    address.copy_from_slice(&keccak(&[b"devnet escrow contract"])[12..]);
    address
}

/// `topic0` of `OrderCreated(bytes32 indexed order, address indexed maker, bytes32 hashlock, uint256 amount)`.
pub fn order_created_topic() -> [u8; 32] {
    keccak(&[b"OrderCreated(bytes32,address,bytes32,uint256)"])
}

/// `topic0` of `SecretRevealed(bytes32 indexed order, bytes32 secret)`.
pub fn secret_revealed_topic() -> [u8; 32] {
    keccak(&[b"SecretRevealed(bytes32,bytes32)"])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::chain::ChainConfig;

    #[tokio::test]
    async fn every_secret_belongs_to_an_order_made_before() {
        let chain = Chain::new(ChainConfig::evm(1, Duration::from_secs(1))).unwrap();
        let mut seen = 0;
        for height in 0..200 {
            let events = events_of(&chain, height);
            assert_eq!(events.len() as u64, count_of(&chain, height));
            for event in events
                .iter()
                .filter(|event| event.kind == EscrowKind::SecretRevealed)
            {
                let made = events_of(&chain, height - REVEAL_AFTER);
                let order = made
                    .iter()
                    .find(|made| made.kind == EscrowKind::OrderCreated && made.order == event.order)
                    .expect("the order of the secret");
                assert_eq!(order.hashlock(), keccak(&[&event.secret]));
                seen += 1;
            }
        }
        assert!(seen > 100, "{seen} secrets in 200 blocks");
    }
}
