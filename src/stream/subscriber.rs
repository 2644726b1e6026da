//! Those a stream sends to: one subscriber per worker thread, each with the viewers it serves.

use crate::id::SessionId;
use crate::stream::inside::{Question, Subscribed};
use crate::stream::packet::{Packet, Snapshot};
use std::collections::{HashMap, VecDeque};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriberId(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its mailbox is full; it has to start again from the backlog.
    Full,
    Gone,
}

/// A worker's hub for one stream, as the stream sees it.
pub trait Subscriber: Send {
    fn id(&self) -> SubscriberId;
    /// Never waits.
    fn try_deliver(&self, packet: Packet) -> Result<(), Refused>;
    /// Answers by itself, if it can; never waits.
    fn inspect(&self, _: Question) {}
}

/// One viewer as its stream lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    pub session: SessionId,
    /// Who the token named.
    pub subject: String,
    pub address: String,
    /// `weir.v1`, `weir.raw` or `http`.
    pub dialect: &'static str,
    /// Unix time.
    pub since_us: i64,
    pub standing: Standing,
}

/// How well a viewer keeps up.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Of the drop ladder; 0 is everything.
    pub rung: u8,
    /// That its socket has not taken yet.
    pub waiting_bytes: u32,
    /// That it was not sent, since it came.
    pub frames_dropped: u64,
}

struct Entry {
    subscriber: Box<dyn Subscriber>,
    is_behind: bool,
    /// Orders that found the mailbox full.
    owed: VecDeque<Packet>,
    viewers: HashMap<SessionId, Viewer>,
}

/// A stream's subscribers. One that falls behind is skipped until the next keyframe, then starts anew.
#[derive(Default)]
pub struct Subscribers {
    entries: Vec<Entry>,
    times_behind: u64,
}

impl Subscribers {
    pub fn add(&mut self, subscriber: Box<dyn Subscriber>, snapshot: Snapshot) {
        let is_behind = match subscriber.try_deliver(Packet::Snapshot(snapshot)) {
            Ok(()) => false,
            Err(Refused::Full) => true,
            Err(Refused::Gone) => return,
        };
        self.entries.retain(|e| e.subscriber.id() != subscriber.id());
        self.entries.push(Entry { subscriber, is_behind, owed: VecDeque::new(), viewers: HashMap::new() });
    }

    pub fn remove(&mut self, id: SubscriberId) {
        self.entries.retain(|e| e.subscriber.id() != id);
    }

    /// Sends to all what one step of the stream gave; `snapshot` is the stream after that step, made only where
    /// someone has to start again and can.
    pub fn deliver(&mut self, packets: &[Packet], snapshot: impl Fn() -> Snapshot) {
        let can_restart = packets.iter().any(can_restart_at);
        let mut fell_behind = 0;
        self.entries.retain_mut(|entry| {
            let was_behind = entry.is_behind;
            let sent = entry.deliver(packets, can_restart, &snapshot);
            fell_behind += u64::from(!was_behind && entry.is_behind);
            sent.is_ok()
        });
        self.times_behind += fell_behind;
    }

