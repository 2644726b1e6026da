//! No key or token is ever logged, counted, told or stored as it is.

use crate::support::{ADMIN_KEY, Encoder, Served, Viewer, Weir, until};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ROOT: &str = "marker-root-secret-0123456789abcdefghijkl";
const WRONG_KEY: &str = "wk_wrong0123456789wrong0123456789wrong01234";

async fn asked(weir: &Weir, key: &str, path: &str) -> String {
    let request = weir.client.get(format!("http://{}/api/v1{path}", weir.http)).bearer_auth(key);
    request.send().await.unwrap().text().await.unwrap()
}

/// Makes something whose answer shows a secret, and asks for it again with the same key for replays.
async fn made(weir: &Weir, path: &str, body: Value, secret: &str) -> (Value, String, String) {
    let send = || {
        let request = weir.client.post(format!("http://{}/api/v1{path}", weir.http)).bearer_auth(ADMIN_KEY);
        request.header("Idempotency-Key", path).json(&body).send()
    };
    let made: Value = send().await.unwrap().json().await.unwrap();
    let shown = made.pointer(secret).and_then(Value::as_str).unwrap_or_else(|| panic!("{made}")).to_owned();
    (made, shown, send().await.unwrap().text().await.unwrap())
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files(&entry, found);
        } else {
            found.push((entry.display().to_string(), std::fs::read(&entry).unwrap()));
        }
    }
}

