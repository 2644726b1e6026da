use super::support::Api;
use actix_web::http::{Method, StatusCode};
use serde_json::{Value, json};

#[actix_web::test]
async fn bad_input_is_named_with_what_is_allowed() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    for (body, field, allowed) in [
        (json!({}), "name", ""),
        (json!({"name": ""}), "name", "1 to 200 characters"),
        (json!({"name": "a\u{7}"}), "name", "1 to 200 characters"),
        (json!({"name": "x".repeat(201)}), "name", "1 to 200 characters"),
        (json!({"name": 7}), "name", "a string"),
        (json!({"name": "x", "policy": "secret"}), "policy", "`signed` or `public`"),
        (json!({"name": "x", "second_publisher": "both"}), "second_publisher", "`refuse` or `takeover`"),
        (json!({"name": "x", "reconnect_window_s": 3601}), "reconnect_window_s", "0 to 3600"),
        (json!({"name": "x", "reconnect_window_s": -1}), "reconnect_window_s", "a whole number"),
        (json!({"name": "x", "reconnect_window_s": 0.5}), "reconnect_window_s", "a whole number"),
        (json!({"name": "x", "latency_target_ms": 39}), "latency_target_ms", "40 to 1000"),
        (json!({"name": "x", "allowed_origins": ["https://a.example", "a"]}), "allowed_origins[1]", "scheme, host"),
        (json!({"name": "x", "labels": {"": "v"}}), "labels", "1 to 64"),
        (json!({"name": "x", "labels": {"k": 1}}), "labels.k", "a string"),
        (json!({"name": "x", "colour": "red"}), "colour", "`tenant`, `name`, `policy`"),
        (json!([]), "body", "an object"),
    ] {
        let mut sent = body.clone();
        if let Value::Object(fields) = &mut sent {
            fields.insert("tenant".to_owned(), tenant.clone().into());
        }
        let answer = api.post("/streams", sent).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body} {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!((answer.text("/code"), answer.text("/field")), ("invalid", field), "{}", answer.body);
        assert!(answer.text("/allowed").contains(allowed), "{}", answer.body);
    }
}

#[actix_web::test]
async fn fields_go_by_their_names_and_not_by_their_places() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    for (body, field) in [
        (json!(["x", {}]), "body"),
        (json!({"name": "x", "quotas": [1, 2]}), "quotas"),
        (json!({"name": "x", "quotas": null}), "quotas"),
    ] {
        let answer = api.post("/tenants", body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body} {}", answer.body);
        assert_eq!((answer.text("/field"), answer.text("/allowed")), (field, "an object"), "{body}");
    }
    let answer = api.patch(&format!("/tenants/{tenant}"), json!({"quotas": [1, 2]})).await;
    assert_eq!((answer.status, answer.text("/field")), (StatusCode::UNPROCESSABLE_ENTITY, "quotas"));
}

#[actix_web::test]
async fn a_platform_key_must_name_the_tenant() {
    let answer = Api::new().post("/streams", json!({"name": "x"})).await;
    assert_eq!((answer.status, answer.text("/field")), (StatusCode::UNPROCESSABLE_ENTITY, "tenant"));
}

#[actix_web::test]
async fn bad_queries_are_named() {
    let api = Api::new();
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("tenant=x", "tenant"),
        ("colour=red", "colour"),
        ("policy=secret", "policy"),
        ("limit=NaN", "limit"),
        ("limit=1e2", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=1.str_", "cursor"),
        ("search=a%00b", "search"),
    ] {
        let answer = api.get(&format!("/streams?{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query} {}", answer.body);
        assert_eq!(answer.text("/field"), field, "{}", answer.body);
    }
}

#[actix_web::test]
async fn what_is_no_json_or_too_much_is_refused() {
    let api = Api::new();
    let post = |body: &str, kind: &str| {
        let request = api.request(Method::POST, "/tenants").set_payload(body.to_owned());
        api.send(request.insert_header(("Content-Type", kind.to_owned())))
    };
    let answer = post("{\"name\": ", "application/json").await;
    assert_eq!((answer.status, answer.text("/code")), (StatusCode::BAD_REQUEST, "malformed_json"));
    let answer = post("name=x", "application/x-www-form-urlencoded").await;
    assert_eq!((answer.status, answer.text("/code")), (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"));
    let long = json!({ "name": "x".repeat(1 << 20) }).to_string();
    let answer = post(&long, "application/json").await;
    assert_eq!((answer.status, answer.text("/code")), (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"));
    let answer = post(r#"{"name": "a", "name": "b"}"#, "application/json").await;
    assert_eq!((answer.status, answer.text("/field")), (StatusCode::UNPROCESSABLE_ENTITY, "name"));
    let deep = "[".repeat(100_000);
    assert_eq!(post(&deep, "application/json; charset=utf-8").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[actix_web::test]
async fn an_unknown_address_or_method_is_a_problem_too() {
    let api = Api::new();
    let answer = api.get("/nothing").await;
    assert_eq!((answer.status, answer.text("/code")), (StatusCode::NOT_FOUND, "not_found"));
    let answer = api.send(api.request(Method::PUT, "/streams")).await;
    assert_eq!((answer.status, answer.text("/code")), (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"));
    assert_eq!(answer.header("allow"), Some("GET, POST"));
    for (path, allowed) in [("/openapi.json", "GET"), ("/streams/str_a", "GET, PATCH, DELETE"), ("/login", "POST")] {
        for method in [Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT] {
            let answer = api.send(api.request(method.clone(), path)).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        }
    }
}

#[actix_web::test]
async fn every_answer_has_the_headers_that_keep_browsers_safe() {
    let api = Api::new();
    let unauthorized = api.with_key("wrong").get("/streams").await;
    for answer in [api.get("/streams").await, api.get("/streams/str_a").await, api.get("/nothing").await, unauthorized]
    {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", answer.body);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}
