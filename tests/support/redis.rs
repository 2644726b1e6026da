//! A private Redis server, ended with whoever holds it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
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
    /// Holds the pipe whose end ends the server.
    watch: Option<Child>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::Builder::new().prefix("weir-redis-").tempdir().unwrap();
        let mut redis = Self { port, folder, watch: None };
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
            "redis-server --port {port} --bind 127.0.0.1 --save '' --appendonly no --dir {folder} >{folder}/log 2>&1 &
             echo $! >{folder}/pid; cat >/dev/null; kill -9 $(cat {folder}/pid)",
            port = self.port,
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
        // Redis ends the connection after `QUIT`.
        if socket.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).is_ok() {
            socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            // What can't be read is no answer.
            let _unread = socket.read_to_end(&mut answer);
        }
        let answer = String::from_utf8_lossy(&answer);
        answer.trim_end().trim_end_matches("+OK").trim_end().to_owned()
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
