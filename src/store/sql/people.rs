use super::super::{Own, Pool, Row, Tx, query};
use super::rows::{Reader, before};
use super::{Conflict, Entry, Error, Hash, Page, Result, TenantId, Tried, audit, run};
use crate::id::UserId;
use crate::store::{Grant, Link, People, Purpose, Role, SignIn, User};
use async_trait::async_trait;

#[async_trait]
impl People for Own {
    async fn create_user(&self, new: User, audit: Entry) -> Result<User> {
        run(create(&self.pool, new, audit)).await
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>> {
        run(get(&self.pool, id)).await
    }

    async fn user_by_login(&self, login: &str) -> Result<Option<User>> {
        run(by_login(&self.pool, login)).await
    }

    async fn users(&self, tenant: Option<&TenantId>, page: &Page) -> Result<Vec<User>> {
        run(list(&self.pool, tenant, page)).await
    }

    async fn update_user(&self, user: &User, audit: Entry) -> Result<User> {
        run(change(&self.pool, user, audit)).await
    }

    async fn delete_user(&self, id: &UserId, audit: Entry) -> Result<()> {
        run(delete(&self.pool, id, audit)).await
    }

    async fn create_sign_in(&self, new: SignIn, audit: Entry) -> Result<()> {
        run(create_sign_in(&self.pool, new, audit)).await
    }

    async fn sign_in(&self, hash: &Hash, now_us: i64) -> Result<Option<(SignIn, User)>> {
        run(sign_in(&self.pool, hash, now_us)).await
    }

    async fn touch_sign_in(&self, hash: &Hash, used_us: i64, expires_us: i64) -> Result<()> {
        run(touch_sign_in(&self.pool, hash, used_us, expires_us)).await
    }

    async fn delete_sign_in(&self, hash: &Hash, audit: Entry) -> Result<()> {
        run(delete_sign_in(&self.pool, hash, audit)).await
    }

    async fn delete_sign_ins(&self, user: &UserId, keep: Option<&Hash>, audit: Entry) -> Result<()> {
        run(delete_sign_ins(&self.pool, user, keep, audit)).await
    }

    async fn create_link(&self, new: Link, audit: Entry) -> Result<()> {
        run(create_link(&self.pool, new, audit)).await
    }

    async fn create_first_link(&self, new: Link, audit: Entry) -> Result<bool> {
        run(create_first_link(&self.pool, new, audit)).await
    }

    async fn link(&self, hash: &Hash, now_us: i64) -> Result<Option<Link>> {
        run(link(&self.pool, hash, now_us)).await
    }

    async fn redeem_link(&self, hash: &Hash, user: &User, audit: Entry) -> Result<User> {
        run(redeem(&self.pool, hash, user, audit)).await
    }
}

/// Of `users AS u`, the grants as `tenant role,tenant role`.
macro_rules! user_columns {
    () => {
        "u.id, u.login, u.name, u.password, u.revision, u.created_us, u.updated_us, u.signed_in_us, \
         (SELECT STRING_AGG(COALESCE(r.tenant_id, '') || ' ' || r.role, ',') FROM user_roles r WHERE r.user_id = u.id)"
    };
}

fn read(row: &Row) -> Tried<User> {
    let mut row = Reader::new(row);
    read_user(&mut row)
}

fn read_user(row: &mut Reader<'_>) -> Tried<User> {
    Ok(User {
        id: row.id(UserId::parse)?,
        login: row.text()?,
        name: row.text()?,
        password: row.maybe_text()?,
        revision: row.number()?,
        created_us: row.number()?,
        updated_us: row.number()?,
        signed_in_us: row.maybe_number()?,
        grants: grants(&row.maybe_text()?.unwrap_or_default())?,
    })
}

fn grants(text: &str) -> Tried<Vec<Grant>> {
    let broken = || Error::Broken(format!("`{text}` are no roles"));
    let grant = |part: &str| {
        let (tenant, role) = part.split_once(' ')?;
        let tenant = if tenant.is_empty() { None } else { Some(TenantId::parse(tenant).ok()?) };
        Some(Grant { tenant, role: Role::parse(role)? })
    };
    let parts = text.split(',').filter(|part| !part.is_empty());
    let mut grants = parts.map(|part| grant(part).ok_or_else(broken)).collect::<std::result::Result<Vec<_>, _>>()?;
    grants.sort();
    Ok(grants)
}

async fn insert(tx: &mut Tx, user: &User) -> Tried<()> {
    query(
        "INSERT INTO users (id, login, name, password, revision, created_us, updated_us) VALUES ($1, $2, $3, $4, 1, $5, $6)",
    )
    .bind(user.id.as_str())
    .bind(&user.login)
    .bind(&user.name)
    .bind(&user.password)
    .bind(user.created_us)
    .bind(user.updated_us)
    .execute(&mut **tx)
    .await?;
    insert_grants(tx, user).await
}

async fn insert_grants(tx: &mut Tx, user: &User) -> Tried<()> {
    for grant in &user.grants {
        let tenant = grant.tenant.as_ref().map(TenantId::as_str);
        query("INSERT INTO user_roles (id, user_id, tenant_id, role) VALUES ($1, $2, $3, $4)")
            .bind(format!("{} {}", user.id, tenant.unwrap_or("platform")))
            .bind(user.id.as_str())
            .bind(tenant)
            .bind(grant.role.name())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn update(tx: &mut Tx, user: &User, at_us: i64) -> Tried<()> {
    let update = query(
        "UPDATE users SET name = $3, password = $4, updated_us = $5, revision = revision + 1
         WHERE id = $1 AND revision = $2",
    );
    let update = update.bind(user.id.as_str()).bind(user.revision);
    let update = update.bind(&user.name).bind(&user.password).bind(at_us);
    if update.execute(&mut **tx).await?.rows_affected() == 0 {
        let known = query("SELECT 1 FROM users WHERE id = $1").bind(user.id.as_str());
        let known = known.fetch_optional(&mut **tx).await?.is_some();
        return Err(if known { Error::Conflict(Conflict::Stale) } else { Error::NotFound("user") }.into());
    }
    query("DELETE FROM user_roles WHERE user_id = $1").bind(user.id.as_str()).execute(&mut **tx).await?;
    insert_grants(tx, user).await
}

async fn written(tx: &mut Tx, id: &UserId) -> Tried<User> {
    let select = query(concat!("SELECT ", user_columns!(), " FROM users u WHERE u.id = $1"));
    read(&select.bind(id.as_str()).fetch_one(&mut **tx).await?)
}

async fn create(pool: &Pool, new: User, entry: Entry) -> Tried<User> {
    let mut tx = pool.begin().await?;
    insert(&mut tx, &new).await?;
    let user = written(&mut tx, &new.id).await?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(user)
}

async fn get(pool: &Pool, id: &UserId) -> Tried<Option<User>> {
    let select = query(concat!("SELECT ", user_columns!(), " FROM users u WHERE u.id = $1"));
    select.bind(id.as_str()).fetch_optional(pool.reader()).await?.as_ref().map(read).transpose()
}

async fn by_login(pool: &Pool, login: &str) -> Tried<Option<User>> {
    let select = query(concat!("SELECT ", user_columns!(), " FROM users u WHERE u.login = $1"));
    select.bind(login).fetch_optional(pool.reader()).await?.as_ref().map(read).transpose()
}

async fn list(pool: &Pool, tenant: Option<&TenantId>, page: &Page) -> Tried<Vec<User>> {
    let (created_us, id) = before(page);
    let rows = query(concat!(
        "SELECT ",
        user_columns!(),
        " FROM users u WHERE ($1 = '' OR EXISTS (SELECT 1 FROM user_roles t WHERE t.user_id = u.id AND t.tenant_id = $1))
           AND (u.created_us, u.id) < ($2, $3) ORDER BY u.created_us DESC, u.id DESC LIMIT $4"
    ))
    .bind(tenant.map_or("", TenantId::as_str))
    .bind(created_us)
    .bind(id)
    .bind(i64::from(page.limit))
    .fetch_all(pool.reader())
    .await?;
    rows.iter().map(read).collect()
}

async fn change(pool: &Pool, user: &User, entry: Entry) -> Tried<User> {
    let mut tx = pool.begin().await?;
    let held = written(&mut tx, &user.id).await.map_or(0, |held| held.grants.len());
    if user.grants.len() > held {
        // Made by those who had less to give away.
        query("DELETE FROM links WHERE user_id = $1").bind(user.id.as_str()).execute(&mut *tx).await?;
    }
    update(&mut tx, user, entry.at_us).await?;
    let updated = written(&mut tx, &user.id).await?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(updated)
}

async fn delete(pool: &Pool, id: &UserId, entry: Entry) -> Tried<()> {
    let mut tx = pool.begin().await?;
    let done = query("DELETE FROM users WHERE id = $1").bind(id.as_str()).execute(&mut *tx).await?;
    if done.rows_affected() == 0 {
        return Err(Error::NotFound("user").into());
    }
    audit::log(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

async fn create_sign_in(pool: &Pool, new: SignIn, entry: Entry) -> Tried<()> {
    let mut tx = pool.begin().await?;
    query("DELETE FROM sign_ins WHERE expires_us <= $1").bind(new.created_us).execute(&mut *tx).await?;
    query("DELETE FROM links WHERE expires_us <= $1").bind(new.created_us).execute(&mut *tx).await?;
    let note = query("UPDATE users SET signed_in_us = $2 WHERE id = $1").bind(new.user.as_str()).bind(new.created_us);
    if note.execute(&mut *tx).await?.rows_affected() == 0 {
        return Err(Error::NotFound("user").into());
    }
    query("INSERT INTO sign_ins (hash, user_id, created_us, used_us, expires_us) VALUES ($1, $2, $3, $4, $5)")
        .bind(&new.hash.as_bytes()[..])
        .bind(new.user.as_str())
        .bind(new.created_us)
        .bind(new.used_us)
        .bind(new.expires_us)
        .execute(&mut *tx)
        .await?;
    audit::log(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

async fn sign_in(pool: &Pool, hash: &Hash, now_us: i64) -> Tried<Option<(SignIn, User)>> {
    let select = query(concat!(
        "SELECT s.created_us, s.used_us, s.expires_us, ",
        user_columns!(),
        " FROM sign_ins s JOIN users u ON u.id = s.user_id WHERE s.hash = $1 AND s.expires_us > $2"
    ));
    let row = select.bind(&hash.as_bytes()[..]).bind(now_us).fetch_optional(pool.reader()).await?;
    let read = |row: &Row| {
        let mut row = Reader::new(row);
        let (created_us, used_us, expires_us) = (row.number()?, row.number()?, row.number()?);
        let user = read_user(&mut row)?;
        Ok((SignIn { hash: *hash, user: user.id.clone(), created_us, used_us, expires_us }, user))
    };
    row.as_ref().map(read).transpose()
}

async fn touch_sign_in(pool: &Pool, hash: &Hash, used_us: i64, expires_us: i64) -> Tried<()> {
    let touch = query("UPDATE sign_ins SET used_us = $2, expires_us = $3 WHERE hash = $1");
    touch.bind(&hash.as_bytes()[..]).bind(used_us).bind(expires_us).execute(pool.writer()).await?;
    Ok(())
}

async fn delete_sign_in(pool: &Pool, hash: &Hash, entry: Entry) -> Tried<()> {
    let mut tx = pool.begin().await?;
    query("DELETE FROM sign_ins WHERE hash = $1").bind(&hash.as_bytes()[..]).execute(&mut *tx).await?;
    audit::log(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

async fn delete_sign_ins(pool: &Pool, user: &UserId, keep: Option<&Hash>, entry: Entry) -> Tried<()> {
    let mut tx = pool.begin().await?;
    let keep = keep.map_or(&[][..], |hash| &hash.as_bytes()[..]);
    let delete = query("DELETE FROM sign_ins WHERE user_id = $1 AND hash <> $2");
    delete.bind(user.as_str()).bind(keep).execute(&mut *tx).await?;
    audit::log(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

async fn insert_link(tx: &mut Tx, new: &Link) -> Tried<()> {
    query("INSERT INTO links (hash, purpose, user_id, created_us, expires_us) VALUES ($1, $2, $3, $4, $5)")
        .bind(&new.hash.as_bytes()[..])
        .bind(new.purpose.name())
        .bind(new.user.as_ref().map(UserId::as_str))
        .bind(new.created_us)
        .bind(new.expires_us)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn create_link(pool: &Pool, new: Link, entry: Entry) -> Tried<()> {
    let mut tx = pool.begin().await?;
    if let Some(user) = &new.user {
        let known = query("SELECT 1 FROM users WHERE id = $1").bind(user.as_str()).fetch_optional(&mut *tx).await?;
        known.ok_or(Error::NotFound("user"))?;
        query("DELETE FROM links WHERE user_id = $1").bind(user.as_str()).execute(&mut *tx).await?;
    }
    insert_link(&mut tx, &new).await?;
    audit::log(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

async fn create_first_link(pool: &Pool, new: Link, entry: Entry) -> Tried<bool> {
    let mut tx = pool.begin().await?;
    let first = query("INSERT INTO once (name, at_us) VALUES ('first link', $1) ON CONFLICT DO NOTHING");
    if first.bind(new.created_us).execute(&mut *tx).await?.rows_affected() == 0 {
        return Ok(false);
    }
    insert_link(&mut tx, &new).await?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(true)
}

async fn link(pool: &Pool, hash: &Hash, now_us: i64) -> Tried<Option<Link>> {
    let select =
        query("SELECT purpose, user_id, created_us, expires_us FROM links WHERE hash = $1 AND expires_us > $2");
    let row = select.bind(&hash.as_bytes()[..]).bind(now_us).fetch_optional(pool.reader()).await?;
    let read = |row: &Row| {
        let mut row = Reader::new(row);
        let (purpose, user) = (row.named(Purpose::parse)?, row.maybe_id(UserId::parse)?);
        Ok(Link { hash: *hash, purpose, user, created_us: row.number()?, expires_us: row.number()? })
    };
    row.as_ref().map(read).transpose()
}

async fn redeem(pool: &Pool, hash: &Hash, user: &User, entry: Entry) -> Tried<User> {
    let mut tx = pool.begin().await?;
    let take = query("DELETE FROM links WHERE hash = $1 AND expires_us > $2");
    let taken = take.bind(&hash.as_bytes()[..]).bind(entry.at_us).execute(&mut *tx).await?;
    if taken.rows_affected() == 0 {
        return Err(Error::NotFound("link").into());
    }
    if user.revision == 0 {
        insert(&mut tx, user).await?
    } else {
        update(&mut tx, user, entry.at_us).await?
    }
    let user = written(&mut tx, &user.id).await?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(user)
}
