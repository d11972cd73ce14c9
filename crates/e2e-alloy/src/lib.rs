//! What the tests of the pool as alloy's transport are made of: pools over nodes at hand, ways to them that can be cut,
//! and anvil.

mod anvil;
mod pool;
mod proxy;

pub use anvil::{ANVIL, Anvil};
pub use pool::{healthy, pool};
pub use proxy::Proxy;
