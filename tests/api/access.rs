use super::support::{ADMIN, Api};
use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use serde_json::json;
use std::time::Duration;
use weir::api::{ROUTES, Route, first_key};
use weir::auth::secret::Secrets;
use weir::clock::Manual;
use weir::store::{Memory, Outcome, Role};

const ROLES: [Role; 4] = [Role::Platform, Role::Owner, Role::Operator, Role::Reader];

/// The route's address with ids in place of names.
fn address(route: &Route, tenant: &str, stream: &str) -> String {
    let key = "key_00000000000000000000000000";
    route
        .path
        .replace("{tenant}", tenant)
        .replace("{stream}", stream)
        .replace("{key}", key)
        .replace("{session}", "ses_0")
        .replace("{webhook}", "whk_0")
        .replace("{delivery}", "dlv_0")
        .replace("{node}", "elsewhere")
        .replace("{user}", "usr_0")
        // Without a stream that is not there it would go on for minutes.
        .replace("/events", &format!("/events?stream={stream}"))
}

#[actix_web::test]
async fn every_route_asks_for_the_role_of_the_table() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let stream = api.stream(&tenant, "s").await;
    for role in ROLES {
        let named = if role == Role::Platform { None } else { Some(tenant.as_str()) };
        let caller = api.api_key(named, role.name()).await;
        for route in ROUTES {
            // Without a body and with an id that is not there: what is let in changes nothing.
            let path = address(route, "ten_00000000000000000000000000", "str_00000000000000000000000000");
            let answer = caller.send(caller.request(route.method.clone(), &path)).await;
            let refused = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(
                refused,
                route.role.is_some_and(|needed| role > needed),
                "{} {path} as {}",
                route.method,
                role.name()
            );
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED);
            assert!(!answer.status.is_server_error(), "{} {path}: {}", route.method, answer.body);
        }
    }
    assert!(api.get(&format!("/streams/{}", stream["id"].as_str().unwrap())).await.status.is_success());
}

#[actix_web::test]
async fn no_route_answers_without_a_right_key_and_all_say_the_same() {
    let api = Api::new();
    let mut bodies = std::collections::BTreeSet::new();
    for route in ROUTES.iter().filter(|route| route.role.is_some()) {
        let path = format!("/api/v1{}", address(route, "ten_a", "str_a"));
        let request = || TestRequest::with_uri(&path).method(route.method.clone());
        let short = request().insert_header(("Authorization", "Bearer wk_short"));
        let wrong = request().insert_header(("Authorization", format!("Bearer {}", "k".repeat(40))));
        let basic = request().insert_header(("Authorization", format!("Basic {ADMIN}")));
        for request in [request(), short, basic, wrong] {
            api.clock.advance(Duration::from_secs(61));
            let answer = api.send(request).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            let mut body = answer.body.clone();
            assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"));
            body["request_id"].take();
            bodies.insert(body.to_string());
        }
    }
    assert_eq!(bodies.len(), 1);
}

