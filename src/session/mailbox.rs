//! A hub as its stream sees it.

use crate::session::hub::Hub;
use crate::stream::packet::Packet;
use crate::stream::subscriber::{Refused, Subscriber, SubscriberId};
use actix::dev::SendError as Unsent;
use actix::{Addr, Message};

pub(super) struct HubMailbox {
    pub(super) id: SubscriberId,
    pub(super) address: Addr<Hub>,
}

impl Message for Packet {
    type Result = ();
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
}
