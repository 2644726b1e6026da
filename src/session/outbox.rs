//! What one viewer has not been sent yet: bounded, in order, and cut so that what follows can be decoded.

use crate::media::fragment::Gap;
use crate::media::frame::{Kind, Role};
use crate::session::batch::{Batch, Cut};
use crate::session::holes::Holes;
use crate::session::ladder::{Ladder, Rung};
pub use crate::session::queue::Framing;
use crate::session::queue::{Item, Queue};
use crate::stream::packet::Framed;
use bytes::Bytes;
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;

/// Messages that are never dropped may wait up to this many bytes; a viewer who lets more pile up is too slow.
const CONTROL_BYTES_MAX: usize = 64 * 1024;
/// Without progress for this long while bytes wait, a viewer is too slow.
const STUCK_AFTER: Duration = Duration::from_secs(8);
/// What brings a new viewer to live may wait this long, whatever its size: it is shared by all who join.
const BURST_WITHIN: Duration = Duration::from_secs(1);
/// A viewer is brought to live like this at most so often.
const BURST_AGAIN: Duration = Duration::from_secs(2);
/// So much sound may wait beyond the bound for pictures.
const SOUND_BYTES: usize = 16 * 1024;
/// Sound that is older is not worth sending once there is too much.
const SOUND_OLD_US: i64 = 300_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooSlow {
    #[error("nothing was read for {} s", STUCK_AFTER.as_secs())]
    Stuck,
    #[error("more than {CONTROL_BYTES_MAX} bytes of messages wait to be read")]
    Piled,
}

/// Makes the message for a hole, where the viewer understands one.
type Tell<'a> = &'a mut dyn FnMut(Gap) -> Option<Bytes>;

/// The picture that was queued last, and so what may follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chain {
    /// Nothing is sent, sound neither, before a batch that a viewer can start with.
    New,
    /// No picture before the next keyframe.
    Broken,
    /// The stream's last one.
    Full,
    /// The stream's last one that is not disposable.
    Base,
}

/// Frames that a viewer was not sent: on overflow and in waiting for the next keyframe, then as each rung has it.
pub type Dropped = [u32; Rung::ALL.len()];

/// The queue between a hub and one socket.
#[derive(Debug)]
pub struct Outbox {
    ladder: Ladder,
    chain: Chain,
    holes: Holes,
    queue: Queue,
    burst_at: Duration,
    dropped: Dropped,
    /// Since when bytes wait without progress.
    waiting_since: Option<Duration>,
}

impl Outbox {
    pub fn new(framing: Framing, limit_bytes: usize) -> Self {
        Self {
            ladder: Ladder::new(limit_bytes),
            chain: Chain::Full,
            holes: Holes::default(),
            queue: Queue::new(framing),
            burst_at: Duration::ZERO,
            dropped: Dropped::default(),
            waiting_since: None,
        }
    }

    /// Nothing is sent before a batch that a viewer can start with.
    pub fn skip_to_start(&mut self) {
        self.chain = Chain::New;
    }

    /// No picture is sent before the next keyframe.
    pub fn skip_pictures(&mut self) {
        if self.chain != Chain::New {
            self.chain = Chain::Broken;
        }
    }

    /// Nothing more is sent before a start, and what was left out so far needs no telling.
    pub fn pause(&mut self) {
        self.skip_to_start();
        self.holes = Holes::default();
    }

    pub fn push_control(&mut self, bytes: Bytes, now: Duration) -> Result<(), TooSlow> {
        self.push(Item::Control(bytes), now);
        if self.queue.control_bytes() > CONTROL_BYTES_MAX { Err(TooSlow::Piled) } else { Ok(()) }
    }

    /// Whoever pauses and resumes time and again waits for a keyframe: a burst is up to a GOP each time.
    pub fn may_burst(&self, now: Duration) -> bool {
        now.saturating_sub(self.burst_at) >= BURST_AGAIN
    }

    /// Queues what a new viewer starts with.
    pub fn push_burst(&mut self, batch: Rc<Batch>, now: Duration) {
        self.burst_at = now;
        self.chain = if batch.is_start() { Chain::Full } else { Chain::Broken };
        self.push(Item::Burst(self.queue.bytes_of(&batch), batch), now);
    }

