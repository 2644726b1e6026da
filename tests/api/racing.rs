//! Many who change or make things at the same moment, on databases that let them.

use super::postgres;
use super::support::{Answer, Api};
use actix_web::http::{Method, StatusCode};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use weir::clock::Manual;
use weir::store::{Postgres, Sqlite, Store};

const AT_ONCE: usize = 20;

struct Bench {
    api: Api,
    _folder: Option<tempfile::TempDir>,
}

fn over(store: impl Store + 'static, folder: Option<tempfile::TempDir>) -> Bench {
    Bench { api: Api::over(Arc::new(store), Arc::new(Manual::at(super::support::NOW_US))), _folder: folder }
}

async fn sqlite() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("weir.db")).await.unwrap();
    over(store, Some(folder))
}

async fn postgresql() -> Bench {
    let address = actix_web::web::block(|| postgres::shared().database()).await.unwrap();
    let store = Postgres::connect(&address).await.unwrap();
    store.migrate().await.unwrap();
    over(store, None)
}

/// A change of `path` for each of the numbers, all at once.
async fn patch_all(api: &Api, path: &str, body: impl Fn(usize) -> Value, if_match: Option<&str>) -> Vec<Answer> {
    let request = |n| {
        let request = api.request(Method::PATCH, path).set_json(body(n));
        api.send(if_match.into_iter().fold(request, |request, tag| request.insert_header(("If-Match", tag))))
    };
    join_all((0..AT_ONCE).map(request)).await
}

async fn changes_at_once_all_come_about(bench: Bench) {
    let api = bench.api;
    let tenant = api.tenant("a").await;
    let stream = api.stream(&tenant, "s").await["id"].as_str().unwrap().to_owned();
    let hook = api.post("/webhooks", json!({"tenant": tenant, "url": "https://example.com"})).await;
    let user = json!({"tenant": tenant, "login": "ann", "name": "Ann", "role": "reader"});
    let user = api.post("/users", user).await;
    let (hook, user) = (hook.text("/id"), user.text("/id"));
    let role = |n| if n % 2 == 0 { "owner" } else { "operator" };
    for (path, body) in [
        (format!("/streams/{stream}"), &(|n| json!({"name": format!("{n}")})) as &dyn Fn(usize) -> Value),
        (format!("/tenants/{tenant}"), &|n| json!({"quotas": {"streams": n}})),
        (format!("/webhooks/{hook}"), &|n| json!({"url": format!("https://example.com/{n}")})),
        (format!("/users/{user}"), &|n| json!({"tenant": tenant, "role": role(n)})),
    ] {
        let answers = patch_all(&api, &path, body, None).await;
        let mut tags = BTreeSet::new();
        for answer in &answers {
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
            tags.insert(answer.header("etag").unwrap().to_owned());
        }
        assert_eq!(tags.len(), AT_ONCE, "each made a revision of its own: {path}");

        let newest = tags.iter().max_by_key(|tag| tag.trim_matches('"').parse::<u64>().unwrap()).unwrap();
        let answers = patch_all(&api, &path, body, Some(newest)).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        let counts = (count(StatusCode::OK), count(StatusCode::PRECONDITION_FAILED));
        assert_eq!(counts, (1, AT_ONCE - 1), "who means one revision does not change another: {path}");
    }
}

async fn streams_made_at_once_are_all_made(bench: Bench) {
    let api = bench.api;
    let tenant = api.tenant("a").await;
    let make = |n| {
        let request = api.request(Method::POST, "/streams").insert_header(("Idempotency-Key", format!("{n}")));
        api.send(request.set_json(json!({"tenant": tenant, "name": format!("{n}")})))
    };
    for answer in join_all((0..25).map(make)).await {
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    }
    assert_eq!(api.get("/streams?limit=100").await.body["data"].as_array().unwrap().len(), 25);
}

/// PostgreSQL holds no NUL in a text: what would hold one is refused before it gets there.
async fn a_text_that_no_database_holds_is_refused_and_is_no_fault_of_ours(bench: Bench) {
    let api = bench.api;
    let tenant = api.tenant("a").await;
    let made = rcgen::KeyPair::generate().unwrap();
    let (pem, nul) = (made.public_key_pem(), "a\u{0}b");
    let key = |kid: &str, pem: &str| json!({"tenant": tenant, "algorithm": "ES256", "kid": kid, "public_key": pem});
    let hook = |url: &str| json!({"tenant": tenant, "url": url});
    for (path, body, field) in [
        ("/tenants", json!({"name": nul}), "name"),
        ("/streams", json!({"tenant": tenant, "name": nul}), "name"),
        ("/users", json!({"tenant": tenant, "login": nul, "name": "n", "role": "reader"}), "login"),
        ("/signing-keys", key(nul, &pem), "kid"),
        ("/signing-keys", key("k", &format!("{pem}{nul}")), "public_key"),
        ("/signing-keys", json!({"tenant": tenant, "jwks_url": format!("https://example.com/#{nul}")}), "jwks_url"),
        ("/webhooks", hook(&format!("https://example.com/#{nul}")), "url"),
    ] {
        let answer = api.post(path, body).await;
        let told = (answer.status, answer.text("/field"));
        assert_eq!(told, (StatusCode::UNPROCESSABLE_ENTITY, field), "{path} {}", answer.body);
    }
    for query in ["name=a%00b", "search=a%00b"] {
        assert_eq!(api.get(&format!("/streams?{query}")).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
    }
    let wrong = api.post("/login", json!({"login": "me", "password": nul})).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let labelled = json!({"tenant": tenant, "name": "s", "labels": {"k": nul}});
    let labelled = api.post("/streams", labelled).await;
    assert_eq!((labelled.status, labelled.text("/labels/k")), (StatusCode::CREATED, nul));
    assert_eq!(api.post("/signing-keys", key("k", &pem)).await.status, StatusCode::CREATED);
}

macro_rules! on_both {
    ($($behaviour:ident)+) => {
        mod on_sqlite {
            $(#[actix_web::test] async fn $behaviour() { super::$behaviour(super::sqlite().await).await; })+
        }
        mod on_postgresql {
            $(#[actix_web::test] async fn $behaviour() { super::$behaviour(super::postgresql().await).await; })+
        }
    };
}

on_both! {
    changes_at_once_all_come_about
    streams_made_at_once_are_all_made
    a_text_that_no_database_holds_is_refused_and_is_no_fault_of_ours
}
