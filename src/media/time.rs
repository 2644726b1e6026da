//! From the 32-bit millisecond timestamps of RTMP to one media time that only goes forward.

use crate::media::frame::Kind;

/// A longer step is an encoder that set its clock, or dropped out: what follows goes on right behind what was.
const STEP_FORWARD_MAX_MS: i64 = 3_000;
/// A step back that rounding and careless muxing explain; more than that is a clock set back.
const STEP_BACK_MAX_MS: i64 = 100;
/// How far the two tracks of one clock may lie apart.
const SKEW_MAX_MS: i64 = 3_000;
/// The step assumed before one has been seen.
const STEP_DEFAULT_MS: i64 = 33;

/// Where a track's clock stands.
#[derive(Debug, Clone, Copy)]
struct Position {
    timestamp: u32,
    time_ms: i64,
    step_ms: i64,
}

impl Position {
    /// The time of `timestamp` on the clock that this position is on, over wraps (RTMP 1.0 5.3.1.1).
    fn project(&self, timestamp: u32) -> i64 {
        self.time_ms + self.step_to(timestamp)
    }

    fn step_to(&self, timestamp: u32) -> i64 {
        i64::from(timestamp.wrapping_sub(self.timestamp) as i32)
    }
}

/// The media timeline of one publish, in milliseconds from its first timestamp.
///
/// Each track has its own position, so that a clock that is set anew reaches the tracks one after the other
/// without tearing them apart: the second one to jump follows the first.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    video: Option<Position>,
    audio: Option<Position>,
}

impl Timeline {
    /// Media time of a timestamp; within a track it steps back by [`STEP_BACK_MAX_MS`] at most.
    pub(crate) fn time_ms(&mut self, kind: Kind, timestamp: u32) -> i64 {
        let (own, other) = match kind {
            Kind::Video => (self.video, self.audio),
            Kind::Audio => (self.audio, self.video),
        };
        let time_ms = place(own, other, timestamp);
        let step_ms = match own {
            Some(own) => Some(time_ms - own.time_ms).filter(|step| (1..=STEP_FORWARD_MAX_MS).contains(step)),
            None => None,
        };
        let step_ms = step_ms.or(own.map(|own| own.step_ms)).unwrap_or(STEP_DEFAULT_MS);
        let position = Some(Position { timestamp, time_ms, step_ms });
        match kind {
            Kind::Video => self.video = position,
            Kind::Audio => self.audio = position,
        }
        time_ms
    }
}

fn place(own: Option<Position>, other: Option<Position>, timestamp: u32) -> i64 {
    if let Some(own) = own
        && (-STEP_BACK_MAX_MS..=STEP_FORWARD_MAX_MS).contains(&own.step_to(timestamp))
    {
        return own.project(timestamp);
    }
    let earliest = own.map_or(i64::MIN, |own| own.time_ms - STEP_BACK_MAX_MS);
    if let Some(other) = other
        && (-SKEW_MAX_MS..=SKEW_MAX_MS).contains(&other.step_to(timestamp))
        && other.project(timestamp) >= earliest
    {
        return other.project(timestamp);
    }
    let own_edge = own.map_or(i64::MIN, |own| own.time_ms + own.step_ms);
    let edge = own_edge.max(other.map_or(i64::MIN, |other| other.time_ms));
    if edge == i64::MIN { 0 } else { edge }
}

/// Milliseconds, rounded up, so that a publish never starts before the time it was given.
pub(crate) fn us_to_ms_up(us: i64) -> i64 {
    us.div_euclid(1000) + i64::from(us.rem_euclid(1000) != 0)
}

/// Exact for timescales that milliseconds divide, else rounded to the nearest unit; never accumulated.
pub(crate) fn ms_to_units(ms: i64, timescale: u32) -> i64 {
    let scaled = i128::from(ms) * i128::from(timescale);
    ((scaled + 500).div_euclid(1000)) as i64
}

/// Microseconds, rounded to the nearest.
pub(crate) fn units_to_us(units: i64, timescale: u32) -> i64 {
    let timescale = i128::from(timescale.max(1));
    ((i128::from(units) * 1_000_000 + timescale / 2).div_euclid(timescale)) as i64
}

