//! Who asks: the API key of a request or who is signed in, the role and the tenant, checked before the handler runs.

use super::browser::{self, Browser};
use super::{Error, State, replay};
use crate::auth::key::ApiKey;
use crate::auth::secret::Hash;
use crate::id::TenantId;
use crate::net::client::Client;
use crate::net::io::Connection;
use crate::store::{Entry, Outcome, Role};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, ResponseError as _, web};
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

/// The last use of a key is written at most this often.
const TOUCH_EVERY_US: i64 = 60_000_000;

/// What the audit calls one without a valid key.
pub(super) const NOBODY: &str = "unknown";

/// What the audit calls the configured administrator's key, which has no row.
const ADMIN: &str = "admin_key";

/// One who may do what was asked for.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The id of the key or of the user.
    pub(super) actor: String,
    pub(super) role: Role,
    /// None: the platform.
    pub(super) tenant: Option<TenantId>,
    pub(super) client: Client,
    /// Of one who is signed in.
    pub(super) browser: Option<Arc<Browser>>,
    /// Of one who shows an API key that has a row.
    pub(super) key: Option<Hash>,
}

impl Caller {
    pub(super) fn address(&self) -> IpAddr {
        self.client.address
    }

    /// The tenant that a request is for: the key's own, or the one that a platform key names.
    pub(super) fn tenant(&self, named: Option<&str>) -> Result<TenantId, Error> {
        match (self.scope(named)?, named) {
            (Some(tenant), _) => Ok(tenant),
            (None, _) => {
                Err(Error::invalid("tenant", "a platform key names the tenant", "the id of a tenant, `ten_...`"))
            }
        }
    }

    /// The same for a list, where a platform key may leave it out.
    pub(super) fn scope(&self, named: Option<&str>) -> Result<Option<TenantId>, Error> {
        let parse =
            |text| TenantId::parse(text).map_err(|error| Error::invalid("tenant", error.to_string(), "`ten_...`"));
        let named = named.map(parse).transpose()?;
        match (&self.tenant, named) {
            (Some(own), Some(named)) if *own != named => Err(Error::NotFound("tenant")),
            (Some(own), _) => Ok(Some(own.clone())),
            (None, named) => Ok(named),
        }
    }

    /// Another tenant's things are not there.
    pub(super) fn sees(&self, tenant: &TenantId) -> bool {
        self.tenant.as_ref().is_none_or(|own| own == tenant)
    }

    pub(super) fn entry(&self, state: &State, tenant: Option<&TenantId>, action: &str, target: &str) -> Entry {
        Entry {
            at_us: state.now_us(),
            tenant: tenant.cloned(),
            actor: self.actor.clone(),
            address: Some(self.address()),
            action: action.to_owned(),
            target: target.to_owned(),
            outcome: Outcome::Done,
            before: None,
            after: None,
        }
    }
}

impl FromRequest for Caller {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Absent only where a route was mounted without the check.
        ready(request.extensions().get::<Self>().cloned().ok_or(Error::Unauthorized))
    }
}

/// Lets through who has at least the role that the route table asks for; None: anybody.
pub(super) async fn check<B: MessageBody + 'static>(
    needed: Option<Role>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(needed) = needed else { return Ok(next.call(request).await?.map_into_boxed_body()) };
    match admit(needed, &request).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller.clone());
            if request.method() == Method::POST && request.headers().contains_key(replay::HEADER) {
                return replay::once(caller, request, next).await;
            }
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        // As a response and not as an error, so that it gets the headers that all answers have.
        Err(error) => Ok(request.into_response(error.error_response())),
    }
}

