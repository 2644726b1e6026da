//! What a slow viewer is sent: the rungs, what each costs, and when a viewer goes down or back up.

use crate::media::frame::{Kind, Role};
use crate::stream::packet::Framed;
use std::time::Duration;

/// A rung is chosen where it needs at most this share of what the viewer takes.
const FIT_PERCENT: u64 = 80;
/// What may wait for a viewer, as time at its drain rate.
const BOUND: Duration = Duration::from_millis(400);
/// The same for a GOP that is sent as far as it gets, with what the kernel holds.
const BOUND_GOP: Duration = Duration::from_millis(900);
/// What may wait on any rung but [`Rung::Gop`], and on that one too while nobody knows how fast it drains.
const BOUND_BYTES_MAX: usize = 128 * 1024;
/// The kernel takes about so much in one step.
const BOUND_BYTES_MIN: usize = 16 * 1024;
const BOUND_GOP_BYTES_MIN: usize = 4 * 1024;
/// What kernel and receive buffer of a slow viewer hold, at least, when they are full.
const KERNEL_BYTES: u64 = 40 * 1024;
/// What is left of a GOP gives way to the next one where it would hold that up for longer.
const TAIL: Duration = Duration::from_millis(150);
/// So much of it may, for the guess of when the next one comes to be a good one.
const SLACK: Duration = Duration::from_millis(30);
/// A keyframe on its own is sent where its first byte arrives within this time, and its last one within that.
const KEY_BEGINS: Duration = Duration::from_millis(300);
const KEY_ENDS: Duration = Duration::from_millis(1800);
/// Keyframes that may be left out in a row.
const KEYS_SKIPPED_MAX: u8 = 3;
/// A drain rate is known once bytes waited so long while some were taken, or none were for a second.
const DRAIN_KNOWN: Duration = Duration::from_millis(150);
const IDLE: Duration = Duration::from_secs(1);
/// After this time without progress the old rate means nothing.
const STALLED: Duration = Duration::from_millis(2500);
/// Over so many bytes the drain rate is averaged.
const DRAIN_WINDOW_BYTES: u64 = 64 * 1024;
/// Fewer that were taken while all that waited went tell nothing.
const DRAIN_BYTES_MIN: u64 = 8 * 1024;
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
            Rung::Gop => sound + keys + (references + disposables) / 4,
            Rung::Keys => sound + keys / (u64::from(KEYS_SKIPPED_MAX) + 1),
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
    /// What the kernel holds, as far as can be told, and since when.
    held: u64,
    held_at: Duration,
}

impl Drain {
    fn handle_full(&mut self, now: Duration) {
        (self.held, self.held_at) = (KERNEL_BYTES, now);
        let Some(full_at) = self.full_at.filter(|_| self.taken > 0) else {
            self.full_at.get_or_insert(now);
            return;
        };
        let taken = std::mem::take(&mut self.taken);
        self.measure(taken, now.saturating_sub(full_at));
        self.full_at = Some(now);
    }

    fn handle_taken(&mut self, bytes: usize, now: Duration) {
        self.taken += bytes as u64;
        self.held = (self.held(now) + bytes as u64).min(KERNEL_BYTES);
        self.held_at = now;
    }

    /// Nothing waits: the viewer may take more than it did, so this counts only where it is more than was known.
    fn handle_empty(&mut self, now: Duration) {
        let taken = std::mem::take(&mut self.taken);
        let Some(full_at) = self.full_at.take() else { return };
        let over = now.saturating_sub(full_at);
        let is_faster = self.measured().is_none_or(|rate| bytes_in(over, rate) < taken);
        if taken >= DRAIN_BYTES_MIN && is_faster {
            self.measure(taken, over);
        }
    }

    fn measure(&mut self, bytes: u64, over: Duration) {
        if over >= STALLED {
            (self.bytes, self.over) = (0, Duration::ZERO);
            return;
        }
        self.bytes += bytes;
        self.over += over;
        while self.bytes > DRAIN_WINDOW_BYTES {
            self.bytes /= 2;
            self.over /= 2;
        }
    }

    fn measured(&self) -> Option<u64> {
        (self.over >= DRAIN_KNOWN).then(|| per_second(self.bytes, self.over))
    }

    /// Bytes a second.
    fn rate(&self, now: Duration) -> Option<u64> {
        match self.full_at.map_or(Duration::ZERO, |at| now.saturating_sub(at)) {
            idle if idle >= STALLED => Some(per_second(self.taken, idle)),
            idle if idle >= IDLE => Some(per_second(self.bytes + self.taken, self.over + idle)),
            _ => self.measured(),
        }
    }

    fn held(&self, now: Duration) -> u64 {
        let since = now.saturating_sub(self.held_at);
        self.held.saturating_sub(self.measured().map_or(0, |rate| bytes_in(since, rate)))
    }
}

fn per_second(bytes: u64, over: Duration) -> u64 {
    bytes.saturating_mul(1_000_000) / u64::try_from(over.as_micros()).unwrap_or(u64::MAX).max(1)
}

fn bytes_in(time: Duration, rate: u64) -> u64 {
    rate.saturating_mul(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)) / 1000
}

/// One viewer's place.
#[derive(Debug)]
pub struct Ladder {
    rung: Rung,
    drain: Drain,
    limit_bytes: usize,
    /// The running GOP was sent as its rung has it, so far.
    is_clean: bool,
    /// On [`Rung::Keys`] the running GOP's keyframe is left out.
    skips_key: bool,
    keys_skipped: u8,
    /// When the last keyframe came, and how long the last two GOPs were.
    key_at: Option<Duration>,
    gops: [Duration; 2],
    clean_gops: u32,
    patience: u32,
    climbed_at: Option<Duration>,
    /// The viewer was seen to be too slow for its rung, and is tried on it.
    is_tried: bool,
    fell_at: Option<Duration>,
}