    /// Queues what this viewer is to get of a batch; `gap` makes the message for each hole that ends here.
    pub fn offer(&mut self, batch: &Rc<Batch>, now: Duration, mut gap: impl FnMut(Gap) -> Option<Bytes>) {
        if let Some(key) = batch.pictures().next().filter(|_| batch.is_keyframe()) {
            let key_bytes = self.queue.part_bytes(key);
            if self.ladder.has_tail(self.queue.media_bytes()) {
                self.leave_tail(batch, &mut gap, now);
            }
            let waiting_bytes = self.queue.media_bytes() + self.queue.burst_bytes();
            self.ladder.handle_keyframe(batch.rates(), waiting_bytes, key_bytes, now);
        }
        let Some(mut cut) = self.choose(batch) else { return };
        let mut piece = batch.cut(cut);
        if piece.as_ref().is_some_and(|piece| self.is_over(piece, now)) {
            self.handle_overflow(batch, &mut gap, now);
            cut = self.choose(batch).unwrap_or(cut);
            piece = batch.cut(cut);
        }
        if let Some(full) = piece.take_if(|piece| !piece.is_keyframe() && self.is_over(piece, now)) {
            self.discard(batch, &mut gap, now);
            piece = Some(full).filter(|piece| !self.is_over(piece, now));
            if piece.is_none() {
                batch.parts().iter().for_each(|part| self.lose(part));
                self.chain = if batch.has_video() { Chain::Broken } else { self.chain };
                return;
            }
        }
        if matches!(cut, Cut::Keys | Cut::Sound) {
            self.holes.break_bridge();
        }
        if let Some(piece) = piece {
            self.tell_gaps(&piece, &mut gap, now);
            self.push(Item::Media(self.queue.bytes_of(&piece), piece), now);
        }
        self.leave_out(batch, cut);
    }

