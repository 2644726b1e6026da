//! What a player tells of itself, made into what it told since the last time.

use crate::stream::qoe::Report;
use serde::Deserialize;

/// A player's word is taken for what can be true.
const MS_MAX: f64 = 600_000.0;

/// The `stats` message; counters are of the whole visit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct ViewerStats {
    pub latency_ms: Option<f64>,
    pub first_frame_ms: Option<f64>,
    pub stalled_ms: Option<f64>,
    pub played_ms: Option<f64>,
}

/// What one player has told before.
#[derive(Debug, Default)]
pub struct Told {
    first_frame: bool,
    stalled_ms: f64,
    played_ms: f64,
}

impl Told {
    pub fn handle(&mut self, stats: &ViewerStats) -> Report {
        let credible = |value: Option<f64>| value.filter(|ms| (0.0..MS_MAX).contains(ms));
        let first_frame_ms = credible(stats.first_frame_ms).filter(|_| !self.first_frame);
        self.first_frame |= first_frame_ms.is_some();
        Report {
            latency_ms: credible(stats.latency_ms),
            first_frame_ms,
            played_ms: since(&mut self.played_ms, stats.played_ms),
            stalled_ms: since(&mut self.stalled_ms, stats.stalled_ms),
        }
    }
}

/// How much a counter grew; one that began anew, or grew beyond belief, counts from here.
fn since(before: &mut f64, now: Option<f64>) -> f64 {
    let Some(now) = now.filter(|ms| ms.is_finite() && *ms >= 0.0) else { return 0.0 };
    let grown = now - std::mem::replace(before, now);
    if (0.0..MS_MAX).contains(&grown) { grown } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(latency: f64, first: f64, stalled: f64, played: f64) -> ViewerStats {
        ViewerStats {
            latency_ms: Some(latency),
            first_frame_ms: Some(first),
            stalled_ms: Some(stalled),
            played_ms: Some(played),
        }
    }

    #[test]
    fn counters_are_told_once() {
        let mut told = Told::default();
        let first = told.handle(&stats(150.0, 400.0, 100.0, 9_900.0));
        assert_eq!(first.first_frame_ms, Some(400.0));
        assert_eq!((first.stalled_ms, first.played_ms), (100.0, 9_900.0));
        let second = told.handle(&stats(160.0, 400.0, 100.0, 19_900.0));
        assert_eq!(second.first_frame_ms, None);
        assert_eq!((second.latency_ms, second.stalled_ms, second.played_ms), (Some(160.0), 0.0, 10_000.0));
    }

    #[test]
    fn what_can_not_be_true_is_left_out() {
        let mut told = Told::default();
        assert_eq!(told.handle(&stats(-1.0, 1e9, -5.0, f64::NAN)), Report::default());
        assert_eq!(told.handle(&stats(f64::INFINITY, -0.1, 1e12, 5.0)), Report { played_ms: 5.0, ..Report::default() });
        assert_eq!(told.handle(&ViewerStats::default()), Report::default());
    }
}
