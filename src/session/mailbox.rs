//! A hub as its stream sees it.

use crate::session::hub::Hub;
use crate::stream::inside::Question;
use crate::stream::packet::Packet;
use crate::stream::subscriber::{Refused, Subscriber, SubscriberId};
use actix::dev::SendError as Unsent;
use actix::{Addr, Context, Handler, Message};

pub(super) struct HubMailbox {
    pub(super) id: SubscriberId,
    pub(super) address: Addr<Hub>,
}

impl Message for Packet {
    type Result = ();
}

impl Message for Question {
    type Result = ();
}

impl Handler<Question> for Hub {
    type Result = ();

    fn handle(&mut self, question: Question, _: &mut Context<Self>) {
        (question.tell)(self.fan.borrow().inside(self.id, question.viewers_max));
    }
}

impl Subscriber for HubMailbox {
    fn id(&self) -> SubscriberId {
        self.id
    }

    fn try_deliver(&self, packet: Packet) -> Result<(), Refused> {
        self.address.try_send(packet).map_err(|error| match error {
            Unsent::Full(_) => Refused::Full,
            Unsent::Closed(_) => Refused::Gone,
        })
    }

    fn inspect(&self, question: Question) {
        // Full or closed: the one who asks finds out by the silence.
        let _ = self.address.try_send(question);
    }
}
