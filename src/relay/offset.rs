//! How far another node's clock is ahead of this one's, from questions and answers (RFC 5905 8, the shortest wins).

use std::collections::VecDeque;

/// Answers that are compared; older ones say nothing about a clock that drifts.
const SAMPLES: usize = 8;
/// A smaller change is no news: questions and answers are not that exact.
const STEP_US: i64 = 2_000;

#[derive(Debug, Clone, Copy)]
struct Sample {
    round_trip_us: i64,
    ahead_us: i64,
}

#[derive(Debug, Default)]
pub(super) struct Offset {
    samples: VecDeque<Sample>,
    told_us: i64,
}

impl Offset {
    /// Before the first answer: what the other's clock said as its message was sent.
    pub(super) fn assume(&mut self, server_time_us: i64, now_us: i64) {
        if self.samples.is_empty() {
            self.told_us = server_time_us.saturating_sub(now_us);
        }
    }

    /// True where the offset is another one now.
    pub(super) fn measure(&mut self, t0_us: i64, server_time_us: i64, now_us: i64) -> bool {
        let round_trip_us = now_us.saturating_sub(t0_us);
        if round_trip_us < 0 {
            // This node's own clock was set meanwhile.
            self.samples.clear();
            return false;
        }
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        let ahead_us = server_time_us.saturating_sub(t0_us.saturating_add(round_trip_us / 2));
        self.samples.push_back(Sample { round_trip_us, ahead_us });
        let best = self.samples.iter().min_by_key(|sample| sample.round_trip_us);
        let ahead_us = best.map_or(self.told_us, |best| best.ahead_us);
        let is_new = self.samples.len() == 1 || ahead_us.abs_diff(self.told_us) >= STEP_US.unsigned_abs();
        if is_new {
            self.told_us = ahead_us;
        }
        is_new
    }

    pub(super) fn ahead_us(&self) -> i64 {
        self.told_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_with_the_shortest_way_counts() {
        let mut offset = Offset::default();
        offset.assume(1_000_000, 0);
        assert_eq!(offset.ahead_us(), 1_000_000);
        assert!(offset.measure(0, 1_020_000, 40_000));
        assert_eq!(offset.ahead_us(), 1_000_000);
        assert!(!offset.measure(100_000, 1_190_000, 200_000), "a slow answer says less");
        assert!(offset.measure(300_000, 1_306_000, 302_000));
        assert_eq!(offset.ahead_us(), 1_005_000);
        offset.assume(0, 0);
        assert_eq!(offset.ahead_us(), 1_005_000, "a guess does not replace a measurement");
    }

    #[test]
    fn a_clock_that_was_set_is_measured_anew() {
        let mut offset = Offset::default();
        for n in 0..3 * SAMPLES as i64 {
            offset.measure(n * 1_000_000, n * 1_000_000 + 500, n * 1_000_000 + 1_000);
        }
        assert_eq!(offset.ahead_us(), 0);
        for n in 0..=SAMPLES as i64 {
            offset.measure(n * 1_000_000, n * 1_000_000 + 90_000, n * 1_000_000 + 1_200);
        }
        assert_eq!(offset.ahead_us(), 89_400);
        assert!(!offset.measure(10, 5, 0), "an answer before its question");
    }
}
