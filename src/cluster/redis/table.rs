//! Leases in Redis: `owner:{stream}` holds the owner as JSON and runs out by itself.

use std::sync::Arc;

use async_trait::async_trait;
use redis::Script;

use super::Link;
use crate::cluster::{Error, Found, Owner, Result, Table, lease};
use crate::id::StreamId;

pub struct RedisTable {
    link: Arc<Link>,
    take: Script,
    renew: Script,
    register: Script,
    release: Script,
    find: Script,
}

impl RedisTable {
    pub fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            take: Script::new(include_str!("take.lua")),
            renew: Script::new(include_str!("renew.lua")),
            register: Script::new(include_str!("register.lua")),
            release: Script::new(include_str!("release.lua")),
            find: Script::new("return redis.call('GET', KEYS[1])"),
        }
    }

    async fn ask(&self, script: &Script, stream: &StreamId, owner: &Owner, fence: Option<u64>) -> Result<Found> {
        let mut asked = script.key(key(stream));
        asked.arg(entry(owner)).arg(lease::TTL.as_millis() as u64);
        asked.arg(fence.map(|fence| fence.to_string()).unwrap_or_default());
        let found: Option<String> = self.link.run(&asked).await?;
        Ok(match found.map(|text| parse(&text)).transpose()? {
            None => Found::Nobodys,
            Some(found) if found == *owner => Found::Ours,
            Some(found) => Found::Others(found),
        })
    }
}

#[async_trait]
impl Table for RedisTable {
    async fn take(&self, stream: &StreamId, owner: &Owner, over: Option<u64>) -> Result<Found> {
        self.ask(&self.take, stream, owner, over).await
    }

    async fn renew(&self, stream: &StreamId, owner: &Owner) -> Result<Found> {
        self.ask(&self.renew, stream, owner, None).await
    }

    async fn register(&self, stream: &StreamId, owner: &Owner) -> Result<Found> {
        self.ask(&self.register, stream, owner, Some(owner.fence)).await
    }

    async fn release(&self, stream: &StreamId, owner: &Owner) -> Result<()> {
        self.link.run(self.release.key(key(stream)).arg(entry(owner))).await
    }

    async fn find(&self, stream: &StreamId) -> Result<Option<Owner>> {
        let found: Option<String> = self.link.run(&self.find.key(key(stream))).await?;
        found.map(|text| parse(&text)).transpose()
    }
}

fn key(stream: &StreamId) -> String {
    format!("owner:{stream}")
}

/// The same bytes each time: the scripts compare them.
fn entry(owner: &Owner) -> String {
    serde_json::to_string(owner).expect("strings and a number are JSON")
}

fn parse(text: &str) -> Result<Owner> {
    serde_json::from_str(text).map_err(|error| Error::Unavailable(format!("a lease is not understood: {error}")))
}
