//! What a hub sends at once: the sound that waited and the picture that it waited for, joined for all viewers.

use crate::media::frame::{Kind, Role};
use crate::session::ladder::Rates;
use crate::stream::packet::{Edge, Framed};
use bytes::{Bytes, BytesMut};
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

/// Where the picture stands for those who are sent no disposable frames.
#[derive(Debug, Clone, Copy, Default)]
pub struct Course {
    /// End of the last frame that others may depend on.
    base: Option<Edge>,
    /// End of the last disposable frame after it.
    disposable_end: Option<u64>,
}

impl Course {
    pub fn pass(&mut self, part: &Framed) {
        match (part.kind, part.role) {
            (Kind::Audio, _) => {}
            (Kind::Video, Role::Disposable) => self.disposable_end = Some(part.end),
            (Kind::Video, _) => *self = Self { base: Some(part.edge()), disposable_end: None },
        }
    }

    /// The last picture is one that all of them were sent.
    fn is_joint(&self) -> bool {
        self.disposable_end.is_none()
    }

    /// `part`, or a copy that begins where the last frame ended that was not left out (F20).
    fn bridged(&self, part: &Arc<Framed>) -> Arc<Framed> {
        let hole = self.base.filter(|_| self.disposable_end == Some(part.start));
        // A fragment that can't be bridged is not one of the fragmenter's.
        let bridged = hole.and_then(|base| part.bridged(&base).ok());
        bridged.map_or_else(|| part.clone(), Arc::new)
    }
}

/// How much of a batch a viewer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Whole,
    /// Without disposable frames, each hole bridged.
    Base,
    /// The same for one who goes on, after a gap, with the keyframe.
    Start,
    /// The keyframe and sound.
    Keys,
    Sound,
}

/// What is to be known of a stream when its fragments are joined.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context {
    /// Without a picture a viewer can start anywhere.
    pub has_video: bool,
    /// Before the first fragment.
    pub course: Course,
    pub rates: Rates,
}

#[derive(Debug)]
enum Made {
    Nothing,
    /// The batch itself.
    Same,
    Other(Rc<Batch>),
}

/// Fragments in sending order, never empty; a keyframe is always the first picture.
#[derive(Debug)]
pub struct Batch {
    parts: Vec<Arc<Framed>>,
    context: Context,
    messages: OnceCell<Bytes>,
    payloads: OnceCell<Bytes>,
    /// For [`Cut::Base`] and those after it.
    cuts: [OnceCell<Made>; 4],
    /// Pictures alone, sound alone.
    only: [OnceCell<Option<Rc<Batch>>>; 2],
}

impl Batch {
    pub fn new(parts: Vec<Arc<Framed>>, context: Context) -> Self {
        let (messages, payloads) = (OnceCell::new(), OnceCell::new());
        Self { parts, context, messages, payloads, cuts: Default::default(), only: Default::default() }
    }

    pub fn parts(&self) -> &[Arc<Framed>] {
        &self.parts
    }

    pub fn has_video(&self) -> bool {
        self.context.has_video
    }

    pub fn rates(&self) -> &Rates {
        &self.context.rates
    }

    /// A viewer can start, or go on after a hole, with this.
    pub fn is_start(&self) -> bool {
        !self.context.has_video || self.is_keyframe()
    }

    pub fn is_keyframe(&self) -> bool {
        self.pictures().next().is_some_and(|p| p.role == Role::Key)
    }

    /// Of the stream, before this batch.
    pub fn follows_joint(&self) -> bool {
        self.context.course.is_joint()
    }

    pub fn has_pictures(&self) -> bool {
        self.pictures().next().is_some()
    }

    pub fn pictures(&self) -> impl Iterator<Item = &Arc<Framed>> {
        self.parts.iter().filter(|p| p.kind == Kind::Video)
    }