    /// Notes who came to and who left a hub, and who stands otherwise now.
    pub fn change(
        &mut self,
        id: SubscriberId,
        joined: Vec<Viewer>,
        left: &[SessionId],
        moved: &[(SessionId, Standing)],
    ) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.subscriber.id() == id) {
            entry.viewers.extend(joined.into_iter().map(|viewer| (viewer.session.clone(), viewer)));
            for session in left {
                entry.viewers.remove(session);
            }
            for (session, standing) in moved {
                if let Some(viewer) = entry.viewers.get_mut(session) {
                    viewer.standing = *standing;
                }
            }
            if entry.viewers.is_empty() {
                entry.viewers.shrink_to_fit();
            }
        }
    }

    pub fn viewers(&self) -> impl Iterator<Item = &Viewer> {
        self.entries.iter().flat_map(|e| e.viewers.values())
    }

    pub fn viewers_count(&self) -> usize {
        self.entries.iter().map(|e| e.viewers.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Passes the question on, and says who was asked.
    pub fn inspect(&self, question: &Question) -> Vec<Subscribed> {
        let asked = self.entries.iter().map(|entry| {
            entry.subscriber.inspect(question.clone());
            Subscribed { id: entry.subscriber.id(), is_behind: entry.is_behind, viewers: entry.viewers.len() }
        });
        asked.collect()
    }

    /// How often a subscriber lost its place.
    pub fn times_behind(&self) -> u64 {
        self.times_behind
    }
}

struct Gone;

impl Entry {
    fn deliver(&mut self, packets: &[Packet], can_restart: bool, snapshot: impl Fn() -> Snapshot) -> Result<(), Gone> {
        self.owed.extend(packets.iter().filter(|p| self.is_behind && is_order(p)).cloned());
        if self.is_behind && can_restart {
            self.is_behind = !self.offer(&Packet::Snapshot(snapshot()))?;
        } else if !self.is_behind {
            for packet in packets {
                if self.is_behind || !self.offer(packet)? {
                    self.is_behind = true;
                    self.owed.extend(is_order(packet).then(|| packet.clone()));
                }
            }
        }
        while let Some(packet) = self.owed.front().cloned()
            && self.offer(&packet)?
        {
            self.owed.pop_front();
        }
        Ok(())
    }

    /// True where it was taken.
    fn offer(&self, packet: &Packet) -> Result<bool, Gone> {
        match self.subscriber.try_deliver(packet.clone()) {
            Ok(()) => Ok(true),
            Err(Refused::Full) => Ok(false),
            Err(Refused::Gone) => Err(Gone),
        }
    }
}

/// Not media: it is not made good by a later snapshot.
fn is_order(packet: &Packet) -> bool {
    matches!(packet, Packet::Kick { .. } | Packet::Close { .. })
}

/// The snapshot taken after this packet was applied starts at a keyframe, or has nothing to start from.
fn can_restart_at(packet: &Packet) -> bool {
    match packet {
        Packet::Fragment(fragment) => fragment.is_video_key(),
        Packet::Snapshot(_) | Packet::Init(_) | Packet::Phase(_) => true,
        Packet::Gap(_) | Packet::SendEvery(_) | Packet::Clock { .. } | Packet::Kick { .. } | Packet::Close { .. } => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::{Kind, Role};
    use crate::stream::packet::{Epoch, Framed, Phase};
    use crate::stream::ws_frame::WsFrame;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Hub {
        answer: Arc<Mutex<Option<Refused>>>,
        got: Arc<Mutex<Vec<&'static str>>>,
    }

    impl Subscriber for Hub {
        fn id(&self) -> SubscriberId {
            SubscriberId(1)
        }

        fn try_deliver(&self, packet: Packet) -> Result<(), Refused> {
            if let Some(refused) = *self.answer.lock().unwrap() {
                return Err(refused);
            }
            self.got.lock().unwrap().push(match packet {
                Packet::Snapshot(_) => "snapshot",
                Packet::Fragment(f) if f.is_video_key() => "key",
                Packet::Fragment(_) => "fragment",
                Packet::Kick { .. } => "kick",
                _ => "other",
            });
            Ok(())
        }
    }

    fn snapshot() -> Snapshot {
        Snapshot {
            phase: Phase::Live,
            send_every_ms: None,
            init: None,
            backlog: Vec::new(),
            clock_ahead_us: 0,
            fence: 0,
        }
    }

    fn fragment(role: Role) -> Packet {
        Packet::Fragment(Arc::new(Framed {
            epoch: Epoch::default(),
            kind: Kind::Video,
            role,
            start: 0,
            end: 0,
            start_us: 0,
            end_us: 1,
            ingest_us: 0,
            frame: WsFrame::binary_from(b"x"),
        }))
    }

    #[test]
    fn a_hub_that_is_full_starts_again_at_the_next_keyframe() {
        let hub = Hub::default();
        let mut subscribers = Subscribers::default();
        subscribers.add(Box::new(hub.clone()), snapshot());
        subscribers.deliver(&[fragment(Role::Reference)], snapshot);
        *hub.answer.lock().unwrap() = Some(Refused::Full);
        subscribers.deliver(&[fragment(Role::Reference)], snapshot);
        *hub.answer.lock().unwrap() = None;
        subscribers.deliver(&[fragment(Role::Reference)], snapshot);
        subscribers.deliver(&[fragment(Role::Key)], snapshot);
        subscribers.deliver(&[fragment(Role::Reference)], snapshot);
        assert_eq!(*hub.got.lock().unwrap(), ["snapshot", "fragment", "snapshot", "fragment"]);
        assert_eq!(subscribers.times_behind(), 1);
    }

    #[test]
    fn an_order_that_found_the_mailbox_full_is_kept() {
        let hub = Hub::default();
        let mut subscribers = Subscribers::default();
        subscribers.add(Box::new(hub.clone()), snapshot());
        *hub.answer.lock().unwrap() = Some(Refused::Full);
        let session = SessionId::from_random([1; 16]);
        subscribers.deliver(&[Packet::Kick { session, code: 4410, reason: String::new() }], snapshot);
        *hub.answer.lock().unwrap() = None;
        subscribers.deliver(&[fragment(Role::Reference)], snapshot);
        subscribers.deliver(&[], snapshot);
        assert_eq!(*hub.got.lock().unwrap(), ["snapshot", "kick"]);
    }

    #[test]
    fn a_hub_that_is_gone_is_forgotten_with_its_viewers() {
        let hub = Hub::default();
        let mut subscribers = Subscribers::default();
        subscribers.add(Box::new(hub.clone()), snapshot());
        let viewer = Viewer {
            session: SessionId::from_random([1; 16]),
            subject: "ann".into(),
            address: "127.0.0.1".into(),
            dialect: "weir.v1",
            since_us: 0,
            standing: Standing::default(),
        };
        subscribers.change(SubscriberId(1), vec![viewer.clone()], &[], &[]);
        assert_eq!(subscribers.viewers_count(), 1);
        let standing = Standing { rung: 3, waiting_bytes: 1000, frames_dropped: 20 };
        subscribers.change(SubscriberId(1), vec![], &[], &[(viewer.session.clone(), standing)]);
        assert_eq!(subscribers.viewers().map(|v| v.standing).collect::<Vec<_>>(), [standing]);
        subscribers.change(SubscriberId(1), vec![], &[viewer.session], &[]);
        assert_eq!(subscribers.viewers_count(), 0);
        *hub.answer.lock().unwrap() = Some(Refused::Gone);
        subscribers.deliver(&[fragment(Role::Key)], snapshot);
        assert!(subscribers.is_empty());
    }
}
