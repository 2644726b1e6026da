//! What an operator is given: files that must agree with the program, and a backup that must come back.

use crate::support::{ADMIN_KEY, Encoder, Viewer, Weir};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Words that begin like a metric.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("weir_")).map(str::to_owned).collect()
}

#[test]
fn alerts_and_the_dashboard_name_metrics_that_there_are() {
    let source = include_str!("../../src/telemetry.rs");
    let suffixes = ["", "_total", "_bucket", "_sum", "_count"];
    let known: BTreeSet<_> =
        source.split('"').flat_map(|name| suffixes.map(|suffix| format!("weir_{name}{suffix}"))).collect();
    for name in ["alerts.yml", "grafana.json", "runbook.md"] {
        let unknown: Vec<_> = metrics_in(&file(name)).into_iter().filter(|metric| !known.contains(metric)).collect();
        assert!(unknown.is_empty(), "{name} names {unknown:?}, which src/telemetry.rs does not");
    }
}

#[actix_rt::test]
async fn the_address_alone_leads_to_the_administration() {
    let weir = Weir::start().await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (method, path) in [("GET", "/"), ("HEAD", "/"), ("GET", "/admin")] {
        let url = format!("http://{}{path}", weir.http);
        let answer = client.request(method.parse().unwrap(), url).send().await.unwrap();
        let to = answer.headers().get("location").map(|to| to.to_str().unwrap());
        assert_eq!((answer.status().as_u16(), to), (302, Some("/admin/")), "{method} {path}");
    }
}

#[test]
fn each_alert_has_its_section_in_the_runbook() {
    let alerts = file("alerts.yml");
    let named: BTreeSet<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let runbook = file("runbook.md");
    let sections: BTreeSet<_> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(!named.is_empty());
    assert_eq!(named, sections);
    for alert in named {
        assert!(alerts.contains(&format!("\"runbook.md#{}\"", alert.to_lowercase())), "{alert} does not lead there");
    }
}

/// As docs/one-node.md tells it, while the node is used.
#[actix_rt::test]
async fn a_backup_of_a_running_node_comes_back() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    weir.until_state(&stream, "live").await;
    let backup = Arc::new(TempDir::new().unwrap());
    let folder = backup.path().join("data");
    std::fs::create_dir(&folder).unwrap();
    let writing = async {
        for n in 0..50 {
            weir.stream(json!({ "name": format!("during the backup {n}") })).await;
        }
    };
    let copying = async {
        let script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))";
        let (from, to) = (weir.data.path().join("data/weir.db"), folder.join("weir.db"));
        let run = move || Command::new("python3").args(["-c", script]).arg(from).arg(to).status().unwrap();
        assert!(actix_rt::task::spawn_blocking(run).await.unwrap().success());
    };
    futures_util::future::join(writing, copying).await;
    std::fs::copy(weir.data.path().join("data/secret"), folder.join("secret")).unwrap();
    drop((encoder, weir));

    let restored = Weir::start_in(backup, &[]).await;
    let check = Command::new("python3")
        .args([
            "-c",
            "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('pragma integrity_check').fetchone()[0])",
        ])
        .arg(folder.join("weir.db"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&check.stdout).trim(), "ok");
    let _encoder = Encoder::start(&restored.rtmp_url(&stream.key)).await;
    let mut viewer = Viewer::connect(&restored, &stream, "weir.v1").await;
    viewer.video(3).await;
    let request = restored.client.get(format!("http://{}/api/v1/streams/{}", restored.http, stream.id));
    assert_eq!(request.bearer_auth(ADMIN_KEY).send().await.unwrap().status(), 200);
}

#[actix_rt::test]
async fn who_reads_the_metrics_is_told_of_the_database_though_nobody_asks_whether_the_node_is_ready() {
    let weir = Weir::start().await;
    let told = weir.client.get(format!("http://{}/metrics", weir.internal)).send().await.unwrap().text().await.unwrap();
    assert!(told.contains("\nweir_degraded{part=\"sql\"} 0\n"), "{told}");
}

#[actix_rt::test]
async fn a_database_without_its_secret_is_refused_and_left_as_it_is() {
    let mut weir = Weir::start().await;
    let stream = weir.public_stream().await;
    weir.signal("TERM");
    assert_eq!(weir.ended().await, Some(0));
    let (data, secret) = (weir.data.clone(), weir.data.path().join("data/secret"));
    let kept = std::fs::read_to_string(&secret).unwrap();

    std::fs::remove_file(&secret).unwrap();
    let (code, said) = Weir::refused_in(&data, &[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("is missing: restore data/secret, or set WEIR_SECRET"), "{said}");
    assert!(!secret.exists(), "none is made in its place");
    let other = "another root secret of enough characters";
    let (code, said) = Weir::refused_in(&data, &[("WEIR_SECRET", other)]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("`secret` (WEIR_SECRET) is not the root secret"), "{said}");
    assert!(!said.contains(other), "{said}");

    let again = Weir::start_in(data.clone(), &[("WEIR_SECRET", kept.trim())]).await;
    let _encoder = Encoder::start(&again.rtmp_url(&stream.key)).await;
    again.until_state(&stream, "live").await;
    drop(again);

    let mut accept = Command::new(env!("CARGO_BIN_EXE_weir"));
    accept.args(["migrate", "--accept-secret"]).current_dir(data.path()).env_clear();
    let accepted = accept.output().unwrap();
    assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    let anew = Weir::start_in(data, &[]).await;
    assert_eq!(anew.get(&format!("/streams/{}", stream.id)).await["playback_id"], stream.playback_id.as_str());
    assert!(Encoder::start_at(&anew.rtmp_url(&stream.key), 0).await.is_err(), "the old key is void");
}
