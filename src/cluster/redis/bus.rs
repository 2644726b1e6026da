//! Messages between nodes by Redis's publish and subscribe. What can be missed is read again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use redis::aio::PubSub;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::Link;
use crate::cluster::{Bus, Error, Listener, LocalBus, Message, Result};

const CHANNEL: &str = "bus";
/// A listening connection that does not answer for this long is broken.
const PING_EVERY: Duration = Duration::from_millis(500);
const PING_TIMEOUT: Duration = Duration::from_millis(1_000);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const TRY_EVERY: Duration = Duration::from_secs(1);
/// Messages that wait for Redis to be back; past it, everybody is told to read everything again.
const OWED_MAX: usize = 256;

#[derive(Serialize, Deserialize)]
struct Envelope<M> {
    /// The sender's incarnation: it has heard its own message already.
    from: String,
    message: M,
}

pub struct RedisBus {
    link: Arc<Link>,
    incarnation: String,
    local: LocalBus,
    owed: Mutex<VecDeque<Message>>,
    /// Something is owed.
    due: Notify,
}

impl RedisBus {
    /// [`RedisBus::listen`] has to run for messages to come and go.
    pub fn new(link: Arc<Link>, incarnation: String) -> Self {
        Self { link, incarnation, local: LocalBus::default(), owed: Mutex::default(), due: Notify::new() }
    }

    /// For as long as the process lives.
    pub async fn listen(self: Arc<Self>) {
        tokio::join!(self.hear(), self.pay());
    }

    async fn hear(&self) {
        let mut is_late = false;
        loop {
            // The link finds out when it is back, and nobody else tries.
            if self.link.is_away() {
                sleep(LOOK_EVERY).await;
                continue;
            }
            match self.link.subscribe(CHANNEL).await {
                Ok(listening) => {
                    if std::mem::replace(&mut is_late, true) {
                        tracing::info!("messages of other nodes may have been missed: everything is read again");
                        self.local.tell(&Message::Reread);
                    }
                    let error = self.hear_from(listening).await;
                    tracing::warn!(%error, "messages of other nodes don't come in");
                }
                Err(error) => {
                    is_late = true;
                    tracing::debug!(%error, "messages of other nodes don't come in yet");
                }
            }
            sleep(TRY_EVERY).await;
        }
    }

    async fn hear_from(&self, listening: PubSub) -> Error {
        let (mut sink, mut stream) = listening.split();
        let hear = async {
            while let Some(message) = stream.next().await {
                self.handle(message.get_payload_bytes());
            }
            Error::Unavailable("the connection ended".to_owned())
        };
        let ping = async {
            loop {
                sleep(PING_EVERY).await;
                match timeout(PING_TIMEOUT, sink.ping::<redis::Value>()).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return Error::Unavailable(error.to_string()),
                    Err(_) => return Error::Unavailable("no answer".to_owned()),
                }
            }
        };
        tokio::select! {
            error = hear => error,
            error = ping => error,
        }
    }

    fn handle(&self, payload: &[u8]) {
        match serde_json::from_slice::<Envelope<Message>>(payload) {
            Ok(envelope) if envelope.from == self.incarnation => {}
            Ok(envelope) => self.local.tell(&envelope.message),
            Err(error) => {
                // Of a newer version, perhaps: what it changed can be read.
                tracing::warn!(%error, "a message of another node is not understood: everything is read again");
                self.local.tell(&Message::Reread);
            }
        }
    }

    /// Sends what could not be sent, once Redis is back.
    async fn pay(&self) {
        loop {
            self.due.notified().await;
            while let Some(message) = self.next_owed() {
                if self.send(&message).await.is_err() {
                    self.owe(message);
                    sleep(TRY_EVERY).await;
                }
            }
        }
    }

    async fn send(&self, message: &Message) -> Result<()> {
        let envelope = Envelope { from: self.incarnation.clone(), message };
        let text = serde_json::to_string(&envelope).expect("texts are JSON");
        self.link.publish(CHANNEL, &text).await
    }

    fn owe(&self, message: Message) {
        let mut owed = self.owed();
        if owed.len() >= OWED_MAX {
            owed.clear();
            owed.push_back(Message::Reread);
        } else {
            owed.push_back(message);
        }
        self.due.notify_one();
    }

    fn next_owed(&self) -> Option<Message> {
        self.owed().pop_front()
    }

    fn owed(&self) -> MutexGuard<'_, VecDeque<Message>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, message: Message) -> Result<()> {
        self.local.tell(&message);
        let sent = self.send(&message).await;
        if sent.is_err() {
            self.owe(message);
        }
        sent
    }

    fn subscribe(&self, listener: Arc<dyn Listener>) {
        self.local.subscribe(listener);
    }
}
