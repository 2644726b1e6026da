use super::super::{AFTER_COPY, Columns as _, Own, built, query};
use super::{Conflict, Error, Result, Tried, run};
use crate::store::copy::{Cell, Kind, Source, TABLES, Table};
use async_trait::async_trait;

#[async_trait]
impl Source for Own {
    async fn rows(&self, table: &Table, after: &Cell) -> Result<Vec<Vec<Cell>>> {
        run(rows(self, table, after)).await
    }
}

async fn rows(own: &Own, table: &Table, after: &Cell) -> Tried<Vec<Vec<Cell>>> {
    let select = built(table.select());
    let select = match after {
        Cell::Number(key) => select.bind(*key),
        Cell::Text(key) => select.bind(key.clone()),
        Cell::Bytes(key) => select.bind(key.clone()),
    };
    let mut rows = Vec::new();
    for row in select.fetch_all(own.pool.reader()).await? {
        let cell = |(at, (_, kind)): (usize, &(&str, Kind))| {
            Ok(match kind {
                Kind::Number => Cell::Number(row.try_get(at)?),
                Kind::Text => Cell::Text(row.try_get(at)?),
                Kind::Bytes => Cell::Bytes(row.try_get(at)?),
            })
        };
        rows.push(table.columns.iter().enumerate().map(cell).collect::<Tried<_>>()?);
    }
    Ok(rows)
}

impl Own {
    /// Takes over all of another database, or nothing; this one must hold nothing yet. Tells how many rows.
    pub async fn copy_from(&self, source: &dyn Source) -> Result<u64> {
        // Without the limit of other calls: it takes as long as it takes.
        super::told(copy(self, source).await)
    }
}

async fn copy(own: &Own, source: &dyn Source) -> Tried<u64> {
    let mut tx = own.pool.begin().await?;
    for table in TABLES {
        let any = built(format!("SELECT 1 FROM {} LIMIT 1", table.name)).fetch_optional(&mut *tx).await?;
        if any.is_some() {
            return Err(Error::Conflict(Conflict::Exists).into());
        }
    }
    let mut copied = 0;
    for table in TABLES {
        let mut after = table.start();
        loop {
            let rows = source.rows(table, &after).await?;
            let Some(key) = rows.last().and_then(|row| row.first()) else { break };
            after = key.clone();
            for row in rows {
                let insert = row.into_iter().fold(built(table.insert()), |insert, cell| match cell {
                    Cell::Number(number) => insert.bind(number),
                    Cell::Text(text) => insert.bind(text),
                    Cell::Bytes(bytes) => insert.bind(bytes),
                });
                insert.execute(&mut *tx).await?;
                copied += 1;
            }
        }
    }
    query(AFTER_COPY).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(copied)
}
