//! `weir migrate` and `weir token` on real databases.

use super::{postgres, records};
use std::path::Path;
use std::time::Duration;
use weir::auth::secret::Secrets;
use weir::auth::token::{Request, VerifyingKey, verify};
use weir::cli::{migrate, token};
use weir::config::{Config, DatabaseUrl};
use weir::id::UserId;
use weir::store::{
    Entry, Grant, Material, NewSigningKey, NewTenant, Page, Role, SignIn, Sqlite, Store, StreamFilter, User,
};

const ROOT: &str = "a root secret of at least 32 characters";
const SIGNING: [u8; 32] = [5; 32];

fn config(database: &str) -> Config {
    let variables = [("WEIR_DATABASE_URL", database), ("WEIR_SECRET", ROOT)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Config::parse(&"".parse().unwrap(), variables.into_iter(), &[], "host").unwrap()
}

fn sqlite_url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// A database with some of everything.
async fn fill(store: &dyn Store) {
    let user = User {
        id: UserId::from_random([1; 16]),
        login: "me".to_owned(),
        name: "Me".to_owned(),
        password: Some("$argon2id$..".to_owned()),
        grants: vec![Grant { tenant: None, role: Role::Platform }],
        revision: 0,
        created_us: records::CREATED_US,
        updated_us: records::CREATED_US,
        signed_in_us: None,
    };
    store.create_user(user.clone(), records::entry()).await.unwrap();
    let now_us = records::CREATED_US;
    let sign_in =
        SignIn { hash: records::hash(50), user: user.id, created_us: now_us, used_us: now_us, expires_us: i64::MAX };
    store.create_sign_in(sign_in, records::entry()).await.unwrap();
    let named = |action: &str| Entry { action: action.to_owned(), ..records::entry() };
    for n in 1..=3 {
        let new = records::tenant(n);
        let key = NewSigningKey {
            material: Material::Sealed(Secrets::derive(ROOT).unwrap().seal(
                &SIGNING,
                new.signing_key.id.as_str(),
                [1; 24],
            )),
            ..new.signing_key.clone()
        };
        let tenant = store.create_tenant(NewTenant { signing_key: key, ..new }, named("tenant.create")).await.unwrap();
        let stream = store.create_stream(records::stream(n, &tenant.id), named("stream.create")).await.unwrap();
        store.take_fence(&stream.id).await.unwrap();
        store.accept_fence(&stream.id, 1).await.unwrap();
        store.touch_stream_key(&records::stream_key(n).id, records::CREATED_US + 9).await.unwrap();
    }
}

/// Everything that the contract shows of a database.
async fn contents(store: &dyn Store) -> String {
    let page = Page { limit: 100, after: None };
    let tenants = store.tenants(&page).await.unwrap();
    let streams = store.streams(&StreamFilter::default(), &page).await.unwrap();
    let audit = store.audit(None, 100, None).await.unwrap();
    let sign_in = store.sign_in(&records::hash(50), records::CREATED_US).await.unwrap();
    let login = sign_in.as_ref().map(|(_, user)| (user.login.clone(), user.password.clone()));
    let check = store.root_check().await.unwrap().map(|check| *check.as_bytes());
    let mut text = format!("{tenants:#?}{streams:#?}{audit:#?}{sign_in:?}{login:?}{check:?}");
    for stream in &streams {
        let keys = store.stream_keys(&stream.id).await.unwrap();
        let play = store.play(&stream.playback_id).await.unwrap();
        text.push_str(&format!("{keys:?}{play:?}"));
    }
    text
}

#[test]
fn a_database_is_copied_to_postgresql_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let (first, last) = (folder.path().join("first.db"), folder.path().join("last.db"));
    let before = block_on(async {
        let store = Sqlite::open(&first).await.unwrap();
        fill(&store).await;
        store.keep_root_check(&Secrets::derive(ROOT).unwrap().check()).await.unwrap();
        let before = contents(&store).await;
        store.close().await;
        before
    });
    let postgres = postgres::shared().database();
    let from = |url: &str| migrate::Arguments { from: DatabaseUrl::parse(url), accept_secret: false };
    let said = migrate::run(&from(&sqlite_url(&first)), &config(&postgres)).unwrap();
    assert!(said.starts_with("24 rows were copied"), "{said}");
    migrate::run(&from(&postgres), &config(&sqlite_url(&last))).unwrap();

    block_on(async {
        for store in [
            Box::new(weir::store::Postgres::connect(&postgres).await.unwrap()) as Box<dyn Store>,
            Box::new(Sqlite::open(&last).await.unwrap()),
        ] {
            assert_eq!(contents(&*store).await, before);
            let stream = &store.stream_by_key_hash(&records::hash(2)).await.unwrap().unwrap().stream;
            assert_eq!(store.take_fence(&stream.id).await.unwrap().fence, 2, "fences go on");
            store.record(records::entry()).await.unwrap();
        }
    });
    let again = migrate::run(&from(&sqlite_url(&first)), &config(&postgres)).unwrap_err();
    assert!(matches!(again, migrate::Error::NotEmpty), "{again}");
}

