use super::caller::Caller;
use super::input::{Body, Check, Paging, Query, check_name, maybe_object, maybe_whole, object, said, said_whole};
use super::revision::Meant;
use super::show::{List, json, position, revised, time};
use super::{Error, State};
use crate::auth::token::Algorithm;
use crate::cluster::Message;
use crate::id::{KeyId, TenantId};
use crate::store::{Material, NewSigningKey, NewTenant, Page, Quotas, Tenant};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(super) struct TenantView {
    id: TenantId,
    name: String,
    quotas: QuotasView,
    disabled: bool,
    created_at: String,
    updated_at: String,
}

/// Null: no limit. Bit rates are strings: they may pass 2^53.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Quotas)]
pub(super) struct QuotasView {
    #[serde(deserialize_with = "maybe_whole")]
    streams: Option<u32>,
    #[serde(deserialize_with = "maybe_whole")]
    viewers: Option<u32>,
    #[schema(value_type = Option<String>)]
    ingest_bps: Option<BigNumber>,
    #[schema(value_type = Option<String>)]
    egress_bps: Option<BigNumber>,
}

/// A 64-bit number as a string.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct BigNumber(u64);

impl TryFrom<String> for BigNumber {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_plain = text.len() <= 18 && text.bytes().all(|digit| digit.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_plain);
        number.map(Self).ok_or("not a number in a string, expected a string of up to 18 digits such as \"8000000\"")
    }
}

impl From<BigNumber> for String {
    fn from(number: BigNumber) -> Self {
        number.0.to_string()
    }
}

impl QuotasView {
    fn stored(&self) -> Quotas {
        Quotas {
            streams: self.streams,
            viewers: self.viewers,
            ingest_bps: self.ingest_bps.as_ref().map(|bps| bps.0),
            egress_bps: self.egress_bps.as_ref().map(|bps| bps.0),
        }
    }
}