    /// Fills `slices` with what is to be written next, oldest first.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.queue.slices(slices)
    }

    /// Takes note of `written` bytes that went out.
    pub fn advance(&mut self, written: usize, now: Duration) {
        self.ladder.handle_taken(written, now);
        if written > 0 {
            self.waiting_since = Some(now);
        }
        self.queue.advance(written);
        if self.queue.is_empty() {
            self.waiting_since = None;
            self.ladder.handle_empty(now);
        }
    }

    /// The socket takes no more for now.
    pub fn handle_full(&mut self, now: Duration) {
        if !self.queue.is_empty() {
            self.ladder.handle_full(now);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Fragments may go straight to the socket.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.chain == Chain::Full && self.rung() == Rung::Full
    }

    /// Something was queued that a viewer can start with.
    pub fn has_begun(&self) -> bool {
        self.chain != Chain::New
    }

    pub fn rung(&self) -> Rung {
        self.ladder.rung()
    }

    pub fn take_dropped(&mut self) -> Dropped {
        std::mem::take(&mut self.dropped)
    }

    /// Forgets what was not begun: the viewer is about to go.
    pub fn clear_unbegun(&mut self) {
        self.queue.split_unbegun();
    }

    pub fn len_bytes(&self) -> usize {
        self.queue.len_bytes()
    }

    /// When the oldest media that waits was received.
    pub fn oldest_us(&self) -> Option<i64> {
        self.queue.oldest_us()
    }

    pub fn check(&self, now: Duration) -> Result<(), TooSlow> {
        match self.waiting_since {
            Some(since) if now.saturating_sub(since) >= STUCK_AFTER => Err(TooSlow::Stuck),
            _ => Ok(()),
        }
    }

    /// How much of a batch the viewer can decode and is to get.
    fn choose(&self, batch: &Batch) -> Option<Cut> {
        let is_cut_off = matches!(self.chain, Chain::New | Chain::Broken);
        match self.rung() {
            _ if self.chain == Chain::New && !batch.is_start() => None,
            _ if !batch.has_video() => Some(Cut::Whole),
            _ if is_cut_off && !batch.is_start() => Some(Cut::Sound),
            Rung::Full | Rung::Gop if is_cut_off => Some(Cut::Whole),
            Rung::Base if is_cut_off => Some(Cut::Start),
            // Between the two only where the picture before belongs to both.
            Rung::Full | Rung::Base | Rung::Gop if !batch.follows_joint() => {
                Some(if self.chain == Chain::Base { Cut::Base } else { Cut::Whole })
            }
            Rung::Full | Rung::Gop => Some(Cut::Whole),
            Rung::Base => Some(Cut::Base),
            Rung::Keys if batch.is_start() && (self.chain == Chain::New || !self.ladder.skips_key()) => Some(Cut::Keys),
            Rung::Keys | Rung::Sound => Some(Cut::Sound),
        }
    }

    /// Takes note of what the viewer does not get of a batch that was cut, and of what may follow.
    fn leave_out(&mut self, batch: &Batch, cut: Cut) {
        let rung = usize::from(self.rung().number());
        for part in batch.pictures() {
            if part.role != Role::Disposable {
                self.holes.bridgeable = None;
            }
            let (is_left_out, is_hole) = match cut {
                Cut::Whole => (false, false),
                Cut::Base | Cut::Start => (part.role == Role::Disposable, false),
                Cut::Keys => (part.role != Role::Key, true),
                Cut::Sound => (true, true),
            };
            self.dropped[rung] += u32::from(is_left_out);
            match is_left_out {
                true if is_hole => self.holes.widen(part),
                true => self.holes.skip_disposable(part),
                false => {}
            }
        }
        let has_pictures = batch.has_pictures();
        self.chain = match cut {
            Cut::Whole if has_pictures || !batch.has_video() => Chain::Full,
            Cut::Base | Cut::Start if has_pictures => Chain::Base,
            Cut::Whole | Cut::Base | Cut::Start => self.chain,
            Cut::Keys | Cut::Sound => Chain::Broken,
        };
    }

    fn tell_gaps(&mut self, piece: &Batch, gap: Tell<'_>, now: Duration) {
        for kind in [Kind::Video, Kind::Audio] {
            if piece.parts().iter().any(|part| part.kind == kind)
                && let Some(hole) = self.holes.of(kind).take()
                && let Some(message) = gap(hole)
            {
                self.push(Item::Gap(message, hole), now);
            }
        }
    }

    fn is_over(&self, piece: &Batch, now: Duration) -> bool {
        if self.queue.media_bytes() + self.queue.burst_bytes() == 0 {
            let is_picture = piece.has_pictures() && !piece.is_keyframe();
            return is_picture && self.ladder.is_gop_late(self.queue.bytes_of(piece).len(), now);
        }
        if self.queue.burst_bytes() > 0 {
            let left = BURST_WITHIN.saturating_sub(now.saturating_sub(self.burst_at));
            if left.is_zero() || self.ladder.takes_longer(self.queue.burst_bytes(), left, now) {
                return true;
            }
        }
        let bound = self.ladder.bound(now);
        if piece.is_keyframe() {
            return self.queue.media_bytes() > bound;
        }
        let room = if piece.pictures().next().is_none() { bound + SOUND_BYTES } else { bound };
        self.queue.media_bytes() - self.queue.key_bytes() + self.queue.bytes_of(piece).len() > room
    }

    fn handle_overflow(&mut self, batch: &Rc<Batch>, gap: Tell<'_>, now: Duration) {
        let before = self.rung();
        let rung = self.ladder.handle_overflow(batch.rates(), now);
        if before == Rung::Full && rung == Rung::Base && self.thin() {
            let rest = self.choose(batch).and_then(|cut| batch.cut(cut));
            if !rest.is_some_and(|rest| self.is_over(&rest, now)) {
                return;
            }
        }
        let is_cut_short = batch.pictures().next().is_some() && !batch.is_keyframe();
        // On this rung what waits is still the GOP as far as it gets.
        if !(rung == Rung::Gop && is_cut_short && self.queue.burst_bytes() == 0) {
            self.discard(batch, gap, now);
        }
        if is_cut_short && self.chain != Chain::New {
            self.chain = Chain::Broken;
        }
    }

    /// What waits of the GOP before is what this rung leaves out of it.
    fn leave_tail(&mut self, batch: &Batch, gap: Tell<'_>, now: Duration) {
        self.ladder.handle_loss();
        let before = self.dropped[0];
        self.discard(batch, gap, now);
        let left_out = std::mem::replace(&mut self.dropped[0], before) - before;
        self.dropped[usize::from(Rung::Gop.number())] += left_out;
    }

    /// Takes the disposable frames out of what waits, from where the picture before them is one of those that stay.
    fn thin(&mut self) -> bool {
        if self.chain != Chain::Full {
            return false;
        }
        let Some(thinned) = self.queue.thin() else { return false };
        self.dropped[1] += thinned.frames;
        if !thinned.behind.is_empty() {
            thinned.behind.iter().for_each(|part| self.holes.skip_disposable(part));
            self.chain = Chain::Base;
        }
        true
    }

    /// Leaves out all media that was not begun, but the sound of the last moment before `batch`.
    fn discard(&mut self, batch: &Batch, gap: Tell<'_>, now: Duration) {
        let newest_us = batch.edge_us();
        // What is missing behind the queue is not told of before what is kept of it.
        let later = std::mem::take(&mut self.holes);
        let unbegun = self.queue.split_unbegun();
        for part in self.queue.cut_begun() {
            self.lose(&part);
        }
        for item in unbegun {
            match item {
                Item::Control(_) => self.queue.push(item),
                Item::Gap(_, gap) => self.holes.merge(&gap),
                Item::Burst(_, batch) | Item::Media(_, batch) => self.keep_sound(&batch, newest_us, gap, now),
            }
        }
        self.holes.append(later);
    }

    fn keep_sound(&mut self, batch: &Rc<Batch>, newest_us: i64, gap: Tell<'_>, now: Duration) {
        let sound = batch.cut(Cut::Sound).filter(|sound| sound.edge_us() > newest_us - SOUND_OLD_US);
        for part in batch.parts().iter().filter(|part| part.kind == Kind::Video || sound.is_none()) {
            self.lose(part);
        }
        if let Some(sound) = sound {
            self.tell_gaps(&sound, gap, now);
            self.queue.push(Item::Media(self.queue.bytes_of(&sound), sound));
        }
    }

    /// What was or would have been queued is not sent.
    fn lose(&mut self, part: &Framed) {
        self.dropped[0] += 1;
        self.holes.widen(part);
        if part.kind == Kind::Video && self.chain != Chain::New {
            self.chain = Chain::Broken;
        }
    }

    fn push(&mut self, item: Item, now: Duration) {
        self.waiting_since.get_or_insert(now);
        self.queue.push(item);
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
