//! A viewer by WebSocket.

use super::{Chunk, DEADLINE, Stream, Weir, ftyp, parse_chunk};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// What a viewer got, in order.
#[derive(Debug, Clone)]
pub enum Seen {
    Text(Value),
    Init,
    Chunk(Chunk),
    Close(u16),
    /// The connection ended without a close frame.
    Gone,
}

impl Seen {
    pub fn is(&self, kind: &str) -> bool {
        matches!(self, Self::Text(text) if text["type"] == kind)
    }
}

pub struct Viewer {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The sub-protocol that the server selected.
    pub protocol: Option<String>,
}

impl Viewer {
    /// `protocols` as in `Sec-WebSocket-Protocol`; empty: none.
    pub async fn connect(weir: &Weir, stream: &Stream, protocols: &str) -> Self {
        Self::try_connect(weir, stream, protocols, &[]).await.unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    /// The response with which the upgrade was refused.
    pub async fn try_connect(
        weir: &Weir,
        stream: &Stream,
        protocols: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Box<Response<Option<Vec<u8>>>>> {
        let url = format!("ws://{}/live/{}", weir.http, stream.playback_id);
        let mut request = url.into_client_request().unwrap();
        if !protocols.is_empty() {
            request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_str(protocols).unwrap());
        }
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let protocol = protocol.map(|p| p.to_str().unwrap().to_owned());
                Ok(Self { socket, protocol })
            }
            Err(Error::Http(response)) => Err(response),
            Err(other) => panic!("{other}"),
        }
    }

    /// None where the node does not take it.
    pub async fn connect_to(http: &str, stream: &Stream, protocols: &str) -> Option<Self> {
        let url = format!("ws://{http}/live/{}", stream.playback_id);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_str(protocols).unwrap());
        let connected = tokio::time::timeout(DEADLINE, tokio_tungstenite::connect_async(request)).await.ok()?;
        connected.ok().map(|(socket, _)| Self { socket, protocol: Some(protocols.to_owned()) })
    }

    pub async fn next(&mut self) -> Seen {
        loop {
            let message = tokio::time::timeout(DEADLINE, self.socket.next()).await.expect("a message in time");
            match message {
                Some(Ok(Message::Text(text))) => return Seen::Text(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Binary(bytes))) if ftyp(&bytes) => return Seen::Init,
                Some(Ok(Message::Binary(bytes))) => return Seen::Chunk(parse_chunk(&bytes)),
                Some(Ok(Message::Close(frame))) => return Seen::Close(frame.map_or(1005, |f| f.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Seen::Gone,
            }
        }
    }

    /// Reads up to the first that `wanted` names, that one included.
    pub async fn until(&mut self, wanted: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let mut seen = Vec::new();
        let read = async {
            loop {
                let next = self.next().await;
                let is_end = wanted(&next) || matches!(next, Seen::Gone);
                seen.push(next);
                if is_end {
                    return;
                }
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, read).await;
        let texts: Vec<_> = seen.iter().filter(|s| !matches!(s, Seen::Chunk(_) | Seen::Init)).collect();
        assert!(in_time.is_ok() && wanted(seen.last().unwrap()), "not seen in {} messages: {texts:?}", seen.len());
        seen
    }

    /// Reads `count` fragments of the video track, and everything between them.
    pub async fn video(&mut self, count: usize) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut found = 0;
        while found < count {
            let next = self.next().await;
            assert!(!matches!(next, Seen::Gone | Seen::Close(_)), "{next:?} after {found} frames");
            found += usize::from(matches!(next, Seen::Chunk(chunk) if chunk.track == 1));
            seen.push(next);
        }
        seen
    }

    pub async fn say(&mut self, text: Value) {
        self.socket.send(Message::text(text.to_string())).await.unwrap();
    }
}
