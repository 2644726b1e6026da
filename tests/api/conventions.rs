//! What holds for every route: replays, request ids, rates.

use super::support::{Api, Away};
use actix_web::http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use weir::clock::Manual;

#[actix_web::test]
async fn a_request_sent_again_with_its_key_is_answered_and_not_done_again() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let body = json!({"tenant": tenant, "name": "once"});
    let post = |key: &str, body: &Value| {
        api.request(Method::POST, "/streams").insert_header(("Idempotency-Key", key.to_owned())).set_json(body)
    };
    let first = api.send(post("a", &body)).await;
    let again = api.send(post("a", &body)).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED), "{}", again.body);
    assert_eq!(first.text("/id"), again.text("/id"));
    assert!(first.text("/stream_key/key").starts_with("sk_"));
    for secret in ["/stream_key/key", "/ingest/stream_key", "/ingest/rtmp_url"] {
        assert_eq!(again.body.pointer(secret), Some(&Value::Null), "{secret}");
    }
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(api.get("/streams").await.body["data"].as_array().unwrap().len(), 1);

    let other = api.send(post("a", &json!({"tenant": tenant, "name": "twice"}))).await;
    assert_eq!((other.status, other.text("/code")), (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"));
    let owner = api.api_key(Some(&tenant), "owner").await;
    let request = owner.request(Method::POST, "/streams").insert_header(("Idempotency-Key", "a")).set_json(&body);
    assert_ne!(owner.send(request).await.text("/id"), first.text("/id"), "keys belong to who made them up");

    api.clock.advance(Duration::from_secs(24 * 3_600));
    assert_ne!(api.send(post("a", &body)).await.text("/id"), first.text("/id"));
}

#[actix_web::test]
async fn a_request_that_failed_may_be_sent_again_with_its_key() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let post =
        |body: Value| api.request(Method::POST, "/streams").insert_header(("Idempotency-Key", "k")).set_json(body);
    let refused = api.send(post(json!({"tenant": tenant, "name": ""}))).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let done = api.send(post(json!({"tenant": tenant, "name": "right"}))).await;
    assert_eq!(done.status, StatusCode::CREATED, "{}", done.body);
}

#[actix_web::test]
async fn each_answer_has_an_id_that_its_problem_repeats() {
    let api = Api::new();
    let (one, other) = (api.get("/streams").await, api.get("/streams").await);
    let id = one.header("x-request-id").unwrap();
    assert!(id.starts_with("req_") && other.header("x-request-id") != Some(id));
    for path in ["/nothing", "/streams/str_0", "/streams?limit=x"] {
        let answer = api.get(path).await;
        assert_eq!(answer.header("x-request-id"), Some(answer.text("/request_id")), "{path}");
    }
    let away = Api::over(Arc::new(Away), Arc::new(Manual::at(0)));
    let answer = away.get("/streams").await;
    assert_eq!(answer.header("x-request-id"), Some(answer.text("/request_id")));
}

#[actix_web::test]
async fn a_key_that_asks_too_often_is_told_when_to_come_back_and_holds_up_nobody_else() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let reader = api.api_key(Some(&tenant), "reader").await;
    let mut answered = 0;
    let refused = loop {
        let answer = reader.get("/streams").await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        answered += 1;
        assert!(answered <= 600, "it is never refused");
    };
    assert_eq!((refused.status, refused.text("/code")), (StatusCode::TOO_MANY_REQUESTS, "rate_limited"));
    assert_eq!((answered, refused.header("retry-after")), (600, Some("1")));
    assert_eq!(api.get("/streams").await.status, StatusCode::OK);
    api.clock.advance(Duration::from_secs(1));
    assert_eq!(reader.get("/streams").await.status, StatusCode::OK);
}
