use super::caller::Caller;
use super::input::{Body, Check, Query, Scope, check};
use super::show::{List, time};
use super::tenants::new_signing_key;
use super::webhooks::check_url;
use super::{Error, State};
use crate::auth::token::{Algorithm, VerifyingKey};
use crate::cluster::Message;
use crate::id::{KeyId, TenantId};
use crate::store::{KeySet, Material, NewSigningKey, SigningKey};
use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An RSA key of 8192 bits in PEM has 1.5 kB.
pub(super) const PUBLIC_KEY_BYTES_MAX: usize = 8 * 1024;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SigningKey)]
pub(super) struct SigningKeyView {
    id: KeyId,
    /// What tokens name it by; null for a set, each of whose keys has its own.
    kid: Option<String>,
    /// Null for a set.
    algorithm: Option<&'static str>,
    /// Of a key that was brought.
    public_key: Option<String>,
    /// Of a set that is fetched: where from.
    jwks_url: Option<String>,
    /// Of a set: its last good keys.
    keys: Vec<SetKeyView>,
    /// Of a set: when these keys came.
    fetched_at: Option<String>,
    /// Of a set: why the last fetch failed.
    error: Option<String>,
    created_at: String,
}

/// One key of a set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SetKey)]
pub(super) struct SetKeyView {
    kid: String,
    algorithm: &'static str,
}

impl From<&SigningKey> for SigningKeyView {
    fn from(key: &SigningKey) -> Self {
        let public_key = match &key.material {
            Material::Public(public) => Some(public.clone()),
            Material::Sealed(_) => None,
        };
        Self {
            id: key.id.clone(),
            kid: Some(key.kid.clone()),
            algorithm: Some(key.algorithm.name()),
            public_key,
            jwks_url: None,
            keys: Vec::new(),
            fetched_at: None,
            error: None,
            created_at: time(key.created_us),
        }
    }
}

