//! Who may watch: streams and their tenants' keys, kept in memory so that viewers of a live stream come in while the
//! database is away.

use crate::auth::secret::Secrets;
use crate::auth::token::{self, Claims, Refused, Request, VerifyingKey};
use crate::clock::Clock;
use crate::id::{PlaybackId, TenantId};
use crate::session::signers::{Signer, Signers};
use crate::store::{self, KeySet, Material, Play, Policy, SigningKey, Store};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is known is looked up again after this; a change takes effect within it even where nobody tells of it.
const FRESH: Duration = Duration::from_secs(2);
/// Past this many entries those that are not fresh are let go.
const ENTRIES_MAX: usize = 10_000;
/// The same for streams that don't exist: somebody guesses.
const MISSES_MAX: usize = 10_000;
/// A look-up that a change overtook is made again; this often in all.
const READS_MAX: u32 = 3;

/// A stream as a viewer is admitted to it.
pub struct Door {
    pub play: Play,
    keys: Vec<VerifyingKey>,
    /// Of the keys, in their order.
    signers: Vec<Arc<Signer>>,
}

/// What a token says, and whose word it is.
pub struct Admitted {
    pub claims: Claims,
    pub signer: Arc<Signer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("no such stream")]
    NoSuchStream,
    /// Too late to tell: the database is away.
    #[error("the database is away")]
    Unavailable,
    #[error("this stream needs a token")]
    NoToken,
    #[error(transparent)]
    Token(#[from] Refused),
    #[error("this origin may not show the stream")]
    Origin,
    #[error("the tenant is disabled")]
    Disabled,
}

impl Denied {
    /// A metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoSuchStream => "no_such_stream",
            Self::Unavailable => "unavailable",
            Self::NoToken => "no_token",
            Self::Token(Refused(reason)) => reason.reason(),
            Self::Origin => "origin_not_allowed",
            Self::Disabled => "disabled",
        }
    }
}

struct Entry {
    door: Arc<Door>,
    looked_up: Duration,
    is_stale: bool,
}

impl Entry {
    fn is_fresh(&self, now: Duration) -> bool {
        !self.is_stale && now.saturating_sub(self.looked_up) < FRESH
    }
}

#[derive(Default)]
struct Known {
    doors: HashMap<PlaybackId, Entry>,
    misses: HashMap<PlaybackId, Duration>,
    /// Counts changes that were told of: what was read before one is read again.
    changes: u64,
}

pub struct Admission {
    store: Arc<dyn Store>,
    secrets: Arc<Secrets>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    signers: Signers,
}

impl Admission {
    pub fn new(store: Arc<dyn Store>, secrets: Arc<Secrets>, clock: Arc<dyn Clock>) -> Self {
        Self { store, secrets, clock, known: Mutex::default(), signers: Signers::default() }
    }

    /// The stream behind a playback id, as fresh as the database allows.
    pub async fn door(&self, id: &PlaybackId) -> Result<Arc<Door>, Denied> {
        let now = self.clock.monotonic();
        let known = {
            let known = self.lock();
            if known.misses.get(id).is_some_and(|at| now.saturating_sub(*at) < FRESH) {
                return Err(Denied::NoSuchStream);
            }
            known.doors.get(id).map(|e| (e.door.clone(), e.is_fresh(now)))
        };
        if let Some((door, true)) = known {
            return Ok(door);
        }
        for _ in 0..READS_MAX {
            let changes = self.lock().changes;
            match self.store.play(id).await {
                Ok(Some(play)) => match self.remember(play, now, changes) {
                    Some(door) => return Ok(door),
                    None => continue,
                },
                Ok(None) => {
                    self.forget(id, now);
                    return Err(Denied::NoSuchStream);
                }
                Err(error) => tracing::warn!(%error, "a stream can't be looked up"),
            }
            break;
        }
        known.map(|(door, _)| door).ok_or(Denied::Unavailable)
    }

    /// Keeps a stream that has just gone live at hand.
    pub async fn prime(&self, id: &PlaybackId) {
        // Viewers ask again, and hear then what is wrong.
        let _ = self.door(id).await;
    }

    /// What is known is looked up again at the next viewer.
    pub fn invalidate_all(&self) {
        let mut known = self.lock();
        known.doors.values_mut().for_each(|entry| entry.is_stale = true);
        known.misses.clear();
        known.changes += 1;
    }