impl From<&Tenant> for TenantView {
    fn from(tenant: &Tenant) -> Self {
        let Quotas { streams, viewers, ingest_bps, egress_bps } = tenant.quotas;
        Self {
            id: tenant.id.clone(),
            name: tenant.name.clone(),
            quotas: QuotasView {
                streams,
                viewers,
                ingest_bps: ingest_bps.map(BigNumber),
                egress_bps: egress_bps.map(BigNumber),
            },
            disabled: tenant.disabled_us.is_some(),
            created_at: time(tenant.created_us),
            updated_at: time(tenant.updated_us),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateTenant {
    name: String,
    #[serde(default, deserialize_with = "object")]
    quotas: QuotasView,
}

impl Check for CreateTenant {
    fn check(&self) -> Result<(), Error> {
        check_name("name", &self.name)
    }
}

pub(super) async fn create(
    state: web::Data<State>,
    caller: Caller,
    body: Body<CreateTenant>,
) -> Result<HttpResponse, Error> {
    let new = new_tenant(&state, body.0.name, body.0.quotas.stored());
    let mut entry = caller.entry(&state, Some(&new.id), "tenant.create", new.id.as_str());
    entry.after = Some(serde_json::json!({ "name": new.name }));
    let tenant = state.store.create_tenant(new, entry).await?;
    Ok(revised(StatusCode::CREATED, tenant.revision, TenantView::from(&tenant)))
}

pub(super) fn new_tenant(state: &State, name: String, quotas: Quotas) -> NewTenant {
    let id = TenantId::from_random(state.random());
    let signing_key = new_signing_key(state, &id).0;
    NewTenant { id, name, quotas, created_us: state.now_us(), signing_key }
}

/// An HS256 key of our own, and its secret.
pub(super) fn new_signing_key(state: &State, tenant: &TenantId) -> (NewSigningKey, [u8; 32]) {
    let id = KeyId::from_random(state.random());
    let secret = state.random::<32>();
    let material = Material::Sealed(state.secrets.seal(&secret, id.as_str(), state.random()));
    let key = NewSigningKey {
        kid: id.to_string(),
        id,
        tenant: tenant.clone(),
        algorithm: Algorithm::Hs256,
        material,
        created_us: state.now_us(),
    };
    (key, secret)
}

pub(super) async fn list(
    state: web::Data<State>,
    caller: Caller,
    query: Query<Paging>,
) -> Result<web::Json<List<TenantView>>, Error> {
    let page = query.0.page()?;
    if let Some(own) = caller.scope(query.0.tenant())? {
        let own = state.store.tenant(&own).await?;
        return Ok(web::Json(List::whole(own.iter().map(TenantView::from).collect())));
    }
    let rows = state.store.tenants(&Page { limit: page.limit + 1, ..page.clone() }).await?;
    let at = |tenant: &Tenant| position(tenant.created_us, &tenant.id);
    Ok(web::Json(List::of(rows, page.limit, at, |tenant| TenantView::from(&tenant))))
}

pub(super) async fn get(state: web::Data<State>, caller: Caller, id: web::Path<String>) -> Result<HttpResponse, Error> {
    let tenant = find(&state, &caller, &id).await?;
    Ok(revised(StatusCode::OK, tenant.revision, TenantView::from(&tenant)))
}

async fn find(state: &State, caller: &Caller, id: &str) -> Result<Tenant, Error> {
    let not_found = Error::NotFound("tenant");
    let id = TenantId::parse(id).ok().filter(|id| caller.sees(id)).ok_or(not_found.clone())?;
    state.store.tenant(&id).await?.ok_or(not_found)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchTenant {
    name: Option<String>,
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "maybe_object")]
    quotas: Option<PatchQuotas>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchQuotas {
    #[serde(default, deserialize_with = "said_whole")]
    #[schema(value_type = Option<u32>)]
    streams: Option<Option<u32>>,
    #[serde(default, deserialize_with = "said_whole")]
    #[schema(value_type = Option<u32>)]
    viewers: Option<Option<u32>>,
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    ingest_bps: Option<Option<BigNumber>>,
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    egress_bps: Option<Option<BigNumber>>,
}

impl Check for PatchTenant {
    fn check(&self) -> Result<(), Error> {
        self.name.as_ref().map_or(Ok(()), |name| check_name("name", name))
    }
}

impl PatchTenant {
    fn apply(&self, tenant: &mut Tenant, now_us: i64) {
        if let Some(name) = &self.name {
            tenant.name.clone_from(name);
        }
        match self.disabled {
            Some(true) => tenant.disabled_us = tenant.disabled_us.or(Some(now_us)),
            Some(false) => tenant.disabled_us = None,
            None => {}
        }
        let Some(quotas) = &self.quotas else { return };
        let stored = &mut tenant.quotas;
        stored.streams = quotas.streams.unwrap_or(stored.streams);
        stored.viewers = quotas.viewers.unwrap_or(stored.viewers);
        let number = |said: &Option<BigNumber>| said.as_ref().map(|number| number.0);
        stored.ingest_bps = quotas.ingest_bps.as_ref().map_or(stored.ingest_bps, number);
        stored.egress_bps = quotas.egress_bps.as_ref().map_or(stored.egress_bps, number);
    }
}

pub(super) async fn patch(
    state: web::Data<State>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    body: Body<PatchTenant>,
) -> Result<HttpResponse, Error> {
    let meant = Meant::of(&request);
    let change = async || {
        let before = find(&state, &caller, &id).await?;
        meant.check(before.revision)?;
        let mut tenant = before.clone();
        body.0.apply(&mut tenant, state.now_us());
        let mut entry = caller.entry(&state, Some(&tenant.id), "tenant.update", tenant.id.as_str());
        entry.before = Some(json(TenantView::from(&before))?);
        entry.after = Some(json(TenantView::from(&tenant))?);
        Ok(state.store.update_tenant(&tenant, entry).await?)
    };
    let tenant = meant.apply(change).await?;
    state.tell(Message::TenantChanged { tenant: tenant.id.clone() }).await;
    Ok(revised(StatusCode::OK, tenant.revision, TenantView::from(&tenant)))
}

pub(super) async fn delete(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let tenant = find(&state, &caller, &id).await?;
    let mut entry = caller.entry(&state, Some(&tenant.id), "tenant.delete", tenant.id.as_str());
    entry.before = Some(json(TenantView::from(&tenant))?);
    state.store.delete_tenant(&tenant.id, entry).await?;
    state.tell(Message::TenantDeleted { tenant: tenant.id }).await;
    Ok(HttpResponse::NoContent().finish())
}
