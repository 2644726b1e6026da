//! The configuration is read again while the node runs, and no session notices.

use super::Node;
use crate::config::{self, Config};
use crate::telemetry::Logs;

impl Node {
    /// Takes on what may change of what was read; all of it or, where that can't be used, nothing.
    pub fn reload(&mut self, read: Result<Config, config::Error>, logs: &Logs) {
        let result = match self.take_on(read, logs) {
            Ok(()) => "ok",
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the configuration can't be used, the old one stays");
                "failed"
            }
        };
        self.parts.metrics.config_reloaded(result);
    }

    fn take_on(&mut self, read: Result<Config, config::Error>, logs: &Logs) -> anyhow::Result<()> {
        let reload = self.config.reload(&read?);
        let config = reload.config;
        // The one step that can fail comes first.
        if let (Some(certificate), Some(tls)) = (&self.certificate, &config.tls) {
            certificate.move_to(&tls.cert, &tls.key)?;
        }
        if reload.now.contains(&"log.filter") && !logs.filter(config.log.filter.as_deref()) {
            tracing::warn!("log.filter has no effect: RUST_LOG stands above it");
        }
        self.parts.limits.set(config.limits);
        self.parts.public_url.set(config.public_url.clone());
        self.parts.trusted.set(&config.trusted_proxies);
        self.config = config;
        tracing::info!(changed = reload.now.join(","), "the configuration was read again");
        for key in reload.at_start {
            tracing::warn!("takes effect at the next start: {key}");
        }
        Ok(())
    }
}
