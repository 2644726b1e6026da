//! A node of its own for each test, an encoder, viewers; all end with the test.

mod balancer;
mod boxes;
pub mod cluster;
mod encoder;
#[allow(dead_code, reason = "each test binary uses some of it")]
#[path = "../../support/postgres.rs"]
mod postgres;
#[path = "../../support/proxy.rs"]
pub mod proxy;
#[allow(dead_code, reason = "each test binary uses some of it")]
#[path = "../../support/redis.rs"]
mod redis;
mod served;
mod viewer;
mod watchers;

pub use balancer::{Backend, Balancer, free};
pub use boxes::{Chunk, ftyp, parse_chunk};
pub use cluster::{Cluster, until_async};
pub use encoder::Encoder;
pub use served::Served;
pub use viewer::{Seen, Viewer};
pub use watchers::Watchers;

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const ADMIN_KEY: &str = "wk_integration_tests_0123456789abcdef";

/// What a condition may take at the most; nothing waits longer than it has to.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A running `weir serve`.
pub struct Weir {
    child: Child,
    pub http: String,
    pub rtmp: String,
    pub rtmps: Option<String>,
    pub internal: String,
    /// Goes with the last node that uses it.
    pub data: Arc<TempDir>,
    pub log: Arc<Mutex<String>>,
    pub client: reqwest::Client,
}

#[derive(Debug, Clone)]
pub struct Stream {
    pub id: String,
    pub playback_id: String,
    pub key: String,
}

