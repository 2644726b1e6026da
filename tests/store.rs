//! What every store promises: one suite, run on memory, on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

use std::sync::Arc;
use std::time::Duration;

use weir::clock::{Clock as _, Manual, System};
use weir::store::{Error, Memory, Postgres, Sqlite, Store};

#[path = "store/commands.rs"]
mod commands;
#[path = "store/contract.rs"]
mod contract;
#[path = "store/killed.rs"]
mod killed;
#[path = "store/ledger.rs"]
mod ledger;
#[path = "store/people.rs"]
mod people;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/records.rs"]
mod records;

/// A store, and how time passes in it.
struct Bench {
    store: Arc<dyn Store>,
    clock: Option<Arc<Manual>>,
    _folder: Option<tempfile::TempDir>,
}

impl Bench {
    async fn wait(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(time),
            None => tokio::time::sleep(time).await,
        }
    }
}

async fn memory() -> Bench {
    let clock = Arc::new(Manual::at(records::CREATED_US));
    Bench { store: Arc::new(Memory::new(clock.clone())), clock: Some(clock), _folder: None }
}

async fn sqlite() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("weir.db")).await.unwrap();
    Bench { store: Arc::new(store), clock: None, _folder: Some(folder) }
}

async fn postgresql() -> Bench {
    let address = tokio::task::spawn_blocking(|| postgres::shared().database()).await.unwrap();
    let store = Postgres::connect(&address).await.unwrap();
    store.migrate().await.unwrap();
    Bench { store: Arc::new(store), clock: None, _folder: None }
}

mod behaviours {
    pub(super) use super::contract::*;
    pub(super) use super::ledger::*;
    pub(super) use super::people::*;
}

macro_rules! contract {
    ($($behaviour:ident),+ $(,)?) => {
        contract!(@on memory, $($behaviour),+);
        contract!(@on sqlite, $($behaviour),+);
        contract!(@on postgresql, $($behaviour),+);
    };
    (@on $store:ident, $($behaviour:ident),+) => {
        mod $store {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::behaviours::$behaviour(&super::$store().await).await;
                }
            )+
        }
    };
}

contract!(
    a_tenant_is_read_as_it_was_written,
    lists_go_newest_first_and_page_by_page,
    an_update_of_what_was_changed_meanwhile_is_refused,
    deleting_a_tenant_takes_all_but_its_audit,
    a_stream_is_found_by_its_key_and_by_its_playback_id,
    a_stream_without_a_tenant_is_not_stored,
    a_stream_whose_key_is_taken_is_not_stored,
    settings_are_read_as_they_were_written,
    streams_are_filtered,
    streams_are_found_by_a_part_of_their_name_or_by_an_id,
    a_stream_has_at_most_two_keys_however_many_ask_at_once,
    a_deleted_key_opens_nothing,
    a_key_remembers_when_it_was_last_used,
    signing_keys_belong_to_their_tenant,
    api_keys_are_found_by_their_hash,
    of_root_secrets_the_first_one_s_check_is_kept_until_it_is_forgotten,
    the_first_api_key_is_made_once_however_many_ask_at_once,
    of_many_who_write_at_once_each_gets_its_turn,
    fences_only_grow_however_many_ask_at_once,
    a_fence_is_accepted_once_and_never_after_a_higher_one,
    a_timeline_starts_with_the_first_fence,
    a_change_and_its_audit_are_stored_together_or_not_at_all,
    the_audit_goes_newest_first_and_by_tenant,
    a_request_is_begun_once_and_its_answer_kept_for_a_day,
    webhooks_are_kept_changed_and_gone_with_their_tenant,
    a_delivery_is_taken_by_one_at_a_time_until_it_is_settled,
    a_webhook_that_fails_for_long_is_disabled_and_one_that_recovers_is_not,
    usage_adds_up_by_the_hour,
    an_event_and_its_deliveries_are_stored_together_or_not_at_all,
    an_event_of_an_older_publish_is_not_stored_after_a_newer_one_began,
    events_are_listed_after_one_that_is_known,
    publishes_are_told_newest_first_and_page_by_page,
    a_key_set_is_fetched_by_one_at_a_time_and_keeps_its_last_good_keys,
    users_are_kept_with_a_role_per_tenant,
    a_changed_user_is_read_as_written_and_a_deleted_tenant_takes_its_roles,
    a_sign_in_lasts_until_it_expires_or_is_ended,
    a_link_is_good_once_however_many_ask_at_once,
    a_users_newer_link_takes_the_place_of_the_older,
);