impl Ladder {
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            rung: Rung::Full,
            drain: Drain::default(),
            limit_bytes,
            is_clean: false,
            skips_key: false,
            keys_skipped: 0,
            key_at: None,
            gops: [Duration::ZERO; 2],
            clean_gops: 0,
            patience: 1,
            climbed_at: None,
            is_tried: false,
            fell_at: None,
        }
    }

    pub fn rung(&self) -> Rung {
        self.rung
    }

    /// Bytes that may wait, besides a keyframe.
    pub fn bound(&self, now: Duration) -> usize {
        let Some(rate) = self.drain.rate(now) else { return self.limit_bytes.min(BOUND_BYTES_MAX) };
        let (bytes, least, most) = match self.rung {
            Rung::Gop => {
                // All of it arrives before the next keyframe is due.
                let most = self.gop_within();
                let left = self.gop_left(now).map_or(most, |left| most.min(left + SLACK));
                let bytes = bytes_in(left, rate).saturating_sub(self.drain.held(now));
                (bytes, BOUND_GOP_BYTES_MIN, self.limit_bytes)
            }
            _ => (bytes_in(BOUND, rate), BOUND_BYTES_MIN, self.limit_bytes.min(BOUND_BYTES_MAX)),
        };
        usize::try_from(bytes).unwrap_or(usize::MAX).max(least).min(most)
    }

    /// With what the kernel holds, `bytes` of the running GOP would arrive too late.
    pub fn is_gop_late(&self, bytes: usize, now: Duration) -> bool {
        self.rung == Rung::Gop && self.takes_longer(bytes, self.gop_within(), now)
    }

    /// The last of so much would arrive later, at the rate that was measured.
    pub fn takes_longer(&self, waiting_bytes: usize, most: Duration, now: Duration) -> bool {
        let ahead = self.drain.held(now) + waiting_bytes as u64;
        self.drain.measured().is_some_and(|rate| ahead > bytes_in(most, rate))
    }

    /// So much waits of the last GOP that the next one would be late.
    pub fn has_tail(&self, waiting_bytes: usize) -> bool {
        let most = self.drain.measured().map_or(u64::MAX, |rate| bytes_in(TAIL, rate));
        self.rung == Rung::Gop && waiting_bytes as u64 > most
    }

    /// The keyframe of the running GOP would come too late on [`Rung::Keys`].
    pub fn skips_key(&self) -> bool {
        self.skips_key
    }

    /// The kernel takes no more for now.
    pub fn handle_full(&mut self, now: Duration) {
        self.drain.handle_full(now);
    }

    pub fn handle_taken(&mut self, bytes: usize, now: Duration) {
        self.drain.handle_taken(bytes, now);
    }

    /// All that waited was taken.
    pub fn handle_empty(&mut self, now: Duration) {
        self.drain.handle_empty(now);
    }

    /// Something of the running GOP was left out that its rung has.
    pub fn handle_loss(&mut self) {
        self.is_clean = false;
    }

    /// A keyframe of `key_bytes` comes; climbs one rung after a clean GOP.
    pub fn handle_keyframe(&mut self, rates: &Rates, waiting_bytes: usize, key_bytes: usize, now: Duration) {
        self.skips_key = self.is_too_late(waiting_bytes, key_bytes, now);
        self.keys_skipped = if self.skips_key { self.keys_skipped.saturating_add(1) } else { 0 };
        if let Some(before) = self.key_at.replace(now) {
            self.gops = [self.gops[1], now.saturating_sub(before)];
        }
        let was_clean = std::mem::replace(&mut self.is_clean, true);
        let Some(above) = rates.above(self.rung) else { return };
        self.clean_gops = if was_clean { self.clean_gops + 1 } else { 0 };
        // What was measured holds until the viewer is seen to take more; now and then it is tried.
        let seems_slow = !self.fits(above, rates, now);
        let needed = if seems_slow { self.patience * PROBE_TIMES } else { self.patience };
        if self.clean_gops >= needed {
            self.rung = above;
            self.clean_gops = 0;
            self.climbed_at = Some(now);
            self.is_tried = seems_slow;
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
        self.is_tried &= rung == self.rung;
        self.fell_at = Some(now);
        self.clean_gops = 0;
        self.rung = rung;
        rung
    }

    fn gop_within(&self) -> Duration {
        if self.is_tried { BOUND } else { BOUND_GOP }
    }

    /// Until the next keyframe, where the GOPs so far allow a guess.
    fn gop_left(&self, now: Duration) -> Option<Duration> {
        let longest = self.gops[0].max(self.gops[1]);
        self.key_at.and_then(|at| (at + longest).checked_sub(now))
    }

    fn is_too_late(&self, waiting_bytes: usize, key_bytes: usize, now: Duration) -> bool {
        let may_skip = self.keys_skipped < KEYS_SKIPPED_MAX || waiting_bytes > 0;
        let begins_late = self.takes_longer(waiting_bytes, KEY_BEGINS, now);
        may_skip && (begins_late || self.takes_longer(waiting_bytes + key_bytes, KEY_ENDS, now))
    }

    fn fits(&self, rung: Rung, rates: &Rates, now: Duration) -> bool {
        self.drain.rate(now).is_none_or(|rate| rates.of(rung) * 100 < rate.saturating_mul(FIT_PERCENT))
    }
}
