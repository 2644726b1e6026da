//! What a database's first start shows: the link of the first user, the platform's first key.

use super::{Node, Parts, fill_random};
use crate::api;
use crate::config::{Config, write_private};
use anyhow::Context as _;
use std::io::Write as _;
use std::net::SocketAddr;

impl Node {
    /// The link that makes the first user, and the platform's first key where none is configured: shown once in the life
    /// of a database, on standard output and in a private file.
    pub async fn first_start(&self, config: &Config) -> anyhow::Result<()> {
        let Parts { store, secrets, clock, .. } = self.parts.as_ref();
        let now_us = clock.unix_us();
        let mut text = String::new();
        if let Some(link) = api::first_link(store.as_ref(), secrets, fill_random, now_us).await? {
            let link = api::sign_in(&own_url(config, self.addresses.http), &link);
            text.push_str(&format!("Sign in to the admin UI, once and within 7 days: {link}\n"));
        }
        if config.admin_key.is_none()
            && let Some(key) = api::first_key(store.as_ref(), secrets, fill_random, now_us).await?
        {
            text.push_str(&format!("The platform's API key, shown this once: {}\n", key.reveal()));
        }
        if text.is_empty() {
            return Ok(());
        }
        write_private(&config.data_dir.join("first-start"), &text)?;
        std::io::stdout().write_all(text.as_bytes()).context("what is shown once can't be shown")
    }
}

/// How one reaches this node's pages from its own machine, where nothing else is configured.
fn own_url(config: &Config, http: SocketAddr) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let local = http.ip().is_unspecified() || http.ip().is_loopback();
    let host = if local { format!("localhost:{}", http.port()) } else { http.to_string() };
    config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{host}"))
}
