//! What a node is told: one struct per concern. The one reader of files and environment.
//!
//! `weir.toml`, over it variables (`WEIR_` + section + `_` + key), over it flags. One table (`config/keys.rs`) knows every key.

mod current;
mod keys;
mod reload;
mod value;

use ipnet::IpNet;
use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use keys::KEYS;

pub use current::Current;
pub use reload::Reload;
pub use value::duration;

/// Read where no other file is named, if it is there.
const FILE: &str = "weir.toml";

/// Variables with our prefix that are read by the tests, not by a node.
const NOT_OURS: [&str; 1] = ["WEIR_CORPUS"];

#[derive(Debug, Clone)]
pub struct Config {
    pub http: Http,
    pub rtmp: Rtmp,
    pub rtmps: Rtmps,
    pub internal: Internal,
    pub database: Database,
    pub redis: Redis,
    pub node: Node,
    pub tls: Option<Tls>,
    pub limits: Limits,
    pub log: Log,
    pub webhooks: Webhooks,
    /// The root secret; unset: made at the first start in `data_dir`.
    pub secret: Option<Secret>,
    /// A platform API key; unset: made at the first start.
    pub admin_key: Option<Secret>,
    pub trusted_proxies: Vec<IpNet>,
    /// Base of links given out, without a slash at its end.
    pub public_url: Option<String>,
    pub drain_timeout: Duration,
    /// Where what is made at the first start is kept.
    pub data_dir: PathBuf,
}

/// Viewers, API, pages.
#[derive(Debug, Clone)]
pub struct Http {
    pub listen: SocketAddr,
}

/// Publishers.
#[derive(Debug, Clone)]
pub struct Rtmp {
    pub listen: SocketAddr,
}

/// Publishers who want their key kept from who is in between.
#[derive(Debug, Clone)]
pub struct Rtmps {
    /// None: not listened for.
    pub listen: Option<SocketAddr>,
}

/// Metrics, node to node; never for the public.
#[derive(Debug, Clone)]
pub struct Internal {
    pub listen: SocketAddr,
}

#[derive(Debug, Clone)]
pub struct Database {
    pub url: DatabaseUrl,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    Sqlite(PathBuf),
    /// With its password, if it has one.
    Postgres(Secret),
}

impl DatabaseUrl {
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return value::base(text, &["postgres", "postgresql"]).map(|_| Self::Postgres(Secret::new(text)));
        }
        let path = text.strip_prefix("sqlite://")?;
        let plain = !path.is_empty() && !path.contains(['?', '#', '\0']);
        plain.then(|| Self::Sqlite(path.into()))
    }
}

#[derive(Debug, Clone)]
pub struct Redis {
    /// None: one node.
    pub url: Option<Secret>,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub id: String,
    /// How other nodes reach this one's internal listener; unset: by its address.
    pub url: Option<String>,
}

/// Read again when the files change.
#[derive(Debug, Clone)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// What is bounded, and by how much.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Held for one viewer who is behind; past it, frames are dropped up to the next keyframe.
    pub outbox_bytes: usize,
    /// Held for all viewers and streams; past it new viewers are sent away, and those furthest behind have to go.
    pub node_bytes: usize,
    /// Held of one stream for viewers who join.
    pub backlog_bytes: usize,
    /// The same in seconds: room for a keyframe each 10 s, what encoders do when nobody chose, twice.
    pub backlog_s: u32,
    /// A request of the API.
    pub api_body_bytes: usize,
    /// Requests of the API that one key may make in a second.
    pub api_rate: u32,
    /// From one address, before they have shown a key or token.
    pub address_connections: u32,
    /// Wrong keys and tokens from one address in a minute; past it they are answered from memory.
    pub failed_tries: u32,
    pub rtmp_handshake: Duration,
    /// For the head of a request to come in.
    pub http_headers: Duration,
    pub http_header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            outbox_bytes: 256 << 10,
            node_bytes: 1 << 30,
            backlog_bytes: 32 << 20,
            backlog_s: 20,
            api_body_bytes: 1 << 20,
            api_rate: 300,
            address_connections: 200,
            failed_tries: 10,
            rtmp_handshake: Duration::from_secs(5),
            http_headers: Duration::from_secs(5),
            http_header_bytes: 16 << 10,
        }
    }
}

/// Outgoing calls: to webhooks, and for keys.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// Called although they are not public, on any port.
    pub allowed_networks: Vec<IpNet>,
    /// Tenants' key sets are fetched this often.
    pub keys_every: Duration,
}

