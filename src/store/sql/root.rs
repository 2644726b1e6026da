use super::super::{Pool, query};
use super::rows::Reader;
use super::{Hash, Tried};

const SELECT: &str = "SELECT hash FROM root_check WHERE id = 1";

pub(super) async fn check(pool: &Pool) -> Tried<Option<Hash>> {
    let row = query(SELECT).fetch_optional(pool.reader()).await?;
    row.map(|row| Reader::new(&row).hash()).transpose()
}

pub(super) async fn keep(pool: &Pool, check: &Hash) -> Tried<Hash> {
    let insert = query("INSERT INTO root_check (id, hash) VALUES (1, $1) ON CONFLICT (id) DO NOTHING");
    insert.bind(&check.as_bytes()[..]).execute(pool.writer()).await?;
    Reader::new(&query(SELECT).fetch_one(pool.writer()).await?).hash()
}

pub(super) async fn forget(pool: &Pool) -> Tried<()> {
    query("DELETE FROM root_check").execute(pool.writer()).await?;
    Ok(())
}
