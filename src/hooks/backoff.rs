//! When a delivery that failed is tried again.

/// Seconds after the first try and each one after it: a little over a day in all.
const AFTER_S: [i64; 9] = [5, 30, 120, 600, 1_800, 3_600, 10_800, 28_800, 43_200];

/// A webhook to which nothing was delivered for this long is disabled.
pub const DISABLE_AFTER_US: i64 = 3 * 86_400 * 1_000_000;

/// Microseconds from the try with this number, the first is 1, to the next; None: it was the last. `random` spreads
/// those that failed together over a fifth of the time, either way.
pub fn next_us(attempt: u32, random: u8) -> Option<i64> {
    let after_us = AFTER_S.get(usize::try_from(attempt).ok()?.checked_sub(1)?)? * 1_000_000;
    let spread = i64::from(random) - 128;
    Some(after_us + after_us / 5 * spread / 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_go_further_and_further_apart_over_a_day_and_then_end() {
        let times: Vec<i64> = (1..=9).map(|attempt| next_us(attempt, 128).unwrap()).collect();
        assert!(times.is_sorted());
        let total_s = times.iter().sum::<i64>() / 1_000_000;
        assert!((86_400..100_000).contains(&total_s), "{total_s}");
        assert_eq!((next_us(10, 128), next_us(0, 128)), (None, None));
    }

    #[test]
    fn those_that_failed_together_are_not_tried_together() {
        assert_eq!((next_us(1, 0), next_us(1, 128)), (Some(4_000_000), Some(5_000_000)));
        assert!(next_us(1, 255).is_some_and(|us| (5_900_000..6_000_000).contains(&us)));
    }
}
