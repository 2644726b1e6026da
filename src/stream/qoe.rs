//! How a stream looks to those who watch it, as their players tell: the last minutes, in a bounded space.

use std::time::Duration;

/// Two slices are kept: what is told is five to ten minutes old at most.
const SLICE: Duration = Duration::from_secs(300);
/// Values are told apart by a tenth, from 10 ms to 80 s.
const BUCKETS: usize = 96;
const LEAST_MS: f64 = 10.0;
const STEP: f64 = 1.1;

/// What one player told, since it told last.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Report {
    pub latency_ms: Option<f64>,
    /// Once per visit.
    pub first_frame_ms: Option<f64>,
    pub played_ms: f64,
    pub stalled_ms: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Summary {
    /// Reports that it was made of.
    pub reports: u64,
    pub latency_ms: Option<Percentiles>,
    pub first_frame_ms: Option<Percentiles>,
    /// Of the time that players wanted to play; none where they did not.
    pub stall_ratio: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    pub p50: f64,
    pub p95: f64,
}

#[derive(Debug, Clone)]
struct Slice {
    reports: u64,
    latency: [u32; BUCKETS],
    first_frame: [u32; BUCKETS],
    played_ms: f64,
    stalled_ms: f64,
}

impl Slice {
    const EMPTY: Self =
        Self { reports: 0, latency: [0; BUCKETS], first_frame: [0; BUCKETS], played_ms: 0.0, stalled_ms: 0.0 };
}

/// The newer slice first.
#[derive(Debug)]
pub struct Qoe {
    slices: [Slice; 2],
    began: Duration,
}

impl Default for Qoe {
    fn default() -> Self {
        Self { slices: [Slice::EMPTY; 2], began: Duration::ZERO }
    }
}

impl Qoe {
    pub fn record(&mut self, report: &Report, now: Duration) {
        self.turn(now);
        let slice = &mut self.slices[0];
        slice.reports += 1;
        for (value, buckets) in
            [(report.latency_ms, &mut slice.latency), (report.first_frame_ms, &mut slice.first_frame)]
        {
            if let Some(ms) = value {
                buckets[bucket(ms)] += 1;
            }
        }
        slice.played_ms += report.played_ms;
        slice.stalled_ms += report.stalled_ms;
    }

    pub fn summary(&mut self, now: Duration) -> Summary {
        self.turn(now);
        let [new, old] = &self.slices;
        let stalled_ms = new.stalled_ms + old.stalled_ms;
        let wanted_ms = stalled_ms + new.played_ms + old.played_ms;
        Summary {
            reports: new.reports + old.reports,
            latency_ms: percentiles(&new.latency, &old.latency),
            first_frame_ms: percentiles(&new.first_frame, &old.first_frame),
            stall_ratio: (wanted_ms > 0.0).then(|| stalled_ms / wanted_ms),
        }
    }

    fn turn(&mut self, now: Duration) {
        let age = now.saturating_sub(self.began);
        if age < SLICE {
            return;
        }
        let newer = std::mem::replace(&mut self.slices[0], Slice::EMPTY);
        self.slices[1] = if age < 2 * SLICE { newer } else { Slice::EMPTY };
        self.began = now;
    }
}

fn bucket(ms: f64) -> usize {
    let steps = (ms.max(LEAST_MS) / LEAST_MS).log(STEP);
    (steps as usize).min(BUCKETS - 1)
}

fn percentiles(new: &[u32; BUCKETS], old: &[u32; BUCKETS]) -> Option<Percentiles> {
    let counts: Vec<u64> = new.iter().zip(old).map(|(n, o)| u64::from(*n) + u64::from(*o)).collect();
    let total: u64 = counts.iter().sum();
    let at = |share: f64| {
        let rank = (share * total as f64).ceil() as u64;
        let mut seen = 0;
        let found = counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        LEAST_MS * STEP.powf(found.unwrap_or(BUCKETS - 1) as f64 + 0.5)
    };
    (total > 0).then(|| Percentiles { p50: at(0.5), p95: at(0.95) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn latency(ms: f64) -> Report {
        Report { latency_ms: Some(ms), ..Report::default() }
    }

    #[test]
    fn percentiles_are_right_to_a_tenth() {
        let mut qoe = Qoe::default();
        for n in 1..=100 {
            qoe.record(&latency(f64::from(n) * 10.0), seconds(1));
        }
        let told = qoe.summary(seconds(2)).latency_ms.unwrap();
        assert!((450.0..=550.0).contains(&told.p50), "{told:?}");
        assert!((855.0..=1045.0).contains(&told.p95), "{told:?}");
    }

    #[test]
    fn values_beyond_the_scale_are_counted_at_its_ends() {
        let mut qoe = Qoe::default();
        qoe.record(&latency(0.0), seconds(1));
        assert!(qoe.summary(seconds(1)).latency_ms.unwrap().p50 < 11.0);
        for _ in 0..3 {
            qoe.record(&latency(1e9), seconds(1));
        }
        assert!(qoe.summary(seconds(1)).latency_ms.unwrap().p95 > 80_000.0);
    }

    #[test]
    fn the_stall_ratio_is_of_the_time_that_was_to_be_played() {
        let mut qoe = Qoe::default();
        assert_eq!(qoe.summary(seconds(0)), Summary::default());
        qoe.record(&Report { played_ms: 9_000.0, stalled_ms: 1_000.0, ..Report::default() }, seconds(1));
        let told = qoe.summary(seconds(1));
        assert_eq!((told.reports, told.stall_ratio), (1, Some(0.1)));
        assert_eq!(told.first_frame_ms, None);
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut qoe = Qoe::default();
        qoe.record(&latency(100.0), seconds(10));
        assert_eq!(qoe.summary(seconds(299)).reports, 1);
        assert_eq!(qoe.summary(seconds(301)).reports, 1);
        assert_eq!(qoe.summary(seconds(602)).reports, 0);
        qoe.record(&latency(100.0), seconds(603));
        assert_eq!(qoe.summary(seconds(5000)).reports, 0);
    }
}
