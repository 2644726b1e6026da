use super::{Conflict, Entry, Error, Hash, Memory, Page, Result, TenantId, paged, position};
use crate::id::UserId;
use crate::store::people::{Link, People, SignIn, User};
use async_trait::async_trait;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Tables {
    users: BTreeMap<UserId, User>,
    sign_ins: BTreeMap<[u8; 32], SignIn>,
    links: BTreeMap<[u8; 32], Link>,
    had_first_link: bool,
}

impl Tables {
    pub(super) fn forget_tenant(&mut self, tenant: &TenantId) {
        for user in self.users.values_mut() {
            user.grants.retain(|grant| grant.tenant.as_ref() != Some(tenant));
        }
    }

    fn insert(&mut self, user: &User) -> Result<User> {
        if self.users.values().any(|known| known.id == user.id || known.login == user.login) {
            return Err(Error::Conflict(Conflict::Exists));
        }
        let mut user = User { revision: 1, ..user.clone() };
        user.grants.sort();
        self.users.insert(user.id.clone(), user.clone());
        Ok(user)
    }

    fn update(&mut self, user: &User, at_us: i64) -> Result<User> {
        let row = self.users.get_mut(&user.id).ok_or(Error::NotFound("user"))?;
        if row.revision != user.revision {
            return Err(Error::Conflict(Conflict::Stale));
        }
        row.name.clone_from(&user.name);
        row.password.clone_from(&user.password);
        row.grants.clone_from(&user.grants);
        row.grants.sort();
        row.revision += 1;
        row.updated_us = at_us;
        Ok(row.clone())
    }
}

impl super::Tables {
    fn check_tenants(&self, user: &User) -> Result<()> {
        let known = |tenant: &TenantId| self.tenants.contains_key(tenant);
        let all_known = user.grants.iter().filter_map(|grant| grant.tenant.as_ref()).all(known);
        if all_known { Ok(()) } else { Err(Error::NotFound("tenant")) }
    }
}

#[async_trait]
impl People for Memory {
    async fn create_user(&self, new: User, audit: Entry) -> Result<User> {
        let mut tables = self.tables();
        tables.check_tenants(&new)?;
        let user = tables.people.insert(&new)?;
        tables.log(audit);
        Ok(user)
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>> {
        Ok(self.tables().people.users.get(id).cloned())
    }

    async fn user_by_login(&self, login: &str) -> Result<Option<User>> {
        Ok(self.tables().people.users.values().find(|user| user.login == login).cloned())
    }

    async fn users(&self, tenant: Option<&TenantId>, page: &Page) -> Result<Vec<User>> {
        let of_tenant = |user: &&User| {
            tenant.is_none_or(|tenant| user.grants.iter().any(|grant| grant.tenant.as_ref() == Some(tenant)))
        };
        let rows = self.tables().people.users.values().filter(of_tenant).cloned().collect();
        Ok(paged(rows, page, |row: &User| position(row.created_us, row.id.as_str())))
    }

    async fn update_user(&self, user: &User, audit: Entry) -> Result<User> {
        let mut tables = self.tables();
        tables.check_tenants(user)?;
        let held = tables.people.users.get(&user.id).map_or(0, |held| held.grants.len());
        let updated = tables.people.update(user, audit.at_us)?;
        if user.grants.len() > held {
            tables.people.links.retain(|_, row| row.user.as_ref() != Some(&user.id));
        }
        tables.log(audit);
        Ok(updated)
    }

    async fn delete_user(&self, id: &UserId, audit: Entry) -> Result<()> {
        let mut tables = self.tables();
        tables.people.users.remove(id).ok_or(Error::NotFound("user"))?;
        tables.people.sign_ins.retain(|_, row| row.user != *id);
        tables.people.links.retain(|_, row| row.user.as_ref() != Some(id));
        tables.log(audit);
        Ok(())
    }

    async fn create_sign_in(&self, new: SignIn, audit: Entry) -> Result<()> {
        let mut tables = self.tables();
        let people = &mut tables.people;
        people.sign_ins.retain(|_, row| row.expires_us > new.created_us);
        people.links.retain(|_, row| row.expires_us > new.created_us);
        people.users.get_mut(&new.user).ok_or(Error::NotFound("user"))?.signed_in_us = Some(new.created_us);
        people.sign_ins.insert(*new.hash.as_bytes(), new);
        tables.log(audit);
        Ok(())
    }

    async fn sign_in(&self, hash: &Hash, now_us: i64) -> Result<Option<(SignIn, User)>> {
        let tables = self.tables();
        let row = tables.people.sign_ins.get(hash.as_bytes()).filter(|row| row.expires_us > now_us);
        Ok(row.and_then(|row| Some((row.clone(), tables.people.users.get(&row.user)?.clone()))))
    }

    async fn touch_sign_in(&self, hash: &Hash, used_us: i64, expires_us: i64) -> Result<()> {
        if let Some(row) = self.tables().people.sign_ins.get_mut(hash.as_bytes()) {
            (row.used_us, row.expires_us) = (used_us, expires_us);
        }
        Ok(())
    }

    async fn delete_sign_in(&self, hash: &Hash, audit: Entry) -> Result<()> {
        let mut tables = self.tables();
        tables.people.sign_ins.remove(hash.as_bytes());
        tables.log(audit);
        Ok(())
    }

    async fn delete_sign_ins(&self, user: &UserId, keep: Option<&Hash>, audit: Entry) -> Result<()> {
        let mut tables = self.tables();
        tables.people.sign_ins.retain(|_, row| row.user != *user || keep == Some(&row.hash));
        tables.log(audit);
        Ok(())
    }

    async fn create_link(&self, new: Link, audit: Entry) -> Result<()> {
        let mut tables = self.tables();
        if new.user.as_ref().is_some_and(|user| !tables.people.users.contains_key(user)) {
            return Err(Error::NotFound("user"));
        }
        tables.people.links.retain(|_, row| row.user.is_none() || row.user != new.user);
        tables.people.links.insert(*new.hash.as_bytes(), new);
        tables.log(audit);
        Ok(())
    }

    async fn create_first_link(&self, new: Link, audit: Entry) -> Result<bool> {
        let mut tables = self.tables();
        if std::mem::replace(&mut tables.people.had_first_link, true) {
            return Ok(false);
        }
        tables.people.links.insert(*new.hash.as_bytes(), new);
        tables.log(audit);
        Ok(true)
    }

    async fn link(&self, hash: &Hash, now_us: i64) -> Result<Option<Link>> {
        Ok(self.tables().people.links.get(hash.as_bytes()).filter(|row| row.expires_us > now_us).cloned())
    }

    async fn redeem_link(&self, hash: &Hash, user: &User, audit: Entry) -> Result<User> {
        let mut tables = self.tables();
        tables.check_tenants(user)?;
        let people = &mut tables.people;
        if people.links.get(hash.as_bytes()).is_none_or(|row| row.expires_us <= audit.at_us) {
            return Err(Error::NotFound("link"));
        }
        let written = if user.revision == 0 { people.insert(user)? } else { people.update(user, audit.at_us)? };
        people.links.remove(hash.as_bytes());
        tables.log(audit);
        Ok(written)
    }
}
