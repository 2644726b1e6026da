//! Every key: its name, what it takes, where it goes, how it is shown.

use super::value::{base, bytes, duration, show_duration, without_password};
use super::{Config, DatabaseUrl, Draft, LogFormat, Secret};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::Value;

/// For `secret` and `admin_key`: shorter ones could be guessed.
pub(super) const SECRET_CHARS_MIN: usize = 32;

const MASK: &str = "***";

pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) allowed: &'static str,
    secrecy: Secrecy,
    /// None: not a value that is allowed.
    pub(super) set: fn(&mut Draft, &str) -> Option<()>,
    /// Not to be shown as it is. None: not set.
    pub(super) get: fn(&Config) -> Option<Value>,
}

enum Secrecy {
    Open,
    /// An address that may hold a password.
    Address,
    Secret,
}

impl Key {
    /// A value as it may be told to a person.
    pub(super) fn shown(&self, value: &str) -> String {
        match self.secrecy {
            Secrecy::Open => value.to_owned(),
            Secrecy::Address => without_password(value),
            Secrecy::Secret => MASK.to_owned(),
        }
    }

    pub(super) fn masked(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.shown(&text)),
            other => other,
        }
    }
}

const ADDRESS: &str = "an address and a port, such as 0.0.0.0:8080 or [::]:8080";
const BYTES: &str = "a number of bytes above 0, such as 262144, 256KiB or 32MiB";
const DURATION: &str = "a time with its unit, such as 500ms, 30s or 5m";
const FILE: &str = "the path of a PEM file";
const ROOT: &str = "a text of at least 32 characters";
const ADMIN: &str = "a text of 32 to 256 ASCII characters without spaces";