#[actix_rt::test]
async fn secrets_are_found_nowhere_but_in_the_answer_that_shows_them() {
    let settings =
        [("WEIR_SECRET", ROOT), ("WEIR_WEBHOOKS_ALLOWED_NETWORKS", "127.0.0.1"), ("WEIR_WEBHOOKS_KEYS_EVERY", "1s")];
    let weir = Weir::start_with(&settings).await;
    let tenant = weir.tenant().await;
    let mut seen: Vec<(String, Vec<u8>)> = Vec::new();
    let mut keep = |what: &str, text: String| seen.push((what.to_owned(), text.into_bytes()));

    let hook = Served::start("").await;
    let own = |more: Value| {
        let mut body = json!({ "tenant": tenant });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (stream, stream_key, again) = made(&weir, "/streams", own(json!({ "name": "s" })), "/stream_key/key").await;
    keep("the stream made again", again);
    let id = stream["id"].as_str().unwrap();
    let (_, second_key, again) = made(&weir, &format!("/streams/{id}/keys"), json!({}), "/key").await;
    keep("the stream key made again", again);
    let owner = own(json!({ "role": "owner", "name": "k" }));
    let (_, api_key, again) = made(&weir, "/api-keys", owner, "/key").await;
    keep("the API key made again", again);
    let (_, signing, again) = made(&weir, "/signing-keys", own(json!({})), "/secret").await;
    keep("the signing key made again", again);
    let (_, webhook, again) = made(&weir, "/webhooks", own(json!({ "url": hook.url })), "/secret").await;
    keep("the webhook made again", again);
    let asked_for = json!({ "sub": "ann", "ttl_s": 600 });
    let (_, token, again) = made(&weir, &format!("/streams/{id}/tokens"), asked_for, "/token").await;
    keep("the token made again", again);
    let tampered = format!("{}AAAA", &token[..token.len() - 4]);

    let told = Arc::new(Mutex::new(Vec::new()));
    let events = weir.client.get(format!("http://{}/api/v1/events", weir.http)).bearer_auth(&api_key).send();
    let (mut events, heard) = (events.await.unwrap().bytes_stream(), told.clone());
    tokio::spawn(async move {
        while let Some(Ok(bytes)) = events.next().await {
            heard.lock().unwrap().extend_from_slice(&bytes);
        }
    });

    // Published with a wrong key, a right one, and a right one with something wrong about it.
    let known = crate::support::Stream {
        id: id.to_owned(),
        playback_id: stream["playback_id"].as_str().unwrap().to_owned(),
        key: stream_key.clone(),
    };
    let wrong_stream_key = format!("sk_{}", "z".repeat(39));
    assert!(Encoder::start_at(&weir.rtmp_url(&wrong_stream_key), 0).await.is_err());
    let encoder = Encoder::start(&weir.rtmp_url(&stream_key)).await;
    weir.until_state_with(&known, "live", Some(&token)).await;
    assert!(Encoder::start_at(&weir.rtmp_url(&second_key), 0).await.is_err(), "somebody publishes already");
    for token in [&token, &tampered] {
        let bearer = format!("Bearer {token}");
        let by_header = Viewer::try_connect(&weir, &known, "weir.v1", &[("authorization", &bearer)]).await;
        assert_eq!(by_header.is_ok(), !token.ends_with("AAAA"));
        let by_protocol = Viewer::try_connect(&weir, &known, &format!("weir.v1, auth.{token}"), &[]).await;
        if let Ok(mut viewer) = by_protocol {
            viewer.say(json!({ "type": "token", "token": token })).await;
            viewer.video(5).await;
            viewer.say(json!({ "type": "token", "token": tampered })).await;
        }
        for suffix in ["", ".mp4"] {
            let url = format!("{}{suffix}?token={token}", weir.live_url(&known));
            let response = weir.client.get(url).send().await.unwrap();
            keep("a viewer's answer", format!("{:?}", response.headers()));
        }
    }
    // Secrets in the wrong place.
    for wrong in [&api_key, &stream_key, &token] {
        keep("a wrong address", asked(&weir, &api_key, &format!("/streams/{wrong}")).await);
        keep("a wrong key", asked(&weir, wrong, "/streams").await);
        let url = format!("http://{}/live/{wrong}", weir.http);
        keep("a wrong stream", weir.client.get(url).send().await.unwrap().text().await.unwrap());
        // Who sent it is told what it was: that answer alone may hold it.
        weir.post("/streams", own(json!({ "name": "x", "policy": wrong }))).await;
    }
    keep("a wrong key", asked(&weir, WRONG_KEY, "/streams").await);
    until("the webhook is called", || (hook.asked() > 0).then_some(())).await;
    drop(encoder);
    until("events", || String::from_utf8_lossy(&told.lock().unwrap()).contains("stream.interrupted").then_some(()))
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    let of_tenant = format!("?tenant={tenant}");
    for path in ["/tenants", "/streams", "/signing-keys", "/api-keys", "/webhooks", "/usage", "/audit", "/nodes"] {
        let query = if ["/tenants", "/nodes"].contains(&path) { "" } else { &of_tenant };
        keep(path, asked(&weir, ADMIN_KEY, &format!("{path}{query}")).await);
    }
    keep("the stream", asked(&weir, ADMIN_KEY, &format!("/streams/{id}")).await);
    keep("its keys", asked(&weir, ADMIN_KEY, &format!("/streams/{id}/keys")).await);
    keep("its viewers", asked(&weir, ADMIN_KEY, &format!("/sessions?stream={id}")).await);
    let metrics = weir.client.get(format!("http://{}/metrics", weir.internal)).send().await.unwrap();
    keep("the metrics", metrics.text().await.unwrap());
    keep("the log", weir.log.lock().unwrap().clone());
    seen.push(("the events".to_owned(), told.lock().unwrap().clone()));
    seen.extend(hook.requests().into_iter().map(|request| ("a webhook".to_owned(), request.into_bytes())));
    files(weir.data.path(), &mut seen);

    let (_, signature) = token.rsplit_once('.').unwrap();
    let claims = token.split('.').nth(1).unwrap();
    for (what, secret) in [
        ("root secret", ROOT),
        ("administrator's key", ADMIN_KEY),
        ("stream key", &stream_key[12..]),
        ("second stream key", &second_key[12..]),
        ("wrong stream key", &wrong_stream_key[12..]),
        ("API key", &api_key[12..]),
        ("wrong API key", &WRONG_KEY[12..]),
        ("signing secret", &signing),
        ("webhook secret", webhook.strip_prefix("whsec_").unwrap()),
        ("token's signature", signature),
        ("token's claims", claims),
    ] {
        for (place, bytes) in &seen {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "the {what} is in {place}");
        }
    }
    assert!(seen.len() > 30 && seen.iter().any(|(place, _)| place.ends_with("weir.db")));
}
