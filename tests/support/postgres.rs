//! A private PostgreSQL server, started when first asked for and ended with the tests' process.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use weir::clock::{Clock as _, System};

/// It refuses to run as root, so that a test run by root needs another user for it.
const USER: &str = "postgres";

const START_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    folder: PathBuf,
    databases: AtomicU32,
    /// Holds the pipe whose end ends the server.
    _watch: Child,
}

/// The one server of this process.
pub(crate) fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

impl Server {
    pub(crate) fn start() -> Self {
        let bin = binaries();
        let folder = tempfile::Builder::new().prefix("weir-pg-").tempdir().unwrap().keep();
        if is_root() {
            let owned = Command::new("chown").arg(USER).arg(&folder).status().unwrap();
            assert!(owned.success(), "the user `{USER}` is needed to run PostgreSQL from root: apt install postgresql");
        }
        let script = format!(
            "cd {folder} && {bin}/initdb -D data -U {USER} -A trust --no-sync --locale=C -E UTF8 >init.log 2>&1 || exit 1
             {bin}/postgres -D data -k {folder} -c listen_addresses= -c fsync=off >server.log 2>&1 &
             echo $! >pid; cat >/dev/null
             kill -CONT $(cat pid) $(pgrep -P $(cat pid)); kill -INT $(cat pid); wait $(cat pid); rm -rf {folder}",
            folder = folder.display(),
            bin = bin.display(),
        );
        // In a session of its own: a signal that ends the tests must not keep it from cleaning up.
        let mut command = Command::new("setsid");
        let shell: &[&str] = if is_root() { &["su", USER, "-s", "/bin/sh"] } else { &["sh"] };
        command.args(shell);
        let watch = command.arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let server = Self { folder, databases: AtomicU32::new(0), _watch: watch };
        server.wait_until_it_answers(&bin);
        server
    }

    fn wait_until_it_answers(&self, bin: &Path) {
        let started = System::new();
        loop {
            let ready = Command::new(bin.join("pg_isready")).arg("-q").arg("-h").arg(&self.folder).status().unwrap();
            if ready.success() {
                return;
            }
            let log = |name| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
            assert!(started.monotonic() < START_TIMEOUT, "no PostgreSQL: {} {}", log("init.log"), log("server.log"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The address of a new, empty database.
    pub(crate) fn database(&self) -> String {
        let name = format!("weir_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run(&format!("CREATE DATABASE {name}"), "postgres");
        self.address(&name)
    }

    /// Runs a statement as an administrator, past the store.
    pub(crate) fn run(&self, statement: &str, database: &str) {
        let mut psql = Command::new(binaries().join("psql"));
        psql.args(["-q", "-U", USER, "-d", database, "-v", "ON_ERROR_STOP=1", "-h"]).arg(&self.folder);
        let mut psql = psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        psql.stdin.take().unwrap().write_all(statement.as_bytes()).unwrap();
        assert!(psql.wait().unwrap().success(), "{statement}");
    }

    /// `-STOP` or `-CONT`, to every process of the server.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap();
        let children = Command::new("pgrep").args(["-P", pid.trim()]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        for pid in std::iter::once(pid.trim()).chain(children.lines()) {
            // One that has ended meanwhile needs no signal.
            let _gone = Command::new("kill").args([signal, pid]).stderr(Stdio::null()).status().unwrap();
        }
    }

    fn address(&self, database: &str) -> String {
        format!("postgres://{USER}@localhost/{database}?host={}", self.folder.display())
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The newest of those installed.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop().expect("no /usr/lib/postgresql/*/bin/initdb: install PostgreSQL (apt install postgresql)")
}
