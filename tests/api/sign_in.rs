//! People: signing in, what a cookie may do, users and their links.

use super::support::{Answer, Api, NOW_US};
use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use std::time::Duration;
use weir::api::first_link;
use weir::auth::key::LinkKey;
use weir::store::Outcome;

const PASSWORD: &str = "correct horse battery";

fn request(method: Method, path: &str) -> TestRequest {
    TestRequest::with_uri(&format!("/api/v1{path}")).method(method).insert_header(("Content-Type", "application/json"))
}

async fn log_in(api: &Api, body: Value) -> Answer {
    api.send(request(Method::POST, "/login").set_json(body)).await
}

/// As a browser keeps it.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").expect("a cookie");
    set.split(';').next().unwrap().to_owned()
}

async fn first_user(api: &Api) -> String {
    let link: LinkKey = first_link(api.store(), &api.secrets, |bytes| bytes.fill(7), NOW_US).await.unwrap().unwrap();
    let store = api.store();
    assert!(first_link(store, &api.secrets, |bytes| bytes.fill(8), NOW_US).await.unwrap().is_none(), "once");
    let body = json!({"link": link.reveal(), "login": " Boss@Example.com ", "name": "Boss", "password": PASSWORD});
    let answer = log_in(api, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    cookie(&answer)
}

pub(super) async fn as_page(api: &Api, cookie: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let asked =
        request(method, path).insert_header(("Cookie", cookie)).insert_header(("Sec-Fetch-Site", "same-origin"));
    api.send(match body {
        Some(body) => asked.set_json(body),
        None => asked,
    })
    .await
}

/// A user with a password of a tenant, signed in.
pub(super) async fn user(api: &Api, tenant: &str, login: &str, role: &str) -> String {
    let made = api.post("/users", json!({"tenant": tenant, "login": login, "name": login, "role": role})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let link = made.text("/link/url").split_once("#link=").unwrap().1.to_owned();
    let answer = log_in(api, json!({"link": link, "password": PASSWORD})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    cookie(&answer)
}

#[actix_web::test]
async fn the_first_link_makes_a_user_of_the_platform_once() {
    let api = Api::new();
    let link = first_link(api.store(), &api.secrets, |bytes| bytes.fill(7), NOW_US).await.unwrap();
    let link = link.unwrap();
    let asked = log_in(&api, json!({"link": link.reveal()})).await;
    assert_eq!((asked.status, asked.text("/field")), (StatusCode::UNPROCESSABLE_ENTITY, "login"));
    let weak = json!({"link": link.reveal(), "login": "boss", "name": "B", "password": "short"});
    assert_eq!(log_in(&api, weak).await.text("/field"), "password");
    let body = json!({"link": link.reveal(), "login": "boss", "name": "B", "password": PASSWORD});
    let answer = log_in(&api, body.clone()).await;
    assert_eq!((answer.status, answer.text("/role")), (StatusCode::OK, "platform"), "{}", answer.body);
    let again = log_in(&api, body).await;
    assert_eq!((again.status, again.text("/code")), (StatusCode::UNAUTHORIZED, "wrong_login"));
}

#[actix_web::test]
async fn a_cookie_is_for_this_host_alone_and_out_of_reach_of_scripts() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    user(&api, &tenant, "me@example.com", "owner").await;
    let answer = log_in(&api, json!({"login": "ME@example.com", "password": PASSWORD})).await;
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with("__Host-weir=ws_"), "{set}");
    for part in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(set.contains(part), "{part} in {set}");
    }
    assert!(!set.contains("Domain"));
    let me = as_page(&api, &cookie(&answer), Method::GET, "/me", None).await;
    assert_eq!((me.text("/user/login"), me.text("/tenants/0/id")), ("me@example.com", tenant.as_str()));
}

#[actix_web::test]
async fn wrong_logins_are_told_alike_and_slowed_down() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    user(&api, &tenant, "me", "owner").await;
    let mut told = std::collections::BTreeSet::new();
    for body in [json!({"login": "me", "password": "wrong wrong"}), json!({"login": "you", "password": PASSWORD})] {
        let answer = log_in(&api, body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        told.insert(answer.text("/detail").to_owned());
    }
    assert_eq!(told.len(), 1);
    let lines = api.store().audit(None, 2, None).await.unwrap();
    assert!(lines.iter().all(|line| line.entry.outcome == Outcome::Refused && line.entry.action == "user.login"));
    assert!(!format!("{lines:?}").contains("you"), "what was typed is not kept");
    for _ in 0..8 {
        log_in(&api, json!({"login": "me", "password": "wrong wrong"})).await;
    }
    let answer = log_in(&api, json!({"login": "me", "password": PASSWORD})).await;
    assert_eq!((answer.status, answer.text("/code")), (StatusCode::TOO_MANY_REQUESTS, "too_many_tries"));
    assert!(answer.header("retry-after").is_some());
    api.clock.advance(Duration::from_secs(301));
    assert_eq!(log_in(&api, json!({"login": "me", "password": PASSWORD})).await.status, StatusCode::OK);
}

