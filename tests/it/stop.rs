use crate::support::{ADMIN_KEY, Encoder, Seen, Viewer, Weir, until};
use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[actix_rt::test]
async fn sigterm_tells_viewers_and_publishers_and_ends_with_0() {
    let mut weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    weir.until_state(&stream, "live").await;
    let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
    viewer.video(5).await;
    weir.signal("TERM");
    let seen = viewer.until(|s| matches!(s, Seen::Close(_))).await;
    assert!(matches!(seen.last(), Some(Seen::Close(4503))));
    let bye = seen.iter().find(|s| s.is("bye"));
    assert!(matches!(bye, Some(Seen::Text(bye)) if bye["retry_after_ms"].as_u64().is_some_and(|ms| ms < 10_000)));
    let ended = encoder.ended().await;
    assert!(ended.contains("shutting down") || ended == "closed", "{ended}");
    assert_eq!(weir.ended().await, Some(0));
}

fn serve(settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let data = tempfile::TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.arg("serve").current_dir(data.path()).env_clear().envs(settings.iter().copied());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_bad_setting_is_named_with_its_value_and_what_is_allowed() {
    for (name, value, told) in [
        ("WEIR_HTTP_LISTEN", "8080", ["WEIR_HTTP_LISTEN", "8080", "an address and a port"]),
        ("WEIR_HTP_LISTEN", "127.0.0.1:0", ["WEIR_HTP_LISTEN", "unknown", "WEIR_HTTP_LISTEN"]),
        ("WEIR_DRAIN_TIMEOUT", "soon", ["WEIR_DRAIN_TIMEOUT", "soon", "30s"]),
    ] {
        let (code, text) = serve(&[(name, value)]);
        assert_eq!(code, Some(2), "{text}");
        assert!(told.iter().all(|t| text.contains(t)), "{text}");
    }
}

#[test]
fn a_port_in_use_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, text) = serve(&[("WEIR_HTTP_LISTEN", &address)]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&address) && text.contains("http.listen") && text.contains("in use"), "{text}");
}

#[actix_rt::test]
async fn a_log_that_nobody_reads_holds_up_nothing() {
    let weir = Weir::start_unread().await;
    let stream = weir.public_stream().await;
    let mut unknown = stream.clone();
    unknown.playback_id = "play_0000000000000000000000000a".into();
    for _ in 0..2000 {
        let refused = weir.client.get(weir.live_url(&unknown)).send().await.unwrap();
        assert_eq!(refused.status(), 404);
    }
    assert_eq!(weir.facts(&stream).await["state"], "waiting");
}

#[actix_rt::test]
async fn a_node_that_is_drained_over_the_api_sends_everybody_away_and_ends_with_0() {
    let mut weir = Weir::start_with(&[("WEIR_NODE_ID", "one")]).await;
    let stream = weir.public_stream().await;
    let encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    weir.until_state(&stream, "live").await;
    let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
    viewer.video(5).await;
    assert_eq!(weir.post("/nodes/other/drain", serde_json::json!({})).await.0, 404);
    assert_eq!(weir.post("/nodes/one/drain", serde_json::json!({})).await.0, 202);
    viewer.until(|seen| matches!(seen, Seen::Close(4503))).await;
    let ended = encoder.ended().await;
    assert!(ended.contains("shutting down") || ended == "closed", "{ended}");
    assert_eq!(weir.ended().await, Some(0));
}

#[test]
fn a_node_that_can_not_start_makes_no_key() {
    let data = tempfile::TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.arg("serve").current_dir(data.path()).env_clear();
    for listener in ["WEIR_HTTP_LISTEN", "WEIR_RTMP_LISTEN", "WEIR_INTERNAL_LISTEN"] {
        command.env(listener, "127.0.0.1:0");
    }
    command.env("WEIR_TLS_CERT", "/nowhere.pem").env("WEIR_TLS_KEY", "/nowhere.pem");
    let output = command.output().unwrap();
    assert!(!output.status.success());
    assert!(!String::from_utf8_lossy(&output.stdout).contains("wk_"));
    assert!(!data.path().join("data/first-start").exists());
}

#[test]
fn an_error_is_said_once() {
    let data = tempfile::TempDir::new().unwrap();
    let file = data.path().join("clip.flv");
    std::fs::write(&file, "this is no clip").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    let key = format!("sk_{}", "a".repeat(39));
    command.arg("publish").arg(format!("rtmp://127.0.0.1:9/live/{key}")).arg(&file).env_clear();
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, why) = said.trim().rsplit_once(": ").unwrap();
    assert_eq!((output.status.code(), said.matches(why).count()), (Some(1), 1), "{said}");
}

/// Has the lock for writing until it is killed.
const HOLD: &str = "import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute('BEGIN IMMEDIATE')
print('held', flush=True)
time.sleep(60)";

