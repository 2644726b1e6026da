//! `weir token`: a viewer token for a stream of the configured database. It only reads, also beside a running node.

use crate::api::tokens::{TTL_S_MAX, sign};
use crate::auth;
use crate::auth::secret::Secrets;
use crate::auth::token::{Claims, Streams};
use crate::clock::{Clock as _, System};
use crate::config::{self, Config, DatabaseUrl};
use crate::id::{PlaybackId, StreamId};
use crate::store::{self, Page, Postgres, Sqlite, Store, Stream, StreamFilter};
use clap::Args;
use std::sync::Arc;
use std::time::Duration;

/// Streams of one name that an error lists.
const NAMESAKES_MAX: u32 = 10;

#[derive(Debug, Args)]
pub struct Arguments {
    /// A stream: its id (str_...), its playback id (play_...) or its name.
    pub stream: String,
    /// How long the token is good for: 90s, 15m, 1h, 7d.
    #[arg(long, default_value = "1h", value_parser = ttl)]
    pub ttl: Duration,
    /// Whom it is for, as sessions and webhooks will show it.
    #[arg(long, value_name = "ID")]
    pub sub: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no stream is called `{0}`")]
    NoStream(String),
    #[error("more than one stream is called `{name}`; name it by its id: {ids}")]
    Namesakes { name: String, ids: String },
    #[error("there is no root secret yet, so there are no keys to sign with: run `weir serve` once")]
    NoSecret,
    #[error("the stream's tenant has no signing key of ours")]
    NoKey,
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(transparent)]
    Auth(#[from] auth::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("can't run: {0}")]
    Runtime(#[from] std::io::Error),
}

fn ttl(text: &str) -> Result<Duration, String> {
    let most = Duration::from_secs(TTL_S_MAX.into());
    let ttl = config::duration(text).filter(|ttl| (Duration::from_secs(1)..=most).contains(ttl));
    ttl.ok_or_else(|| "a time from 1s to 30d, such as 90s, 15m, 1h or 7d".to_owned())
}

/// The token.
pub fn run(arguments: &Arguments, config: &Config) -> Result<String, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let root = config.known_root_secret()?.ok_or(Error::NoSecret)?;
        let secrets = Secrets::derive(root.reveal())?;
        let store = open(&config.database.url).await?;
        make(arguments, &*store, &secrets, System::new().unix_us() / 1_000_000).await
    })
}

async fn open(url: &DatabaseUrl) -> Result<Arc<dyn Store>, Error> {
    Ok(match url {
        DatabaseUrl::Sqlite(path) => Arc::new(Sqlite::open_read_only(path).await?),
        DatabaseUrl::Postgres(url) => Arc::new(Postgres::connect(url.reveal()).await?),
    })
}

/// The same on a store that is open.
pub async fn make(arguments: &Arguments, store: &dyn Store, secrets: &Secrets, now_s: i64) -> Result<String, Error> {
    let stream = find(store, &arguments.stream).await?;
    let keys = store.signing_keys(&stream.tenant).await?;
    let ttl_s = i64::try_from(arguments.ttl.as_secs()).unwrap_or(i64::from(TTL_S_MAX));
    let claims = Claims {
        subject: arguments.sub.clone(),
        streams: Streams::One(stream.playback_id.to_string()),
        expires_s: now_s + ttl_s,
        not_before_s: None,
        issued_s: Some(now_s),
        id: None,
        ip: None,
        origin: None,
        max_sessions: None,
    };
    sign(&keys, secrets, &claims)?.ok_or(Error::NoKey)
}

async fn find(store: &dyn Store, called: &str) -> Result<Stream, Error> {
    let none = || Error::NoStream(called.to_owned());
    if let Ok(id) = StreamId::parse(called)
        && let Some(stream) = store.stream(&id).await?
    {
        return Ok(stream);
    }
    if let Ok(id) = PlaybackId::parse(called)
        && let Some(play) = store.play(&id).await?
    {
        return Ok(play.stream);
    }
    let filter = StreamFilter { name: Some(called.to_owned()), ..StreamFilter::default() };
    let mut found = store.streams(&filter, &Page { limit: NAMESAKES_MAX, after: None }).await?;
    if found.len() > 1 {
        let ids: Vec<_> = found.iter().map(|stream| stream.id.as_str()).collect();
        return Err(Error::Namesakes { name: called.to_owned(), ids: ids.join(", ") });
    }
    found.pop().ok_or_else(none)
}
