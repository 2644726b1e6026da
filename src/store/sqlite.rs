//! The store in an SQLite file: one process writes it, others may read.

use super::{Error, Result};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[path = "sql/mod.rs"]
mod sql;

use sqlx::{Error as Cause, Row as Columns, Sqlite as Db, SqliteConnection, SqlitePool, sqlite::SqliteRow as Row};
type Own = Sqlite;
type Tx = sqlx::Transaction<'static, Db>;

/// In SQLite, now is in milliseconds.
const TAKE_FENCE: &str = "
    UPDATE streams SET
        fence_next = fence_next + 1,
        origin_us = COALESCE(origin_us, CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000)
    WHERE id = $1
    RETURNING fence_next, CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000 - origin_us";

/// Numbers go on after the highest there is.
const AFTER_COPY: &str = "SELECT 1";

/// How long a statement waits for a lock that another program has on the file.
const BUSY_TIMEOUT: Duration = Duration::from_millis(1_000);

/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How long one call of the store may take.
const CALL_TIMEOUT: Duration = Duration::from_millis(1_800);

/// Readers don't wait for the writer (WAL), so a few go on beside it.
const READERS: u32 = 4;

const MIGRATIONS: [(i64, &str, &str); 6] = [
    (1, "tenants streams keys", include_str!("../../migrations/sqlite/0001_tenants_streams_keys.sql")),
    (2, "webhooks usage replays", include_str!("../../migrations/sqlite/0002_webhooks_usage_replays.sql")),
    (3, "key sets events", include_str!("../../migrations/sqlite/0003_key_sets_events.sql")),
    (4, "users", include_str!("../../migrations/sqlite/0004_users.sql")),
    (5, "events by stream", include_str!("../../migrations/sqlite/0005_events_by_stream.sql")),
    (6, "root check", include_str!("../../migrations/sqlite/0006_root_check.sql")),
];

/// SQLite has one writer at a time, whose lock it gives to whoever happens to ask next. So writers stand in line for one
/// connection: each gets its turn, and none is told that the database is locked.
struct Pool {
    readers: SqlitePool,
    writer: SqlitePool,
}

impl Pool {
    fn reader(&self) -> &SqlitePool {
        &self.readers
    }

    fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// The lock for writing is asked for at once: a transaction that reads first could not get it later.
    async fn begin(&self) -> std::result::Result<Tx, Cause> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

pub struct Sqlite {
    pool: Pool,
    /// Held for as long as this process may write.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens the file for writing, makes it where it is missing, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| Error::Unavailable(error.to_string()))?;
        }
        let lock = lock(path)?;
        let writer =
            SqlitePoolOptions::new().max_connections(1).before_acquire(|connection, _| Box::pin(is_usable(connection)));
        let writer = connect(writer, options(path).create_if_missing(true)).await?;
        migrate(&writer).await?;
        let readers = connect(readers(), options(path).pragma("query_only", "ON")).await?;
        Ok(Self { pool: Pool { readers, writer }, _lock: Some(lock) })
    }

    /// Opens a file that another process may be writing; every change is refused.
    pub async fn open_read_only(path: &Path) -> Result<Self> {
        let readers = connect(readers(), options(path).read_only(true)).await?;
        Ok(Self { pool: Pool { writer: readers.clone(), readers }, _lock: None })
    }

    /// `ok`, or what is wrong with the file.
    pub async fn check_integrity(&self) -> Result<String> {
        let found = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(self.pool.reader()).await;
        found.map_err(|cause| explain(&cause))
    }

    /// Writes what is in the log into the file, and closes it.
    pub async fn close(&self) {
        self.pool.readers.close().await;
        self.pool.writer.close().await;
    }
}

async fn migrate(pool: &SqlitePool) -> Result<()> {
    let migrations = MIGRATIONS.map(|(version, name, statements)| {
        Migration::new(version, name.into(), MigrationType::Simple, statements.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.to_vec());
    // Those of a later version: what an older one needs is still there.
    migrator.set_ignore_missing(true);
    migrator.run(pool).await.map_err(|error| Error::Broken(error.to_string()))
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

fn readers() -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(READERS)
}

async fn connect(pool: SqlitePoolOptions, options: SqliteConnectOptions) -> Result<SqlitePool> {
    pool.acquire_timeout(ACQUIRE_TIMEOUT).connect_with(options).await.map_err(|cause| explain(&cause))
}

/// Where the disk is full SQLite rolls back by itself; sqlx then can't, and takes the connection to be inside a transaction
/// for ever. Another one takes its place.
async fn is_usable(connection: &mut SqliteConnection) -> std::result::Result<bool, Cause> {
    Ok(!connection.is_in_transaction())
}

/// Beside the database, since SQLite's own locks are let go between statements.
fn lock(path: &Path) -> Result<File> {
    let lock_path = PathBuf::from(format!("{}.lock", path.display()));
    let unavailable = |error: std::io::Error| Error::Unavailable(format!("{}: {error}", lock_path.display()));
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(path.display().to_string())),
        Err(TryLockError::Error(error)) => Err(unavailable(error)),
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
    /// Primary result codes that another try can get past: busy, locked, out of memory, I/O error, full, can't open.
    const PASSING: [i32; 6] = [5, 6, 7, 10, 13, 14];
    match cause {
        Cause::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0);
            let passing = PASSING.contains(&(code & 0xff));
            if passing { Error::Unavailable(error.to_string()) } else { Error::Broken(error.to_string()) }
        }
        Cause::PoolTimedOut | Cause::PoolClosed | Cause::WorkerCrashed | Cause::Io(_) => {
            Error::Unavailable(cause.to_string())
        }
        other => Error::Broken(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

    use super::*;
    use crate::store::Store as _;

    #[tokio::test]
    async fn a_transaction_that_sqlite_rolled_back_by_itself_costs_no_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("weir.db")).await.unwrap();
        let mut transaction = store.pool.begin().await.unwrap();
        // As SQLite does by itself where the disk is full.
        sqlx::raw_sql("ROLLBACK").execute(&mut *transaction).await.unwrap();
        drop(transaction);
        let again = store.pool.begin().await.unwrap();
        again.commit().await.unwrap();
        store.ping().await.unwrap();
    }
}
