//! A process that is killed while it writes loses nothing that it acknowledged (F20).

#![expect(clippy::disallowed_methods, reason = "a test reads its own variables")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir::store::{Page, Sqlite, Store as _};

use super::records;

/// Rounds in each run of the tests; more by the variable, for a longer look.
const ROUNDS: u32 = 20;

/// Not a test of its own: what the test below starts and kills.
#[tokio::test]
async fn writer() {
    let Some(path) = std::env::var_os("WEIR_TEST_WRITE") else { return };
    let from: u32 = std::env::var("WEIR_TEST_FROM").unwrap().parse().unwrap();
    let store = Sqlite::open(Path::new(&path)).await.unwrap();
    for n in from.. {
        let tenant = store.create_tenant(records::tenant(n), records::entry()).await.unwrap();
        let line = format!("stored {n} {}\n", tenant.id);
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
    }
}

#[test]
fn a_process_killed_while_it_writes_loses_nothing_it_acknowledged() {
    let rounds = std::env::var("WEIR_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut stored = Vec::new();
    for round in 0..rounds {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::writer", "--nocapture"])
            .env("WEIR_TEST_WRITE", &path)
            .env("WEIR_TEST_FROM", (round * 100_000 + 1).to_string())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stderr.take().unwrap());
        let mut lines = lines.lines().map_while(Result::ok).filter(|line| line.starts_with("stored "));
        let last = lines.next().expect("the writer writes");
        // Each round a little later in a write.
        std::thread::sleep(Duration::from_micros(u64::from(round) * 733 % 9_000));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let rest: Vec<String> = std::iter::once(last).chain(lines).collect();
        stored.extend(rest.iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()));
    }
    runtime.block_on(async {
        let store = Sqlite::open(&path).await.unwrap();
        let mut found = std::collections::BTreeSet::new();
        let mut page = Page { limit: 500, after: None };
        loop {
            let rows = store.tenants(&page).await.unwrap();
            let Some(last) = rows.last() else { break };
            page.after = Some(weir::store::Position { created_us: last.created_us, id: last.id.to_string() });
            found.extend(rows.iter().map(|row| row.id.to_string()));
        }
        let lost: Vec<_> = stored.iter().filter(|id| !found.contains(*id)).collect();
        assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), stored.len());
        assert!(stored.len() >= rounds as usize);
        assert_eq!(store.check_integrity().await.unwrap(), "ok");
    });
}
