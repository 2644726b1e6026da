//! `weir publish`: an FLV or MP4 file to an RTMP server, in real time.

mod clip;
mod fragments;
mod mp4;
mod wire;

pub use clip::{Clip, Repeat};

use crate::rtmp::url::Url;
use clip::{Body, Tag};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use wire::Wire;

/// Tags read ahead of their time.
const TAGS_AHEAD: usize = 64;
/// For the server to let the publish begin: it may have to wait for another node's lease to run out.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(15);
const REPORT_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Url(crate::rtmp::Error),
    #[error("{path}: {error}")]
    Open { path: String, error: std::io::Error },
    #[error("the file can't be published: {0}")]
    Clip(#[from] clip::Error),
    #[error("{host}:{port} can't be reached: {error}")]
    Connect { host: String, port: u16, error: std::io::Error },
    #[error("the server refused: {description} ({code})")]
    Refused { code: String, description: String },
    #[error("the server does not speak RTMP: {0}")]
    Protocol(crate::rtmp::Error),
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server did not let the publish begin within {} s", BEGIN_TIMEOUT.as_secs())]
    Timeout,
}

/// What has been published so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub media: Duration,
    pub bytes: u64,
    pub tags: u64,
    /// How late the newest tag was sent.
    pub behind: Duration,
}

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where to: rtmp://HOST[:PORT]/live/STREAM_KEY
    url: String,
    /// An FLV or MP4 file, fragmented or not; an MP4 file's tracks in H.264 and AAC
    file: PathBuf,
    /// Starts again at the end of the file, with timestamps that go on
    #[arg(long = "loop")]
    repeat: bool,
}

/// The command; ends at the end of the file or at Ctrl-C.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let url = Url::parse(&arguments.url).map_err(Error::Url)?;
    let clip = Clip::open(&arguments.file)
        .map_err(|error| Error::Open { path: arguments.file.display().to_string(), error })?;
    let repeat = if arguments.repeat { Repeat::Endless } else { Repeat::Once };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(publish_shown(&url, clip, repeat))
}

/// With a line on the terminal that says how far it is.
async fn publish_shown(url: &Url, clip: Clip, repeat: Repeat) -> Result<(), Error> {
    let is_terminal = std::io::stderr().is_terminal();
    let report = |progress| {
        if is_terminal {
            show(&format!("\r{}\x1b[K", line(&progress)));
        }
    };
    let published = publish(url, clip, repeat, interrupted(), report).await;
    match &published {
        Ok(progress) if !is_terminal => show(&format!("{}\n", line(progress))),
        _ if is_terminal => show("\n"),
        _ => {}
    }
    published.map(drop)
}

async fn interrupted() {
    // Without a handler for signals the default one ends the process.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Publishes until the clip ends or `stop` resolves; `report` is called twice a second.
pub async fn publish(
    url: &Url,
    clip: Clip,
    repeat: Repeat,
    stop: impl Future<Output = ()>,
    mut report: impl FnMut(Progress),
) -> Result<Progress, Error> {
    let (sender, mut tags) = mpsc::channel(TAGS_AHEAD);
    let reader = std::thread::spawn(move || clip.read(repeat, &sender));
    let mut stop = pin!(stop);
    let mut wire = Wire::connect(url).await?;
    tokio::select! {
        begun = tokio::time::timeout(BEGIN_TIMEOUT, wire.begin()) => begun.unwrap_or(Err(Error::Timeout))?,
        () = &mut stop => return Ok(Progress::default()),
    }
    let progress = relay(&mut wire, &mut tags, stop, &mut report).await?;
    wire.end().await;
    drop(tags);
    match reader.join() {
        Ok(read) => read?,
        Err(panic) => std::panic::resume_unwind(panic),
    }
    report(progress);
    Ok(progress)
}

async fn relay(
    wire: &mut Wire,
    tags: &mut mpsc::Receiver<Tag>,
    mut stop: impl Future<Output = ()> + Unpin,
    report: &mut impl FnMut(Progress),
) -> Result<Progress, Error> {
    let start = Instant::now();
    let mut reported = start;
    let mut progress = Progress::default();
    let mut next: Option<Tag> = None;
    loop {
        let due = start + next.as_ref().map_or(Duration::ZERO, |tag| tag.at);
        tokio::select! {
            biased;
            () = &mut stop => return Ok(progress),
            received = wire.receive() => received?,
            tag = tags.recv(), if next.is_none() => match tag {
                Some(tag) => next = Some(tag),
                None => return Ok(progress),
            },
            () = sleep_until(due), if next.is_some() => {
                if let Some(tag) = next.take() {
                    progress.media = tag.at;
                    progress.bytes += tag.body.len() as u64;
                    progress.tags += 1;
                    progress.behind = due.elapsed();
                    wire.send(tag);
                }
            }
        }
        tokio::select! {
            flushed = wire.flush() => flushed?,
            () = &mut stop => return Ok(progress),
        }
        if reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            report(progress);
        }
    }
}

fn line(progress: &Progress) -> String {
    let seconds = progress.media.as_secs();
    let rate_kbps = progress.bytes * 8 / progress.media.as_millis().max(1) as u64;
    let behind = match progress.behind.as_millis() {
        0..100 => String::new(),
        late_ms => format!(", {late_ms} ms late"),
    };
    format!("{:02}:{:02}:{:02} published, {rate_kbps} kbit/s{behind}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn show(text: &str) {
    // Nobody is there to be told that the terminal is gone.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

impl Tag {
    fn send_to(self, client: &mut crate::rtmp::client::Client) {
        let timestamp_ms = self.at.as_millis() as u32;
        match self.body {
            Body::Video(payload) => client.send_video(timestamp_ms, payload),
            Body::Audio(payload) => client.send_audio(timestamp_ms, payload),
            Body::Metadata(properties) => client.send_metadata(properties),
        }
    }
}