#[tokio::test]
async fn a_second_process_is_refused_the_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.db");
    let first = Sqlite::open(&path).await.unwrap();
    let second = Sqlite::open(&path).await.err().unwrap();
    assert_eq!(second, Error::InUse(path.display().to_string()));
    first.close().await;
    drop(first);
    assert!(Sqlite::open(&path).await.is_ok());
}

#[tokio::test]
async fn an_sqlite_file_in_use_can_be_read_but_not_changed_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.db");
    let writer = Sqlite::open(&path).await.unwrap();
    let tenant = writer.create_tenant(records::tenant(1), records::entry()).await.unwrap();
    let reader = Sqlite::open_read_only(&path).await.unwrap();
    assert_eq!(reader.tenant(&tenant.id).await.unwrap(), Some(tenant));
    assert!(matches!(reader.create_tenant(records::tenant(2), records::entry()).await, Err(Error::Broken(_))));
}

#[tokio::test]
async fn what_was_stored_in_sqlite_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.db");
    let store = Sqlite::open(&path).await.unwrap();
    let tenant = store.create_tenant(records::tenant(1), records::entry()).await.unwrap();
    store.close().await;
    drop(store);
    let store = Sqlite::open(&path).await.unwrap();
    assert_eq!(store.tenant(&tenant.id).await.unwrap(), Some(tenant));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_said_in_time() {
    let started = System::new();
    let refused = Postgres::connect("postgres://weir@127.0.0.1:9/weir").await.err().unwrap();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
    assert!(started.monotonic() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_is_said_in_time_and_is_used_again_when_it_answers() {
    let server = tokio::task::spawn_blocking(postgres::Server::start).await.unwrap();
    let store = Arc::new(Postgres::connect(&server.database()).await.unwrap());
    store.migrate().await.unwrap();
    let tenant = store.create_tenant(records::tenant(1), records::entry()).await.unwrap();

    server.signal("-STOP");
    let started = System::new();
    let asked = (0..30).map(|_| {
        let (store, id) = (store.clone(), tenant.id.clone());
        tokio::spawn(async move { store.tenant(&id).await })
    });
    for asked in asked.collect::<Vec<_>>() {
        let refused = asked.await.unwrap().err().unwrap();
        assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
    }
    assert!(started.monotonic() < Duration::from_secs(2), "{:?}", started.monotonic());

    server.signal("-CONT");
    let resumed = System::new();
    while store.tenant(&tenant.id).await.is_err() {
        assert!(resumed.monotonic() < Duration::from_secs(3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_long_or_never_ends_is_given_up_in_time() {
    let server: &'static _ = Box::leak(Box::new(tokio::task::spawn_blocking(postgres::Server::start).await.unwrap()));
    let store = Arc::new(Postgres::connect(&server.database()).await.unwrap());
    store.migrate().await.unwrap();
    let tenant = store.create_tenant(records::tenant(1), records::entry()).await.unwrap();
    let ask = || {
        let (store, id) = (store.clone(), tenant.id.clone());
        tokio::spawn(async move {
            let started = System::new();
            (store.tenant(&id).await, started.monotonic())
        })
    };

    // As a slow statement of somebody else would, and for longer than anybody waits.
    let holding = "BEGIN; LOCK TABLE tenants IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(5); COMMIT";
    let held = std::thread::spawn(move || server.run(holding, "weir_0"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (refused, took) = ask().await.unwrap();
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");

    let asked = ask();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.signal("-STOP");
    let answered = tokio::time::timeout(Duration::from_secs(3), asked).await;
    server.signal("-CONT");
    let (refused, took) = answered.expect("an answer while the database hangs").unwrap();
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    held.join().unwrap();
    assert_eq!(store.tenant(&tenant.id).await.unwrap(), Some(tenant));
}

/// As a later version leaves them behind.
const LATER_MIGRATION: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES (9999, 'of a later version', TRUE, '', 0)";

#[tokio::test]
async fn a_file_that_a_later_version_has_migrated_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.db");
    Sqlite::open(&path).await.unwrap().close().await;
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    sqlx::raw_sql(LATER_MIGRATION).execute(&pool).await.unwrap();
    pool.close().await;
    Sqlite::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_database_that_a_later_version_has_migrated_is_used() {
    let address = tokio::task::spawn_blocking(|| postgres::shared().database()).await.unwrap();
    let store = Postgres::connect(&address).await.unwrap();
    store.migrate().await.unwrap();
    let pool = sqlx::PgPool::connect(&address).await.unwrap();
    sqlx::raw_sql(LATER_MIGRATION).execute(&pool).await.unwrap();
    store.migrate().await.unwrap();
}
