//! Quotas, changes that take effect at once, and webhooks, as a tenant meets them.

use crate::support::{Encoder, Seen, Stream, Viewer, Weir, until};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use weir::hooks::sign;

async fn send(weir: &Weir, method: reqwest::Method, path: &str, body: Value) -> (u16, Value) {
    let request = weir.client.request(method, format!("http://{}/api/v1{path}", weir.http));
    let response = request.bearer_auth(crate::support::ADMIN_KEY).json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

async fn tenant_with(weir: &Weir, quotas: Value) -> String {
    let (status, tenant) = weir.post("/tenants", json!({ "name": "limited", "quotas": quotas })).await;
    assert_eq!(status, 201, "{tenant}");
    tenant["id"].as_str().unwrap().to_owned()
}

async fn public(weir: &Weir, tenant: &str) -> Stream {
    weir.stream_of(tenant, json!({ "policy": "public", "reconnect_window_s": 0 })).await
}

#[actix_rt::test]
async fn a_tenant_publishes_and_is_watched_as_much_as_it_may() {
    let weir = Weir::start().await;
    let tenant = tenant_with(&weir, json!({ "streams": 1, "viewers": 1 })).await;
    let (one, two) = (public(&weir, &tenant).await, public(&weir, &tenant).await);
    let first = Encoder::start(&weir.rtmp_url(&one.key)).await;
    let refused = Encoder::start_at(&weir.rtmp_url(&two.key), 0).await.err().unwrap();
    assert!(refused.contains("as many streams as it may"), "{refused}");
    let viewer = Viewer::connect(&weir, &one, "weir.v1").await;
    let full = Viewer::try_connect(&weir, &one, "weir.v1", &[]).await.err().unwrap();
    assert_eq!(full.status().as_u16(), 429);
    let body: Value = serde_json::from_slice(full.body().as_deref().unwrap()).unwrap();
    assert_eq!((body["code"].as_str(), full.headers().contains_key("retry-after")), (Some("quota_viewers"), true));
    let ask = weir.client.get(format!("http://{}/live/{}", weir.http, one.playback_id));
    let asked = ask.header("origin", "https://page.example").send().await.unwrap();
    let headers = |name: &str| asked.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!((asked.status().as_u16(), headers("retry-after").is_some()), (429, true), "who asks is told the same");
    assert_eq!(headers("access-control-expose-headers").as_deref(), Some("retry-after"));
    assert_eq!(asked.json::<Value>().await.unwrap()["code"], "quota_viewers");
    let elsewhere = weir.public_stream().await;
    Viewer::connect(&weir, &elsewhere, "weir.v1").await;

    drop(viewer);
    drop(first);
    let start = Instant::now();
    while Encoder::start_at(&weir.rtmp_url(&two.key), 0).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    while Viewer::try_connect(&weir, &one, "weir.v1", &[]).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[actix_rt::test]
async fn a_token_is_good_for_as_many_sessions_at_once_as_it_says() {
    let weir = Weir::start().await;
    let stream = weir.stream(json!({ "policy": "signed" })).await;
    let (_, made) =
        weir.post(&format!("/streams/{}/tokens", stream.id), json!({ "sub": "ann", "max_sessions": 1 })).await;
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let _first = Viewer::try_connect(&weir, &stream, "weir.v1", &headers).await.ok().unwrap();
    let second = Viewer::try_connect(&weir, &stream, "weir.v1", &headers).await.err().unwrap();
    assert_eq!(second.status().as_u16(), 429);
}

#[actix_rt::test]
async fn a_tenant_that_is_disabled_or_deleted_is_ended_within_two_seconds_and_nobody_else() {
    let weir = Weir::start().await;
    for delete in [false, true] {
        let (tenant, other) = (tenant_with(&weir, json!({})).await, weir.public_stream().await);
        let stream = public(&weir, &tenant).await;
        let encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
        let others = Encoder::start(&weir.rtmp_url(&other.key)).await;
        let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
        let mut others_viewer = Viewer::connect(&weir, &other, "weir.v1").await;
        viewer.video(3).await;
        let start = Instant::now();
        let path = format!("/tenants/{tenant}");
        let code = if delete {
            send(&weir, reqwest::Method::DELETE, &path, Value::Null).await;
            4410
        } else {
            send(&weir, reqwest::Method::PATCH, &path, json!({ "disabled": true })).await;
            4403
        };
        viewer.until(|seen| matches!(seen, Seen::Close(closed) if *closed == code)).await;
        encoder.ended().await;
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        others_viewer.video(30).await;
        assert!(others.sent() > 0);
    }
}

#[actix_rt::test]
async fn a_publisher_over_its_bit_rate_is_cut() {
    let weir = Weir::start_with(&[("WEIR_WEBHOOKS_ALLOWED_NETWORKS", "127.0.0.1")]).await;
    let tenant = tenant_with(&weir, json!({ "ingest_bps": "1000" })).await;
    let (url, got) = receiver(&[204]).await;
    weir.post("/webhooks", json!({ "tenant": tenant, "url": url, "events": ["quota.reached"] })).await;
    let stream = public(&weir, &tenant).await;
    let encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    let warned = |request: &String| request.contains("quota.reached") && request.contains("ingest_bps");
    until("it is warned of", || got.lock().unwrap().iter().any(warned).then_some(())).await;
    let said = encoder.ended().await;
    assert!(said.contains("bit rate"), "{said}");
}

/// A receiver that answers each request with the next of these codes, the last one over and over.
async fn receiver(codes: &'static [u16]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let got = Arc::new(Mutex::new(Vec::new()));
    let kept = got.clone();
    tokio::spawn(async move {
        let mut codes = codes.iter().cycle();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let read = socket.read(&mut buffer).await.unwrap_or(0);
                bytes.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                let body = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
                if read == 0 || length.is_some_and(|length| body >= length) {
                    break;
                }
            }
            kept.lock().unwrap().push(String::from_utf8(bytes).unwrap());
            let code = codes.next().unwrap();
            let answer = format!("HTTP/1.1 {code} X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
            let _gone = socket.write_all(answer.as_bytes()).await;
        }
    });
    (url, got)
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {request}"))
}

#[actix_rt::test]
async fn a_webhook_is_told_of_a_stream_signed_and_again_after_a_failure() {
    let weir = Weir::start_with(&[("WEIR_WEBHOOKS_ALLOWED_NETWORKS", "127.0.0.1")]).await;
    let tenant = weir.tenant().await;
    let (url, got) = receiver(&[302, 204, 204]).await;
    let (status, hook) =
        weir.post("/webhooks", json!({ "tenant": tenant, "url": url, "events": ["stream.live"] })).await;
    assert_eq!(status, 201, "{hook}");
    let stream = public(&weir, &tenant).await;
    let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    until("two tries", || (got.lock().unwrap().len() >= 2).then_some(())).await;
    let requests = got.lock().unwrap().clone();
    let secret = STANDARD.decode(hook["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap()).unwrap();
    for request in &requests {
        let body = request.split_once("\r\n\r\n").unwrap().1;
        let (id, at) = (header(request, "webhook-id"), header(request, "webhook-timestamp"));
        assert_eq!(header(request, "webhook-signature"), sign::signature(&secret, id, at.parse().unwrap(), body));
        let event: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (event["type"].as_str(), event["data"]["stream"].as_str()),
            (Some("stream.live"), Some(&*stream.id))
        );
    }
    assert_eq!(header(&requests[0], "webhook-id"), header(&requests[1], "webhook-id"));
}

#[actix_rt::test]
async fn a_webhook_to_a_private_address_is_never_called() {
    let weir = Weir::start().await;
    let tenant = weir.tenant().await;
    let (url, got) = receiver(&[204]).await;
    let port = url.rsplit_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let (_, hook) =
            weir.post("/webhooks", json!({ "tenant": tenant, "url": format!("http://{host}:{port}") })).await;
        let path = format!("/webhooks/{}", hook["id"].as_str().unwrap());
        let (status, _) = weir.post(&format!("{path}/test"), json!({})).await;
        assert_eq!(status, 201);
        let start = Instant::now();
        loop {
            let (_, listed) = send(&weir, reqwest::Method::GET, &format!("{path}/deliveries"), Value::Null).await;
            if listed["data"][0]["attempts"].as_u64() == Some(1) {
                assert!(listed["data"][0]["error"].as_str().unwrap().contains("no public address"), "{listed}");
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(5), "{listed}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert!(got.lock().unwrap().is_empty());
}

/// The `bye` and the code of a viewer who is sent away; it reads on until then.
async fn sent_away(viewer: &mut Viewer) -> (Value, u16) {
    let mut bye = Value::Null;
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < Duration::from_secs(60), "nobody is sent away");
        match viewer.next().await {
            Seen::Text(text) if text["type"] == "bye" => bye = text,
            Seen::Close(code) => return (bye, code),
            Seen::Gone => panic!("gone without a word"),
            _ => {}
        }
    }
}

#[actix_rt::test]
async fn viewers_over_a_quota_are_warned_of_then_the_newest_are_cut_and_nobody_else() {
    let weir = Weir::start().await;
    let (rated, counted) = (tenant_with(&weir, json!({})).await, tenant_with(&weir, json!({})).await);
    let (of_rated, of_counted) = (public(&weir, &rated).await, public(&weir, &counted).await);
    let _encoders =
        [Encoder::start(&weir.rtmp_url(&of_rated.key)).await, Encoder::start(&weir.rtmp_url(&of_counted.key)).await];
    let mut all = Viewer::connect(&weir, &of_rated, "weir.v1").await;
    let mut old = Viewer::connect(&weir, &of_counted, "weir.v1").await;
    old.video(1).await;
    let mut new = Viewer::connect(&weir, &of_counted, "weir.v1").await;
    new.video(1).await;
    send(&weir, reqwest::Method::PATCH, &format!("/tenants/{rated}"), json!({"quotas": {"egress_bps": "1000"}})).await;
    send(&weir, reqwest::Method::PATCH, &format!("/tenants/{counted}"), json!({"quotas": {"viewers": 1}})).await;
    let start = Instant::now();
    // Longer than it takes, so that one who was there first is seen to stay.
    let ((egress, egress_code), (viewers, viewers_code), _) =
        futures_util::join!(sent_away(&mut all), sent_away(&mut new), old.video(750));
    assert_eq!((egress_code, viewers_code), (4429, 4429));
    assert!(egress["reason"].as_str().unwrap().contains("take more than they may"), "{egress}");
    assert!(viewers["reason"].as_str().unwrap().contains("more watch than"), "{viewers}");
    assert!(viewers["retry_after_ms"].as_u64().is_some_and(|ms| ms < 10_000), "{viewers}");
    assert!(start.elapsed() > Duration::from_secs(10), "warned first: {:?}", start.elapsed());
    old.video(30).await;
}

#[actix_rt::test]
async fn viewers_are_announced_to_webhooks_that_ask_for_it_and_not_kept() {
    let weir = Weir::start_with(&[("WEIR_WEBHOOKS_ALLOWED_NETWORKS", "127.0.0.1")]).await;
    let tenant = weir.tenant().await;
    let (url, got) = receiver(&[204]).await;
    let (all_url, all_got) = receiver(&[204]).await;
    let asks = json!({ "tenant": tenant, "url": url, "events": ["viewers.changed", "stream.live"] });
    let (status, hook) = weir.post("/webhooks", asks).await;
    assert_eq!(status, 201, "{hook}");
    weir.post("/webhooks", json!({ "tenant": tenant, "url": all_url })).await;
    let stream = public(&weir, &tenant).await;
    let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    let viewers = [Viewer::connect(&weir, &stream, "weir.v1").await, Viewer::connect(&weir, &stream, "weir.v1").await];
    let bodies = || -> Vec<Value> {
        let requests = got.lock().unwrap();
        requests.iter().map(|r| serde_json::from_str(r.split_once("\r\n\r\n").unwrap().1).unwrap()).collect()
    };
    let seen = |count: u64| bodies().into_iter().find(|body| body["data"]["viewers"] == count);
    let told = until("both are counted", || seen(2)).await;
    assert_eq!((&told["type"], told["data"]["stream"].as_str()), (&json!("viewers.changed"), Some(&*stream.id)));
    drop(viewers);
    until("nobody is left", || seen(0)).await;
    let path = format!("/webhooks/{}/deliveries", hook["id"].as_str().unwrap());
    let kept = weir.get(&path).await;
    let kept: Vec<_> = kept["data"].as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap()).collect();
    assert_eq!(kept, ["stream.live"]);
    assert_eq!(bodies().iter().filter(|body| body["type"] == "stream.live").count(), 1, "what is kept is sent once");
    until("what is kept", || all_got.lock().unwrap().iter().any(|r| r.contains("stream.live")).then_some(())).await;
    assert!(!all_got.lock().unwrap().iter().any(|r| r.contains("viewers.changed")), "only where it is named");
}

#[actix_rt::test]
async fn what_happened_is_written_at_once_and_outlives_a_kill() {
    let weir = Weir::start_with(&[("WEIR_WEBHOOKS_ALLOWED_NETWORKS", "127.0.0.1")]).await;
    let tenant = weir.tenant().await;
    // Nobody listens there yet.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let body = json!({ "tenant": tenant, "url": format!("http://{free}/"), "events": ["stream.live", "stream.ended"] });
    let (_, hook) = weir.post("/webhooks", body).await;
    let path = format!("/webhooks/{}/deliveries", hook["id"].as_str().unwrap());
    let stream = public(&weir, &tenant).await;
    let encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    weir.until_state(&stream, "live").await;
    drop(encoder);
    let start = Instant::now();
    let before = loop {
        let listed = weir.get(&path).await;
        if listed["data"].as_array().unwrap().len() == 2 {
            break listed;
        }
        assert!(start.elapsed() < Duration::from_secs(15), "{listed}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(
        (&before["data"][0]["event"], &before["data"][1]["event"]),
        (&json!("stream.ended"), &json!("stream.live"))
    );
    let publishes = weir.get(&format!("/streams/{}/publishes", stream.id)).await;
    let publish = &publishes["data"][0];
    assert_eq!((&publish["state"], &publish["reason"]), (&json!("ended"), &json!("connection_lost")), "{publishes}");
    assert!(publish["started_at"].is_string() && publish["ended_at"].is_string() && publish["node"].is_string());
    weir.signal("KILL");
    let data = weir.data.clone();
    drop(weir);
    let weir = Weir::start_in(data, &[]).await;
    let after = weir.get(&path).await;
    let ids =
        |listed: &Value| listed["data"].as_array().unwrap().iter().map(|d| d["event_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&after), ids(&before));
}
