//! `weir migrate`: brings the configured database up to date; with `--from`, copies another into it; with
//! `--accept-secret`, takes another root secret.

use crate::app::root;
use crate::config::{Config, DatabaseUrl};
use crate::store::{self, Conflict, Postgres, Source, Sqlite, Store};
use clap::Args;

#[derive(Debug, Args)]
pub struct Arguments {
    /// A database to copy into the configured one, which must be empty. Its node must be stopped.
    #[arg(long, value_name = "URL", value_parser = url)]
    pub from: Option<DatabaseUrl>,
    /// Goes on with the configured root secret although the database's was another: where that one is lost.
    #[arg(long, conflicts_with = "from")]
    pub accept_secret: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the configured database is not empty; a copy goes into an empty one only")]
    NotEmpty,
    #[error("{} is not there", .0.display())]
    NoSource(std::path::PathBuf),
    #[error("both are the same database")]
    Same,
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Secret(anyhow::Error),
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    #[error("can't run: {0}")]
    Runtime(#[from] std::io::Error),
}

fn url(text: &str) -> Result<DatabaseUrl, String> {
    DatabaseUrl::parse(text).ok_or_else(|| "sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE".to_owned())
}

/// What was done, for a person to read.
pub fn run(arguments: &Arguments, config: &Config) -> Result<String, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let to = &config.database.url;
    runtime.block_on(async {
        match &arguments.from {
            Some(from) => copy(from, to).await,
            None if arguments.accept_secret => accept_secret(config).await,
            None => {
                Target::open(to).await?.close().await;
                Ok("the database is up to date".to_owned())
            }
        }
    })
}

async fn accept_secret(config: &Config) -> Result<String, Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    let target = Target::open(&config.database.url).await?;
    let accepted = root::accept(config, target.store(), random).await;
    target.close().await;
    accepted.map_err(Error::Secret)?;
    Ok("the database goes on with this root secret; make new keys, tokens and webhooks where it was another".to_owned())
}

async fn copy(from: &DatabaseUrl, to: &DatabaseUrl) -> Result<String, Error> {
    if from == to {
        return Err(Error::Same);
    }
    if let DatabaseUrl::Sqlite(path) = from
        && !path.exists()
    {
        return Err(Error::NoSource(path.clone()));
    }
    // Opened as a node would, so that it has the same tables and nobody writes it meanwhile.
    let source = Target::open(from).await?;
    let target = Target::open(to).await?;
    let copied = target.copy_from(source.source()).await;
    source.close().await;
    target.close().await;
    let copied = copied.map_err(|error| match error {
        store::Error::Conflict(Conflict::Exists) => Error::NotEmpty,
        other => Error::Store(other),
    })?;
    Ok(format!("{copied} rows were copied; keep the root secret, without it the keys are worth nothing"))
}

enum Target {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Target {
    async fn open(url: &DatabaseUrl) -> store::Result<Self> {
        Ok(match url {
            DatabaseUrl::Sqlite(path) => Self::Sqlite(Sqlite::open(path).await?),
            DatabaseUrl::Postgres(url) => {
                let store = Postgres::connect(url.reveal()).await?;
                store.migrate().await?;
                Self::Postgres(store)
            }
        })
    }

    fn store(&self) -> &dyn Store {
        match self {
            Self::Sqlite(store) => store,
            Self::Postgres(store) => store,
        }
    }

    fn source(&self) -> &dyn Source {
        match self {
            Self::Sqlite(store) => store,
            Self::Postgres(store) => store,
        }
    }

    async fn copy_from(&self, source: &dyn Source) -> store::Result<u64> {
        match self {
            Self::Sqlite(store) => store.copy_from(source).await,
            Self::Postgres(store) => store.copy_from(source).await,
        }
    }

    async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}