#[derive(Debug, Clone)]
pub struct Log {
    pub format: LogFormat,
    /// What is told, by levels and targets; unset: what the command tells by itself. `RUST_LOG` stands above it.
    pub filter: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Text,
    Json,
}

/// A text that does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Where a setting was said, by the name that it has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    File(String),
    Variable(String),
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(key) => write!(f, "`{key}` in the configuration file"),
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::Flag(key) => write!(f, "the flag for `{key}`"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{at} is unknown; known are {known}")]
    Unknown { at: Source, known: String },
    #[error("{at} is `{value}`; allowed is {allowed}")]
    Value { at: Source, value: String, allowed: &'static str },
    #[error("{0}")]
    Together(&'static str),
    #[error("{}: {what}", path.display())]
    File { path: PathBuf, what: String },
    #[error("{at} is not the root secret that the keys in the database were made with: restore {}, or set WEIR_SECRET to what it was. {LOST}", path.display())]
    OtherSecret { at: String, path: PathBuf },
    #[error("the root secret that the keys in the database were made with is missing: restore {}, or set WEIR_SECRET to what it was. {LOST}", .0.display())]
    NoSecret(PathBuf),
}

const LOST: &str = "If it is lost, `weir migrate --accept-secret` goes on with another: every key, token and webhook \
     secret in the database is void then";

impl Config {
    /// As the process was started: its file, its environment, its flags as pairs of key and value.
    pub fn from_process(path: Option<&Path>, flags: &[(String, String)]) -> Result<Self, Error> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("WEIR_"))?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        Self::load(path, environment, flags)
    }

    /// `path` None: `weir.toml`, if it is there.
    pub fn load(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Self, Error> {
        let named = path.unwrap_or(Path::new(FILE));
        let text = match std::fs::read_to_string(named) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && path.is_none() => String::new(),
            Err(error) => return Err(file_error(named, &error)),
        };
        let table = text.parse::<toml::Table>();
        let table = table.map_err(|error| Error::File { path: named.into(), what: error.message().to_owned() })?;
        Self::parse(&table, environment, flags, &host_name())
    }

    /// `host` is what the node is called where nothing else is said.
    pub fn parse(
        file: &toml::Table,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
        host: &str,
    ) -> Result<Self, Error> {
        let mut draft = Draft::new(host);
        for (key, value) in value::flatten(file) {
            draft.set(&key, &value, Source::File(key.clone()))?;
        }
        for (name, value) in environment {
            // An empty variable is how scripts leave one out.
            if name.starts_with("WEIR_") && !value.is_empty() && !NOT_OURS.contains(&name.as_str()) {
                let key = KEYS.iter().find(|key| variable(key.name) == name).map_or("", |key| key.name);
                draft.set(key, &value, Source::Variable(name))?;
            }
        }
        for (key, value) in flags {
            draft.set(key, value, Source::Flag(key.clone()))?;
        }
        draft.finish()
    }

    /// As a `weir.toml` that says all of it, secrets masked.
    pub fn show(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for key in KEYS {
            let (of, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
            if of != section {
                section = of;
                text.push_str(&format!("\n[{section}]\n"));
            }
            match (key.get)(self).map(|value| key.masked(value)) {
                Some(value) => text.push_str(&format!("{name} = {value}\n")),
                None => text.push_str(&format!("# {name} is not set\n")),
            }
        }
        text
    }

    /// The root secret, made where there is none yet; `random` is used for that only.
    pub fn root_secret(&self, random: [u8; 32]) -> Result<Secret, Error> {
        if let Some(secret) = self.known_root_secret()? {
            return Ok(secret);
        }
        let made: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        if write_private(&self.secret_path(), &format!("{made}\n"))? {
            return Ok(Secret::new(&made));
        }
        // Another process made it meanwhile.
        self.known_root_secret()?.ok_or_else(|| Error::File { path: self.secret_path(), what: "it is gone".to_owned() })
    }

    /// The root secret, if it was said or made.
    pub fn known_root_secret(&self) -> Result<Option<Secret>, Error> {
        if let Some(secret) = &self.secret {
            return Ok(Some(secret.clone()));
        }
        let path = self.secret_path();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_error(&path, &error)),
        };
        let secret = text.trim();
        if secret.chars().count() < keys::SECRET_CHARS_MIN {
            let what = format!("a root secret has at least {} characters", keys::SECRET_CHARS_MIN);
            return Err(Error::File { path, what });
        }
        Ok(Some(Secret::new(secret)))
    }

    /// The known root secret is another database's, or this one's is missing.
    pub fn refused_secret(&self) -> Error {
        let path = self.secret_path();
        if self.secret.is_some() {
            return Error::OtherSecret { at: "`secret` (WEIR_SECRET)".to_owned(), path };
        }
        if path.exists() {
            return Error::OtherSecret { at: format!("the content of {}", path.display()), path };
        }
        Error::NoSecret(path)
    }

    fn secret_path(&self) -> PathBuf {
        self.data_dir.join("secret")
    }
}