#[actix_rt::test]
async fn what_the_database_is_asked_as_a_node_ends_is_waited_for() {
    let mut weir = Weir::start().await;
    let mut hold = Command::new("python3");
    hold.args(["-c", HOLD]).arg(weir.data.path().join("data/weir.db")).stdout(Stdio::piped());
    let mut hold = hold.spawn().unwrap();
    let mut held = String::new();
    BufReader::new(hold.stdout.take().unwrap()).read_line(&mut held).unwrap();
    let answers = Arc::new(AtomicUsize::new(0));
    for _ in 0..4 {
        let (client, url) = (weir.client.clone(), format!("http://{}/api/v1/tenants", weir.http));
        let answers = answers.clone();
        actix_rt::spawn(async move {
            let ask = || client.post(&url).bearer_auth(ADMIN_KEY).json(&json!({ "name": "late" })).send();
            while ask().await.is_ok_and(|answer| answer.status() == 503) {
                answers.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    // Once one was answered the others wait for the lock, each in its turn.
    until("an answer", || (answers.load(Ordering::Relaxed) > 0).then_some(())).await;
    weir.signal("TERM");
    assert_eq!(weir.ended().await, Some(0));
    hold.kill().unwrap();
    hold.wait().unwrap();
    let log = weir.log.lock().unwrap();
    assert!(!log.contains("panicked") && !log.contains("\"ERROR\""), "{log}");
}

#[test]
fn a_demo_that_is_ended_ends_without_a_word() {
    let data = tempfile::TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.arg("demo").current_dir(data.path()).env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    for listener in ["WEIR_HTTP_LISTEN", "WEIR_RTMP_LISTEN", "WEIR_INTERNAL_LISTEN"] {
        command.env(listener, "127.0.0.1:0");
    }
    let mut demo = command.spawn().unwrap();
    let mut said = BufReader::new(demo.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Ctrl-C ends it.") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended");
    }
    // Published by now.
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(Command::new("kill").arg("-INT").arg(demo.id().to_string()).status().unwrap().success());
    assert_eq!(demo.wait().unwrap().code(), Some(0));
    let mut errors = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    // It may have been built without its pages, and says so.
    let said: Vec<_> = errors.lines().filter(|line| !line.contains("make player admin-ui")).collect();
    assert!(said.is_empty(), "{said:#?}");
}

fn config_says(settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.arg("config").env_clear().envs(settings.iter().copied());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_certificate_that_can_t_be_used_is_said_before_a_node_starts() {
    let files = tempfile::TempDir::new().unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    let (one, other) = (self_signed(), self_signed());
    for (name, text) in [
        ("cert.pem", one.cert.pem()),
        ("key.pem", one.signing_key.serialize_pem()),
        ("other.pem", other.signing_key.serialize_pem()),
        ("nothing.pem", "nothing of the kind".to_owned()),
    ] {
        std::fs::write(path(name), text).unwrap();
    }
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let with = |cert: &str, key: &str| config_says(&[("WEIR_TLS_CERT", cert), ("WEIR_TLS_KEY", key)]);
    assert_eq!(with(&cert, &key).0, Some(0));
    for (cert, key, told) in [
        (path("none.pem"), key.clone(), ["`tls.cert`", "none.pem", "No such file"]),
        (cert.clone(), path("none.pem"), ["`tls.key`", "none.pem", "No such file"]),
        (path("nothing.pem"), key.clone(), ["`tls.cert`", "nothing.pem", "no certificate"]),
        (cert.clone(), path("nothing.pem"), ["`tls.key`", "nothing.pem", "no private key"]),
        (cert.clone(), path("other.pem"), ["`tls.key`", "other.pem", "is not the one of the first certificate"]),
    ] {
        let (code, said) = with(&cert, &key);
        assert_eq!(code, Some(2), "{said}");
        assert!(told.iter().all(|told| said.contains(told)), "{said}");
        let (code, said) = serve(&[
            ("WEIR_HTTP_LISTEN", "127.0.0.1:0"),
            ("WEIR_RTMP_LISTEN", "127.0.0.1:0"),
            ("WEIR_INTERNAL_LISTEN", "127.0.0.1:0"),
            ("WEIR_TLS_CERT", &cert),
            ("WEIR_TLS_KEY", &key),
        ]);
        assert_eq!(code, Some(2), "{said}");
        assert!(told.iter().all(|told| said.contains(told)), "{said}");
    }
}

fn self_signed() -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

#[actix_rt::test]
async fn pages_that_were_not_built_are_told_of_at_the_start() {
    let weir = Weir::start().await;
    for (path, told) in [("/watch/play_0", "the player's pages"), ("/admin/", "the admin UI")] {
        let answer = weir.client.get(format!("http://{}{path}", weir.http)).send().await.unwrap();
        let is_missing = answer.text().await.unwrap().contains("built without");
        let log = weir.log.lock().unwrap().clone();
        let line = log.lines().find(|line| line.contains("make player admin-ui"));
        assert_eq!(line.is_some_and(|line| line.contains(told) && line.contains("WARN")), is_missing, "{path}: {log}");
    }
}
