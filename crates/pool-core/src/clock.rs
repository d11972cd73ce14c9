//! The wall clock, injected: budgets of a day begin by it, and dates of nodes are compared with it.

use std::{fmt, sync::Arc, time::Duration};

/// Tells the time since the Unix epoch. Cheap to clone.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl WallClock {
    /// The machine's clock.
    #[expect(
        clippy::disallowed_types,
        reason = "the one place where the real wall clock enters; tests inject theirs"
    )]
    pub fn system() -> Self {
        // A clock before 1970 reads as 1970: every head then looks fresh, and no date lies ahead by a useful time.
        Self::new(|| {
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default()
        })
    }

    /// A clock that reads what the function returns.
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Time since the Unix epoch.
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}
