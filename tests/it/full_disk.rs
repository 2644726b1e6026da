//! F20: a disk that is full under the database and the log.

use crate::support::{ADMIN_KEY, Encoder, Stream, Viewer, Watchers, Weir, until_async};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const DISK_KIB: u32 = 8 * 1024;
/// A file has its last one to the end, however full the disk is.
const PAGE_BYTES: u64 = 4096;

/// Writes until nothing more fits.
fn fill(file: &Path) {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
    for bytes in [65_536, 4_096, 1] {
        while file.write_all(&vec![0; bytes]).is_ok() {}
    }
}

/// What the API says to a new stream.
async fn create(weir: &Weir, tenant: &str) -> (u16, Value) {
    weir.post("/streams", json!({ "tenant": tenant, "name": "while the disk is full" })).await
}

async fn publish(weir: &Weir, stream: &Stream) -> Result<Encoder, String> {
    Encoder::start_at(&weir.rtmp_url(&stream.key), 0).await
}

/// SQLite goes by names, so it is asked where the node's disk has its own.
fn integrity(weir: &Weir) -> String {
    let script =
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('pragma integrity_check').fetchone()[0])";
    let output = Command::new("nsenter")
        .args(["--target", &weir.pid().to_string(), "--user", "--mount", "--preserve-credentials"])
        .args(["python3", "-c", script])
        .arg(weir.data.path().join("data/weir.db"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[actix_rt::test]
async fn with_its_disk_full_a_node_refuses_what_it_has_to_write_and_loses_nothing_that_runs() {
    let Some(weir) = Weir::start_on_disk(DISK_KIB).await else {
        return println!("skipped: no disk can be mounted here");
    };
    let disk = Weir::seen_by(weir.pid(), weir.data.path());
    let tenant = weir.tenant().await;
    let stream = weir.stream_of(&tenant, json!({ "policy": "public" })).await;
    let other = weir.stream_of(&tenant, json!({ "policy": "public" })).await;
    let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    weir.until_state(&stream, "live").await;
    let watchers = Watchers::start(&weir, &stream, 5).await;
    watchers.until("all to see it", |log| log.chunks > 50).await;
    let told = watchers.most_states();

    fill(&disk.join("filler"));
    let log_bytes = || std::fs::metadata(disk.join("log")).unwrap().len();
    let full = Instant::now();
    // What the database has room for in its own files still goes.
    let refused = until_async("the API to refuse", async || {
        let asked = Instant::now();
        let (status, problem) = create(&weir, &tenant).await;
        (status != 201).then_some((status, problem, asked.elapsed()))
    });
    let (status, problem, took) = refused.await;
    println!("F20: disk full: the API answers {status} after {took:?}: {problem}");
    assert_eq!((status, &problem["code"]), (503, &json!("unavailable")));
    fill(&disk.join("filler"));
    let log_before = log_bytes();
    let mut slowest = took;
    for _ in 0..3 {
        let asked = Instant::now();
        let refused = publish(&weir, &other).await.err().unwrap();
        assert!(refused.starts_with("NetStream.Publish.Denied: the database"), "{refused}");
        assert_eq!(create(&weir, &tenant).await.0, 503);
        slowest = slowest.max(asked.elapsed());
        let read = weir.client.get(format!("http://{}/api/v1/streams/{}", weir.http, stream.id));
        assert_eq!(read.bearer_auth(ADMIN_KEY).send().await.unwrap().status(), 200);
        let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
        viewer.video(30).await;
    }
    tokio::time::sleep(Duration::from_secs(3).saturating_sub(full.elapsed())).await;
    let log_full = log_bytes();
    assert!(log_full <= log_before.next_multiple_of(PAGE_BYTES), "the log had room: the disk was not full");

    std::fs::remove_file(disk.join("filler")).unwrap();
    let freed = Instant::now();
    let _other = until_async("a publish to be accepted", async || publish(&weir, &other).await.ok()).await;
    assert_eq!(create(&weir, &tenant).await.0, 201);
    println!(
        "F20: disk full: refused within {slowest:?}; a publish is accepted {:?} after there is room",
        freed.elapsed()
    );
    assert!(slowest < Duration::from_secs(4) && freed.elapsed() < Duration::from_secs(3));
    until_async("the log to go on", async || (log_bytes() > log_full).then_some(())).await;
    assert_eq!(integrity(&weir), "ok");
    watchers.check();
    assert_eq!((watchers.gaps(), watchers.most_states()), (0, told), "nobody noticed");
}