/// Units at or after a time in microseconds.
pub(crate) fn us_to_units_up(us: i64, timescale: u32) -> i64 {
    let scaled = i128::from(us) * i128::from(timescale);
    (scaled.div_euclid(1_000_000) + i128::from(scaled.rem_euclid(1_000_000) != 0)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(timestamps: &[u32]) -> Vec<i64> {
        let mut timeline = Timeline::default();
        timestamps.iter().map(|&t| timeline.time_ms(Kind::Video, t)).collect()
    }

    #[test]
    fn f7_clocks_that_start_anywhere_start_at_zero() {
        for start in [0_u32, 1, (1 << 24) - 20, 1 << 24, (1 << 31) - 20, u32::MAX - 20] {
            let timestamps: Vec<u32> = (0..4).map(|n| start.wrapping_add(n * 40)).collect();
            assert_eq!(times(&timestamps), [0, 40, 80, 120], "{start}");
        }
    }

    #[test]
    fn f7_jumps_and_steps_back_go_on_behind_what_was() {
        let table: [(&str, &[u32], &[i64]); 6] = [
            ("10 s forward", &[0, 40, 10_080, 10_120], &[0, 40, 80, 120]),
            ("back to zero", &[900_000, 900_040, 0, 40], &[0, 40, 80, 120]),
            ("back by 5 s", &[9_000, 9_040, 4_000, 4_040], &[0, 40, 80, 120]),
            ("one that is out of line", &[5_000, 5_040, 0, 5_080, 5_120], &[0, 40, 80, 120, 160]),
            ("a pause", &[0, 40, 2_040, 2_080], &[0, 40, 2_040, 2_080]),
            ("24-bit wrap", &[16_777_215, 16_777_175 + 80, 0, 40], &[0, 40, 80, 120]),
        ];
        for (name, timestamps, expected) in table {
            assert_eq!(times(timestamps), expected, "{name}");
        }
    }

    #[test]
    fn tracks_stay_together_when_the_clock_is_set() {
        let mut timeline = Timeline::default();
        let table = [
            (Kind::Video, 1_000, 0),
            (Kind::Audio, 1_010, 10),
            (Kind::Video, 1_040, 40),
            (Kind::Video, 60_000, 80),
            (Kind::Audio, 1_031, 31),
            (Kind::Audio, 59_990, 70),
            (Kind::Video, 60_040, 120),
        ];
        for (kind, timestamp, expected) in table {
            assert_eq!(timeline.time_ms(kind, timestamp), expected, "{timestamp}");
        }
    }

    #[test]
    fn a_track_that_paused_comes_back_in_step_with_the_other() {
        let mut timeline = Timeline::default();
        timeline.time_ms(Kind::Video, 0);
        for n in 0..600 {
            timeline.time_ms(Kind::Audio, n * 20);
        }
        assert_eq!(timeline.time_ms(Kind::Video, 12_000), 12_000);
    }

    #[test]
    fn tracks_with_clocks_far_apart_are_put_side_by_side() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.time_ms(Kind::Audio, 5_000_000), 0);
        assert_eq!(timeline.time_ms(Kind::Video, 0), 0);
        assert_eq!(timeline.time_ms(Kind::Audio, 5_000_021), 21);
        assert_eq!(timeline.time_ms(Kind::Video, 40), 40);
    }

    #[test]
    fn conversions_do_not_drift() {
        assert_eq!(ms_to_units(1, 44_100), 44);
        assert_eq!(ms_to_units(86_400_000_000, 44_100), 3_810_240_000_000);
        assert_eq!(units_to_us(3_810_240_000_000, 44_100), 86_400_000_000_000);
        assert_eq!(us_to_ms_up(1), 1);
        assert_eq!(us_to_ms_up(-1), 0);
        assert_eq!(us_to_units_up(1, 90_000), 1);
        assert_eq!(us_to_units_up(1_000_000, 90_000), 90_000);
    }

    proptest! {
        #[test]
        fn f7_any_timestamps_never_go_back_by_more_than_rounding(
            items in proptest::collection::vec((any::<bool>(), any::<u32>()), 1..200)
        ) {
            let mut timeline = Timeline::default();
            let mut last = [i64::MIN / 2; 2];
            for (video, timestamp) in items {
                let kind = if video { Kind::Video } else { Kind::Audio };
                let time = timeline.time_ms(kind, timestamp);
                let last = &mut last[usize::from(video)];
                prop_assert!(time >= *last - STEP_BACK_MAX_MS);
                *last = time;
            }
        }
    }
}
