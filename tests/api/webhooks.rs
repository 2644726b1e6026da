use super::support::{Api, NOW_US};
use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use serde_json::json;
use weir::hooks::Event;
use weir::id::{EventId, StreamId, TenantId, WebhookId};

#[actix_web::test]
async fn a_webhook_is_made_changed_tested_and_gone_and_shows_its_secret_once() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let owner = api.api_key(Some(&tenant), "owner").await;
    let made = owner.post("/webhooks", json!({"url": "https://example.com/x", "events": ["stream.live"]})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let secret = made.text("/secret");
    assert!(secret.starts_with("whsec_"));
    let path = format!("/webhooks/{}", made.text("/id"));
    let got = owner.get(&path).await;
    assert!(!got.body.to_string().contains(secret));
    let stored = api.store().webhook(&WebhookId::parse(made.text("/id")).unwrap()).await.unwrap().unwrap();
    let opened = api.secrets.open(&stored.sealed, stored.id.as_str()).unwrap();
    assert_eq!(weir::hooks::sign::shown(&opened), secret);

    let sent = owner.post(&format!("{path}/test"), json!({})).await;
    assert_eq!(
        (sent.status, sent.text("/event"), sent.text("/state")),
        (StatusCode::CREATED, "webhook.test", "pending")
    );
    let listed = owner.get(&format!("{path}/deliveries")).await;
    assert_eq!(listed.text("/data/0/id"), sent.text("/id"));
    let again = owner.post(&format!("{path}/deliveries/{}/redeliver", sent.text("/id")), json!({})).await;
    assert_eq!((again.status, again.text("/event_id")), (StatusCode::OK, sent.text("/event_id")));

    let etag = got.header("etag").unwrap().to_owned();
    let with_etag = || owner.request(Method::PATCH, &path).insert_header(("If-Match", etag.clone()));
    let off = owner.send(with_etag().set_json(json!({"disabled": true}))).await;
    assert_eq!((off.status, &off.body["disabled"]), (StatusCode::OK, &json!(true)));
    assert_eq!(owner.send(with_etag().set_json(json!({}))).await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(owner.post(&format!("{path}/test"), json!({})).await.text("/code"), "webhook_disabled");

    let other = api.tenant("other").await;
    let foreign = api.api_key(Some(&other), "owner").await;
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::PATCH, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::GET, format!("{path}/deliveries")),
        (Method::POST, format!("{path}/test")),
        (Method::POST, format!("{path}/deliveries/{}/redeliver", sent.text("/id"))),
    ] {
        let answer = foreign.send(foreign.request(method.clone(), &path).set_json(json!({}))).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    assert_eq!(foreign.get("/webhooks").await.body["data"], json!([]));
    assert_eq!(owner.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(owner.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn a_webhook_with_an_address_or_event_that_is_none_is_refused() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    for (body, field) in [
        (json!({"url": "ftp://example.com"}), "url"),
        (json!({"url": "https://user:secret@example.com"}), "url"),
        (json!({"url": "https://example.com", "events": ["stream.nothing"]}), "events"),
    ] {
        let mut body = body;
        body["tenant"] = tenant.clone().into();
        let answer = api.post("/webhooks", body).await;
        assert_eq!((answer.status, answer.text("/field")), (StatusCode::UNPROCESSABLE_ENTITY, field));
    }
}

#[actix_web::test]
async fn usage_is_told_by_the_hour_and_nodes_to_the_platform() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let hour_us = NOW_US / weir::store::HOUR_US * weir::store::HOUR_US;
    let id = TenantId::parse(&tenant).unwrap();
    let used = weir::store::Usage { tenant: id, hour_us, ingest_bytes: 1 << 60, egress_bytes: 7, viewer_seconds: 90 };
    api.store().add_usage(&[used]).await.unwrap();
    let reader = api.api_key(Some(&tenant), "reader").await;
    let now = "2027-01-15T08:00:01Z";
    let answer = reader.get(&format!("/usage?to={now}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let row = &answer.body["data"][0];
    assert_eq!((&row["ingest_bytes"], &row["viewer_minutes"]), (&json!("1152921504606846976"), &json!(1.5)));
    assert_eq!(reader.get("/usage?from=yesterday").await.text("/field"), "from");
    assert_eq!(reader.get("/nodes").await.status, StatusCode::FORBIDDEN);
    let nodes = api.get("/nodes").await;
    assert_eq!((nodes.text("/data/0/id"), nodes.text("/data/0/state")), ("node-1", "ready"));
    let drained = api.post("/nodes/node-1/drain", json!({})).await;
    assert_eq!(drained.status, StatusCode::ACCEPTED);
    assert_eq!(api.heard.take(), [weir::cluster::Message::NodeDraining { node: "node-1".to_owned() }]);
}

fn event(n: u8, tenant: &str, name: &'static str) -> Event {
    Event {
        id: EventId::from_random([n; 16]),
        name,
        tenant: TenantId::parse(tenant).unwrap(),
        stream: Some(StreamId::from_random([n; 16])),
        fence: None,
        at_us: NOW_US + i64::from(n),
        data: json!({"n": n}),
    }
}

#[actix_web::test]
async fn what_was_published_when_is_listed_newest_first_and_page_by_page() {
    let api = Api::new();
    let (one, other) = (api.tenant("one").await, api.tenant("other").await);
    let reader = api.api_key(Some(&one), "reader").await;
    let made = api.stream(&one, "s").await;
    let id = made["id"].as_str().unwrap();
    let names =
        ["stream.live", "stream.interrupted", "stream.ended", "stream.live", "stream.interrupted", "stream.ended"];
    for (n, name) in (1..).zip(names) {
        let told = Event {
            stream: Some(StreamId::parse(id).unwrap()),
            at_us: NOW_US + i64::from(n) * 10_000_000,
            data: json!({"node": "node-1", "reason": "unpublished"}),
            ..event(n, &one, name)
        };
        api.store().record_event(&told.happened(), None, &[]).await.unwrap();
    }
    api.store().record_event(&event(9, &other, "stream.live").happened(), None, &[]).await.unwrap();

    let path = format!("/streams/{id}/publishes");
    let first = reader.get(&format!("{path}?limit=1")).await;
    let newest = json!({
        "id": EventId::from_random([4; 16]),
        "state": "ended",
        "started_at": "2027-01-15T08:00:40Z",
        "ended_at": "2027-01-15T08:00:50Z",
        "duration_s": 10,
        "interruptions": 0,
        "node": "node-1",
        "reason": "unpublished",
    });
    assert_eq!(first.body["data"], json!([newest]));
    let rest = reader.get(&format!("{path}?limit=1&cursor={}", first.text("/next_cursor"))).await;
    assert_eq!((rest.text("/data/0/started_at"), &rest.body["next_cursor"]), ("2027-01-15T08:00:10Z", &json!(null)));
    assert_eq!(reader.get(&path).await.body["data"].as_array().unwrap().len(), 2);
    let foreign = api.api_key(Some(&other), "owner").await;
    assert_eq!(foreign.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(reader.get(&format!("{path}?limit=0")).await.text("/field"), "limit");
}

#[actix_web::test]
async fn one_who_lost_its_connection_hears_what_it_missed_once() {
    let api = Api::new();
    let (one, other) = (api.tenant("one").await, api.tenant("other").await);
    let reader = api.api_key(Some(&one), "reader").await;
    for (n, tenant) in [(1, &one), (2, &one), (3, &other), (4, &one)] {
        api.store().record_event(&event(n, tenant, "stream.live").happened(), None, &[]).await.unwrap();
    }
    let last = EventId::from_random([1; 16]).to_string();
    let request = reader.request(Method::GET, "/events").insert_header(("Last-Event-ID", last));
    let mut body = reader.listen(request).await;
    // The last one is told and kept at the same moment.
    api.feed.tell(event(4, &one, "stream.live"));
    api.feed.tell(event(5, &one, "viewers.changed"));
    assert!(body.next().await.contains("retry:"));
    for n in [2, 4] {
        let told = body.next().await;
        assert!(told.starts_with(&format!("id: {}\n", EventId::from_random([n; 16]))), "{told}");
    }
    let told = body.next().await;
    assert!(told.starts_with("event: viewers.changed\n"), "it can't be asked for again: {told}");
}

#[actix_web::test]
async fn events_are_told_to_their_tenant_only() {
    let api = Api::new();
    let (one, other) = (api.tenant("one").await, api.tenant("other").await);
    let reader = api.api_key(Some(&one), "reader").await;
    let request: TestRequest = reader.request(Method::GET, "/events");
    let mut body = reader.listen(request).await;
    assert!(body.next().await.contains("retry:"));
    for (n, tenant) in [(1, &other), (2, &one)] {
        api.feed.tell(event(n, tenant, "stream.live"));
    }
    let told = body.next().await;
    assert!(
        told.starts_with(&format!("id: {}\nevent: stream.live\ndata: {{", EventId::from_random([2; 16]))),
        "{told}"
    );
    assert!(told.ends_with("\n\n") && told.contains("\"n\":2") && !told.contains(&other), "{told}");
}
