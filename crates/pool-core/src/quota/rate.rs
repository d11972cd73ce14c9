//! Units that come back evenly: the generic cell rate algorithm (ITU-T I.371), all of whose state is one number.
//!
//! That number is the moment at which all units are there again. Taking moves it on by so many intervals, time alone does
//! nothing. All moments are nanoseconds since some epoch.

use super::QuotaConfig;

/// How fast units come back, and how many there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// In which one comes back; above 0.
    interval: u64,
    /// In which all come back.
    all: u64,
}

impl Rate {
    /// The rate of a quota that was validated, if it has one.
    pub(super) fn of(config: &QuotaConfig) -> Option<Self> {
        let per_second = config.per_second?;
        // rounded up: never faster than allowed
        let interval = (1e9 / per_second).ceil().max(1.0) as u64;
        let burst = config.burst.unwrap_or_else(|| per_second.ceil().max(1.0) as u32);
        Some(Self {
            interval,
            all: interval.saturating_mul(burst.into()),
        })
    }

    fn time_for(self, units: u32) -> u64 {
        self.interval.saturating_mul(units.into())
    }

    /// When a unit is there.
    pub(super) const fn free_from(self, full_at: u64) -> u64 {
        full_at.saturating_add(self.interval).saturating_sub(self.all)
    }

    /// When all are there again, after these have been taken.
    pub(super) fn take(self, full_at: u64, units: u32, now: u64) -> u64 {
        full_at.max(now).saturating_add(self.time_for(units))
    }

    /// The same, after these have been given back.
    pub(super) fn give_back(self, full_at: u64, units: u32) -> u64 {
        full_at.saturating_sub(self.time_for(units))
    }

    /// Units that are there.
    pub(super) const fn left(self, full_at: u64, now: u64) -> u64 {
        self.all.saturating_sub(full_at.saturating_sub(now)) / self.interval
    }

    pub(super) const fn burst(self) -> u64 {
        self.all / self.interval
    }

    /// When all are there again by this rate, with as many taken as by the other.
    pub(super) fn taken_over(self, other: Self, full_at: u64, now: u64) -> u64 {
        let owed = u128::from(full_at.saturating_sub(now)) * u128::from(self.interval);
        let owed = owed / u128::from(other.interval);
        now.saturating_add(u64::try_from(owed).unwrap_or(u64::MAX))
    }
}
