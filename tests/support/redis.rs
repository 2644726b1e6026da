//! A private Redis server, ended with whoever holds it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use weir::clock::{Clock as _, System};

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Keeps nothing on disk: started again it is empty.
pub(crate) struct Redis {
    pub(crate) port: u16,
    folder: TempDir,
    arguments: &'static str,
    /// Holds the pipe whose end ends the server.
    watch: Option<Child>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// A cluster of one.
    #[allow(dead_code, reason = "each test binary uses some of them")]
    pub(crate) fn start_cluster() -> Self {
        let redis = Self::start_with("--cluster-enabled yes");
        redis.ask("CLUSTER ADDSLOTSRANGE 0 16383");
        redis.until("CLUSTER INFO", "cluster_state:ok");
        redis
    }

    /// A sentinel that knows this server by the name `main`.
    #[allow(dead_code, reason = "each test binary uses some of them")]
    pub(crate) fn start_sentinel(&self) -> Self {
        let sentinel = Self::start_with("--sentinel");
        sentinel.ask(&format!("SENTINEL MONITOR main 127.0.0.1 {} 1", self.port));
        sentinel.until("SENTINEL GET-MASTER-ADDR-BY-NAME main", "127.0.0.1");
        sentinel
    }

    fn until(&self, command: &str, answer: &str) {
        let started = System::new();
        while !self.ask(command).contains(answer) {
            assert!(started.monotonic() < START_TIMEOUT, "{command}: {}", self.ask(command));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn start_with(arguments: &'static str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::Builder::new().prefix("weir-redis-").tempdir().unwrap();
        let mut redis = Self { port, folder, arguments, watch: None };
        redis.start_again();
        redis
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Empty.
    pub(crate) fn start_again(&mut self) {
        let script = format!(
            "echo >{folder}/conf
             redis-server {folder}/conf --port {port} --bind 127.0.0.1 {kind} --dir {folder} {arguments} >{folder}/log 2>&1 &
             echo $! >{folder}/pid; cat >/dev/null; kill -9 $(cat {folder}/pid)",
            port = self.port,
            // A sentinel knows no other settings.
            kind = if self.arguments == "--sentinel" { "" } else { "--save '' --appendonly no" },
            arguments = self.arguments,
            folder = self.folder.path().display(),
        );
        // In a session of its own: a signal that ends the tests must not keep it from cleaning up.
        let mut command = Command::new("setsid");
        let watch = command.args(["sh", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        self.watch = Some(watch);
        let started = System::new();
        while self.ask("PING") != "+PONG" {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(started.monotonic() < START_TIMEOUT, "no redis-server (apt install redis-server): {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// With everything that it knows.
    pub(crate) fn stop(&mut self) {
        if let Some(mut watch) = self.watch.take() {
            drop(watch.stdin.take());
            watch.wait().unwrap();
        }
    }

    /// `-STOP` or `-CONT`.
    #[allow(dead_code, reason = "each test binary uses some of them")]
    pub(crate) fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.path("pid")).unwrap();
        assert!(Command::new("kill").args([signal, pid.trim()]).status().unwrap().success());
    }

    /// What is answered to an inline command within a moment; empty where nothing is.
    pub(crate) fn ask(&self, command: &str) -> String {
        let Ok(mut socket) = TcpStream::connect(self.address()) else { return String::new() };
        let mut answer = Vec::new();
        // It answers, and ends the connection where nothing more can come.
        if socket.write_all(format!("{command}\r\n").as_bytes()).is_ok() && socket.shutdown(Shutdown::Write).is_ok() {
            socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            // What can't be read is no answer.
            let _unread = socket.read_to_end(&mut answer);
        }
        String::from_utf8_lossy(&answer).trim_end().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
