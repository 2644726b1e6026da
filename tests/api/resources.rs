use super::support::{Api, NOW_US};
use actix_web::http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use weir::auth::token::{Request, VerifyingKey, verify};
use weir::cluster::Message;
use weir::config::Limits;
use weir::id::{KeyId, SessionId, StreamId, TenantId};
use weir::store::Material;
use weir::stream::handle::Command;
use weir::stream::packet::Packet;
use weir::stream::subscriber::{Refused, Standing, Subscriber, SubscriberId, Viewer};
use weir::tenancy;

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

#[actix_web::test]
async fn a_stream_is_created_with_a_key_that_is_shown_once_and_links_to_use_it() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let answer = api.post("/streams", json!({"tenant": tenant, "name": "Main stage"})).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let (id, playback, key) = (answer.text("/id"), answer.text("/playback_id"), answer.text("/stream_key/key"));
    assert!(id.starts_with("str_") && playback.starts_with("play_") && key.starts_with("sk_"));
    assert!(answer.text("/stream_key/id").starts_with("key_"));
    assert_eq!(answer.text("/ingest/rtmp_url"), format!("rtmp://live.example:1935/live/{key}"));
    assert_eq!(answer.text("/ingest/rtmp_server"), "rtmp://live.example:1935/live");
    assert_eq!(answer.text("/ingest/stream_key"), key);
    assert_eq!(answer.text("/play/ws_url"), format!("ws://live.example:8080/live/{playback}"));
    assert_eq!(answer.text("/play/mp4_url"), format!("http://live.example:8080/live/{playback}.mp4"));
    assert_eq!(answer.text("/play/page_url"), format!("http://live.example:8080/watch/{playback}"));
    assert_eq!(answer.text("/created_at"), "2027-01-15T08:00:00Z");
    assert_eq!((answer.text("/policy"), answer.text("/second_publisher")), ("signed", "refuse"));
    assert_eq!(answer.body["reconnect_window_s"], 30);

    let publish = api.store().stream_by_key_hash(&api.secrets.hash(key)).await.unwrap().unwrap();
    assert_eq!(publish.stream.id.as_str(), id);
    let (got, listed) = (api.get(&format!("/streams/{id}")).await, api.get("/streams").await);
    assert!(!got.body.to_string().contains(key) && !listed.body.to_string().contains(key));
    assert_eq!((got.text("/state"), &got.body["viewers"], &got.body["video"]), ("waiting", &json!(0), &Value::Null));
    let audit = api.get("/audit").await.body.to_string();
    assert!(audit.contains("stream.create") && !audit.contains(key));
}

#[actix_web::test]
async fn a_token_opens_its_stream_until_it_expires() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let stream = api.stream(&tenant, "s").await;
    let (id, playback_id) = (text(&stream, "/id"), text(&stream, "/playback_id"));
    let answer = api.post(&format!("/streams/{id}/tokens"), json!({"sub": "viewer-1", "ttl_s": 60})).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(answer.text("/expires_at"), "2027-01-15T08:01:00Z");

    let stored = &api.store().signing_keys(&TenantId::parse(&tenant).unwrap()).await.unwrap()[0];
    let Material::Sealed(sealed) = &stored.material else { panic!("a key of ours is sealed") };
    let secret = api.secrets.open(sealed, stored.id.as_str()).unwrap();
    let keys = [VerifyingKey::hs256(&stored.kid, &secret).unwrap()];
    let request = Request { playback_id, now_s: NOW_US / 1_000_000 + 59, address: None, origin: None };
    let claims = verify(answer.text("/token"), &keys, &request).unwrap();
    assert_eq!(claims.subject.as_deref(), Some("viewer-1"));
    let late = Request { now_s: request.now_s + 1, ..request };
    assert!(verify(answer.text("/token"), &keys, &late).is_err());

    for (body, field) in [(json!({"ttl_s": 0}), "ttl_s"), (json!({"sub": ""}), "sub"), (json!({"ip": "x"}), "ip")] {
        let answer = api.post(&format!("/streams/{id}/tokens"), body).await;
        assert_eq!((answer.status, answer.text("/field")), (StatusCode::UNPROCESSABLE_ENTITY, field));
    }
}

