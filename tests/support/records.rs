//! Records to fill a store with, told apart by a number.

use weir::auth::secret::{Hash, Sealed};
use weir::auth::token::Algorithm;
use weir::id::{KeyId, PlaybackId, StreamId, TenantId};
use weir::store::{Entry, Material, NewSigningKey, NewStream, NewStreamKey, NewTenant, Outcome, Quotas, Settings};

pub(crate) const CREATED_US: i64 = 1_800_000_000_000_000;

fn bytes(kind: u8, n: u32) -> [u8; 16] {
    let mut bytes = [kind; 16];
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    bytes
}

pub(crate) fn hash(n: u32) -> Hash {
    let mut bytes = [0xee; 32];
    bytes[28..].copy_from_slice(&n.to_be_bytes());
    Hash::from_bytes(bytes)
}

pub(crate) fn entry() -> Entry {
    Entry {
        at_us: CREATED_US,
        tenant: None,
        actor: "system".to_owned(),
        address: None,
        action: "test".to_owned(),
        target: "test".to_owned(),
        outcome: Outcome::Done,
        before: None,
        after: None,
    }
}

pub(crate) fn tenant(n: u32) -> NewTenant {
    let id = TenantId::from_random(bytes(1, n));
    NewTenant {
        signing_key: signing_key(n, &id),
        id,
        name: format!("tenant {n}"),
        quotas: Quotas::default(),
        created_us: CREATED_US + i64::from(n),
    }
}

pub(crate) fn stream(n: u32, tenant: &TenantId) -> NewStream {
    NewStream {
        id: StreamId::from_random(bytes(2, n)),
        tenant: tenant.clone(),
        playback_id: PlaybackId::from_random(bytes(3, n)),
        name: format!("stream {n}"),
        settings: Settings::default(),
        created_us: CREATED_US + i64::from(n),
        key: stream_key(n),
    }
}

pub(crate) fn stream_key(n: u32) -> NewStreamKey {
    NewStreamKey {
        id: KeyId::from_random(bytes(4, n)),
        prefix: format!("sk_{n:08}"),
        hash: hash(n),
        created_us: CREATED_US + i64::from(n),
    }
}

pub(crate) fn signing_key(n: u32, tenant: &TenantId) -> NewSigningKey {
    let id = KeyId::from_random(bytes(5, n));
    NewSigningKey {
        kid: id.to_string(),
        id,
        tenant: tenant.clone(),
        algorithm: Algorithm::Hs256,
        material: Material::Sealed(Sealed::from_bytes(vec![1, 2, 3])),
        created_us: CREATED_US + i64::from(n),
    }
}
