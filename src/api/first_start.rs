//! The platform's first API key, made once in the life of a database.

use super::Random;
use crate::auth::key;
use crate::auth::secret::Secrets;
use crate::id::KeyId;
use crate::store::{self, ApiKey, Entry, Outcome, Role, Store};

/// The key, if this call made it: to be shown to the person who starts the node, and never logged.
pub async fn first_key(
    store: &dyn Store,
    secrets: &Secrets,
    random: Random,
    now_us: i64,
) -> store::Result<Option<key::ApiKey>> {
    let (mut key_bytes, mut id_bytes) = ([0; key::RANDOM_BYTES], [0; 16]);
    random(&mut key_bytes);
    random(&mut id_bytes);
    let key = key::ApiKey::from_random(key_bytes);
    let new = ApiKey {
        id: KeyId::from_random(id_bytes),
        tenant: None,
        role: Role::Platform,
        name: "made at the first start".to_owned(),
        prefix: key.prefix().to_owned(),
        hash: secrets.hash(key.reveal()),
        created_us: now_us,
        last_used_us: None,
    };
    let entry = Entry {
        at_us: now_us,
        tenant: None,
        actor: "system".to_owned(),
        address: None,
        action: "api_key.create".to_owned(),
        target: new.id.to_string(),
        outcome: Outcome::Done,
        before: None,
        after: Some(serde_json::json!({ "name": new.name, "role": new.role, "prefix": new.prefix })),
    };
    Ok(store.create_first_api_key(new, entry).await?.then_some(key))
}