    /// Made once for all viewers that get the same; nothing where it has no fragments.
    pub fn cut(self: &Rc<Self>, cut: Cut) -> Option<Rc<Self>> {
        let made = match cut {
            Cut::Whole => return Some(self.clone()),
            Cut::Start if self.follows_joint() => return self.cut(Cut::Base),
            Cut::Base => self.cuts[0].get_or_init(|| self.make(self.base_parts(self.context.course))),
            Cut::Start => self.cuts[1].get_or_init(|| self.make(self.base_parts(Course::default()))),
            Cut::Keys => self.cuts[2].get_or_init(|| self.make(self.key_parts())),
            Cut::Sound => self.cuts[3].get_or_init(|| self.make(self.sound_parts())),
        };
        match made {
            Made::Nothing => None,
            Made::Same => Some(self.clone()),
            Made::Other(other) => Some(other.clone()),
        }
    }

    /// As if the stream had no other kind; nothing where it has none of this.
    pub fn only(&self, kind: Kind) -> Option<Rc<Self>> {
        let (cell, has_video) = match kind {
            Kind::Video => (&self.only[0], true),
            Kind::Audio => (&self.only[1], false),
        };
        let made = cell.get_or_init(|| {
            let parts: Vec<_> = self.parts.iter().filter(|p| p.kind == kind).cloned().collect();
            let context = Context { has_video, ..self.context };
            (!parts.is_empty()).then(|| Rc::new(Self::new(parts, context)))
        });
        made.clone()
    }

    /// A batch of some of the parts.
    pub fn of(&self, parts: Vec<Arc<Framed>>) -> Self {
        Self::new(parts, self.context)
    }

    /// As WebSocket messages.
    pub fn messages(&self) -> &Bytes {
        self.messages.get_or_init(|| match &self.parts[..] {
            [one] => one.frame.message().clone(),
            parts => join(parts.iter().map(|p| p.frame.message().clone())),
        })
    }

    /// As the body of an HTTP response.
    pub fn payloads(&self) -> &Bytes {
        self.payloads.get_or_init(|| match &self.parts[..] {
            [one] => one.payload(),
            parts => join(parts.iter().map(|p| p.payload())),
        })
    }

    /// Decode time at which the last fragment ends, the picture's where there is one.
    pub fn edge_us(&self) -> i64 {
        self.pictures().last().or(self.parts.last()).map_or(0, |p| p.end_us)
    }

    /// When the newest fragment came in, Unix time.
    pub fn ingest_us(&self) -> i64 {
        self.parts.last().map_or(0, |p| p.ingest_us)
    }

    fn make(&self, parts: Vec<Arc<Framed>>) -> Made {
        let is_same = parts.len() == self.parts.len() && parts.iter().zip(&self.parts).all(|(a, b)| Arc::ptr_eq(a, b));
        match parts.is_empty() {
            true => Made::Nothing,
            false if is_same => Made::Same,
            false => Made::Other(Rc::new(self.of(parts))),
        }
    }

    fn base_parts(&self, mut course: Course) -> Vec<Arc<Framed>> {
        let mut base = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            if part.kind == Kind::Audio {
                base.push(part.clone());
            } else if part.role != Role::Disposable {
                base.push(course.bridged(part));
            }
            course.pass(part);
        }
        base
    }

    fn key_parts(&self) -> Vec<Arc<Framed>> {
        self.parts.iter().filter(|p| p.kind == Kind::Audio || p.role == Role::Key).cloned().collect()
    }

    fn sound_parts(&self) -> Vec<Arc<Framed>> {
        self.parts.iter().filter(|p| p.kind == Kind::Audio).cloned().collect()
    }
}

fn join(pieces: impl Iterator<Item = Bytes> + Clone) -> Bytes {
    let mut joined = BytesMut::with_capacity(pieces.clone().map(|p| p.len()).sum());
    pieces.for_each(|p| joined.extend_from_slice(&p));
    joined.freeze()
}
