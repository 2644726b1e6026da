//! How long a follower waits before it looks for an owner again: soon at first, and no two nodes at once.

use std::time::Duration;

/// After the first failure; doubled with each one that follows.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(3);
/// The bus tells of a publish at once; this is for messages that are lost.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// While a relay runs.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Pace {
    failures: u32,
    random: u64,
}

impl Pace {
    pub(super) fn new(seed: u64) -> Self {
        Self { failures: 0, random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 }
    }

    pub(super) fn went_well(&mut self) {
        self.failures = 0;
    }

    pub(super) fn after_failure(&mut self) -> Duration {
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(8)).min(RETRY_MAX);
        self.failures += 1;
        self.jittered(wait)
    }

    pub(super) fn while_nobody_publishes(&mut self) -> Duration {
        self.failures = 0;
        self.jittered(WAIT_MAX)
    }

    pub(super) fn is_look_due(&self, looked: Duration, now: Duration) -> bool {
        now.saturating_sub(looked) >= LOOK_EVERY
    }

    /// From half of it to all of it.
    fn jittered(&mut self, most: Duration) -> Duration {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        most / 2 + (most / 2).mul_f64((self.random >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_less_and_less_often_and_never_more_than_3_s_apart() {
        let mut pace = Pace::new(7);
        let waits: Vec<_> = (0..12).map(|_| pace.after_failure()).collect();
        assert!(waits[0] <= RETRY_FIRST);
        assert!(waits.iter().all(|wait| *wait <= RETRY_MAX));
        assert!(waits[11] >= RETRY_MAX / 2);
        pace.went_well();
        assert!(pace.after_failure() <= RETRY_FIRST);
    }

    #[test]
    fn nodes_do_not_look_all_at_once() {
        let waits: std::collections::BTreeSet<_> =
            (0..50).map(|seed| Pace::new(seed * 2 + 1).while_nobody_publishes().as_millis() / 100).collect();
        assert!(waits.len() > 5, "{waits:?}");
        assert!(waits.iter().all(|wait| (15..=30).contains(wait)));
    }
}
