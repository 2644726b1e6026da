//! Who may listen to events, and until when.

use super::sign_in::{as_page, user};
use super::support::{ADMIN, Answer, Api, Told};
use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use serde_json::json;
use std::time::Duration;
use weir::clock::Clock as _;
use weir::hooks::Event;
use weir::id::{EventId, TenantId};

/// Of one key or user, on one node.
const CONNECTIONS_MAX: usize = 16;

async fn listen(api: &Api) -> Told {
    let mut told = api.listen(api.request(Method::GET, "/events")).await;
    assert!(told.next().await.contains("listening"));
    told
}

fn tell(api: &Api, tenant: &str) {
    api.feed.tell(Event {
        id: EventId::from_random([7; 16]),
        name: "stream.live",
        tenant: TenantId::parse(tenant).unwrap(),
        stream: None,
        at_us: api.clock.unix_us(),
        data: json!({}),
        fence: None,
    });
}

/// An answer that ends.
async fn refused(api: &Api) -> Answer {
    let asked = tokio::time::timeout(Duration::from_secs(10), api.get("/events"));
    asked.await.expect("it is refused")
}

async fn assert_hears(api: &Api, listener: &mut Told, tenant: &str) {
    tell(api, tenant);
    assert!(listener.next().await.contains("event: stream.live"));
}

async fn delete_key(api: &Api, tenant: &str, role: &str) {
    let keys = api.get(&format!("/api-keys?tenant={tenant}")).await;
    let keys = keys.body["data"].as_array().unwrap().clone();
    let key = keys.iter().find(|key| key["name"] == role).unwrap();
    let path = format!("/api-keys/{}?tenant={tenant}", key["id"].as_str().unwrap());
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
}

#[actix_web::test]
async fn a_deleted_key_hears_nothing_more() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let (reader, operator) = (api.api_key(Some(&tenant), "reader").await, api.api_key(Some(&tenant), "operator").await);
    let (mut by_reader, mut by_operator) = (listen(&reader).await, listen(&operator).await);
    delete_key(&api, &tenant, "reader").await;
    assert!(by_reader.ends().await);
    assert_hears(&api, &mut by_operator, &tenant).await;
    let again = refused(&reader).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn a_disabled_tenant_hears_nothing_more_and_the_platform_does() {
    let api = Api::new();
    let (tenant, other) = (api.tenant("a").await, api.tenant("b").await);
    let (reader, others) = (api.api_key(Some(&tenant), "reader").await, api.api_key(Some(&other), "reader").await);
    let (mut own, mut others, mut platform) = (listen(&reader).await, listen(&others).await, listen(&api).await);
    api.patch(&format!("/tenants/{tenant}"), json!({ "name": "still there" })).await;
    assert_hears(&api, &mut own, &tenant).await;
    api.patch(&format!("/tenants/{tenant}"), json!({ "disabled": true })).await;
    assert!(own.ends().await);
    assert_hears(&api, &mut platform, &tenant).await;
    let again = refused(&reader).await;
    assert_eq!((again.status, again.text("/code")), (StatusCode::FORBIDDEN, "tenant_disabled"));
    assert_eq!(api.delete(&format!("/tenants/{other}")).await.status, StatusCode::NO_CONTENT);
    assert!(others.ends().await);
}

#[actix_web::test]
async fn who_signed_out_or_lost_the_role_hears_nothing_more() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let listen = async |cookie: &str| {
        let asked = TestRequest::with_uri("/api/v1/events").insert_header(("Cookie", cookie.to_owned()));
        let mut told = api.listen(asked.insert_header(("Sec-Fetch-Site", "same-origin"))).await;
        assert!(told.next().await.contains("listening"));
        told
    };
    let (ann, bob) = (user(&api, &tenant, "ann", "owner").await, user(&api, &tenant, "bob", "owner").await);
    let (mut by_ann, mut by_bob) = (listen(&ann).await, listen(&bob).await);
    let out = as_page(&api, &ann, Method::POST, "/logout", Some(json!({}))).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(by_ann.ends().await);
    assert_hears(&api, &mut by_bob, &tenant).await;
    let me = as_page(&api, &bob, Method::GET, "/me", None).await;
    let changed =
        api.patch(&format!("/users/{}", me.text("/user/id")), json!({ "tenant": tenant, "role": "reader" })).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    assert!(by_bob.ends().await, "it comes back with the role that it has now");
}

#[actix_web::test]
async fn one_key_listens_so_many_times_at_once() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let (reader, other) = (api.api_key(Some(&tenant), "reader").await, api.api_key(Some(&tenant), "operator").await);
    let mut listeners = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        listeners.push(listen(&reader).await);
    }
    let refused = refused(&reader).await;
    assert_eq!((refused.status, refused.text("/code")), (StatusCode::TOO_MANY_REQUESTS, "too_many_listeners"));
    assert_eq!(refused.header("retry-after"), Some("15"));
    let mut of_another = listen(&other).await;
    assert_hears(&api, &mut of_another, &tenant).await;
    listeners.pop();
    listeners.push(listen(&reader).await);
    let admin = listen(&api.with_key(ADMIN)).await;
    drop((admin, listeners));
}
