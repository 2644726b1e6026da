//! How everybody else speaks to a stream: no actor type shows.

use crate::id::{SessionId, StreamId};
use crate::media::frame::Item;
use crate::stream::inside::{Inside, Question};
use crate::stream::packet::Packet;
use crate::stream::publisher::{Departure, EndReason, Publish, PublisherId, Refusal, Whose};
use crate::stream::qoe::{Report, Summary};
use crate::stream::state::Settings;
use crate::stream::status::{Live, Status};
use crate::stream::subscriber::{Standing, Subscriber, SubscriberId, Viewer};
use crate::stream::upstream::FeedId;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Called once with the answer to a command; dropped uncalled where the stream is gone.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;

/// What a stream is asked to do.
pub enum Command {
    Publish(Publish, Reply<Result<(), Refusal>>),
    Media(PublisherId, Item),
    /// Of the owner that is followed.
    Feed(FeedId, Packet),
    Unpublish(PublisherId, Departure),
    Subscribe(Box<dyn Subscriber>),
    Unsubscribe(SubscriberId),
    /// Another node follows; the answer tells whether there is a publisher here to follow. It ends with the publisher.
    Relay(Box<dyn Subscriber>, Reply<bool>),
    Viewers {
        subscriber: SubscriberId,
        joined: Vec<Viewer>,
        left: Vec<SessionId>,
        /// Who keeps up otherwise than before.
        moved: Vec<(SessionId, Standing)>,
    },
    Sessions(Reply<Vec<Viewer>>),
    /// What is inside; the hubs answer by themselves.
    Inspect(Question, Reply<Inside>),
    Order(Packet),
    Configure(Settings),
    /// The answer tells whether there was anyone to end.
    EndPublisher(EndReason, Whose, Reply<bool>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("the stream's mailbox is full")]
    Full,
    #[error("the stream has stopped")]
    Closed,
}

/// The way into a stream's actor.
pub trait Mailbox: Send + Sync {
    fn try_send(&self, command: Command) -> Result<(), SendError>;
    /// The stream has stopped.
    fn is_closed(&self) -> bool;
    /// Waits for room.
    fn send(&self, command: Command) -> Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;
}

/// A running stream.
#[derive(Clone)]
pub struct Handle {
    id: StreamId,
    mailbox: Arc<dyn Mailbox>,
    status: Arc<Status>,
}

impl Handle {
    pub fn new(id: StreamId, mailbox: Arc<dyn Mailbox>, status: Arc<Status>) -> Self {
        Self { id, mailbox, status }
    }

    pub fn id(&self) -> &StreamId {
        &self.id
    }

    pub fn live(&self) -> Live {
        self.status.get()
    }

    /// What a viewer's player told of itself.
    pub fn report(&self, report: &Report, now: Duration) {
        self.status.report(report, now);
    }

    /// What the players of this node's viewers told in the last minutes.
    pub fn qoe(&self, now: Duration) -> Summary {
        self.status.qoe(now)
    }

    pub fn is_closed(&self) -> bool {
        self.mailbox.is_closed()
    }

    pub fn try_send(&self, command: Command) -> Result<(), SendError> {
        self.mailbox.try_send(command)
    }

    /// Waits for room: this is what slows a publisher that sends faster than we can cut.
    pub async fn send(&self, command: Command) -> Result<(), SendError> {
        self.mailbox.send(command).await
    }
}