#[actix_web::test]
async fn lists_are_walked_by_cursor() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    for n in 0..5 {
        api.clock.advance(Duration::from_secs(1));
        api.stream(&tenant, &format!("s{n}")).await;
    }
    let (mut names, mut query) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/streams?limit=2{query}")).await;
        for stream in page.body["data"].as_array().unwrap() {
            names.push(text(stream, "/name").to_owned());
        }
        let Some(next) = page.body["next_cursor"].as_str() else { break };
        query = format!("&cursor={next}");
    }
    assert_eq!(names, ["s4", "s3", "s2", "s1", "s0"]);
    let found = api.get(&format!("/streams?name=s3&tenant={tenant}&policy=signed")).await;
    assert_eq!(found.body["data"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn a_stream_is_changed_in_part_and_only_as_it_was_read() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let stream = api.stream(&tenant, "old").await;
    let path = format!("/streams/{}", text(&stream, "/id"));
    let etag = api.get(&path).await.header("etag").unwrap().to_owned();
    let with_etag = || api.request(Method::PATCH, &path).insert_header(("If-Match", etag.clone()));

    let changed = api.send(with_etag().set_json(json!({"name": "new", "latency_target_ms": 200}))).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    assert_eq!((changed.text("/name"), changed.text("/policy")), ("new", "signed"));
    assert_eq!(changed.body["latency_target_ms"], 200);
    let again = api.send(with_etag().set_json(json!({"name": "newer"}))).await;
    assert_eq!((again.status, again.text("/code")), (StatusCode::PRECONDITION_FAILED, "stale"));

    let cleared = api.patch(&path, json!({"latency_target_ms": null})).await;
    assert_eq!((&cleared.body["latency_target_ms"], cleared.text("/name")), (&Value::Null, "new"));
    let refused = api.patch(&path, json!({"latency_target_ms": 7})).await;
    assert_eq!(refused.text("/field"), "latency_target_ms");
    let id = StreamId::parse(text(&stream, "/id")).unwrap();
    assert_eq!(
        api.heard.take(),
        [Message::StreamChanged { stream: id.clone() }, Message::StreamChanged { stream: id }]
    );
}

#[actix_web::test]
async fn a_deleted_stream_is_gone_and_its_publisher_is_told() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let stream = api.stream(&tenant, "s").await;
    let path = format!("/streams/{}", text(&stream, "/id"));
    let id = StreamId::parse(text(&stream, "/id")).unwrap();
    assert_eq!(api.post(&format!("{path}/disconnect"), json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.delete(&path).await.status, StatusCode::NOT_FOUND);
    let told = [Message::StreamDisconnected { stream: id.clone() }, Message::StreamDeleted { stream: id }];
    assert_eq!(api.heard.take(), told);
}

#[actix_web::test]
async fn a_stream_key_is_rotated_through_a_second_one() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let stream = api.stream(&tenant, "s").await;
    let path = format!("/streams/{}/keys", text(&stream, "/id"));
    let second = api.post(&path, json!({})).await;
    assert_eq!(second.status, StatusCode::CREATED);
    let third = api.post(&path, json!({})).await;
    assert_eq!((third.status, third.text("/code")), (StatusCode::CONFLICT, "too_many_keys"));

    let hashes = [text(&stream, "/stream_key/key"), second.text("/key")].map(|key| api.secrets.hash(key));
    assert_eq!(*api.keys.lock().unwrap(), hashes, "a key that was refused is not told of");
    let listed = api.get(&path).await;
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 2);
    assert!(
        second.text("/key").starts_with(listed.text("/data/0/prefix"))
            || second.text("/key").starts_with(listed.text("/data/1/prefix"))
    );
    assert!(!listed.body.to_string().contains(second.text("/key")));

    let first = text(&stream, "/stream_key/id");
    assert_eq!(api.delete(&format!("{path}/{first}")).await.status, StatusCode::NO_CONTENT);
    let old = api.secrets.hash(text(&stream, "/stream_key/key"));
    assert_eq!(api.store().stream_by_key_hash(&old).await.unwrap(), None);
    let new = api.secrets.hash(second.text("/key"));
    assert!(api.store().stream_by_key_hash(&new).await.unwrap().is_some());
    let stream = StreamId::parse(text(&stream, "/id")).unwrap();
    assert_eq!(api.heard.take(), [Message::StreamKeyRevoked { stream, key: KeyId::parse(first).unwrap() }]);
}

