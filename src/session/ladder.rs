//! What a slow viewer is sent: the rungs, what each costs, and when a viewer goes down or back up.

use crate::media::frame::{Kind, Role};
use crate::stream::packet::Framed;
use std::time::Duration;

/// A rung is chosen where it needs at most this share of what the viewer takes.
const FIT_PERCENT: u64 = 80;
/// What may wait for a viewer, as time at its drain rate; a GOP sent as far as it gets begins with a burst.
const BOUND: Duration = Duration::from_millis(400);
const BOUND_GOP: Duration = Duration::from_millis(800);
/// What may wait on any rung but [`Rung::Gop`], which has the whole configured limit.
const BOUND_BYTES_MAX: usize = 128 * 1024;
/// The kernel takes about so much in one step.
const BOUND_BYTES_MIN: usize = 16 * 1024;
/// A drain rate is known once bytes waited so long while some were taken, or none were for a second.
const DRAIN_KNOWN: Duration = Duration::from_millis(150);
const STALLED: Duration = Duration::from_secs(1);
/// Over which the drain rate is averaged, and after which an old one means nothing.
const DRAIN_WINDOW: Duration = Duration::from_millis(1500);
const DRAIN_STALE: Duration = Duration::from_secs(10);
/// A climb that ends in an overflow within this time was one too early: the next one waits for twice as many GOPs.
const TRIAL: Duration = Duration::from_secs(15);
const PATIENCE_MAX: u32 = 16;
/// A viewer that seems too slow for the next rung is tried on it after this many times its patience.
const PROBE_TIMES: u32 = 4;
/// A second overflow within this time means that the drain rate was taken for too high.
const AGAIN: Duration = Duration::from_secs(5);
/// The rates are measured over at least this much media time, whole GOPs.
const RATES_US: i64 = 2_000_000;
const RATES_US_MAX: i64 = 12_000_000;

/// What a viewer is sent, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Rung {
    #[default]
    Full,
    /// All but disposable frames.
    Base,
    /// Each GOP from its keyframe as far as it gets, and sound.
    Gop,
    /// Keyframes and sound.
    Keys,
    Sound,
}

impl Rung {
    pub const ALL: [Self; 5] = [Self::Full, Self::Base, Self::Gop, Self::Keys, Self::Sound];

    pub fn number(self) -> u8 {
        self as u8
    }

    /// As a metric's label.
    pub fn label(self) -> &'static str {
        ["0", "1", "2", "3", "4"][usize::from(self.number())]
    }
}

/// What each kind of frame of a stream costs, bytes a second; all 0 until it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    pub sound: u32,
    pub keys: u32,
    pub references: u32,
    pub disposables: u32,
}

impl Rates {
    fn of(&self, rung: Rung) -> u64 {
        let [sound, keys, references, disposables] =
            [self.sound, self.keys, self.references, self.disposables].map(u64::from);
        match rung {
            Rung::Full => sound + keys + references + disposables,
            Rung::Base => sound + keys + references,
            // A GOP that ends after less than a quarter is not worth its freeze.
            Rung::Gop => sound + keys + references / 4,
            Rung::Keys => sound + keys,
            Rung::Sound => sound,
        }
    }

    fn has(&self, rung: Rung) -> bool {
        match rung {
            Rung::Base => self.disposables > 0,
            Rung::Sound => self.sound > 0,
            _ => true,
        }
    }

    fn is_known(&self) -> bool {
        self.of(Rung::Full) > 0
    }

    fn above(&self, rung: Rung) -> Option<Rung> {
        Rung::ALL.into_iter().rev().find(|&r| r < rung && self.has(r))
    }

    fn below(&self, rung: Rung) -> Option<Rung> {
        Rung::ALL.into_iter().find(|&r| r > rung && self.has(r))
    }
}

/// Measures a stream's [`Rates`] in its own time.
#[derive(Debug, Default)]
pub struct RateMeter {
    since_us: Option<i64>,
    /// In the order of the fields of [`Rates`].
    bytes: [u64; 4],
    rates: Rates,
}

impl RateMeter {
    pub fn add(&mut self, fragment: &Framed) {
        let since_us = *self.since_us.get_or_insert(fragment.start_us);
        let span_us = fragment.start_us - since_us;
        let is_whole = fragment.is_video_key() || self.bytes[1] == 0;
        let was_known = self.rates.is_known();
        if (is_whole && span_us >= RATES_US) || span_us >= RATES_US_MAX || (!was_known && span_us >= RATES_US / 4) {
            let [sound, keys, references, disposables] = self.bytes.map(|bytes| {
                u32::try_from(bytes.saturating_mul(1_000_000) / span_us.unsigned_abs()).unwrap_or(u32::MAX)
            });
            self.rates = Rates { sound, keys, references, disposables };
        }
        if (is_whole && span_us >= RATES_US) || !(-RATES_US..RATES_US_MAX).contains(&span_us) {
            (self.since_us, self.bytes) = (Some(fragment.start_us), [0; 4]);
        }
        let class = match (fragment.kind, fragment.role) {
            (Kind::Audio, _) => 0,
            (Kind::Video, Role::Key) => 1,
            (Kind::Video, Role::Reference) => 2,
            (Kind::Video, Role::Disposable) => 3,
        };
        self.bytes[class] += fragment.len_bytes() as u64;
    }

    pub fn rates(&self) -> Rates {
        self.rates
    }
}

