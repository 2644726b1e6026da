//! Which of a tenant's keys still hold: a viewer goes when the key that signed its token does.

use crate::id::TenantId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A key that let viewers in.
#[derive(Debug, Default)]
pub struct Signer {
    is_revoked: AtomicBool,
}

impl Signer {
    pub fn is_revoked(&self) -> bool {
        self.is_revoked.load(Ordering::Relaxed)
    }
}

/// All that are in use, by tenant and by a name that no two of a tenant's keys share.
#[derive(Debug, Default)]
pub struct Signers(Mutex<HashMap<TenantId, HashMap<String, Arc<Signer>>>>);

impl Signers {
    /// These are the tenant's keys, and no others; they come back in the same order.
    pub fn hold(&self, tenant: &TenantId, names: &[String]) -> Vec<Arc<Signer>> {
        let mut tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|other, signers| other == tenant || signers.values().any(is_used));
        let signers = tenants.entry(tenant.clone()).or_default();
        for (_, gone) in signers.iter().filter(|(name, _)| !names.contains(name)) {
            gone.is_revoked.store(true, Ordering::Relaxed);
        }
        signers.retain(|name, _| names.contains(name));
        names.iter().map(|name| signers.entry(name.clone()).or_default().clone()).collect()
    }
}

fn is_used(signer: &Arc<Signer>) -> bool {
    Arc::strong_count(signer) > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: u8) -> TenantId {
        TenantId::from_random([n; 16])
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_key_that_is_gone_is_revoked_and_no_other() {
        let signers = Signers::default();
        let [one, two]: [_; 2] = signers.hold(&tenant(1), &names(&["one", "two"])).try_into().unwrap();
        let other = signers.hold(&tenant(2), &names(&["one"]));
        let held = signers.hold(&tenant(1), &names(&["two", "three"]));
        assert!(one.is_revoked() && !two.is_revoked() && !other[0].is_revoked());
        assert!(Arc::ptr_eq(&held[0], &two));
        let again = signers.hold(&tenant(1), &names(&["one", "two"]));
        assert!(one.is_revoked() && !again[0].is_revoked(), "who was let in before it went does not come back");
    }

    #[test]
    fn tenants_without_viewers_are_forgotten() {
        let signers = Signers::default();
        let kept = signers.hold(&tenant(1), &names(&["one"]));
        for n in 2..100 {
            signers.hold(&tenant(n), &names(&["one"]));
        }
        assert_eq!(signers.0.lock().unwrap().len(), 2);
        signers.hold(&tenant(1), &[]);
        assert!(kept[0].is_revoked());
    }
}