#[actix_web::test]
async fn signing_keys_are_made_brought_and_removed() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let made = api.post("/signing-keys", json!({"tenant": tenant})).await;
    assert_eq!((made.status, made.text("/algorithm")), (StatusCode::CREATED, "HS256"));
    let secret = made.text("/secret");
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    let body = json!({"tenant": tenant, "algorithm": "EdDSA", "public_key": pem, "kid": "theirs"});
    let brought = api.post("/signing-keys", body.clone()).await;
    assert_eq!((brought.status, brought.text("/kid")), (StatusCode::CREATED, "theirs"), "{}", brought.body);
    assert_eq!(api.post("/signing-keys", body).await.text("/code"), "exists");

    let listed = api.get(&format!("/signing-keys?tenant={tenant}")).await;
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 3);
    assert!(!listed.body.to_string().contains(secret));
    let path = format!("/signing-keys/{}?tenant={tenant}", made.text("/id"));
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.delete(&path).await.status, StatusCode::NOT_FOUND);

    for body in [
        json!({"algorithm": "none"}),
        json!({"algorithm": "RS256"}),
        json!({"algorithm": "RS256", "public_key": pem}),
        json!({"algorithm": "HS256", "public_key": pem}),
        json!({"kid": "chosen"}),
        json!({"jwks_url": "ftp://example.com/keys"}),
        json!({"jwks_url": "https://example.com/keys", "algorithm": "RS256"}),
        json!({"jwks_url": "https://example.com/keys", "public_key": pem}),
    ] {
        let mut body = body;
        body["tenant"] = tenant.clone().into();
        let answer = api.post("/signing-keys", body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
}

#[actix_web::test]
async fn a_tenant_has_quotas_and_can_be_disabled() {
    let api = Api::new();
    let body = json!({"name": "a", "quotas": {"viewers": 500, "egress_bps": "9007199254740993"}});
    let made = api.post("/tenants", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let path = format!("/tenants/{}", made.text("/id"));
    assert_eq!(made.body["quotas"]["streams"], Value::Null);
    assert_eq!(made.text("/quotas/egress_bps"), "9007199254740993");

    let patched = api.patch(&path, json!({"disabled": true, "quotas": {"viewers": null, "streams": 2}})).await;
    assert_eq!(patched.status, StatusCode::OK, "{}", patched.body);
    assert_eq!(patched.body["disabled"], true);
    assert_eq!(
        patched.body["quotas"],
        json!({"streams": 2, "viewers": null, "ingest_bps": null, "egress_bps": "9007199254740993"})
    );
    let refused = api.patch(&path, json!({"quotas": {"egress_bps": "-1"}})).await;
    assert_eq!(refused.text("/field"), "quotas.egress_bps");

    let tenant = TenantId::parse(made.text("/id")).unwrap();
    assert_eq!(api.heard.take(), [Message::TenantChanged { tenant: tenant.clone() }]);
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.heard.take(), [Message::TenantDeleted { tenant }]);
}

#[actix_web::test]
async fn the_audit_tells_who_did_what_from_where() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let owner = api.api_key(Some(&tenant), "owner").await;
    let made = owner.post("/streams", json!({"name": "old"})).await;
    owner.patch(&format!("/streams/{}", made.text("/id")), json!({"name": "new"})).await;
    let first = owner.get("/audit?limit=1").await;
    let line = &first.body["data"][0];
    assert_eq!((text(line, "/action"), text(line, "/target")), ("stream.update", made.text("/id")));
    assert_eq!((text(line, "/before/name"), text(line, "/after/name")), ("old", "new"));
    assert_eq!((text(line, "/address"), text(line, "/outcome")), ("192.0.2.1", "done"));
    assert!(text(line, "/actor").starts_with("key_"));
    let rest = owner.get(&format!("/audit?cursor={}", first.text("/next_cursor"))).await;
    let actions: Vec<_> = rest.body["data"].as_array().unwrap().iter().map(|line| text(line, "/action")).collect();
    assert_eq!(actions, ["stream.create", "api_key.create", "tenant.create"]);
}

