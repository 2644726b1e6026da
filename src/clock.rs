//! Time as the shells read it; the core is handed `now`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall and monotonic time.
pub trait Clock: Send + Sync {
    /// Unix time in microseconds.
    fn unix_us(&self) -> i64;
    /// Time since an arbitrary start; never steps back.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct System {
    start: Instant,
}

impl System {
    #[expect(clippy::disallowed_methods, reason = "the one file that reads the clock")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "the one file that reads the clock")]
    fn unix_us(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that moves when told, for tests.
#[derive(Debug, Default)]
pub struct Manual {
    now_us: AtomicI64,
}

impl Manual {
    pub fn at(unix_us: i64) -> Self {
        Self { now_us: AtomicI64::new(unix_us) }
    }

    pub fn advance(&self, by: Duration) {
        let by_us = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.now_us.fetch_add(by_us, Ordering::SeqCst);
    }
}

impl Clock for Manual {
    fn unix_us(&self) -> i64 {
        self.now_us.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.unix_us()).unwrap_or(0))
    }
}