/// How fast a viewer takes bytes, measured between moments at which the kernel was full.
#[derive(Debug, Default)]
struct Drain {
    /// The kernel was full; bytes that it took since.
    full_at: Option<Duration>,
    taken: u64,
    /// What was measured, over a moving window.
    bytes: u64,
    over: Duration,
    is_fresh: bool,
}

impl Drain {
    fn handle_full(&mut self, now: Duration) {
        let Some(full_at) = self.full_at.filter(|_| self.taken > 0) else {
            self.full_at.get_or_insert(now);
            return;
        };
        self.bytes += std::mem::take(&mut self.taken);
        self.over += now.saturating_sub(full_at);
        if self.over > DRAIN_WINDOW {
            self.bytes /= 2;
            self.over /= 2;
        }
        self.full_at = Some(now);
        self.is_fresh = true;
    }

    /// Nothing waits: how much more the viewer would take is not known.
    fn handle_empty(&mut self) {
        (self.full_at, self.taken) = (None, 0);
    }

    /// Bytes a second.
    fn rate(&self, now: Duration) -> Option<u64> {
        let idle = self.full_at.map_or(Duration::ZERO, |at| now.saturating_sub(at));
        let (bytes, over) = if idle >= STALLED {
            (if idle >= DRAIN_STALE { 0 } else { self.bytes } + self.taken, self.over + idle)
        } else {
            (self.bytes, self.over)
        };
        let micros = u64::try_from(over.as_micros()).unwrap_or(u64::MAX);
        (over >= DRAIN_KNOWN).then(|| bytes.saturating_mul(1_000_000) / micros)
    }
}

/// One viewer's place.
#[derive(Debug)]
pub struct Ladder {
    rung: Rung,
    drain: Drain,
    limit_bytes: usize,
    /// The running GOP was sent as its rung has it, so far.
    is_clean: bool,
    clean_gops: u32,
    patience: u32,
    climbed_at: Option<Duration>,
    fell_at: Option<Duration>,
}

impl Ladder {
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            rung: Rung::Full,
            drain: Drain::default(),
            limit_bytes,
            is_clean: false,
            clean_gops: 0,
            patience: 1,
            climbed_at: None,
            fell_at: None,
        }
    }

    pub fn rung(&self) -> Rung {
        self.rung
    }

    /// Bytes that may wait, besides a keyframe.
    pub fn bound(&self, now: Duration) -> usize {
        let (window, most) = match self.rung {
            Rung::Gop => (BOUND_GOP, self.limit_bytes),
            _ => (BOUND, self.limit_bytes.min(BOUND_BYTES_MAX)),
        };
        let Some(rate) = self.drain.rate(now) else { return most };
        let bytes = rate.saturating_mul(window.as_millis() as u64) / 1000;
        usize::try_from(bytes).unwrap_or(usize::MAX).max(BOUND_BYTES_MIN).min(most)
    }

    /// The kernel takes no more for now.
    pub fn handle_full(&mut self, now: Duration) {
        self.drain.handle_full(now);
    }

    pub fn handle_taken(&mut self, bytes: usize) {
        self.drain.taken += bytes as u64;
    }

    /// All that waited was taken.
    pub fn handle_empty(&mut self) {
        self.drain.handle_empty();
    }

    /// A keyframe comes; climbs one rung after a clean GOP.
    pub fn handle_keyframe(&mut self, rates: &Rates, now: Duration) {
        let was_clean = std::mem::replace(&mut self.is_clean, true);
        let was_measured = std::mem::take(&mut self.drain.is_fresh);
        let Some(above) = rates.above(self.rung) else { return };
        self.clean_gops = if was_clean { self.clean_gops + 1 } else { 0 };
        let seems_slow = was_measured && !self.fits(above, rates, now);
        let needed = if seems_slow { self.patience * PROBE_TIMES } else { self.patience };
        if self.clean_gops >= needed {
            self.rung = above;
            self.clean_gops = 0;
            self.climbed_at = Some(now);
        }
    }

    /// More waits than may; says what the viewer gets from now on.
    pub fn handle_overflow(&mut self, rates: &Rates, now: Duration) -> Rung {
        let is_first = std::mem::take(&mut self.is_clean) || self.fell_at.is_none();
        let since_fall = self.fell_at.map(|at| now.saturating_sub(at));
        let best = if rates.is_known() && self.drain.rate(now).is_some() {
            let lowest = rates.below(Rung::Keys).unwrap_or(Rung::Keys);
            Rung::ALL.into_iter().find(|&r| rates.has(r) && self.fits(r, rates, now)).unwrap_or(lowest)
        } else {
            Rung::Gop
        };
        let mut rung = best.max(self.rung);
        let again = is_first && since_fall.is_some_and(|since| since < AGAIN);
        if rung == self.rung && rung != Rung::Gop && again {
            rung = rates.below(rung).unwrap_or(rung);
        }
        if is_first {
            match self.climbed_at.take() {
                Some(at) if now.saturating_sub(at) < TRIAL => self.patience = (self.patience * 2).min(PATIENCE_MAX),
                Some(_) => self.patience = 1,
                None => {}
            }
        }
        self.fell_at = Some(now);
        self.clean_gops = 0;
        self.rung = rung;
        rung
    }

    fn fits(&self, rung: Rung, rates: &Rates, now: Duration) -> bool {
        self.drain.rate(now).is_none_or(|rate| rates.of(rung) * 100 < rate.saturating_mul(FIT_PERCENT))
    }
}
