//! What waits for one socket, in order: messages and media, how many bytes of each, and how much of the first went out.

use crate::media::fragment::Gap;
use crate::media::frame::{Kind, Role};
use crate::session::batch::{Batch, Cut};
use crate::stream::packet::Framed;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;
use std::sync::Arc;

/// How a viewer gets its fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    WebSocket,
    Http,
}

#[derive(Debug)]
pub(super) enum Item {
    Control(Bytes),
    Gap(Bytes, Gap),
    /// The burst that brings a new viewer to live.
    Burst(Bytes, Rc<Batch>),
    Media(Bytes, Rc<Batch>),
}

impl Item {
    fn bytes(&self) -> &Bytes {
        match self {
            Self::Control(bytes) | Self::Gap(bytes, _) | Self::Burst(bytes, _) | Self::Media(bytes, _) => bytes,
        }
    }

    fn batch(&self) -> Option<&Rc<Batch>> {
        match self {
            Self::Burst(_, batch) | Self::Media(_, batch) => Some(batch),
            Self::Control(_) | Self::Gap(..) => None,
        }
    }
}

/// Disposable frames that were taken out of the queue.
#[derive(Debug, Default)]
pub(super) struct Thinned {
    pub(super) frames: u32,
    /// Those after the last picture that stays: what is queued next has to bridge them.
    pub(super) behind: Vec<Arc<Framed>>,
}

#[derive(Debug)]
pub(super) struct Queue {
    framing: Framing,
    items: VecDeque<Item>,
    /// Of the first item, gone already.
    sent_of_first: usize,
    media_bytes: usize,
    /// The keyframes' part of them.
    key_bytes: usize,
    control_bytes: usize,
    burst_bytes: usize,
}

impl Queue {
    pub(super) fn new(framing: Framing) -> Self {
        let items = VecDeque::new();
        Self { framing, items, sent_of_first: 0, media_bytes: 0, key_bytes: 0, control_bytes: 0, burst_bytes: 0 }
    }