/// In the order in which they are shown; those without a section come first, as TOML wants it.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "data_dir",
        allowed: "the path of a folder",
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.data_dir, path(text)),
        get: |config| string(config.data_dir.display()),
    },
    Key {
        name: "secret",
        allowed: ROOT,
        secrecy: Secrecy::Secret,
        set: |draft, text| put(&mut draft.config.secret, root(text).map(Some)),
        get: |config| config.secret.as_ref().and_then(|secret| string(secret.reveal())),
    },
    Key {
        name: "admin_key",
        allowed: ADMIN,
        secrecy: Secrecy::Secret,
        set: |draft, text| put(&mut draft.config.admin_key, bearer(text).map(Some)),
        get: |config| config.admin_key.as_ref().and_then(|key| string(key.reveal())),
    },
    Key {
        name: "public_url",
        allowed: "an address such as https://live.example.com",
        secrecy: Secrecy::Open,
        set: |draft, text| {
            put(&mut draft.config.public_url, base(text, &["http", "https"]).map(|url| Some(url.into())))
        },
        get: |config| config.public_url.as_ref().and_then(string),
    },
    Key {
        name: "trusted_proxies",
        allowed: "addresses or networks, such as 10.0.0.0/8, 192.0.2.7",
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.trusted_proxies, networks(text)),
        get: |config| Some(Value::Array(config.trusted_proxies.iter().filter_map(string).collect())),
    },
    Key {
        name: "drain_timeout",
        allowed: DURATION,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.drain_timeout, duration(text)),
        get: |config| string(show_duration(config.drain_timeout)),
    },
    Key {
        name: "http.listen",
        allowed: ADDRESS,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.http.listen, text.parse().ok()),
        get: |config| string(config.http.listen),
    },
    Key {
        name: "rtmp.listen",
        allowed: ADDRESS,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.rtmp.listen, text.parse().ok()),
        get: |config| string(config.rtmp.listen),
    },
    Key {
        name: "rtmps.listen",
        allowed: ADDRESS,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.rtmps.listen, text.parse().ok().map(Some)),
        get: |config| config.rtmps.listen.and_then(string),
    },
    Key {
        name: "internal.listen",
        allowed: ADDRESS,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.internal.listen, text.parse().ok()),
        get: |config| string(config.internal.listen),
    },
    Key {
        name: "database.url",
        allowed: "sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE",
        secrecy: Secrecy::Address,
        set: |draft, text| put(&mut draft.database_url, DatabaseUrl::parse(text).map(Some)),
        get: |config| match &config.database.url {
            DatabaseUrl::Sqlite(path) => string(format!("sqlite://{}", path.display())),
            DatabaseUrl::Postgres(url) => string(url.reveal()),
        },
    },
    Key {
        name: "redis.url",
        allowed: "redis://HOST:PORT, rediss://, redis-cluster:// or redis-sentinel://",
        secrecy: Secrecy::Address,
        set: |draft, text| {
            let known = base(text, &["redis", "rediss", "redis-cluster", "redis-sentinel"]);
            put(&mut draft.config.redis.url, known.map(|url| Some(Secret::new(url))))
        },
        get: |config| config.redis.url.as_ref().and_then(|url| string(url.reveal())),
    },
    Key {
        name: "node.id",
        allowed: "1 to 64 letters, digits, dots, dashes or underscores",
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.node.id, node_id(text)),
        get: |config| string(&config.node.id),
    },
    Key {
        name: "node.url",
        allowed: "an address such as http://10.0.0.7:9900",
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.node_url, base(text, &["http"]).map(|url| Some(url.into()))),
        get: |config| config.node.url.as_ref().and_then(string),
    },
    Key {
        name: "tls.cert",
        allowed: FILE,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.tls_cert, path(text).map(Some)),
        get: |config| config.tls.as_ref().and_then(|tls| string(tls.cert.display())),
    },
    Key {
        name: "tls.key",
        allowed: FILE,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.tls_key, path(text).map(Some)),
        get: |config| config.tls.as_ref().and_then(|tls| string(tls.key.display())),
    },
    Key {
        name: "limits.outbox_bytes",
        allowed: BYTES,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.limits.outbox_bytes, bytes(text)),
        get: |config| number(config.limits.outbox_bytes),
    },
    Key {
        name: "limits.node_bytes",
        allowed: BYTES,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.limits.node_bytes, bytes(text)),
        get: |config| number(config.limits.node_bytes),
    },
    Key {
        name: "limits.backlog_bytes",
        allowed: BYTES,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.limits.backlog_bytes, bytes(text)),
        get: |config| number(config.limits.backlog_bytes),
    },
    Key {
        name: "limits.backlog_s",
        allowed: "a number of seconds from 1 to 3600",
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.limits.backlog_s, count(text).filter(|s| *s <= 3600)),
        get: |config| number(config.limits.backlog_s),
    },
    Key {
        name: "limits.api_body_bytes",
        allowed: BYTES,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.limits.api_body_bytes, bytes(text)),
        get: |config| number(config.limits.api_body_bytes),
    },
    Key {
        name: "limits.api_rate",
        allowed: "a number above 0",
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.limits.api_rate, count(text)),
        get: |config| number(config.limits.api_rate),
    },
    Key {
        name: "limits.address_connections",
        allowed: "a number above 0",
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.limits.address_connections, count(text)),
        get: |config| number(config.limits.address_connections),
    },
    Key {
        name: "limits.failed_tries",
        allowed: "a number above 0",
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.limits.failed_tries, count(text)),
        get: |config| number(config.limits.failed_tries),
    },
    Key {
        name: "limits.rtmp_handshake",
        allowed: DURATION,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.limits.rtmp_handshake, duration(text)),
        get: |config| string(show_duration(config.limits.rtmp_handshake)),
    },
    Key {
        name: "limits.http_headers",
        allowed: DURATION,
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.limits.http_headers, duration(text)),
        get: |config| string(show_duration(config.limits.http_headers)),
    },
    Key {
        name: "limits.http_header_bytes",
        allowed: "a number of bytes up to 128KiB, such as 16384 or 16KiB",
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.limits.http_header_bytes, bytes(text).filter(|b| *b <= 128 << 10)),
        get: |config| number(config.limits.http_header_bytes),
    },
    Key {
        name: "webhooks.allowed_networks",
        allowed: "addresses or networks, such as 10.0.0.0/8, 192.0.2.7",
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.webhooks.allowed_networks, networks(text)),
        get: |config| Some(Value::Array(config.webhooks.allowed_networks.iter().filter_map(string).collect())),
    },
    Key {
        name: "webhooks.keys_every",
        allowed: "a time of 1s to 1h, such as 300s or 5m",
        secrecy: Secrecy::Open,
        set: |draft, text| {
            let allowed = Duration::from_secs(1)..=Duration::from_secs(3_600);
            put(&mut draft.config.webhooks.keys_every, duration(text).filter(|time| allowed.contains(time)))
        },
        get: |config| string(show_duration(config.webhooks.keys_every)),
    },
    Key {
        name: "log.format",
        allowed: "auto, text or json",
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.log.format, log_format(text)),
        get: |config| {
            string(match config.log.format {
                LogFormat::Auto => "auto",
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            })
        },
    },
    Key {
        name: "log.filter",
        allowed: "levels (off, error, warn, info, debug, trace), alone or for a target, such as info or info,weir::rtmp=debug",
        secrecy: Secrecy::Open,
        set: |draft, text| put(&mut draft.config.log.filter, log_filter(text).map(Some)),
        get: |config| config.log.filter.as_ref().and_then(string),
    },
];

fn put<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

fn string(text: impl ToString) -> Option<Value> {
    Some(Value::String(text.to_string()))
}

fn number(number: impl TryInto<i64>) -> Option<Value> {
    number.try_into().ok().map(Value::Integer)
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

fn root(text: &str) -> Option<Secret> {
    (text.trim().chars().count() >= SECRET_CHARS_MIN).then(|| Secret::new(text.trim()))
}

/// It travels in a header.
fn bearer(text: &str) -> Option<Secret> {
    let right = (SECRET_CHARS_MIN..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    right.then(|| Secret::new(text))
}

fn count(text: &str) -> Option<u32> {
    text.parse().ok().filter(|count| *count > 0)
}

fn node_id(text: &str) -> Option<String> {
    let right = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    ((1..=64).contains(&text.len()) && text.chars().all(right)).then(|| text.to_owned())
}

fn networks(text: &str) -> Option<Vec<IpNet>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok().or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from))).collect()
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "auto" => Some(LogFormat::Auto),
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

/// What every part of the logging understands alike: no fields, no spans.
fn log_filter(text: &str) -> Option<String> {
    let is_level = |text: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&text);
    let is_target =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_:-".contains(c));
    let right = |part: &str| match part.split_once('=') {
        Some((target, level)) => is_target(target) && is_level(level),
        None => is_level(part),
    };
    let parts: Vec<_> = text.split(',').map(str::trim).collect();
    parts.iter().all(|part| right(part)).then(|| parts.join(","))
}