#[test]
fn a_database_that_is_in_use_or_not_there_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let (used, target) = (folder.path().join("used.db"), folder.path().join("target.db"));
    let _node = block_on(Sqlite::open(&used)).unwrap();
    let from = |path: &Path| migrate::Arguments { from: Some(DatabaseUrl::Sqlite(path.into())), accept_secret: false };
    let refused = migrate::run(&from(&used), &config(&sqlite_url(&target))).unwrap_err().to_string();
    assert!(refused.contains("in use by another process"), "{refused}");
    let refused = migrate::run(&from(&folder.path().join("none.db")), &config(&sqlite_url(&target))).unwrap_err();
    assert!(matches!(refused, migrate::Error::NoSource(_)), "{refused}");
    assert!(!folder.path().join("none.db").exists());
}

#[test]
fn a_token_is_made_beside_a_running_node_for_a_stream_by_id_playback_id_or_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.db");
    let store = block_on(Sqlite::open(&path)).unwrap();
    block_on(fill(&store));
    let stream = records::stream(2, &records::tenant(2).id);
    let arguments = |called: &str| token::Arguments {
        stream: called.to_owned(),
        ttl: Duration::from_secs(60),
        sub: Some("viewer".to_owned()),
    };
    let kid = records::tenant(2).signing_key.kid;
    let keys = [VerifyingKey::hs256(&kid, &SIGNING).unwrap()];
    for called in [stream.id.as_str(), stream.playback_id.as_str(), "stream 2"] {
        let made = token::run(&arguments(called), &config(&sqlite_url(&path))).unwrap();
        let now_s = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        let request = Request { playback_id: stream.playback_id.as_str(), now_s, address: None, origin: None };
        assert_eq!(verify(&made, &keys, &request).unwrap().subject.as_deref(), Some("viewer"));
    }
    let refused = token::run(&arguments("stream 9"), &config(&sqlite_url(&path))).unwrap_err().to_string();
    assert_eq!(refused, "no stream is called `stream 9`");

    let owner = records::tenant(1).id;
    let twin = weir::store::NewStream { name: "stream 2".to_owned(), ..records::stream(20, &owner) };
    block_on(store.create_stream(twin.clone(), records::entry())).unwrap();
    let refused = token::run(&arguments("stream 2"), &config(&sqlite_url(&path))).unwrap_err().to_string();
    assert!(refused.contains(stream.id.as_str()) && refused.contains(twin.id.as_str()), "{refused}");
}

#[test]
fn without_a_database_no_token_is_made_and_nothing_else_either() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.db");
    let arguments = token::Arguments { stream: "x".to_owned(), ttl: Duration::from_secs(60), sub: None };
    token::run(&arguments, &config(&sqlite_url(&path))).unwrap_err();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
