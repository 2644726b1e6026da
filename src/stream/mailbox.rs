//! The mailbox of a stream's actor.

use crate::stream::actor::Stream;
use crate::stream::handle::{Command, Mailbox, SendError};
use actix::dev::SendError as Unsent;
use actix::{Addr, Message};
use std::pin::Pin;

impl Message for Command {
    type Result = ();
}

pub(super) struct ActorMailbox(pub(super) Addr<Stream>);

impl Mailbox for ActorMailbox {
    fn try_send(&self, command: Command) -> Result<(), SendError> {
        self.0.try_send(command).map_err(|error| match error {
            Unsent::Full(_) => SendError::Full,
            Unsent::Closed(_) => SendError::Closed,
        })
    }

    fn is_closed(&self) -> bool {
        !self.0.connected()
    }

    fn send(&self, command: Command) -> Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>> {
        let request = self.0.send(command);
        Box::pin(async move { request.await.map_err(|_| SendError::Closed) })
    }
}