impl Weir {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_in(Arc::new(TempDir::new().unwrap()), settings).await
    }

    /// Nobody reads its log after the first lines.
    pub async fn start_unread() -> Self {
        let (weir, log) = Self::launch(Arc::new(TempDir::new().unwrap()), &[]);
        // Kept open, and full before long.
        std::mem::forget(log);
        weir
    }

    /// On the data of an earlier node.
    pub async fn start_in(data: Arc<TempDir>, settings: &[(&str, &str)]) -> Self {
        let (weir, mut lines) = Self::launch(data, settings);
        let rest = weir.log.clone();
        std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|n| n > 0) {
                rest.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        weir
    }

    /// On a disk of its own, which its log goes to as well; none where nobody lets us mount one.
    pub async fn start_on_disk(kib: u32) -> Option<Self> {
        let data = Arc::new(TempDir::new().unwrap());
        let serve = Self::command(&data, &[("RUST_LOG", "info")]);
        let script = format!("mount -t tmpfs -o size={kib}k weir . && cd \"$PWD\" && exec \"$0\" serve 2> log");
        let mut child = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", &script])
            .arg(serve.get_program())
            .current_dir(data.path())
            .env_clear()
            .envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .spawn()
            .ok()?;
        let log = Self::seen_by(child.id(), data.path()).join("log");
        let ready = until("weir to be ready or to end", || match child.try_wait().unwrap() {
            Some(_) => Some(None),
            None => std::fs::read_to_string(&log).unwrap_or_default().lines().find_map(as_ready).map(Some),
        });
        let ready = ready.await?;
        Some(Self::new(child, data, Arc::default(), &ready))
    }

    /// A folder as this process has it, whatever it has mounted there.
    pub fn seen_by(pid: u32, folder: &Path) -> PathBuf {
        Path::new(&format!("/proc/{pid}/root")).join(folder.strip_prefix("/").unwrap())
    }

    /// The exit code of one that does not start, and what it said.
    pub async fn refused(settings: &[(&str, &str)]) -> (Option<i32>, String) {
        Self::refused_in(&TempDir::new().unwrap(), settings).await
    }

    pub async fn refused_in(data: &TempDir, settings: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command = Self::command(data, settings);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn command(data: &TempDir, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.arg("serve").current_dir(data.path()).env_clear().stderr(Stdio::piped()).stdout(Stdio::null());
        command.env("WEIR_ADMIN_KEY", ADMIN_KEY).env("WEIR_LOG_FORMAT", "json").env("RUST_LOG", "debug");
        for listener in ["WEIR_HTTP_LISTEN", "WEIR_RTMP_LISTEN", "WEIR_INTERNAL_LISTEN"] {
            command.env(listener, "127.0.0.1:0");
        }
        command.envs(settings.iter().copied());
        command
    }

    fn launch(data: Arc<TempDir>, settings: &[(&str, &str)]) -> (Self, BufReader<ChildStderr>) {
        let mut command = Self::command(&data, settings);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let ready = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "weir ended: {}", log.lock().unwrap());
            log.lock().unwrap().push_str(&line);
            if let Some(ready) = as_ready(&line) {
                break ready;
            }
        };
        (Self::new(child, data, log, &ready), lines)
    }

    fn new(child: Child, data: Arc<TempDir>, log: Arc<Mutex<String>>, ready: &Value) -> Self {
        let at = |name: &str| ready[name].as_str().unwrap().to_owned();
        let rtmps = ready["rtmps"].as_str().map(str::to_owned);
        let client = reqwest::Client::builder().timeout(DEADLINE).build().unwrap();
        Self { child, http: at("http"), rtmp: at("rtmp"), rtmps, internal: at("internal"), data, log, client }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by the system's `kill`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// The exit code, once the process has ended by itself.
    pub async fn ended(&mut self) -> Option<i32> {
        let child = &mut self.child;
        until("weir to end", || child.try_wait().unwrap()).await.code()
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.post(format!("http://{}/api/v1{path}", self.http)).bearer_auth(ADMIN_KEY);
        let response = request.json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    pub async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("http://{}/api/v1{path}", self.http)).bearer_auth(ADMIN_KEY);
        request.send().await.unwrap().json().await.unwrap()
    }

    pub async fn delete(&self, path: &str) {
        let request = self.client.delete(format!("http://{}/api/v1{path}", self.http)).bearer_auth(ADMIN_KEY);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 204, "{path}");
    }

    pub async fn tenant(&self) -> String {
        let (status, tenant) = self.post("/tenants", json!({ "name": "test" })).await;
        assert_eq!(status, 201, "{tenant}");
        tenant["id"].as_str().unwrap().to_owned()
    }

    /// A stream of a new tenant.
    pub async fn stream(&self, settings: Value) -> Stream {
        let tenant = self.tenant().await;
        self.stream_of(&tenant, settings).await
    }

    pub async fn stream_of(&self, tenant: &str, settings: Value) -> Stream {
        let mut body = json!({ "tenant": tenant, "name": "test" });
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let (status, made) = self.post("/streams", body).await;
        assert_eq!(status, 201, "{made}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Stream { id: text(&made["id"]), playback_id: text(&made["playback_id"]), key: text(&made["stream_key"]["key"]) }
    }

    pub async fn public_stream(&self) -> Stream {
        self.stream(json!({ "policy": "public" })).await
    }

    pub async fn token(&self, stream: &Stream, ttl_s: u32) -> String {
        let body = json!({ "sub": "ann", "ttl_s": ttl_s });
        let (status, made) = self.post(&format!("/streams/{}/tokens", stream.id), body).await;
        assert_eq!(status, 201, "{made}");
        made["token"].as_str().unwrap().to_owned()
    }

    pub fn rtmp_url(&self, key: &str) -> String {
        format!("rtmp://{}/live/{key}", self.rtmp)
    }

    pub fn live_url(&self, stream: &Stream) -> String {
        format!("http://{}/live/{}", self.http, stream.playback_id)
    }

    pub async fn facts(&self, stream: &Stream) -> Value {
        self.facts_with(stream, None).await
    }

    async fn facts_with(&self, stream: &Stream, token: Option<&str>) -> Value {
        let request = self.client.get(self.live_url(stream));
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Waits until the stream is in this state.
    pub async fn until_state(&self, stream: &Stream, state: &str) {
        self.until_state_with(stream, state, None).await;
    }

    pub async fn until_state_with(&self, stream: &Stream, state: &str, token: Option<&str>) {
        let start = Instant::now();
        loop {
            let facts = self.facts_with(stream, token).await;
            if facts["state"] == state {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "the stream is {facts}, not {state}; {}", self.tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The value of a metric, with its labels as they are written.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.client.get(format!("http://{}/metrics", self.internal)).send().await.unwrap();
        let text = text.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Resident memory.
    pub fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    pub fn tail(&self) -> String {
        let log = self.log.lock().unwrap();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The line that tells where a node is reached.
fn as_ready(line: &str) -> Option<Value> {
    serde_json::from_str::<Value>(line).ok().filter(|entry| entry["message"] == "ready")
}

/// Waits for a condition, looked at every few milliseconds.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
