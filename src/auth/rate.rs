//! How often each key may ask: a bucket of tokens that fills with time.

use std::collections::HashMap;
use std::time::Duration;

/// Keys remembered; past it those whose bucket is full again are forgotten, which changes nothing.
const ENTRIES_MAX: usize = 10_000;

/// Seconds of requests that may come at once.
const BURST_S: f64 = 2.0;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Duration,
}

/// Pure: `now` is any time that does not step back.
#[derive(Debug, Default)]
pub struct Rates {
    buckets: HashMap<String, Bucket>,
}

impl Rates {
    /// Takes a token, of which there are `per_s` new ones each second; else how long until there is one.
    pub fn take(&mut self, who: &str, per_s: u32, now: Duration) -> Result<(), Duration> {
        let per_s = f64::from(per_s.max(1));
        let burst = per_s * BURST_S;
        let filled = |bucket: &Bucket| {
            let passed = now.saturating_sub(bucket.at).as_secs_f64();
            (bucket.tokens + passed * per_s).min(burst)
        };
        if self.buckets.len() >= ENTRIES_MAX && !self.buckets.contains_key(who) {
            self.buckets.retain(|_, bucket| filled(bucket) < burst);
        }
        let bucket = self.buckets.entry(who.to_owned()).or_insert(Bucket { tokens: burst, at: now });
        *bucket = Bucket { tokens: filled(bucket), at: now };
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / per_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_asks_too_often_waits_and_holds_up_nobody_else() {
        let mut rates = Rates::default();
        let now = Duration::from_secs(5);
        let taken = (0..100).filter(|_| rates.take("a", 10, now).is_ok()).count();
        assert_eq!(taken, 20);
        assert_eq!(rates.take("a", 10, now), Err(Duration::from_millis(100)));
        assert_eq!(rates.take("b", 10, now), Ok(()));
        assert_eq!(rates.take("a", 10, now + Duration::from_millis(101)), Ok(()));
    }

    #[test]
    fn a_rate_that_was_lowered_holds_for_what_was_saved_up() {
        let mut rates = Rates::default();
        let now = Duration::from_secs(5);
        assert_eq!(rates.take("a", 1000, now), Ok(()));
        let taken = (0..100).filter(|_| rates.take("a", 2, now).is_ok()).count();
        assert_eq!(taken, 4);
    }
}
