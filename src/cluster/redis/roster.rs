//! The living nodes in Redis: the hash `nodes`, with the time until which each counts, by the clock of Redis.

use std::sync::Arc;

use async_trait::async_trait;
use redis::Script;

use super::Link;
use crate::cluster::{Exchanged, Presence, Result, Roster, lease};

const KEY: &str = "nodes";

pub struct RedisRoster {
    link: Arc<Link>,
    exchange: Script,
    leave: Script,
}

impl RedisRoster {
    pub fn new(link: Arc<Link>) -> Self {
        let exchange = Script::new(include_str!("exchange.lua"));
        Self { link, exchange, leave: Script::new(include_str!("leave.lua")) }
    }
}

#[async_trait]
impl Roster for RedisRoster {
    async fn exchange(&self, own: &Presence) -> Result<Exchanged> {
        let told = serde_json::to_string(own).expect("texts and numbers are JSON");
        let mut asked = self.exchange.key(KEY);
        asked.arg(&own.node).arg(told).arg(lease::TTL.as_millis() as u64);
        let (before, living): (String, Vec<String>) = self.link.run(&asked).await?;
        // One of another version that can't be read is not counted.
        let read = |told: &String| serde_json::from_str::<Presence>(told).ok();
        Ok(Exchanged {
            living: living.iter().filter_map(read).collect(),
            namesake: read(&before).filter(|presence| presence.incarnation != own.incarnation),
        })
    }

    async fn leave(&self, own: &Presence) -> Result<()> {
        self.link.run(self.leave.key(KEY).arg(&own.node).arg(&own.incarnation)).await
    }
}
