//! Several nodes on one private PostgreSQL and one private Redis.

use super::{DEADLINE, Weir, postgres, redis::Redis};
use std::time::{Duration, Instant};

const SECRET: &str = "a root secret that all nodes of the tests share";

pub struct Cluster {
    pub redis: Redis,
    pub database: String,
    /// Of its own.
    pub postgres: Option<postgres::Server>,
}

impl Cluster {
    pub async fn start() -> Self {
        let database = tokio::task::spawn_blocking(|| postgres::shared().database());
        let redis = tokio::task::spawn_blocking(Redis::start);
        Self { redis: redis.await.unwrap(), database: database.await.unwrap(), postgres: None }
    }

    /// With a PostgreSQL that can be stopped without harm to other tests.
    pub async fn start_alone() -> Self {
        let start = || {
            let server = postgres::Server::start();
            (server.database(), server, Redis::start())
        };
        let (database, server, redis) = tokio::task::spawn_blocking(start).await.unwrap();
        Self { redis, database, postgres: Some(server) }
    }

    pub async fn node(&self, name: &str) -> Weir {
        self.node_by(name, &self.redis.address()).await
    }

    pub async fn node_with(&self, name: &str, more: &[(&str, &str)]) -> Weir {
        let redis = format!("redis://{}", self.redis.address());
        let mut settings = self.settings(name, &redis).to_vec();
        settings.extend_from_slice(more);
        Weir::start_with(&settings).await
    }

    /// Of one that does not start: its exit code and what it said.
    pub async fn refused(&self, name: &str) -> (Option<i32>, String) {
        self.refused_with(name, &[]).await
    }

    pub async fn refused_with(&self, name: &str, more: &[(&str, &str)]) -> (Option<i32>, String) {
        let redis = format!("redis://{}", self.redis.address());
        let mut settings = self.settings(name, &redis).to_vec();
        settings.extend_from_slice(more);
        Weir::refused(&settings).await
    }

    /// One that reaches Redis at another address.
    pub async fn node_by(&self, name: &str, redis: &str) -> Weir {
        let redis = format!("redis://{redis}");
        Weir::start_with(&self.settings(name, &redis)).await
    }

    fn settings<'a>(&'a self, name: &'a str, redis: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("WEIR_NODE_ID", name),
            ("WEIR_SECRET", SECRET),
            ("WEIR_DATABASE_URL", &self.database),
            ("WEIR_REDIS_URL", redis),
        ]
    }

    /// Nodes that have heard of each other.
    pub async fn nodes<const N: usize>(&self, names: [&str; N]) -> [Weir; N] {
        let mut nodes = Vec::new();
        for name in names {
            nodes.push(self.node(name).await);
        }
        for node in &nodes {
            until_async("the nodes to hear of each other", async || {
                let listed = node.get("/nodes").await;
                (listed["data"].as_array().unwrap().len() == N).then_some(())
            })
            .await;
        }
        nodes.try_into().unwrap_or_else(|_| unreachable!("as many as there are names"))
    }

    /// The node and the fence in the lease of a stream.
    pub fn owner(&self, stream: &str) -> Option<(String, u64)> {
        let answer = self.redis.ask(&format!("GET owner:{stream}"));
        let owner: serde_json::Value = serde_json::from_str(answer.lines().nth(1)?).ok()?;
        Some((owner["node"].as_str()?.to_owned(), owner["fence"].as_u64()?))
    }
}

/// Waits for a condition that has to be asked for.
pub async fn until_async<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