/// Writes a new file that only its owner can read; false where there is one already.
pub fn write_private(path: &Path, text: &str) -> Result<bool, Error> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| file_error(folder, &error))?;
    }
    // Written under another name first: one that reads it sees all of it or nothing.
    let half = path.with_extension(format!("{}.new", std::process::id()));
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half);
    let written = written.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    let linked = written.and_then(|()| std::fs::hard_link(&half, path));
    // A leftover does no harm: the next try writes over it.
    let _leftover = std::fs::remove_file(&half);
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(file_error(path, &error)),
    }
}

/// Values as they come in, before they are checked against each other.
struct Draft {
    config: Config,
    database_url: Option<DatabaseUrl>,
    node_url: Option<String>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
}

impl Draft {
    fn new(host: &str) -> Self {
        let port = |address: [u8; 4], port: u16| SocketAddr::from((address, port));
        let config = Config {
            http: Http { listen: port([0; 4], 8080) },
            rtmp: Rtmp { listen: port([0; 4], 1935) },
            rtmps: Rtmps { listen: None },
            internal: Internal { listen: port([127, 0, 0, 1], 9900) },
            database: Database { url: DatabaseUrl::Sqlite(PathBuf::new()) },
            redis: Redis { url: None },
            node: Node { id: host.to_owned(), url: None },
            tls: None,
            limits: Limits::default(),
            log: Log { format: LogFormat::Auto, filter: None },
            webhooks: Webhooks { allowed_networks: Vec::new(), keys_every: Duration::from_secs(300) },
            secret: None,
            admin_key: None,
            trusted_proxies: Vec::new(),
            public_url: None,
            drain_timeout: Duration::from_secs(30),
            data_dir: "data".into(),
        };
        Self { config, database_url: None, node_url: None, tls_cert: None, tls_key: None }
    }

    fn set(&mut self, name: &str, value: &str, at: Source) -> Result<(), Error> {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            return Err(Error::Unknown { known: known(&at), at });
        };
        let refused = |at| Error::Value { at, value: key.shown(value), allowed: key.allowed };
        (key.set)(self, value).ok_or_else(|| refused(at))
    }

    fn finish(mut self) -> Result<Config, Error> {
        self.config.tls = match (self.tls_cert, self.tls_key) {
            (Some(cert), Some(key)) => Some(Tls { cert, key }),
            (None, None) => None,
            _ => return Err(Error::Together("`tls.cert` and `tls.key` are set both or neither")),
        };
        if self.config.rtmps.listen.is_some() && self.config.tls.is_none() {
            return Err(Error::Together("`rtmps.listen` needs `tls.cert` and `tls.key`"));
        }
        if self.config.redis.url.is_some() && self.config.secret.is_none() {
            return Err(Error::Together("`secret` is required with `redis.url`: all nodes share it (WEIR_SECRET)"));
        }
        if self.config.redis.url.is_some() && !matches!(self.database_url, Some(DatabaseUrl::Postgres(_))) {
            return Err(Error::Together(
                "`database.url` is postgres:// with `redis.url`: nodes can't share an SQLite file (WEIR_DATABASE_URL)",
            ));
        }
        let in_data_dir = || DatabaseUrl::Sqlite(self.config.data_dir.join("weir.db"));
        self.config.database.url = self.database_url.unwrap_or_else(in_data_dir);
        self.config.node.url = self.node_url;
        let is_reachable = self.config.node.url.is_some() || !self.config.internal.listen.ip().is_unspecified();
        if self.config.redis.url.is_some() && !is_reachable {
            return Err(Error::Together(
                "`node.url` is set where `internal.listen` is every address: other nodes need one (WEIR_NODE_URL)",
            ));
        }
        Ok(self.config)
    }
}

/// A variable that is no setting of ours; an empty one is as if it were not there.
pub fn environment(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty())
}

fn variable(key: &str) -> String {
    format!("WEIR_{}", key.replace('.', "_").to_uppercase())
}

/// The names as they are written there.
fn known(at: &Source) -> String {
    let name = |key: &keys::Key| match at {
        Source::Variable(_) => variable(key.name),
        Source::File(_) | Source::Flag(_) => key.name.to_owned(),
    };
    KEYS.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn file_error(path: &Path, error: &std::io::Error) -> Error {
    Error::File { path: path.into(), what: error.to_string() }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "node".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests;