#[actix_web::test]
async fn a_change_by_cookie_must_come_from_a_page_of_ours() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let cookie = user(&api, &tenant, "me", "owner").await;
    let post = |headers: &[(&'static str, &'static str)]| {
        let asked = TestRequest::with_uri("/api/v1/streams").method(Method::POST).set_payload(r#"{"name": "s"}"#);
        headers
            .iter()
            .fold(asked.insert_header(("Cookie", cookie.clone())), |asked, header| asked.insert_header(*header))
    };
    let json = ("Content-Type", "application/json");
    let own = ("Origin", "http://live.example:8080");
    for (headers, wanted) in [
        (vec![json, ("Sec-Fetch-Site", "same-origin")], StatusCode::CREATED),
        (vec![json, own], StatusCode::CREATED),
        (vec![json], StatusCode::FORBIDDEN),
        (vec![json, ("Sec-Fetch-Site", "cross-site"), own], StatusCode::FORBIDDEN),
        (vec![json, ("Sec-Fetch-Site", "same-site")], StatusCode::FORBIDDEN),
        (vec![json, ("Sec-Fetch-Site", "none")], StatusCode::FORBIDDEN),
        (vec![json, ("Origin", "http://evil.example")], StatusCode::FORBIDDEN),
        (vec![json, ("Origin", "null")], StatusCode::FORBIDDEN),
        (vec![("Content-Type", "text/plain"), ("Sec-Fetch-Site", "same-origin")], StatusCode::FORBIDDEN),
    ] {
        assert_eq!(api.send(post(&headers)).await.status, wanted, "{headers:?}");
    }
    let read = |site: &'static str| {
        request(Method::GET, "/streams")
            .insert_header(("Cookie", cookie.clone()))
            .insert_header(("Sec-Fetch-Site", site))
    };
    assert_eq!(api.send(read("cross-site")).await.status, StatusCode::FORBIDDEN, "events too");
    assert_eq!(api.send(read("none")).await.status, StatusCode::OK, "typed");
    let foreign = request(Method::POST, "/login").insert_header(("Sec-Fetch-Site", "cross-site"));
    let foreign = foreign.set_json(json!({"login": "me", "password": PASSWORD}));
    assert_eq!(api.send(foreign).await.text("/code"), "cross_site");
}

#[actix_web::test]
async fn a_user_acts_by_the_role_in_the_tenant_that_is_named() {
    let api = Api::new();
    let (one, other, third) = (api.tenant("one").await, api.tenant("other").await, api.tenant("third").await);
    let cookie = user(&api, &one, "me", "reader").await;
    let again = json!({"tenant": other, "login": "me", "name": "me", "role": "operator"});
    let again = api.post("/users", again).await;
    assert_eq!((again.status, &again.body["link"]), (StatusCode::CREATED, &Value::Null), "one who is known");
    let create = async |tenant: &str| {
        let asked = request(Method::POST, "/streams").insert_header(("Cookie", cookie.clone()));
        let asked = asked.insert_header(("Sec-Fetch-Site", "same-origin")).insert_header(("Weir-Tenant", tenant));
        api.send(asked.set_json(json!({"name": "s"}))).await
    };
    assert_eq!(create(&one).await.status, StatusCode::FORBIDDEN);
    assert_eq!(create(&other).await.text("/tenant"), other);
    assert_eq!(create(&third).await.status, StatusCode::NOT_FOUND);
    let listed = as_page(&api, &cookie, Method::GET, &format!("/streams?tenant={third}"), None).await;
    assert_eq!(listed.status, StatusCode::NOT_FOUND);
    let boss = first_user(&api).await;
    let asked = request(Method::GET, "/streams").insert_header(("Cookie", boss)).insert_header(("Weir-Tenant", one));
    assert_eq!(api.send(asked).await.body["data"], json!([]), "the platform's own are narrowed to it");
}

