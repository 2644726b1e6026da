//! A browser in which somebody is signed in: its cookie, whose requests it may bring, for which tenant it asks.

use super::caller::Caller;
use super::{Error, State};
use crate::auth::key::BrowserKey;
use crate::auth::secret::Hash;
use crate::id::TenantId;
use crate::net::client::Client;
use crate::store::{Grant, Role, SignIn, User};
use actix_web::HttpRequest;
use actix_web::cookie::time::Duration as Age;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{CONTENT_TYPE, COOKIE, ORIGIN};
use std::sync::Arc;

/// Browsers keep a cookie of this prefix for its host alone, and only where it is `Secure` and for all paths.
const NAME: &str = "__Host-weir";

/// Which of a user's tenants a request is for; the query's `tenant` says it where no header can be sent.
pub(super) const TENANT: &str = "weir-tenant";

const DAY_US: i64 = 24 * 3_600 * 1_000_000;

/// A sign-in ends after this, and when it was not used for the second.
const LIFETIME_US: i64 = 30 * DAY_US;
const IDLE_US: i64 = 7 * DAY_US;

/// The last use is written at most this often.
const TOUCH_EVERY_US: i64 = 300_000_000;

#[derive(Debug)]
pub(super) struct Browser {
    pub(super) user: User,
    pub(super) hash: Hash,
}

/// When a sign-in ends that was used now.
pub(super) fn expires_us(created_us: i64, now_us: i64) -> i64 {
    (created_us + LIFETIME_US).min(now_us + IDLE_US)
}

pub(super) fn cookie(key: &BrowserKey) -> Cookie<'static> {
    built(key.reveal().to_owned(), Age::microseconds(LIFETIME_US))
}

/// Takes the cookie back.
pub(super) fn no_cookie() -> Cookie<'static> {
    built(String::new(), Age::ZERO)
}

fn built(value: String, age: Age) -> Cookie<'static> {
    Cookie::build(NAME, value).path("/").secure(true).http_only(true).same_site(SameSite::Lax).max_age(age).finish()
}

pub(super) fn key(request: &HttpRequest) -> Option<BrowserKey> {
    let headers = request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
    let mut pairs = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).and_then(|(_, value)| BrowserKey::parse(value).ok())
}

/// Who is signed in there, as far as the request is one of our own pages'.
pub(super) async fn identify(
    state: &State,
    request: &HttpRequest,
    key: &BrowserKey,
    client: Client,
) -> Result<Caller, Error> {
    check_origin(state, request, &client)?;
    let (hash, now) = (state.secrets.hash(key.reveal()), state.clock.monotonic());
    let wait = state.tries().wait(client.address, &hash, state.limits.get().failed_tries, now);
    if let Some(wait) = wait {
        return Err(Error::TooManyTries { wait });
    }
    let now_us = state.now_us();
    let Some((sign_in, user)) = state.store.sign_in(&hash, now_us).await? else {
        state.tries().handle_wrong(client.address, now);
        return Err(Error::Unauthorized);
    };
    state.tries().handle_right(&hash, now);
    touch(state, &sign_in, now_us).await?;
    let Grant { tenant, role } = grant(&user, wanted(request)?)?;
    let actor = user.id.to_string();
    Ok(Caller { actor, role, tenant, client, browser: Some(Arc::new(Browser { user, hash })), key: None })
}

/// In this browser, for the tenant that the caller asked for, with no other role.
pub(super) async fn is_still_signed_in(state: &State, browser: &Browser, caller: &Caller) -> Result<bool, Error> {
    let found = state.store.sign_in(&browser.hash, state.now_us()).await?;
    let granted = found.and_then(|(_, user)| grant(&user, caller.tenant.clone()).ok());
    Ok(granted.is_some_and(|granted| granted.role == caller.role))
}

async fn touch(state: &State, sign_in: &SignIn, now_us: i64) -> Result<(), Error> {
    if now_us - sign_in.used_us > TOUCH_EVERY_US {
        let expires_us = expires_us(sign_in.created_us, now_us);
        state.store.touch_sign_in(&sign_in.hash, now_us, expires_us).await?;
    }
    Ok(())
}

fn wanted(request: &HttpRequest) -> Result<Option<TenantId>, Error> {
    let header = request.headers().get(TENANT).and_then(|value| value.to_str().ok());
    let in_query = request.query_string().split('&').find_map(|pair| pair.strip_prefix("tenant="));
    let parse = |text: &str| TenantId::parse(text).map_err(|_| Error::NotFound("tenant"));
    header.or(in_query).map(parse).transpose()
}

/// What the user may do there. Who administers the platform may do so in each tenant.
fn grant(user: &User, wanted: Option<TenantId>) -> Result<Grant, Error> {
    let of_platform = user.grants.iter().find(|grant| grant.tenant.is_none());
    match (wanted, of_platform) {
        (wanted, Some(_)) => Ok(Grant { tenant: wanted, role: Role::Platform }),
        (None, None) => user.grants.first().cloned().ok_or(Error::Unauthorized),
        (Some(tenant), None) => {
            let found = user.grants.iter().find(|grant| grant.tenant.as_ref() == Some(&tenant));
            found.cloned().ok_or(Error::NotFound("tenant"))
        }
    }
}

/// A browser sends the cookie along with what other sites ask for, too: a change must come from a page of ours.
pub(super) fn check_origin(state: &State, request: &HttpRequest, client: &Client) -> Result<(), Error> {
    let is_safe = request.method().is_safe();
    if !is_safe && !is_json(request) {
        return Err(Error::CrossSite);
    }
    match said(state, request, client) {
        Said::Own => Ok(()),
        Said::Nothing if is_safe => Ok(()),
        Said::Other | Said::Nothing => Err(Error::CrossSite),
    }
}

/// For a sign-in, which needs no cookie: programs say nothing of where they come from.
pub(super) fn check_not_foreign(state: &State, request: &HttpRequest, client: &Client) -> Result<(), Error> {
    match said(state, request, client) {
        Said::Own | Said::Nothing => Ok(()),
        Said::Other => Err(Error::CrossSite),
    }
}

enum Said {
    Own,
    Other,
    Nothing,
}

fn said(state: &State, request: &HttpRequest, client: &Client) -> Said {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        (Some("same-origin"), _) => Said::Own,
        // Typed, or from a bookmark.
        (Some("none"), _) => Said::Nothing,
        (Some(_), _) => Said::Other,
        (None, Some(origin)) if is_own(state, origin, client) => Said::Own,
        (None, Some(_)) => Said::Other,
        (None, None) => Said::Nothing,
    }
}

/// By host alone: behind a proxy that ends TLS the scheme may not be known.
fn is_own(state: &State, origin: &str, client: &Client) -> bool {
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    let is_public = state.links.public_url().is_some_and(|url| url.trim_end_matches('/') == origin);
    is_public || (!authority.is_empty() && authority.eq_ignore_ascii_case(&client.host))
}

fn is_json(request: &HttpRequest) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}