async fn admit(needed: Role, request: &ServiceRequest) -> Result<Caller, Error> {
    let state = request.app_data::<web::Data<State>>().ok_or(Error::Internal)?;
    let client = Client::of(request.request(), &state.trusted);
    // The route and not the path: what stands in an id's place may be a key.
    let asked = format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
    let caller = match identify(state, request.request(), client.clone()).await {
        // One who shows no key at all has tried nothing, and would fill the audit for free.
        Err(Error::Unauthorized) if api_key(request.request()).is_some() => {
            audit_refusal(state, NOBODY, None, client.address, &asked).await;
            return Err(Error::Unauthorized);
        }
        identified => identified?,
    };
    if let Some(connection) = request.conn_data::<Connection>() {
        connection.admit();
    }
    let now = state.clock.monotonic();
    state
        .rates()
        .take(&caller.actor, state.limits.get().api_rate, now)
        .map_err(|wait| Error::TooManyRequests { wait })?;
    // Roles are declared from the highest to the lowest.
    if caller.role > needed {
        audit_refusal(state, &caller.actor, caller.tenant.as_ref(), client.address, &asked).await;
        return Err(Error::Forbidden { needed });
    }
    // What a reader may change is of its own sign-in.
    if !request.method().is_safe() && needed != Role::Reader {
        check_enabled(state, &caller).await?;
    }
    Ok(caller)
}

async fn identify(state: &State, request: &HttpRequest, client: Client) -> Result<Caller, Error> {
    if !request.headers().contains_key(AUTHORIZATION)
        && let Some(key) = browser::key(request)
    {
        return browser::identify(state, request, &key, client).await;
    }
    let key = api_key(request).ok_or(Error::Unauthorized)?;
    let hash = state.secrets.hash(key.reveal());
    if state.admin_key.as_ref() == Some(&hash) {
        let actor = ADMIN.to_owned();
        return Ok(Caller { actor, role: Role::Platform, tenant: None, client, browser: None, key: None });
    }
    let (address, now) = (client.address, state.clock.monotonic());
    let wait = state.tries().wait(address, &hash, state.limits.get().failed_tries, now);
    if let Some(wait) = wait {
        return Err(Error::TooManyTries { wait });
    }
    let Some(found) = state.store.api_key_by_hash(&hash).await? else {
        state.tries().handle_wrong(address, now);
        return Err(Error::Unauthorized);
    };
    state.tries().handle_right(&hash, now);
    let now_us = state.now_us();
    if found.last_used_us.is_none_or(|at| now_us - at > TOUCH_EVERY_US) {
        state.store.touch_api_key(&found.id, now_us).await?;
    }
    let (actor, role, tenant) = (found.id.to_string(), found.role, found.tenant);
    Ok(Caller { actor, role, tenant, client, browser: None, key: Some(hash) })
}

/// Whether one who was let in could still be; an error: it can't be read just now.
pub(super) async fn is_still_let_in(state: &State, caller: &Caller) -> Result<bool, Error> {
    let is_known = match (&caller.browser, &caller.key) {
        (Some(browser), _) => browser::is_still_signed_in(state, browser, caller).await?,
        (None, Some(key)) => state.store.api_key_by_hash(key).await?.is_some(),
        (None, None) => true,
    };
    match check_enabled(state, caller).await {
        Ok(()) => Ok(is_known),
        Err(Error::TenantDisabled | Error::Unauthorized) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A disabled tenant's own can't change anything; the platform can.
pub(super) async fn check_enabled(state: &State, caller: &Caller) -> Result<(), Error> {
    let Some(tenant) = caller.tenant.as_ref().filter(|_| caller.role != Role::Platform) else { return Ok(()) };
    match state.store.tenant(tenant).await? {
        Some(tenant) if tenant.disabled_us.is_none() => Ok(()),
        Some(_) => Err(Error::TenantDisabled),
        None => Err(Error::Unauthorized),
    }
}

fn api_key(request: &HttpRequest) -> Option<ApiKey> {
    bearer(request).and_then(|key| ApiKey::parse(key).ok())
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let (scheme, key) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

async fn audit_refusal(state: &State, actor: &str, tenant: Option<&TenantId>, address: IpAddr, asked: &str) {
    let entry = Entry {
        at_us: state.now_us(),
        tenant: tenant.cloned(),
        actor: actor.to_owned(),
        address: Some(address),
        action: "access".to_owned(),
        target: asked.chars().take(200).collect(),
        outcome: Outcome::Refused,
        before: None,
        after: None,
    };
    if let Err(error) = state.store.record(entry).await {
        tracing::warn!(%error, "a refused access could not be written to the audit");
    }
}