    /// Lets go those whom a key let in that the tenant has no more.
    pub async fn recheck(&self, tenant: &TenantId) -> store::Result<()> {
        let changes = self.lock().changes;
        let keys = self.store.signing_keys(tenant).await?;
        let sets = self.store.key_sets(tenant).await?;
        let names: Vec<String> = self.keys(&keys, &sets).into_iter().map(|(name, _)| name).collect();
        let known = self.lock();
        // After another change, whoever told of it reads again.
        if known.changes == changes {
            self.signers.hold(tenant, &names);
        }
        Ok(())
    }

    /// None: what was read is older than a change.
    fn remember(&self, play: Play, now: Duration, changes: u64) -> Option<Arc<Door>> {
        let id = play.stream.playback_id.clone();
        let (names, keys): (Vec<_>, Vec<_>) = self.keys(&play.signing_keys, &play.key_sets).into_iter().unzip();
        let mut known = self.lock();
        if known.changes != changes {
            return None;
        }
        let signers = self.signers.hold(&play.tenant.id, &names);
        let door = Arc::new(Door { play, keys, signers });
        known.misses.remove(&id);
        if known.doors.len() >= ENTRIES_MAX {
            known.doors.retain(|_, e| e.is_fresh(now));
        }
        known.doors.insert(id, Entry { door: door.clone(), looked_up: now, is_stale: false });
        Some(door)
    }

    /// Those that can be used, each with a name of its own; keys that were brought one by one before those of sets.
    fn keys(&self, keys: &[SigningKey], sets: &[KeySet]) -> Vec<(String, VerifyingKey)> {
        let own = keys.iter().filter_map(|key| Some((key.id.to_string(), self.verifying_key(key)?)));
        let named = |set: &KeySet, key: VerifyingKey| (format!("{} {}", set.id, key.kid()), key);
        let fetched = sets.iter().flat_map(|set| {
            let keys = set.keys.iter().filter_map(|jwk| VerifyingKey::from_jwk(jwk).ok());
            keys.map(|key| named(set, key))
        });
        own.chain(fetched).collect()
    }

    fn forget(&self, id: &PlaybackId, now: Duration) {
        let mut known = self.lock();
        known.doors.remove(id);
        if known.misses.len() >= MISSES_MAX {
            known.misses.clear();
        }
        known.misses.insert(id.clone(), now);
    }

    /// A key that can't be used refuses its tokens and nobody else's.
    fn verifying_key(&self, key: &SigningKey) -> Option<VerifyingKey> {
        let made = match &key.material {
            Material::Sealed(sealed) => {
                self.secrets.open(sealed, key.id.as_str()).and_then(|secret| VerifyingKey::hs256(&key.kid, &secret))
            }
            Material::Public(jwk) if jwk.starts_with('{') => VerifyingKey::from_jwk(jwk),
            Material::Public(pem) => VerifyingKey::from_pem(&key.kid, key.algorithm, pem),
        };
        made.inspect_err(|error| match &key.material {
            Material::Sealed(_) => tracing::error!(key = %key.id, %error, "a signing key of ours can't be opened"),
            Material::Public(_) => tracing::warn!(key = %key.id, %error, "a tenant's public key can't be used"),
        })
        .ok()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door {
    /// Lets a viewer in by its token; a public stream needs none, and an old one does no harm there.
    pub fn admit(&self, token: Option<&str>, request: &Request<'_>) -> Result<Option<Admitted>, Denied> {
        match (token, self.play.stream.settings.policy) {
            (Some(token), Policy::Signed) => Ok(Some(self.verify(token, request)?)),
            (token, Policy::Public) => Ok(token.and_then(|t| self.verify(t, request).ok())),
            (None, Policy::Signed) => Err(Denied::NoToken),
        }
    }

    pub fn verify(&self, token: &str, request: &Request<'_>) -> Result<Admitted, Denied> {
        let (claims, signer) = token::verify_by(token, &self.keys, request)?;
        Ok(Admitted { claims, signer: self.signers[signer].clone() })
    }

    /// `own` is Weir's origin, which may always show its streams.
    pub fn check_origin(&self, origin: Option<&str>, own: &str) -> Result<(), Denied> {
        let allowed = &self.play.stream.settings.allowed_origins;
        let is_allowed = allowed.is_empty()
            || origin.is_some_and(|o| o.eq_ignore_ascii_case(own) || allowed.iter().any(|a| a.eq_ignore_ascii_case(o)));
        if is_allowed { Ok(()) } else { Err(Denied::Origin) }
    }
}
