//! The way to Redis: one connection for all, opened again at most once a second, with an answer or an error in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, FromRedisValue, RedisError, RedisResult, ScriptInvocation};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::cluster::{Error, Result};
use crate::config::Secret;

/// Look-ups are answered within a second, with or without Redis.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(700);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(400);
const TRY_EVERY: Duration = Duration::from_secs(1);
/// Where an address names none.
const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

enum Target {
    Single(Box<Client>),
    Sentinel(Box<Mutex<SentinelClient>>),
    /// Any of the nodes passes messages on to all.
    Cluster(Box<ClusterClient>, Vec<Client>),
}

#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

struct State {
    connection: Option<Connection>,
    /// Told apart, so that a late error of an old one does not end the next.
    generation: u64,
    try_after: Duration,
}

/// Called when Redis goes away and when it is back.
type OnChange = Box<dyn Fn(bool) + Send + Sync>;

pub struct Link {
    target: Target,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    is_away: AtomicBool,
    on_change: OnChange,
}

impl Link {
    /// Does not connect yet. `on_change` is told whether Redis is away.
    pub fn new(url: &Secret, clock: Arc<dyn Clock>, on_change: OnChange) -> Result<Self> {
        let target = parse(url.reveal()).map_err(|error| Error::Unavailable(error.to_string()))?;
        let state = Mutex::new(State { connection: None, generation: 0, try_after: Duration::ZERO });
        Ok(Self { target, clock, state, is_away: AtomicBool::new(false), on_change })
    }

    pub fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    pub(super) async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T> {
        let (connection, generation) = self.connection().await?;
        let answered = match connection {
            Connection::One(mut one) => timeout(ANSWER_TIMEOUT, script.invoke_async(&mut one)).await,
            Connection::Cluster(mut cluster) => timeout(ANSWER_TIMEOUT, script.invoke_async(&mut cluster)).await,
        };
        self.judge(answered.unwrap_or_else(|_| Err(timed_out())), generation).await
    }

    pub(super) async fn publish(&self, channel: &str, message: &str) -> Result<()> {
        let (connection, generation) = self.connection().await?;
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(message);
        let answered = match connection {
            Connection::One(mut one) => timeout(ANSWER_TIMEOUT, command.exec_async(&mut one)).await,
            Connection::Cluster(mut cluster) => timeout(ANSWER_TIMEOUT, command.exec_async(&mut cluster)).await,
        };
        self.judge(answered.unwrap_or_else(|_| Err(timed_out())), generation).await
    }

    /// A connection of its own that listens.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<PubSub> {
        let subscribed = timeout(CONNECT_TIMEOUT, async {
            let mut failed = None;
            for client in self.target.listeners().await? {
                match client.get_async_pubsub().await {
                    Ok(mut listening) => return listening.subscribe(channel).await.map(|()| listening),
                    Err(error) => failed = Some(error),
                }
            }
            Err(failed.unwrap_or_else(timed_out))
        });
        subscribed.await.unwrap_or_else(|_| Err(timed_out())).map_err(|error| Error::Unavailable(error.to_string()))
    }

    async fn connection(&self) -> Result<(Connection, u64)> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), state.generation));
        }
        let now = self.clock.monotonic();
        if now < state.try_after {
            return Err(Error::Unavailable("redis is away".to_owned()));
        }
        state.try_after = now + TRY_EVERY;
        let connected = timeout(CONNECT_TIMEOUT, self.target.connect()).await.unwrap_or_else(|_| Err(timed_out()));
        match connected {
            Ok(connection) => {
                state.generation += 1;
                state.connection = Some(connection.clone());
                Ok((connection, state.generation))
            }
            Err(error) => {
                self.note(true, &error.to_string());
                Err(Error::Unavailable(error.to_string()))
            }
        }
    }

    /// An answer is passed on; after an error that tells of Redis, not of the question, the connection is given up.
    async fn judge<T>(&self, answered: RedisResult<T>, generation: u64) -> Result<T> {
        let error = match answered {
            Ok(answer) => {
                self.note(false, "");
                return Ok(answer);
            }
            Err(error) => error,
        };
        let mut state = self.state.lock().await;
        if state.generation == generation {
            state.connection = None;
            state.try_after = self.clock.monotonic() + TRY_EVERY;
            drop(state);
            self.note(true, &error.to_string());
        }
        Err(Error::Unavailable(error.to_string()))
    }

    fn note(&self, is_away: bool, error: &str) {
        if self.is_away.swap(is_away, Ordering::Relaxed) == is_away {
            return;
        }
        (self.on_change)(is_away);
        if is_away {
            tracing::warn!(error, "redis is away: what runs goes on");
        } else {
            tracing::info!("redis is back");
        }
    }
}