impl From<&KeySet> for SigningKeyView {
    fn from(set: &KeySet) -> Self {
        let keys = set.keys.iter().filter_map(|jwk| VerifyingKey::from_jwk(jwk).ok());
        Self {
            id: set.id.clone(),
            kid: None,
            algorithm: None,
            public_key: None,
            jwks_url: Some(set.url.clone()),
            keys: keys.map(|k| SetKeyView { kid: k.kid().to_owned(), algorithm: k.algorithm().name() }).collect(),
            fetched_at: set.fetched_us.map(time),
            error: set.error.clone(),
            created_at: time(set.created_us),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SigningKeyCreated {
    #[serde(flatten)]
    key: SigningKeyView,
    /// Of an HS256 key, base64url, shown this once.
    secret: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateSigningKey {
    tenant: Option<String>,
    /// HS256 where nothing is said.
    algorithm: Option<String>,
    /// PEM or JWK; none for HS256, which we make.
    public_key: Option<String>,
    /// For a PEM; a JWK has its own.
    kid: Option<String>,
    /// Instead of a key: where the tenant serves its public keys (RFC 7517), which are fetched every five minutes.
    jwks_url: Option<String>,
}

impl CreateSigningKey {
    fn algorithm(&self) -> &str {
        self.algorithm.as_deref().unwrap_or(Algorithm::Hs256.name())
    }
}

impl Check for CreateSigningKey {
    fn check(&self) -> Result<(), Error> {
        if let Some(url) = &self.jwks_url {
            check_url("jwks_url", url)?;
            let alone = self.public_key.is_none() && self.kid.is_none() && self.algorithm.is_none();
            return check(
                alone,
                "jwks_url",
                "no `algorithm`, `public_key` or `kid` beside it: the set's keys name theirs",
            );
        }
        let algorithm = self.algorithm();
        check(Algorithm::parse(algorithm).is_some(), "algorithm", "HS256, RS256, ES256 or EdDSA")?;
        let made_by_us = algorithm == Algorithm::Hs256.name();
        let fits = self.public_key.is_some() != made_by_us;
        check(fits, "public_key", "none for HS256; PEM or JWK for the others")?;
        let short = self.public_key.as_ref().is_none_or(|key| key.len() <= PUBLIC_KEY_BYTES_MAX);
        check(short, "public_key", "at most 8192 bytes")?;
        let is_text = |key: &String| !key.chars().any(|c| c.is_control() && !c.is_ascii_whitespace());
        check(self.public_key.as_ref().is_none_or(is_text), "public_key", "PEM or JWK, without control characters")?;
        let kid = self.kid.as_ref().is_none_or(|kid| is_kid(kid) && !made_by_us);
        check(kid, "kid", KID)
    }
}

const KID: &str = "1 to 128 bytes, none of them a control character; none for HS256";

fn is_kid(kid: &str) -> bool {
    (1..=128).contains(&kid.len()) && !kid.chars().any(char::is_control)
}

pub(super) async fn create(
    state: web::Data<State>,
    caller: Caller,
    body: Body<CreateSigningKey>,
) -> Result<HttpResponse, Error> {
    let tenant = caller.tenant(body.0.tenant.as_deref())?;
    if let Some(url) = body.0.jwks_url {
        return create_set(&state, &caller, tenant, url).await;
    }
    let (made, secret) = new_signing_key(&state, &tenant);
    let (new, secret) = match &body.0.public_key {
        None => (made, Some(URL_SAFE_NO_PAD.encode(secret))),
        Some(public) => (from_public(made, &body.0, public)?, None),
    };
    let mut entry = caller.entry(&state, Some(&tenant), "signing_key.create", new.id.as_str());
    entry.after = Some(serde_json::json!({ "kid": new.kid, "algorithm": new.algorithm.name() }));
    let stored = state.store.create_signing_key(new, entry).await?;
    state.tell(Message::SigningKeysChanged { tenant }).await;
    Ok(HttpResponse::Created().json(SigningKeyCreated { key: SigningKeyView::from(&stored), secret }))
}

/// Its keys are fetched at once, but not waited for.
async fn create_set(state: &State, caller: &Caller, tenant: TenantId, url: String) -> Result<HttpResponse, Error> {
    let now_us = state.now_us();
    let new = KeySet {
        id: KeyId::from_random(state.random()),
        tenant: tenant.clone(),
        url,
        keys: Vec::new(),
        fetched_us: None,
        error: None,
        next_us: now_us,
        created_us: now_us,
    };
    let mut entry = caller.entry(state, Some(&tenant), "signing_key.create", new.id.as_str());
    entry.after = Some(serde_json::json!({ "jwks_url": new.url }));
    let stored = state.store.create_key_set(new, entry).await?;
    Ok(HttpResponse::Created().json(SigningKeyCreated { key: SigningKeyView::from(&stored), secret: None }))
}

/// `made` with a key from elsewhere in place of its own.
fn from_public(made: NewSigningKey, body: &CreateSigningKey, public: &str) -> Result<NewSigningKey, Error> {
    let public = public.trim();
    let algorithm = Algorithm::parse(body.algorithm()).ok_or(Error::Internal)?;
    let kid = body.kid.clone().unwrap_or_else(|| made.kid.clone());
    let key = if public.starts_with('{') {
        VerifyingKey::from_jwk(public)
    } else {
        VerifyingKey::from_pem(&kid, algorithm, public)
    };
    let refused =
        |detail: String| Error::invalid("public_key", detail, "a public key in PEM or JWK, of that algorithm");
    let key = key.map_err(|error| refused(error.to_string()))?;
    if key.algorithm() != algorithm {
        return Err(refused(format!("the key is for {}", key.algorithm().name())));
    }
    let kid = key.kid().to_owned();
    // Of a JWK that names its own.
    check(is_kid(&kid), "kid", KID)?;
    Ok(NewSigningKey { kid, algorithm, material: Material::Public(public.to_owned()), ..made })
}

pub(super) async fn list(
    state: web::Data<State>,
    caller: Caller,
    query: Query<Scope>,
) -> Result<web::Json<List<SigningKeyView>>, Error> {
    let tenant = caller.tenant(query.0.tenant.as_deref())?;
    let keys = state.store.signing_keys(&tenant).await?;
    let sets = state.store.key_sets(&tenant).await?;
    let shown = sets.iter().map(SigningKeyView::from).chain(keys.iter().map(SigningKeyView::from));
    Ok(web::Json(List::whole(shown.collect())))
}

/// Its tokens are refused from then on, and those whom they let in have to go.
pub(super) async fn delete(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
    query: Query<Scope>,
) -> Result<HttpResponse, Error> {
    let tenant = caller.tenant(query.0.tenant.as_deref())?;
    let id = KeyId::parse(&id).map_err(|_| Error::NotFound("signing key"))?;
    let entry = caller.entry(&state, Some(&tenant), "signing_key.delete", id.as_str());
    state.store.delete_signing_key(&tenant, &id, entry).await?;
    state.tell(Message::SigningKeysChanged { tenant }).await;
    Ok(HttpResponse::NoContent().finish())
}
