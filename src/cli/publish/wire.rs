//! The connection of a publisher: a socket and the client's machine.

use super::Error;
use super::clip::Tag;
use crate::rtmp::client::{Client, Event};
use crate::rtmp::url::Url;
use bytes::BytesMut;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For the server to say why, once it takes nothing more.
const REASON_TIMEOUT: Duration = Duration::from_secs(1);
/// For the rest to be sent and the server to close.
const END_TIMEOUT: Duration = Duration::from_secs(2);
const SCRATCH_BYTES: usize = 4096;

pub(super) struct Wire {
    stream: TcpStream,
    client: Client,
    received: BytesMut,
    unsent: BytesMut,
    published: bool,
}

impl Wire {
    pub(super) async fn connect(url: &Url) -> Result<Self, Error> {
        let failed = |error| Error::Connect { host: url.host.clone(), port: url.port, error };
        let connecting = TcpStream::connect((url.host.as_str(), url.port));
        let stream = timeout(CONNECT_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(failed)?;
        let random = getrandom::u64().unwrap_or_default();
        Ok(Self {
            stream,
            client: Client::new(url.clone(), random),
            received: BytesMut::new(),
            unsent: BytesMut::new(),
            published: false,
        })
    }

    /// Until the server wants media.
    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        while !self.published {
            self.flush().await?;
            self.receive().await?;
        }
        Ok(())
    }

    /// Waits for what the server says; can be dropped at any await without a loss.
    pub(super) async fn receive(&mut self) -> Result<(), Error> {
        self.received.reserve(SCRATCH_BYTES);
        let bytes = self.stream.read_buf(&mut self.received).await?;
        let handled = self.client.handle_bytes(&self.received);
        self.received.clear();
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Published => self.published = true,
                Event::Refused { code, description } => return Err(Error::Refused { code, description }),
                Event::ReconnectRequest { .. } => {}
            }
        }
        handled.map_err(Error::Protocol)?;
        if bytes == 0 { Err(Error::Closed) } else { Ok(()) }
    }

    pub(super) fn send(&mut self, tag: Tag) {
        tag.send_to(&mut self.client);
    }

    /// Sends all there is; can be dropped at any await without a loss.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        while let Some(bytes) = self.client.poll_transmit() {
            self.unsent.extend_from_slice(&bytes);
        }
        while !self.unsent.is_empty() {
            if let Err(error) = self.stream.write_buf(&mut self.unsent).await {
                return Err(self.reason().await.unwrap_or(Error::Broken(error)));
            }
        }
        Ok(())
    }

    /// Says that the publish is over, and waits a little for the server to have read it all.
    pub(super) async fn end(mut self) {
        self.client.unpublish();
        let ending = async {
            self.flush().await?;
            self.stream.shutdown().await?;
            loop {
                self.receive().await?;
            }
        };
        // However it ends, it is over.
        let _: Result<Result<(), Error>, _> = timeout(END_TIMEOUT, ending).await;
    }

    /// What the server said before it closed.
    async fn reason(&mut self) -> Option<Error> {
        let listening = async {
            loop {
                match self.receive().await {
                    Err(refused @ Error::Refused { .. }) => return Some(refused),
                    Err(_) => return None,
                    Ok(()) => {}
                }
            }
        };
        timeout(REASON_TIMEOUT, listening).await.ok().flatten()
    }
}
