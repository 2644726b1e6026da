//! Time that passes when everybody waits, chance that a seed decides, and tasks on one thread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use weir::clock::Clock;

/// What a seed decides.
pub(crate) struct Chance(Mutex<u64>);

impl Chance {
    /// SplitMix64.
    fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `least` to `most` milliseconds.
    pub(crate) fn ms(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.next() % (most - least + 1))
    }

    pub(crate) fn one_in(&self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

pub(crate) struct World {
    pub(crate) chance: Chance,
    now: Mutex<Duration>,
    timers: Mutex<BinaryHeap<Reverse<Duration>>>,
}

impl Clock for World {
    fn unix_us(&self) -> i64 {
        i64::try_from(self.monotonic().as_micros()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        *self.now.lock().unwrap()
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self { chance: Chance(Mutex::new(seed)), now: Mutex::default(), timers: Mutex::default() })
    }

    pub(crate) fn until(self: &Arc<Self>, time: Duration) -> Sleep {
        Sleep { world: self.clone(), until: time, is_set: false }
    }

    pub(crate) fn sleep(self: &Arc<Self>, time: Duration) -> Sleep {
        self.until(self.monotonic() + time)
    }

    /// Until the end, or until all tasks are done.
    pub(crate) fn run(&self, mut tasks: Vec<Pin<Box<dyn Future<Output = ()>>>>, end: Duration) {
        let mut context = Context::from_waker(Waker::noop());
        while !tasks.is_empty() {
            tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
            let Some(Reverse(next)) = self.timers.lock().unwrap().pop() else { return };
            if next > end {
                return;
            }
            let mut now = self.now.lock().unwrap();
            *now = now.max(next);
        }
    }
}

pub(crate) struct Sleep {
    world: Arc<World>,
    until: Duration,
    is_set: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.world.monotonic() >= self.until {
            return Poll::Ready(());
        }
        if !self.is_set {
            self.is_set = true;
            self.world.timers.lock().unwrap().push(Reverse(self.until));
        }
        Poll::Pending
    }
}
