use super::caller::Caller;
use super::input::{Body, Check, check, maybe_whole, whole};
use super::show::time;
use super::streams::find;
use super::{Error, State};
use crate::auth::token::{self, Claims, Streams};
use crate::auth::{self, secret::Secrets};
use crate::store::{Material, SigningKey};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use utoipa::ToSchema;

const TTL_S_DEFAULT: u32 = 3_600;
/// A token can't be taken back, only the key that signed it.
pub const TTL_S_MAX: u32 = 30 * 86_400;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateToken {
    sub: Option<String>,
    #[serde(default = "ttl_s", deserialize_with = "whole")]
    ttl_s: u32,
    /// The only address, origin, and number of sessions at once that it is good for.
    #[schema(value_type = Option<String>)]
    ip: Option<IpAddr>,
    origin: Option<String>,
    #[serde(default, deserialize_with = "maybe_whole")]
    max_sessions: Option<u32>,
}

fn ttl_s() -> u32 {
    TTL_S_DEFAULT
}

impl Check for CreateToken {
    fn check(&self) -> Result<(), Error> {
        check((1..=TTL_S_MAX).contains(&self.ttl_s), "ttl_s", "1 to 2592000 seconds (30 days)")?;
        let sub = self.sub.as_ref().is_none_or(|sub| (1..=256).contains(&sub.chars().count()));
        check(sub, "sub", "1 to 256 characters")?;
        self.origin.as_ref().map_or(Ok(()), |origin| super::input::check_origin("origin", origin))?;
        check(self.max_sessions != Some(0), "max_sessions", "1 or more")
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenCreated {
    /// Null in a replay.
    #[schema(value_type = Option<String>)]
    token: String,
    expires_at: String,
}

pub(super) async fn create(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
    body: Body<CreateToken>,
) -> Result<HttpResponse, Error> {
    let stream = find(&state, &caller, &id).await?;
    let keys = state.store.signing_keys(&stream.tenant).await?;
    let CreateToken { sub, ttl_s, ip, origin, max_sessions } = body.0;
    let issued_s = state.now_us() / 1_000_000;
    let claims = Claims {
        subject: sub,
        streams: Streams::One(stream.playback_id.to_string()),
        expires_s: issued_s + i64::from(ttl_s),
        not_before_s: None,
        issued_s: Some(issued_s),
        id: None,
        ip,
        origin,
        max_sessions,
    };
    let token = sign(&keys, &state.secrets, &claims)?;
    let token = token.ok_or_else(|| Error::Conflict("no_signing_key", NO_SIGNING_KEY.to_owned()))?;
    let mut entry = caller.entry(&state, Some(&stream.tenant), "token.create", stream.id.as_str());
    entry.after = Some(serde_json::json!({ "sub": claims.subject, "ttl_s": ttl_s }));
    state.store.record(entry).await?;
    Ok(HttpResponse::Created().json(TokenCreated { token, expires_at: time(claims.expires_s * 1_000_000) }))
}

const NO_SIGNING_KEY: &str = "the tenant has no HS256 signing key of ours to sign with";

/// With the newest key whose secret we hold.
pub fn sign(keys: &[SigningKey], secrets: &Secrets, claims: &Claims) -> Result<Option<String>, auth::Error> {
    for key in keys {
        if let Material::Sealed(sealed) = &key.material {
            let secret = secrets.open(sealed, key.id.as_str())?;
            return Ok(Some(token::issue(&key.kid, &secret, claims)?));
        }
    }
    Ok(None)
}