#[actix_web::test]
async fn another_tenants_things_are_not_there() {
    let api = Api::new();
    let (one, other) = (api.tenant("one").await, api.tenant("other").await);
    let theirs = api.stream(&other, "theirs").await;
    let theirs = theirs["id"].as_str().unwrap();
    let mine = api.stream(&one, "mine").await;
    let owner = api.api_key(Some(&one), "owner").await;
    for route in ROUTES.iter().filter(|route| route.path.contains("{stream}") || route.path == "/tenants/{tenant}") {
        if route.role == Some(Role::Platform) {
            continue;
        }
        let path = address(route, &other, theirs);
        let request = owner.request(route.method.clone(), &path).set_json(json!({}));
        assert_eq!(owner.send(request).await.status, StatusCode::NOT_FOUND, "{} {path}", route.method);
    }
    for path in ["/streams", "/signing-keys", "/api-keys", "/audit", "/tenants", "/users"] {
        let answer = owner.get(&format!("{path}?tenant={other}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        let answer = owner.get(path).await;
        assert!(!answer.body.to_string().contains(&other), "{path} {}", answer.body);
    }
    let answer = owner.post("/streams", json!({"tenant": other, "name": "x"})).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let streams = owner.get("/streams").await;
    assert_eq!(streams.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(streams.body["data"][0]["id"], mine["id"]);
}

#[actix_web::test]
async fn a_disabled_tenant_is_looked_at_and_not_changed_but_by_the_platform() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let stream = api.stream(&tenant, "s").await;
    let stream = stream["id"].as_str().unwrap();
    let owner = api.api_key(Some(&tenant), "owner").await;
    let path = format!("/tenants/{tenant}");
    assert_eq!(api.patch(&path, json!({ "disabled": true })).await.status, StatusCode::OK);
    for route in ROUTES.iter().filter(|route| route.role.is_some_and(|role| role != Role::Platform)) {
        let request = owner.request(route.method.clone(), &address(route, &tenant, stream));
        let answer = owner.send(if route.method.is_safe() { request } else { request.set_json(json!({})) }).await;
        // Of one's own sign-in, which a key has not.
        let is_own = route.role == Some(Role::Reader);
        let is_refused = (!route.method.is_safe() && !is_own) || route.path == "/events";
        assert_eq!(answer.body["code"] == "tenant_disabled", is_refused, "{} {}", route.method, route.path);
        assert_eq!(answer.status == StatusCode::FORBIDDEN, is_refused, "{} {}", route.method, route.path);
    }
    let made = json!({ "tenant": tenant, "name": "for later" });
    assert_eq!(api.post("/streams", made.clone()).await.status, StatusCode::CREATED);
    assert_eq!(api.patch(&path, json!({ "disabled": false })).await.status, StatusCode::OK);
    assert_eq!(owner.post("/streams", made).await.status, StatusCode::CREATED);
}

#[actix_web::test]
async fn nobody_makes_a_key_above_their_own() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let owner = api.api_key(Some(&tenant), "owner").await;
    let answer = owner.post("/api-keys", json!({"role": "platform", "name": "x"})).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = owner.post("/api-keys", json!({"role": "owner", "name": "x"})).await;
    assert_eq!((answer.status, answer.text("/tenant")), (StatusCode::CREATED, tenant.as_str()));
}

#[actix_web::test]
async fn a_deleted_key_is_refused() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let reader = api.api_key(Some(&tenant), "reader").await;
    assert!(reader.get("/streams").await.status.is_success());
    let keys = api.get(&format!("/api-keys?tenant={tenant}")).await;
    let id = keys.text("/data/0/id");
    assert!(keys.body["data"][0]["last_used_at"].is_string());
    assert_eq!(api.delete(&format!("/api-keys/{id}?tenant={tenant}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(reader.get("/streams").await.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn after_ten_wrong_keys_an_address_is_answered_from_memory_and_right_keys_still_pass() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let reader = api.api_key(Some(&tenant), "reader").await;
    assert!(reader.get("/streams").await.status.is_success());
    for n in 0..10 {
        let wrong = api.with_key(&format!("{n}{}", "k".repeat(40)));
        assert_eq!(wrong.get("/streams").await.status, StatusCode::UNAUTHORIZED);
    }
    let mut wrong = api.with_key(&"k".repeat(40));
    let answer = wrong.get("/streams").await;
    assert_eq!((answer.status, answer.text("/code")), (StatusCode::TOO_MANY_REQUESTS, "too_many_tries"));
    assert!(answer.header("retry-after").is_some());
    assert!(reader.get("/streams").await.status.is_success(), "a key that was right today");
    assert!(api.get("/streams").await.status.is_success(), "the administrator's own");
    wrong.peer = "192.0.2.2:1".parse().unwrap();
    assert_eq!(wrong.get("/streams").await.status, StatusCode::UNAUTHORIZED, "another address");
}

#[actix_web::test]
async fn refused_access_is_audited() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let reader = api.api_key(Some(&tenant), "reader").await;
    reader.post("/streams", json!({"name": "x"})).await;
    api.with_key(&"k".repeat(40)).get("/tenants").await;
    let lines = api.store().audit(None, 2, None).await.unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.entry.outcome, line.entry.target.as_str())).collect();
    assert_eq!(told, [(Outcome::Refused, "GET /api/v1/tenants"), (Outcome::Refused, "POST /api/v1/streams")]);
    assert_eq!(lines[0].entry.actor, "unknown");
    assert_eq!(lines[1].entry.tenant.as_ref().unwrap().as_str(), tenant);
    assert_eq!(lines[1].entry.address, "192.0.2.1".parse().ok());
}

#[actix_web::test]
async fn one_without_a_key_fills_no_audit_and_a_key_in_the_path_is_not_kept() {
    let api = Api::new();
    let before = api.store().audit(None, 100, None).await.unwrap().len();
    for key in ["", "short"] {
        api.with_key(key).get("/streams").await;
    }
    assert_eq!(api.store().audit(None, 100, None).await.unwrap().len(), before);
    let wrong = "k".repeat(40);
    api.with_key(&wrong).get(&format!("/streams/{wrong}")).await;
    let lines = api.store().audit(None, 1, None).await.unwrap();
    assert_eq!(lines[0].entry.target, "GET /api/v1/streams/{stream}");
}

#[actix_web::test]
async fn the_first_key_is_made_once_and_administers() {
    let api = Api::new();
    let made = first_key(api.store(), &api.secrets, |bytes| bytes.fill(7), 1).await.unwrap().unwrap();
    assert!(api.with_key(made.reveal()).get("/tenants").await.status.is_success());
    assert!(first_key(api.store(), &api.secrets, |bytes| bytes.fill(8), 2).await.unwrap().is_none());
    let elsewhere = Memory::new(std::sync::Arc::new(Manual::at(0)));
    let secrets = Secrets::derive(&"r".repeat(32)).unwrap();
    assert!(first_key(&elsewhere, &secrets, |bytes| bytes.fill(9), 1).await.unwrap().is_some());
}

#[actix_web::test]
async fn a_forwarded_address_is_not_believed_from_just_anybody() {
    let api = Api::new();
    let request = api.request(Method::GET, "/nothing").insert_header(("X-Forwarded-For", "203.0.113.9"));
    api.send(request).await;
    let wrong = api.with_key(&"k".repeat(40));
    let request = wrong.request(Method::GET, "/tenants").insert_header(("X-Forwarded-For", "203.0.113.9"));
    wrong.send(request).await;
    let lines = api.store().audit(None, 1, None).await.unwrap();
    assert_eq!(lines[0].entry.address, "192.0.2.1".parse().ok());
}
