use crate::support::{Encoder, Seen, Stream, Viewer, Weir};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Status and body of the refusal by each way in: the socket, the body, the question.
async fn refusals(weir: &Weir, stream: &Stream, token: Option<&str>, origin: Option<&str>) -> Vec<(u16, Value)> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers: Vec<(&'static str, &str)> = Vec::new();
    headers.extend(bearer.as_deref().map(|value| ("authorization", value)));
    headers.extend(origin.map(|value| ("origin", value)));
    let mut found = Vec::new();
    match Viewer::try_connect(weir, stream, "weir.v1", &headers).await {
        Ok(_) => found.push((101, Value::Null)),
        Err(refused) => {
            let body = refused.body().as_deref().and_then(|b| serde_json::from_slice(b).ok());
            found.push((refused.status().as_u16(), body.unwrap_or_default()));
        }
    }
    for suffix in ["", ".mp4"] {
        let mut request = weir.client.get(format!("{}{suffix}", weir.live_url(stream)));
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let is_problem = response.headers()["content-type"] == "application/problem+json";
        assert!(status < 400 || is_problem, "{status} is no problem+json");
        let body = if is_problem { response.json().await.unwrap() } else { Value::Null };
        found.push((status, body));
    }
    found
}

fn with_header(token: &str, header: &Value) -> String {
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[actix_rt::test]
async fn each_bad_token_gets_one_and_the_same_401() {
    let weir = Weir::start().await;
    let stream = weir.stream(json!({ "policy": "signed" })).await;
    let good = weir.token(&stream, 60).await;
    let expired = weir.token(&stream, 1).await;
    let foreign = weir.stream(json!({ "policy": "signed" })).await;
    let of_another_tenant = weir.token(&foreign, 60).await;
    let unsigned = format!("{}.", with_header(&good, &json!({ "alg": "none" })).rsplit_once('.').unwrap().0);
    let mut tampered = good.clone();
    tampered.replace_range(tampered.len() - 4.., "AAAA");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let mut bodies = Vec::new();
    for bad in [None, Some("x"), Some(&*expired), Some(&of_another_tenant), Some(&unsigned), Some(&tampered)] {
        for (status, body) in refusals(&weir, &stream, bad, None).await {
            assert_eq!(status, 401, "{bad:?}: {body}");
            assert_eq!(body["code"], "unauthorized");
            bodies.push(body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let admitted: Vec<u16> = refusals(&weir, &stream, Some(&good), None).await.into_iter().map(|(s, _)| s).collect();
    assert_eq!(admitted, [101, 200, 503], "over plain HTTP there is nothing to send yet");
}

#[actix_rt::test]
async fn a_token_for_another_stream_of_the_tenant_is_403() {
    let weir = Weir::start().await;
    let tenant = weir.tenant().await;
    let stream = weir.stream_of(&tenant, json!({ "policy": "signed" })).await;
    let other = weir.stream_of(&tenant, json!({ "policy": "signed", "name": "other" })).await;
    let token = weir.token(&other, 60).await;
    for (status, body) in refusals(&weir, &stream, Some(&token), None).await {
        assert_eq!(status, 403, "{body}");
    }
}

#[actix_rt::test]
async fn a_stream_that_does_not_exist_is_404_and_one_that_is_not_live_waits() {
    let weir = Weir::start().await;
    let mut stream = weir.public_stream().await;
    assert_eq!(weir.facts(&stream).await["state"], "waiting");
    let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
    assert!(viewer.next().await.is("hello"));
    stream.playback_id = "play_0000000000000000000000000a".into();
    for (status, _) in refusals(&weir, &stream, None, None).await {
        assert_eq!(status, 404);
    }
}

#[actix_rt::test]
async fn only_the_named_origins_and_our_own_may_show_a_stream() {
    let weir = Weir::start().await;
    let settings = json!({ "policy": "public", "allowed_origins": ["https://example.com"] });
    let stream = weir.stream(settings).await;
    let own = format!("http://{}", weir.http);
    for origin in [None, Some("null"), Some("https://evil.example"), Some("https://example.com.evil.example")] {
        for (status, body) in refusals(&weir, &stream, None, origin).await {
            assert_eq!(status, 403, "{origin:?}: {body}");
        }
    }
    for origin in ["https://example.com", &own] {
        let response = weir.client.get(weir.live_url(&stream)).header("origin", origin).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["access-control-allow-origin"], origin);
        assert!(response.headers().get("access-control-allow-credentials").is_none());
        let asked = weir.client.request(reqwest::Method::OPTIONS, weir.live_url(&stream)).header("origin", origin);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.headers()["access-control-allow-headers"], "authorization");
        assert_eq!(answer.headers()["access-control-allow-origin"], origin);
        let mut viewer = Viewer::try_connect(&weir, &stream, "weir.v1", &[("origin", origin)]).await.unwrap();
        assert!(viewer.next().await.is("hello"));
    }
}

#[actix_rt::test]
async fn a_token_may_come_by_protocol_header_or_query_and_is_never_logged() {
    let weir = Weir::start().await;
    let mut stream = weir.stream(json!({ "policy": "signed" })).await;
    let token = weir.token(&stream, 60).await;
    let by_protocol = Viewer::connect(&weir, &stream, &format!("weir.v1, auth.{token}")).await;
    assert_eq!(by_protocol.protocol.as_deref(), Some("weir.v1"));
    let header = format!("Bearer {token}");
    let by_header = Viewer::try_connect(&weir, &stream, "", &[("authorization", &header)]).await;
    assert!(by_header.is_ok());
    let mut mistaken = stream.clone();
    mistaken.playback_id = stream.key.clone();
    assert_eq!(weir.client.get(weir.live_url(&mistaken)).send().await.unwrap().status(), 404);
    stream.playback_id = format!("{}?token={token}", stream.playback_id);
    let mut by_query = Viewer::connect(&weir, &stream, "weir.v1").await;
    assert!(matches!(by_query.next().await, Seen::Text(_)));
    let signature = token.rsplit_once('.').unwrap().1;
    let log = weir.log.lock().unwrap();
    assert!(!log.contains(signature) && !log.contains(&stream.key), "a secret is in the log");
}

#[actix_rt::test]
async fn over_plain_http_a_stream_that_is_not_live_is_said_to_be_so_and_one_that_starts_is_waited_for() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let mp4 = || weir.client.get(format!("{}.mp4", weir.live_url(&stream))).send();
    let refused = mp4().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "not_live");
    let url = weir.rtmp_url(&stream.key);
    let (answer, _encoder) = futures_util::join!(mp4(), Encoder::start(&url));
    assert_eq!(answer.unwrap().status().as_u16(), 200);
}

#[actix_rt::test]
async fn a_handshake_without_a_right_key_is_refused() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    for key in [None, Some("x"), Some("AAAA"), Some("dGhlIHNhbXBsZSBub25jZQ==")] {
        let mut request = weir.client.get(weir.live_url(&stream)).header("connection", "Upgrade");
        request = request.header("upgrade", "websocket").header("sec-websocket-version", "13");
        if let Some(key) = key {
            request = request.header("sec-websocket-key", key);
        }
        let status = request.send().await.unwrap().status().as_u16();
        assert_eq!(status, if key.is_some_and(|key| key.len() == 24) { 101 } else { 400 }, "{key:?}");
    }
}
