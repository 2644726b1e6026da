//! haproxy or nginx with the configuration that is given out, in front of three nodes.

use super::until_async;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/deploy/haproxy.cfg");
const NGINX: &str = include_str!("../../../docs/deploy/nginx.conf");
/// Debian has the stream module in a package of its own.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

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
    _folder: Option<TempDir>,
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
        Self { http, rtmp, child, client: reqwest::Client::new(), _folder: None }
    }

    pub async fn start_nginx(backends: &[Backend; 3]) -> Self {
        let (http, rtmp, folder) = (free(), free(), TempDir::new().unwrap());
        let mut configuration = NGINX.replace("listen 80;", &format!("listen {http};"));
        configuration = configuration.replace("listen 1935;", &format!("listen {rtmp};"));
        for (name, backend) in ["a", "b", "c"].into_iter().zip(backends) {
            configuration = configuration.replace(&format!("node-{name}:8080"), &backend.http);
            configuration = configuration.replace(&format!("node-{name}:1935"), &backend.rtmp);
        }
        // All that it writes goes into its folder.
        let path = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {path}/{kind};"))
            .concat();
        configuration = configuration.replacen("http {", &format!("http {{ access_log off; {temporary}"), 1);
        let own = format!("load_module {STREAM_MODULE}; daemon off; pid {path}/pid; error_log {path}/error.log;\n");
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, own + &configuration).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("nginx is needed: apt install nginx-light libnginx-mod-stream");
        let client = reqwest::Client::new();
        let balancer = Self { http, rtmp, child, client, _folder: Some(folder) };
        balancer.until_ready("any").await;
        balancer
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
        // Not killed: nginx ends its workers.
        let _gone = Command::new("kill").arg(self.child.id().to_string()).status();
        let _gone = self.child.wait();
    }
}
