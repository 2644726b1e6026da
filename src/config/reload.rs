//! A configuration that is read again while a node runs: what takes effect at once, and what with the next start.

use super::keys::{KEYS, Key};
use super::{Config, Log};

/// What comes of it.
#[derive(Debug, Clone)]
pub struct Reload {
    /// In force from now on.
    pub config: Config,
    /// Keys that were changed by it.
    pub now: Vec<&'static str>,
    /// Keys that are said otherwise, and take effect at the next start.
    pub at_start: Vec<&'static str>,
}

impl Config {
    pub fn reload(&self, read: &Self) -> Reload {
        let config = self.adopt(read);
        let differ = |a: &Self, b: &Self| -> Vec<&'static str> {
            KEYS.iter().filter(|Key { get, .. }| get(a) != get(b)).map(|key| key.name).collect()
        };
        Reload { now: differ(self, &config), at_start: differ(&config, read), config }
    }

    /// This one, with all of `read` that may change while a node runs.
    fn adopt(&self, read: &Self) -> Self {
        Self {
            limits: read.limits,
            log: Log { filter: read.log.filter.clone(), ..self.log.clone() },
            // A listener speaks TLS or doesn't, for as long as it listens.
            tls: self.tls.as_ref().and(read.tls.as_ref()).or(self.tls.as_ref()).cloned(),
            trusted_proxies: read.trusted_proxies.clone(),
            public_url: read.public_url.clone(),
            drain_timeout: read.drain_timeout,
            ..self.clone()
        }
    }
}
