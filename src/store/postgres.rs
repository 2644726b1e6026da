//! The store in PostgreSQL.

use super::{Error, Result};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, SqlSafeStr as _};
use std::time::Duration;

#[path = "sql/mod.rs"]
#[expect(clippy::duplicate_mod, reason = "one set of statements, compiled for each database")]
mod sql;

use sqlx::{Error as Cause, PgPool, Postgres as Db, Row as Columns, postgres::PgRow as Row};
type Own = Postgres;
type Tx = sqlx::Transaction<'static, Db>;

const TAKE_FENCE: &str = "
    UPDATE streams SET
        fence_next = fence_next + 1,
        origin_us = COALESCE(origin_us, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT)
    WHERE id = $1
    RETURNING fence_next, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT - origin_us";

/// Numbers go on after the highest that was copied.
const AFTER_COPY: &str =
    "SELECT setval(pg_get_serial_sequence('audit', 'seq'), (SELECT COALESCE(MAX(seq), 1) FROM audit))";

/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How long one call of the store may take, so that a publish is refused within 2 s of a database that hangs.
const CALL_TIMEOUT: Duration = Duration::from_millis(1_800);

/// The server ends a statement a little before we stop waiting for it, in milliseconds.
const STATEMENT_TIMEOUT_MS: &str = "1500";

/// PostgreSQL's default of 100 is shared by all nodes.
const CONNECTIONS: u32 = 10;

const MIGRATIONS: [(i64, &str, &str); 6] = [
    (1, "tenants streams keys", include_str!("../../migrations/postgres/0001_tenants_streams_keys.sql")),
    (2, "webhooks usage replays", include_str!("../../migrations/postgres/0002_webhooks_usage_replays.sql")),
    (3, "key sets events", include_str!("../../migrations/postgres/0003_key_sets_events.sql")),
    (4, "users", include_str!("../../migrations/postgres/0004_users.sql")),
    (5, "events by stream", include_str!("../../migrations/postgres/0005_events_by_stream.sql")),
    (6, "root check", include_str!("../../migrations/postgres/0006_root_check.sql")),
];

/// Readers and writers alike.
struct Pool(PgPool);

impl Pool {
    fn reader(&self) -> &PgPool {
        &self.0
    }

    fn writer(&self) -> &PgPool {
        &self.0
    }

    async fn begin(&self) -> std::result::Result<Tx, Cause> {
        self.0.begin().await
    }
}

pub struct Postgres {
    pool: Pool,
}

impl Postgres {
    /// Connects; `migrate` brings the tables up to date.
    pub async fn connect(url: &str) -> Result<Self> {
        let options: PgConnectOptions =
            url.parse().map_err(|_| Error::Broken("not a postgres:// address".to_owned()))?;
        let limits = [
            ("statement_timeout", STATEMENT_TIMEOUT_MS),
            ("lock_timeout", STATEMENT_TIMEOUT_MS),
            ("idle_in_transaction_session_timeout", "10000"),
        ];
        let options = options.options(limits).application_name("weir").disable_statement_logging();
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
        let pool = pool.connect_with(options).await.map_err(|cause| explain(&cause))?;
        Ok(Self { pool: Pool(pool) })
    }

    /// Nodes that start together take turns.
    pub async fn migrate(&self) -> Result<()> {
        let migrations = MIGRATIONS.map(|(version, name, statements)| {
            let no_tx = statements.starts_with("-- no-transaction");
            Migration::new(version, name.into(), MigrationType::Simple, statements.into_sql_str(), no_tx)
        });
        let mut connection = self.pool.0.acquire().await.map_err(|cause| explain(&cause))?;
        let unlimited = sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0").execute(&mut *connection);
        unlimited.await.map_err(|cause| explain(&cause))?;
        let mut migrator = Migrator::with_migrations(migrations.to_vec());
        // Those of a later version: what an older one needs is still there.
        migrator.set_ignore_missing(true);
        let migrated = migrator.run(&mut *connection).await;
        connection.close().await.map_err(|cause| explain(&cause))?;
        migrated.map_err(|error| Error::Broken(error.to_string()))
    }

    pub async fn close(&self) {
        self.pool.0.close().await;
    }
}

fn query<'q>(statement: &'static str) -> sqlx::query::Query<'q, Db, <Db as sqlx::Database>::Arguments> {
    sqlx::query(statement)
}

/// A statement of names that are written in this crate.
fn built<'q>(statement: String) -> sqlx::query::Query<'q, Db, <Db as sqlx::Database>::Arguments> {
    sqlx::query(sqlx::AssertSqlSafe(statement))
}

async fn within_limit<T>(call: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(CALL_TIMEOUT, call).await.ok()
}

fn explain(cause: &Cause) -> Error {
    /// Classes of SQLSTATE that another try can get past: connection, deadlock, resources, locks, intervention, system.
    const PASSING: [&str; 6] = ["08", "40", "53", "55", "57", "58"];
    match cause {
        Cause::Database(error) => {
            let passing = error.code().is_some_and(|code| PASSING.iter().any(|class| code.starts_with(class)));
            if passing { Error::Unavailable(error.to_string()) } else { Error::Broken(error.to_string()) }
        }
        Cause::Io(_) | Cause::Tls(_) | Cause::Protocol(_) | Cause::PoolTimedOut | Cause::PoolClosed => {
            Error::Unavailable(cause.to_string())
        }
        other => Error::Broken(other.to_string()),
    }
}
