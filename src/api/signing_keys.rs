use super::caller::Caller;
use super::input::{Body, Check, Query, Scope, check};
use super::show::{List, time};
use super::tenants::new_signing_key;
use super::{Error, State};
use crate::auth::token::{Algorithm, VerifyingKey};
use crate::cluster::Message;
use crate::id::KeyId;
use crate::store::{Material, NewSigningKey, SigningKey};
use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An RSA key of 8192 bits in PEM has 1.5 kB.
const PUBLIC_KEY_BYTES_MAX: usize = 8 * 1024;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SigningKey)]
pub(super) struct SigningKeyView {
    id: KeyId,
    /// What tokens name it by.
    kid: String,
    algorithm: &'static str,
    /// Null where we made the key.
    public_key: Option<String>,
    created_at: String,
}

impl From<&SigningKey> for SigningKeyView {
    fn from(key: &SigningKey) -> Self {
        let public_key = match &key.material {
            Material::Public(public) => Some(public.clone()),
            Material::Sealed(_) => None,
        };
        let (id, kid) = (key.id.clone(), key.kid.clone());
        Self { id, kid, algorithm: key.algorithm.name(), public_key, created_at: time(key.created_us) }
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
    #[serde(default = "hs256")]
    algorithm: String,
    /// PEM or JWK; none for HS256, which we make.
    public_key: Option<String>,
    /// For a PEM; a JWK has its own.
    kid: Option<String>,
}

fn hs256() -> String {
    Algorithm::Hs256.name().to_owned()
}

impl Check for CreateSigningKey {
    fn check(&self) -> Result<(), Error> {
        check(Algorithm::parse(&self.algorithm).is_some(), "algorithm", "HS256, RS256, ES256 or EdDSA")?;
        let made_by_us = self.algorithm == Algorithm::Hs256.name();
        let fits = self.public_key.is_some() != made_by_us;
        check(fits, "public_key", "none for HS256; PEM or JWK for the others")?;
        let short = self.public_key.as_ref().is_none_or(|key| key.len() <= PUBLIC_KEY_BYTES_MAX);
        check(short, "public_key", "at most 8192 bytes")?;
        let kid = self.kid.as_ref().is_none_or(|kid| (1..=128).contains(&kid.len()) && !made_by_us);
        check(kid, "kid", "1 to 128 bytes; none for HS256")
    }
}

pub(super) async fn create(
    state: web::Data<State>,
    caller: Caller,
    body: Body<CreateSigningKey>,
) -> Result<HttpResponse, Error> {
    let tenant = caller.tenant(body.0.tenant.as_deref())?;
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

/// `made` with a key from elsewhere in place of its own.
fn from_public(made: NewSigningKey, body: &CreateSigningKey, public: &str) -> Result<NewSigningKey, Error> {
    let public = public.trim();
    let algorithm = Algorithm::parse(&body.algorithm).ok_or(Error::Internal)?;
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
    Ok(NewSigningKey { kid, algorithm, material: Material::Public(public.to_owned()), ..made })
}

pub(super) async fn list(
    state: web::Data<State>,
    caller: Caller,
    query: Query<Scope>,
) -> Result<web::Json<List<SigningKeyView>>, Error> {
    let tenant = caller.tenant(query.0.tenant.as_deref())?;
    let keys = state.store.signing_keys(&tenant).await?;
    Ok(web::Json(List::whole(keys.iter().map(SigningKeyView::from).collect())))
}

/// Its tokens are refused from then on.
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
