use super::{Conflict, Entry, Error, KeyId, Memory, Result, TenantId};
use crate::store::key_set::{Fetched, KEY_SETS_MAX, KeySet, KeySets};
use async_trait::async_trait;

#[async_trait]
impl KeySets for Memory {
    async fn create_key_set(&self, new: KeySet, audit: Entry) -> Result<KeySet> {
        let mut tables = self.tables();
        tables.tenant(&new.tenant)?;
        if tables.key_sets(&new.tenant).len() >= KEY_SETS_MAX {
            return Err(Error::Conflict(Conflict::TooManyKeySets));
        }
        tables.key_sets.insert(new.id.clone(), new.clone());
        tables.log(audit);
        Ok(new)
    }

    async fn key_sets(&self, tenant: &TenantId) -> Result<Vec<KeySet>> {
        Ok(self.tables().key_sets(tenant))
    }

    async fn take_key_sets(&self, now_us: i64, until_us: i64, limit: u32) -> Result<Vec<KeySet>> {
        let mut tables = self.tables();
        let mut due: Vec<&mut KeySet> = tables.key_sets.values_mut().filter(|set| set.next_us <= now_us).collect();
        due.sort_by_key(|set| set.next_us);
        let taken = due.into_iter().take(limit as usize).map(|set| {
            set.next_us = until_us;
            set.clone()
        });
        Ok(taken.collect())
    }

    async fn settle_key_set(&self, id: &KeyId, fetched: &Fetched) -> Result<()> {
        if let Some(set) = self.tables().key_sets.get_mut(id) {
            set.next_us = fetched.next_us;
            match &fetched.outcome {
                Ok(keys) => (set.keys, set.fetched_us, set.error) = (keys.clone(), Some(fetched.at_us), None),
                Err(error) => set.error = Some(error.clone()),
            }
        }
        Ok(())
    }
}
