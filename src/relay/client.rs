//! One relay's connection to a stream's owner.

use crate::id::StreamId;
use crate::media::fmp4::FRAME_MAX_BYTES;
use crate::net::socket;
use crate::relay::protocol::{FollowerMessage, SUBPROTOCOL};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);
/// A frame and its boxes.
const MESSAGE_BYTES_MAX: usize = FRAME_MAX_BYTES + 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("`{0}` is no address of a node's internal listener; allowed is http://HOST:PORT")]
    Address(String),
    #[error("the owner can't be reached: {0}")]
    Connect(#[from] std::io::Error),
    #[error("the owner does not answer")]
    Timeout,
    #[error("the owner refuses: HTTP {0}")]
    Refused(u16),
    #[error("the relay broke: {0}")]
    Broken(tungstenite::Error),
    #[error("the owner ended the relay")]
    Closed,
}

impl From<tungstenite::Error> for Failed {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Http(response) => Self::Refused(response.status().as_u16()),
            tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Self::Closed,
            other => Self::Broken(other),
        }
    }
}

/// What came over a relay.
pub(super) enum Received {
    Text(Utf8Bytes),
    Binary(Bytes),
}

pub(super) struct Link {
    socket: WebSocketStream<TcpStream>,
}

impl Link {
    /// `base` is the owner's internal listener.
    pub(super) async fn open(base: &str, stream: &StreamId, credential: &str) -> Result<Self, Failed> {
        let wrong = || Failed::Address(base.to_owned());
        let uri: Uri = base.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(wrong)?;
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        let url = format!("ws://{address}/internal/v1/relay/{stream}");
        let mut request = url.into_client_request()?;
        let bearer = HeaderValue::from_str(&format!("Bearer {credential}")).map_err(|_| wrong())?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
        let tcp = connected.map_err(|_| Failed::Timeout)??;
        socket::tune(&tcp)?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let shaken = timeout(HANDSHAKE_TIMEOUT, client_async_with_config(request, tcp, Some(config))).await;
        let (socket, _) = shaken.map_err(|_| Failed::Timeout)??;
        Ok(Self { socket })
    }

    /// The next message; nothing is lost where this is given up before it is ready.
    pub(super) async fn receive(&mut self) -> Result<Received, Failed> {
        loop {
            match self.socket.next().await.ok_or(Failed::Closed)?? {
                Message::Text(text) => return Ok(Received::Text(text)),
                Message::Binary(bytes) => return Ok(Received::Binary(bytes)),
                Message::Close(_) => return Err(Failed::Closed),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    pub(super) async fn say(&mut self, message: &FollowerMessage) -> Result<(), Failed> {
        Ok(self.socket.send(Message::text(message.to_json())).await?)
    }
}