/// A worker that takes what it is sent.
struct Hub;

impl Subscriber for Hub {
    fn id(&self) -> SubscriberId {
        SubscriberId(1)
    }

    fn try_deliver(&self, _: Packet) -> Result<(), Refused> {
        Ok(())
    }
}

#[actix_web::test]
async fn viewers_are_listed_by_stream_and_kicked_by_their_own_tenant_only() {
    let api = Api::new();
    let (one, other) = (api.tenant("one").await, api.tenant("other").await);
    let stream = api.stream(&one, "s").await;
    let id = StreamId::parse(text(&stream, "/id")).unwrap();
    let path = format!("/sessions?stream={id}");
    assert_eq!(api.get(&path).await.body["data"], json!([]), "a stream that does not run has no viewers");

    let stored = api.store().stream(&id).await.unwrap().unwrap();
    let settings = tenancy::settings(&stored.settings, &Limits::default());
    let running = api.registry().open(&id, settings);
    let viewer = |n: u8| Viewer {
        session: SessionId::from_random([n; 16]),
        subject: format!("viewer-{n}"),
        address: "192.0.2.9".to_owned(),
        dialect: "weir.v1",
        since_us: NOW_US + i64::from(n),
        standing: Standing { rung: n, waiting_bytes: 0, frames_dropped: 7 },
    };
    running.send(Command::Subscribe(Box::new(Hub))).await.unwrap();
    let joined = Command::Viewers {
        subscriber: SubscriberId(1),
        joined: vec![viewer(1), viewer(2)],
        left: Vec::new(),
        moved: Vec::new(),
    };
    running.send(joined).await.unwrap();

    let first = api.get(&format!("{path}&limit=1")).await;
    assert_eq!((first.text("/data/0/sub"), first.text("/data/0/protocol")), ("viewer-2", "weir.v1"));
    assert_eq!((&first.body["data"][0]["rung"], &first.body["data"][0]["frames_dropped"]), (&json!(2), &json!(7)));
    let rest = api.get(&format!("{path}&cursor={}", first.text("/next_cursor"))).await;
    assert_eq!((rest.text("/data/0/sub"), &rest.body["next_cursor"]), ("viewer-1", &Value::Null));

    let kick = format!("/sessions/{}", first.text("/data/0/id"));
    let foreign = api.api_key(Some(&other), "owner").await;
    assert_eq!(foreign.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(foreign.delete(&kick).await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.heard.take(), []);
    let own = api.api_key(Some(&one), "operator").await;
    assert_eq!(own.delete(&kick).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.heard.take(), [Message::SessionKicked { session: viewer(2).session }]);
    let unknown = format!("/sessions/{}", viewer(9).session);
    assert_eq!(own.delete(&unknown).await.status, StatusCode::NOT_FOUND);
}
