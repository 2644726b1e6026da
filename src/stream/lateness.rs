//! How far a publisher's media falls behind the clock, from when each fragment came and the media time it ends at.

use std::collections::VecDeque;

/// Of each second the least late fragment counts: what a link that stutters holds up comes later, not slower.
const SECOND_US: i64 = 1_000_000;
/// Seconds that are looked back on.
const SECONDS: usize = 30;
/// The first seconds show how late a publisher is when all is well.
const FIRST: usize = 5;

#[derive(Debug, Default)]
pub struct Lateness {
    second_us: i64,
    least_us: Option<i64>,
    /// Of the last seconds, the newest last.
    seconds: VecDeque<i64>,
    /// Least of the first seconds, and how many of them there were.
    first_us: Option<i64>,
    count: usize,
}

impl Lateness {
    pub fn add(&mut self, came_us: i64, media_us: i64) {
        if came_us - self.second_us >= SECOND_US {
            self.close();
            self.second_us = came_us;
        }
        let late_us = came_us - media_us;
        self.least_us = Some(self.least_us.map_or(late_us, |least| least.min(late_us)));
    }

    fn close(&mut self) {
        let Some(least_us) = self.least_us.take() else { return };
        if self.count < FIRST {
            self.count += 1;
            self.first_us = Some(self.first_us.map_or(least_us, |first| first.min(least_us)));
        }
        self.seconds.push_back(least_us);
        if self.seconds.len() > SECONDS {
            self.seconds.pop_front();
        }
    }

    /// Against the start of the publish; None before a few seconds are over.
    pub fn drift_ms(&self) -> Option<i64> {
        let first_us = self.first_us.filter(|_| self.count == FIRST)?;
        self.seconds.back().map(|last| (last - first_us) / 1_000)
    }

    /// Against the best of the last seconds.
    pub fn behind_ms(&self) -> i64 {
        let least_us = self.seconds.iter().min();
        self.seconds.back().zip(least_us).map_or(0, |(last, least)| (last - least) / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A publisher that sends a frame each 40 ms of its own time, which runs at `speed` of ours.
    fn sent(lateness: &mut Lateness, from_s: i64, to_s: i64, late_us: impl Fn(i64) -> i64) {
        for media_us in (from_s * 1_000_000..to_s * 1_000_000).step_by(40_000) {
            lateness.add(media_us + late_us(media_us), media_us);
        }
    }

    #[test]
    fn one_who_is_in_time_neither_drifts_nor_falls_behind() {
        let mut lateness = Lateness::default();
        sent(&mut lateness, 0, 4, |_| 70_000);
        assert_eq!(lateness.drift_ms(), None);
        // Each second one frame comes in time, the others up to 400 ms late.
        sent(&mut lateness, 4, 60, |us| 70_000 + us % 1_000_000 * 2 / 5);
        assert_eq!((lateness.drift_ms(), lateness.behind_ms()), (Some(0), 0));
    }

    #[test]
    fn a_clock_that_goes_wrong_drifts_and_does_not_fall_behind() {
        let mut lateness = Lateness::default();
        sent(&mut lateness, 0, 3_600, |us| us / 10_000);
        let drift_ms = lateness.drift_ms().unwrap();
        assert!((355..=360).contains(&drift_ms), "{drift_ms}");
        assert!(lateness.behind_ms() < 5);
    }

    #[test]
    fn one_who_sends_too_slowly_falls_behind_until_it_has_caught_up() {
        let mut lateness = Lateness::default();
        sent(&mut lateness, 0, 30, |_| 0);
        sent(&mut lateness, 30, 50, |us| (us - 30_000_000) / 10);
        assert!((1_800..=2_000).contains(&lateness.behind_ms()), "{}", lateness.behind_ms());
        sent(&mut lateness, 50, 90, |_| 0);
        assert_eq!((lateness.drift_ms(), lateness.behind_ms()), (Some(0), 0));
    }
}
