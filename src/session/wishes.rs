//! What a viewer asked to be sent.

use crate::media::frame::Kind;
use crate::session::batch::Batch;
use std::rc::Rc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) video: bool,
    pub(super) audio: bool,
    pub(super) is_paused: bool,
}

impl Default for Wishes {
    fn default() -> Self {
        Self { video: true, audio: true, is_paused: false }
    }
}

impl Wishes {
    /// What the viewer wants of a batch.
    pub(super) fn of(self, batch: &Rc<Batch>) -> Option<Rc<Batch>> {
        match self {
            Self { is_paused: true, .. } | Self { video: false, audio: false, .. } => None,
            Self { video: true, audio: true, .. } => Some(batch.clone()),
            Self { video: true, .. } => batch.only(Kind::Video),
            Self { audio: true, .. } => batch.only(Kind::Audio),
        }
    }
}