    pub(super) fn push(&mut self, item: Item) {
        self.count(&item, |sum, bytes| sum + bytes);
        self.items.push_back(item);
    }

    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slot, item) in slices.iter_mut().zip(&self.items) {
            let from = if count == 0 { self.sent_of_first } else { 0 };
            *slot = IoSlice::new(&item.bytes()[from..]);
            count += 1;
        }
        count
    }

    /// Takes out what `written` bytes complete; an empty queue holds no memory.
    pub(super) fn advance(&mut self, mut written: usize) {
        while let Some(first) = self.items.front() {
            let rest = first.bytes().len() - self.sent_of_first;
            if written < rest {
                self.sent_of_first += written;
                return;
            }
            written -= rest;
            self.sent_of_first = 0;
            if let Some(item) = self.items.pop_front() {
                self.forget(&item);
            }
        }
        self.items = VecDeque::new();
    }

    /// When the oldest media that waits was received.
    pub(super) fn oldest_us(&self) -> Option<i64> {
        self.items.iter().find_map(Item::batch)?.parts().first().map(|part| part.ingest_us)
    }

    /// Takes out all of which nothing was sent.
    pub(super) fn split_unbegun(&mut self) -> VecDeque<Item> {
        let unbegun = self.items.split_off(self.begun());
        unbegun.iter().for_each(|item| self.forget(item));
        unbegun
    }

    /// Cuts media that is being sent off at the end of its fragment; gives back the fragments after it.
    pub(super) fn cut_begun(&mut self) -> Vec<Arc<Framed>> {
        if self.begun() == 0 || self.items.front().and_then(Item::batch).is_none() {
            return Vec::new();
        }
        let Some(item @ (Item::Burst(..) | Item::Media(..))) = self.items.pop_front() else { return Vec::new() };
        self.forget(&item);
        let Some(batch) = item.batch() else { return Vec::new() };
        let mut end = 0;
        let (mut kept, mut lost) = (Vec::new(), Vec::new());
        for part in batch.parts() {
            if end < self.sent_of_first {
                end += self.part_bytes(part);
                kept.push(part.clone());
            } else {
                lost.push(part.clone());
            }
        }
        // The socket took all up to the end of a fragment: nothing of this item is left to send.
        if end == self.sent_of_first {
            self.sent_of_first = 0;
            return lost;
        }
        let kept = if lost.is_empty() { batch.clone() } else { Rc::new(batch.of(kept)) };
        let item = Item::Media(item.bytes().slice(..end.min(item.bytes().len())), kept);
        self.count(&item, |sum, bytes| sum + bytes);
        self.items.push_front(item);
        lost
    }

    /// Takes the disposable frames out of what waits, from where the picture before them is one of those that stay;
    /// nothing where there is no such place.
    pub(super) fn thin(&mut self) -> Option<Thinned> {
        let begun = self.begun();
        let is_joint = |item: &Item| item.batch().is_some_and(|batch| batch.has_pictures() && batch.follows_joint());
        let from = begun + self.items.iter().skip(begun).position(is_joint)?;
        let mut thinned = Thinned::default();
        let mut cut = Cut::Base;
        for item in self.items.split_off(from) {
            let Some(batch) = item.batch() else {
                // After a hole nothing is bridged.
                if matches!(&item, Item::Gap(_, gap) if gap.kind == Kind::Video) {
                    cut = Cut::Start;
                }
                self.items.push_back(item);
                continue;
            };
            self.forget(&item);
            for part in batch.pictures() {
                match part.role {
                    Role::Disposable => thinned.behind.push(part.clone()),
                    Role::Key | Role::Reference => thinned.behind.clear(),
                }
                thinned.frames += u32::from(part.role == Role::Disposable);
            }
            if let Some(rest) = batch.cut(cut) {
                let bytes = self.bytes_of(&rest);
                self.push(if matches!(item, Item::Burst(..)) {
                    Item::Burst(bytes, rest)
                } else {
                    Item::Media(bytes, rest)
                });
            }
            cut = if batch.has_pictures() { Cut::Base } else { cut };
        }
        Some(thinned)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    #[cfg(test)]
    pub(super) fn holds_no_memory(&self) -> bool {
        self.items.capacity() == 0
    }

    pub(super) fn media_bytes(&self) -> usize {
        self.media_bytes
    }

    pub(super) fn key_bytes(&self) -> usize {
        self.key_bytes
    }

    pub(super) fn control_bytes(&self) -> usize {
        self.control_bytes
    }

    pub(super) fn burst_bytes(&self) -> usize {
        self.burst_bytes
    }

    pub(super) fn len_bytes(&self) -> usize {
        self.media_bytes + self.burst_bytes + self.control_bytes
    }

    pub(super) fn bytes_of(&self, batch: &Batch) -> Bytes {
        match self.framing {
            Framing::WebSocket => batch.messages().clone(),
            Framing::Http => batch.payloads().clone(),
        }
    }

    pub(super) fn part_bytes(&self, part: &Framed) -> usize {
        match self.framing {
            Framing::WebSocket => part.len_bytes(),
            Framing::Http => part.payload().len(),
        }
    }

    /// Items of which a part was sent.
    fn begun(&self) -> usize {
        usize::from(self.sent_of_first > 0)
    }

    fn forget(&mut self, item: &Item) {
        self.count(item, |sum, bytes| sum - bytes);
    }

    fn count(&mut self, item: &Item, add: impl Fn(usize, usize) -> usize) {
        match item {
            Item::Control(bytes) | Item::Gap(bytes, _) => self.control_bytes = add(self.control_bytes, bytes.len()),
            Item::Burst(bytes, _) => self.burst_bytes = add(self.burst_bytes, bytes.len()),
            Item::Media(bytes, batch) => {
                let keys = batch.pictures().filter(|part| part.role == Role::Key);
                let key_bytes = keys.map(|part| self.part_bytes(part)).sum();
                self.key_bytes = add(self.key_bytes, key_bytes);
                self.media_bytes = add(self.media_bytes, bytes.len());
            }
        }
    }
}