#[actix_web::test]
async fn signing_out_ends_this_browser_or_all_of_them() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let first = user(&api, &tenant, "me", "reader").await;
    let mut more = Vec::new();
    for _ in 0..2 {
        more.push(cookie(&log_in(&api, json!({"login": "me", "password": PASSWORD})).await));
    }
    let there = async |cookie: &str| as_page(&api, cookie, Method::GET, "/me", None).await.status == StatusCode::OK;
    let out = as_page(&api, &first, Method::POST, "/logout", None).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert!(!there(&first).await && there(&more[0]).await);
    as_page(&api, &more[0], Method::POST, "/logout-all", None).await;
    assert!(!there(&more[0]).await && !there(&more[1]).await);
    assert_eq!(api.post("/logout", json!({})).await.text("/code"), "not_signed_in");
}

#[actix_web::test]
async fn a_new_password_needs_the_old_one_and_ends_the_other_browsers() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let here = user(&api, &tenant, "me", "reader").await;
    let there = cookie(&log_in(&api, json!({"login": "me", "password": PASSWORD})).await);
    let patch = async |body: Value| as_page(&api, &here, Method::PATCH, "/me", Some(body)).await;
    let refused = patch(json!({"password": "another password", "old_password": "wrong"})).await;
    assert_eq!((refused.status, refused.text("/field")), (StatusCode::UNPROCESSABLE_ENTITY, "old_password"));
    let done = patch(json!({"password": "another password", "old_password": PASSWORD, "name": "New"})).await;
    assert_eq!((done.status, done.text("/user/name")), (StatusCode::OK, "New"));
    assert_eq!(as_page(&api, &here, Method::GET, "/me", None).await.status, StatusCode::OK);
    assert_eq!(as_page(&api, &there, Method::GET, "/me", None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(&api, json!({"login": "me", "password": PASSWORD})).await.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn a_sign_in_that_is_not_used_ends_after_a_week() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let cookie = user(&api, &tenant, "me", "reader").await;
    let day = Duration::from_secs(24 * 3_600);
    for _ in 0..4 {
        api.clock.advance(day * 6);
        assert_eq!(as_page(&api, &cookie, Method::GET, "/me", None).await.status, StatusCode::OK);
    }
    api.clock.advance(day * 7);
    assert_eq!(as_page(&api, &cookie, Method::GET, "/me", None).await.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn an_owner_administers_the_tenants_people_and_nobody_else() {
    let api = Api::new();
    let (one, other) = (api.tenant("one").await, api.tenant("other").await);
    let owner = user(&api, &one, "owner", "owner").await;
    user(&api, &other, "theirs", "owner").await;
    let ask = async |method: Method, path: &str, body: Option<Value>| as_page(&api, &owner, method, path, body).await;
    let listed = ask(Method::GET, "/users", None).await;
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 1);
    let own_id = listed.text("/data/0/id").to_owned();
    let own = ask(Method::PATCH, &format!("/users/{own_id}"), Some(json!({"role": "reader"}))).await;
    assert_eq!(own.text("/code"), "own_role");
    let above = ask(Method::POST, "/users", Some(json!({"login": "x", "name": "x", "role": "platform"}))).await;
    assert_eq!(above.status, StatusCode::FORBIDDEN);
    let theirs = api.get(&format!("/users?tenant={other}")).await.text("/data/0/id").to_owned();
    for (method, path) in [
        (Method::PATCH, format!("/users/{theirs}")),
        (Method::DELETE, format!("/users/{theirs}")),
        (Method::POST, format!("/users/{theirs}/link")),
    ] {
        let answer = ask(method, &path, Some(json!({"role": "reader"}))).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    // One who is in both: a role is the owner's to give and take, a new password is not.
    let body = json!({"login": "theirs", "name": "x", "role": "reader"});
    let taken = ask(Method::POST, "/users", Some(body)).await;
    assert_eq!(
        (taken.status, taken.text("/code")),
        (StatusCode::CONFLICT, "login_taken"),
        "only the platform joins them"
    );
    let body = json!({"tenant": one, "login": "theirs", "name": "x", "role": "reader"});
    assert_eq!(api.post("/users", body).await.status, StatusCode::CREATED);
    let path = format!("/users/{theirs}");
    assert_eq!(ask(Method::POST, &format!("{path}/link"), Some(json!({}))).await.status, StatusCode::FORBIDDEN);
    let changed = ask(Method::PATCH, &path, Some(json!({"role": "operator"}))).await;
    assert_eq!(changed.body["roles"], json!([{"tenant": one, "role": "operator"}]));
    assert_eq!(ask(Method::DELETE, &path, None).await.status, StatusCode::NO_CONTENT);
    let left = api.get("/users").await;
    let left = left.body["data"].as_array().unwrap().iter().find(|user| user["id"] == theirs.as_str()).unwrap();
    assert_eq!(left["roles"], json!([{"tenant": other, "role": "owner"}]));
}

#[actix_web::test]
async fn a_link_for_a_lost_password_ends_every_browser() {
    let api = Api::new();
    let tenant = api.tenant("a").await;
    let cookie_before = user(&api, &tenant, "me", "reader").await;
    let id = api.get("/users").await.text("/data/0/id").to_owned();
    let made = api.post(&format!("/users/{id}/link"), json!({})).await;
    let link = made.text("/link/url").split_once("#link=").unwrap().1.to_owned();
    let asked = log_in(&api, json!({"link": link})).await;
    assert_eq!((asked.text("/field"), asked.text("/detail")), ("password", "choose a password for me"));
    let done = log_in(&api, json!({"link": link, "password": "another password"})).await;
    assert_eq!(done.status, StatusCode::OK);
    assert_eq!(as_page(&api, &cookie_before, Method::GET, "/me", None).await.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn a_login_invited_elsewhere_is_nobody_elses_to_take() {
    let api = Api::new();
    let (one, other) = (api.tenant("one").await, api.tenant("other").await);
    let thief = user(&api, &other, "thief", "owner").await;
    let invited = json!({"tenant": one, "login": "victim", "name": "v", "role": "owner"});
    let invited = api.post("/users", invited).await;
    let link = |answer: &Answer| answer.text("/link/url").split_once("#link=").unwrap().1.to_owned();
    let body = json!({"login": "victim", "name": "v", "role": "reader"});
    let taken = as_page(&api, &thief, Method::POST, "/users", Some(body)).await;
    assert_eq!((taken.text("/code"), &taken.body["link"]), ("login_taken", &Value::Null));
    let answer = log_in(&api, json!({"link": link(&invited), "password": PASSWORD})).await;
    assert_eq!(answer.status, StatusCode::OK, "the link that was sent still holds: {}", answer.body);

    // A link that one tenant's owner kept opens nothing of what the platform gave since.
    let id = api.get(&format!("/users?tenant={one}")).await.text("/data/0/id").to_owned();
    let kept = link(&api.post(&format!("/users/{id}/link"), json!({})).await);
    let joined = json!({"tenant": other, "login": "victim", "name": "v", "role": "owner"});
    assert_eq!(api.post("/users", joined).await.status, StatusCode::CREATED);
    let answer = log_in(&api, json!({"link": kept, "password": "another password"})).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn one_who_is_in_two_tenants_repeats_a_request_in_the_one_it_was_made_for() {
    let api = Api::new();
    let (one, other) = (api.tenant("one").await, api.tenant("other").await);
    let cookie = user(&api, &one, "ann", "owner").await;
    let joined = json!({"tenant": other, "login": "ann", "name": "Ann", "role": "owner"});
    assert_eq!(api.post("/users", joined).await.status, StatusCode::CREATED);
    let make = async |tenant: Option<&str>| {
        let asked = request(Method::POST, "/streams").insert_header(("Cookie", cookie.clone()));
        let asked = asked.insert_header(("Sec-Fetch-Site", "same-origin")).insert_header(("Idempotency-Key", "one"));
        let asked = tenant.into_iter().fold(asked, |asked, id| asked.insert_header(("Weir-Tenant", id.to_owned())));
        api.send(asked.set_json(json!({"name": "s"}))).await
    };
    let in_one = make(Some(&one)).await;
    let in_other = make(Some(&other)).await;
    for (made, tenant) in [(&in_one, &one), (&in_other, &other)] {
        assert_eq!((made.status, made.text("/tenant")), (StatusCode::CREATED, tenant.as_str()), "{}", made.body);
        assert_eq!(made.header("idempotent-replayed"), None);
        let again = make(Some(tenant)).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.text("/id"), made.text("/id"));
    }
    let unnamed = make(None).await;
    assert_eq!(unnamed.header("idempotent-replayed"), Some("true"), "without a name it is the first of them");
    let streams = api.get("/streams").await;
    assert_eq!(streams.body["data"].as_array().unwrap().len(), 2);
}
