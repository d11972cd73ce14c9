//! Asking nodes that are not behind.

use std::sync::Arc;

use pool_core::Request;
use serde_json::value::RawValue;

use super::{heads::Reading, send::Sender, way::Way};
use crate::client::Client;

/// Further nodes that are asked.
const MORE: u32 = 2;

impl Sender {
    /// Asks others than a node that answered null because it is behind. If none of them can say more, `None`: null it
    /// is. The node has answered, so nothing is held against it; and the answer was wrong for certain, so this is outside
    /// of the budget for retries.
    pub(super) async fn elsewhere(&self, way: &mut Way<Reading>, node: Arc<Client>) -> Option<Box<RawValue>> {
        let (mut behind, mut avoid) = (vec![node], Vec::new());
        let before = way.attempts;
        while way.attempts - before < MORE {
            let needs = avoid.iter().cloned().fold(way.needs(), Request::avoid);
            let lease = self.pool.acquire_with(&needs).await.ok()?;
            let endpoint = lease.endpoint().clone();
            if avoid.contains(&endpoint) {
                // there is no other
                return None;
            }
            avoid.push(endpoint);
            if behind.iter().any(|node| Arc::ptr_eq(node, lease.client())) {
                lease.neutral();
                continue;
            }
            match way.attempt(lease).await.ok()? {
                Ok(read) => match read.behind {
                    None => return Some(read.result),
                    Some(node) => behind.push(node),
                },
                Err((error, _)) => tracing::debug!(%error, "a node that might not be behind failed"),
            }
        }
        None
    }
}
