//! An encoder of our own: the demo clip in real time, with timestamps of the test's choice.

use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use weir::media::flv::file::{Reader, Tag};
use weir::media::frame::Kind;
use weir::rtmp::client::{Client, Event};
use weir::rtmp::url::Url;

const CLIP: &[u8] = include_bytes!("../../../src/cli/demo.flv");

/// Publishes until it is dropped.
pub struct Encoder {
    task: tokio::task::JoinHandle<Result<(), String>>,
    is_held: Arc<AtomicBool>,
    sent: Arc<AtomicU32>,
}

impl Encoder {
    pub async fn start(url: &str) -> Self {
        Self::start_at(url, 0).await.unwrap()
    }

    /// The first timestamp is `from_ms`; the refusal's code and description where the server will not have it.
    pub async fn start_at(url: &str, from_ms: u32) -> Result<Self, String> {
        let mut wire = Wire::connect(url).await?;
        wire.begin().await?;
        let is_held = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU32::new(0));
        let task = tokio::spawn(run(wire, from_ms, is_held.clone(), sent.clone()));
        Ok(Self { task, is_held, sent })
    }

    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Sends nothing from now on, and keeps the connection.
    pub fn hold(&self) {
        self.is_held.store(true, Ordering::Relaxed);
    }

    /// Video frames sent.
    pub fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// What the server said when it ended the publish.
    pub async fn ended(mut self) -> String {
        let ended = tokio::time::timeout(super::DEADLINE, &mut self.task).await;
        ended.expect("the publish ends").unwrap().unwrap_err()
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(mut wire: Wire, from_ms: u32, is_held: Arc<AtomicBool>, sent: Arc<AtomicU32>) -> Result<(), String> {
    let start = Instant::now();
    let tags = tags();
    let length_ms = tags.last().unwrap().1 + 33;
    for round in 0.. {
        for (kind, at_ms, body) in &tags {
            let at_ms = at_ms + round * length_ms;
            while start.elapsed() < Duration::from_millis(at_ms.into()) || is_held.load(Ordering::Relaxed) {
                wire.exchange(Duration::from_millis(5)).await?;
            }
            // Configurations are sent once, as encoders do.
            let is_config = body.get(1) == Some(&0);
            if round > 0 && is_config {
                continue;
            }
            let timestamp_ms = from_ms.wrapping_add(at_ms);
            match kind {
                Kind::Video => wire.client.send_video(timestamp_ms, body.clone()),
                Kind::Audio => wire.client.send_audio(timestamp_ms, body.clone()),
            }
            sent.fetch_add(u32::from(*kind == Kind::Video && !is_config), Ordering::Relaxed);
            wire.exchange(Duration::ZERO).await?;
        }
    }
    Ok(())
}

fn tags() -> Vec<(Kind, u32, Bytes)> {
    let mut reader = Reader::new();
    reader.handle_bytes(CLIP);
    let mut tags = Vec::new();
    while let Some(tag) = reader.poll_tag().unwrap() {
        if let Tag::Media { kind, timestamp_ms, body } = tag {
            tags.push((kind, timestamp_ms, body));
        }
    }
    tags
}

struct Wire {
    socket: TcpStream,
    client: Client,
    is_published: bool,
}

impl Wire {
    async fn connect(url: &str) -> Result<Self, String> {
        let url = Url::parse(url).unwrap();
        let socket = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(|error| error.to_string())?;
        Ok(Self { socket, client: Client::new(url, 1).announce_reconnect(), is_published: false })
    }

    async fn begin(&mut self) -> Result<(), String> {
        let start = Instant::now();
        while !self.is_published {
            assert!(start.elapsed() < super::DEADLINE, "no answer to publish");
            self.exchange(Duration::from_millis(20)).await?;
        }
        Ok(())
    }

    /// Sends what is to be sent and reads for at most `wait`.
    async fn exchange(&mut self, wait: Duration) -> Result<(), String> {
        while let Some(bytes) = self.client.poll_transmit() {
            self.socket.write_all(&bytes).await.map_err(|error| error.to_string())?;
        }
        let mut buffer = [0; 4096];
        let read = match wait {
            Duration::ZERO => match self.socket.try_read(&mut buffer) {
                Ok(read) => read,
                Err(_) => return Ok(()),
            },
            wait => match tokio::time::timeout(wait, self.socket.read(&mut buffer)).await {
                Ok(read) => read.map_err(|error| error.to_string())?,
                Err(_) => return Ok(()),
            },
        };
        if read == 0 {
            return Err("closed".into());
        }
        self.client.handle_bytes(&buffer[..read]).map_err(|error| error.to_string())?;
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Published => self.is_published = true,
                Event::ReconnectRequest { description } => return Err(format!("asked to reconnect: {description}")),
                Event::Refused { code, description } => return Err(format!("{code}: {description}")),
            }
        }
        Ok(())
    }
}
