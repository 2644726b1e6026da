//! haproxy with the configuration that is given out, in front of three nodes.

use super::until_async;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/deploy/haproxy.cfg");

/// Addresses of one node behind it.
#[derive(Debug, Clone)]
pub struct Backend {
    pub http: String,
    pub rtmp: String,
}

impl Backend {
    pub fn new() -> Self {
        Self { http: free(), rtmp: free() }
    }
}

pub struct Balancer {
    pub http: String,
    pub rtmp: String,
    child: Child,
    client: reqwest::Client,
}

/// An address that nobody listens on.
pub fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

impl Balancer {
    pub fn start(backends: &[Backend; 3]) -> Self {
        let (http, rtmp) = (free(), free());
        let mut command = Command::new("haproxy");
        command.args(["-db", "-q", "-f", CONFIGURATION]).env("LB_HTTP", &http).env("LB_RTMP", &rtmp);
        for (name, backend) in ["A", "B", "C"].into_iter().zip(backends) {
            let port = |address: &str| address.rsplit_once(':').unwrap().1.to_owned();
            command.env(name, "127.0.0.1");
            command.env(format!("{name}_HTTP"), port(&backend.http));
            command.env(format!("{name}_RTMP"), port(&backend.rtmp));
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("haproxy is needed: apt install haproxy");
        Self { http, rtmp, child, client: reqwest::Client::new() }
    }

    /// Waits until requests go to this node.
    pub async fn until_ready(&self, node: &str) {
        until_async("the load balancer to send requests to a node", async || {
            let request = self.client.get(format!("http://{}/readyz", self.http)).header("weir-node", node);
            let answer = request.send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