impl Target {
    async fn connect(&self) -> RedisResult<Connection> {
        // The timeouts are ours, so that one call can't take the sum of several.
        let config = || {
            AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(ANSWER_TIMEOUT))
        };
        Ok(match self {
            Self::Single(client) => {
                Connection::One(client.get_multiplexed_async_connection_with_config(&config()).await?)
            }
            Self::Sentinel(sentinel) => {
                let client = sentinel.lock().await.async_get_client().await?;
                Connection::One(client.get_multiplexed_async_connection_with_config(&config()).await?)
            }
            Self::Cluster(client, _) => Connection::Cluster(client.get_async_connection().await?),
        })
    }

    async fn listeners(&self) -> RedisResult<Vec<Client>> {
        Ok(match self {
            Self::Single(client) => vec![Client::clone(client)],
            Self::Sentinel(sentinel) => vec![sentinel.lock().await.async_get_client().await?],
            Self::Cluster(_, nodes) => nodes.clone(),
        })
    }
}

fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// `redis://`, `rediss://`, `redis-cluster://HOST,HOST`, `redis-sentinel://HOST,HOST/MASTER`; the user and password of
/// the last two are those of the servers.
fn parse(url: &str) -> RedisResult<Target> {
    let invalid = |what: &'static str| RedisError::from((redis::ErrorKind::InvalidClientConfig, what));
    let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("no address of a Redis"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let at = if user.is_empty() { "" } else { "@" };
    match scheme {
        "redis-cluster" => {
            let nodes = hosts.split(',').map(|host| format!("redis://{user}{at}{host}")).collect::<Vec<_>>();
            let client = ClusterClient::builder(nodes.clone())
                .retries(1)
                .connection_timeout(CONNECT_TIMEOUT)
                .response_timeout(ANSWER_TIMEOUT)
                .build()?;
            let nodes = nodes.into_iter().map(Client::open).collect::<RedisResult<_>>()?;
            Ok(Target::Cluster(Box::new(client), nodes))
        }
        "redis-sentinel" => {
            let (master, db) = path.split_once('/').unwrap_or((path, ""));
            if master.is_empty() {
                return Err(invalid("after the sentinels comes the name of the master: redis-sentinel://HOST/MASTER"));
            }
            let hosts = hosts.split(',').map(sentinel).collect::<Option<Vec<_>>>();
            let hosts = hosts.ok_or_else(|| invalid("a sentinel's port is a number up to 65535"))?;
            let mut builder = SentinelClientBuilder::new(hosts, master, SentinelServerType::Master)?;
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            if !name.is_empty() {
                builder = builder.set_client_to_redis_username(name);
            }
            if !password.is_empty() {
                builder = builder.set_client_to_redis_password(password);
            }
            if !db.is_empty() {
                let db = db.parse().map_err(|_| invalid("the number of a database follows the master's name"))?;
                builder = builder.set_client_to_redis_db(db);
            }
            Ok(Target::Sentinel(Box::new(Mutex::new(builder.build()?))))
        }
        _ if hosts.contains(',') => Err(invalid("several hosts: redis-cluster:// or redis-sentinel://")),
        _ => {
            let port = if hosts.rsplit_once(':').is_some() { String::new() } else { format!(":{REDIS_PORT}") };
            let path = if path.is_empty() { String::new() } else { format!("/{path}") };
            Ok(Target::Single(Box::new(Client::open(format!("{scheme}://{user}{at}{hosts}{port}{path}"))?)))
        }
    }
}

fn sentinel(host: &str) -> Option<ConnectionAddr> {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(']') || !port.ends_with(']') => {
            Some(ConnectionAddr::Tcp(name.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
        }
        _ => Some(ConnectionAddr::Tcp(host.trim_matches(['[', ']']).to_owned(), SENTINEL_PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_address_is_understood() {
        assert!(matches!(parse("redis://127.0.0.1").unwrap(), Target::Single(_)));
        assert!(matches!(parse("redis://:secret@127.0.0.1:1/2").unwrap(), Target::Single(_)));
        assert!(matches!(parse("rediss://redis.example.com").unwrap(), Target::Single(_)));
        assert!(matches!(parse("redis-cluster://a:1,b:2").unwrap(), Target::Cluster(_, nodes) if nodes.len() == 2));
        assert!(matches!(parse("redis-sentinel://u:p@a:1,b/main/3").unwrap(), Target::Sentinel(_)));
        for url in ["redis-sentinel://a:1", "redis-sentinel://a:x/main", "redis-sentinel://a/main/x", "redis://a,b"] {
            assert!(parse(url).is_err(), "{url}");
        }
    }
}
