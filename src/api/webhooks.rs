use super::caller::Caller;
use super::input::{Body, Check, Query, Scope, check, page};
use super::revision::Meant;
use super::show::{List, json, position, revised, time};
use super::{Error, State};
use crate::hooks::guard::Target;
use crate::hooks::{Event, event, sign};
use crate::id::{DeliveryId, EventId, TenantId, WebhookId};
use crate::store::{Delivery, DeliveryState, Page, Webhook};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(super) const URL_BYTES_MAX: usize = 2_048;
pub(super) const EVENTS_MAX: usize = event::NAMES.len() + 1;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookView {
    id: WebhookId,
    tenant: TenantId,
    url: String,
    /// Empty: all but `viewers.changed`.
    events: Vec<String>,
    disabled: bool,
    /// Since when nothing could be delivered.
    failing_since: Option<String>,
    created_at: String,
    updated_at: String,
}

impl From<&Webhook> for WebhookView {
    fn from(webhook: &Webhook) -> Self {
        Self {
            id: webhook.id.clone(),
            tenant: webhook.tenant.clone(),
            url: webhook.url.clone(),
            events: webhook.events.clone(),
            disabled: webhook.disabled_us.is_some(),
            failing_since: webhook.failing_us.map(time),
            created_at: time(webhook.created_us),
            updated_at: time(webhook.updated_us),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookCreated)]
pub(super) struct WebhookCreated {
    #[serde(flatten)]
    webhook: WebhookView,
    /// What signs, `whsec_...`, shown this once.
    secret: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(super) struct DeliveryView {
    id: DeliveryId,
    event_id: EventId,
    event: String,
    /// `pending`, `delivered` or `failed`.
    state: &'static str,
    attempts: u32,
    /// Of one that is pending.
    next_at: Option<String>,
    /// What the receiver answered last.
    status: Option<u16>,
    error: Option<String>,
    /// The body as it is sent.
    payload: String,
    created_at: String,
    updated_at: String,
}

impl From<Delivery> for DeliveryView {
    fn from(row: Delivery) -> Self {
        Self {
            id: row.id,
            event_id: row.event_id,
            event: row.event,
            state: row.state.name(),
            attempts: row.attempts,
            next_at: (row.state == DeliveryState::Pending).then(|| time(row.next_us)),
            status: row.status,
            error: row.error,
            payload: row.payload,
            created_at: time(row.created_us),
            updated_at: time(row.updated_us),
        }
    }
}

pub(super) fn check_url(field: &str, url: &str) -> Result<(), Error> {
    let right = url.len() <= URL_BYTES_MAX && Target::parse(url).is_ok();
    check(right, field, "an http:// or https:// URL of at most 2048 bytes, without user and password")
}

fn check_events(events: &[String]) -> Result<(), Error> {
    let known = events.len() <= EVENTS_MAX && events.iter().all(|event| event::can_be_wanted(event));
    check(known, "events", &format!("{}, {}", event::NAMES.join(", "), event::VIEWERS))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateWebhook {
    /// A platform key names the tenant.
    tenant: Option<String>,
    url: String,
    /// Empty: all but `viewers.changed`.
    #[serde(default)]
    events: Vec<String>,
}

impl Check for CreateWebhook {
    fn check(&self) -> Result<(), Error> {
        check_url("url", &self.url)?;
        check_events(&self.events)
    }
}

pub(super) async fn create(
    state: web::Data<State>,
    caller: Caller,
    body: Body<CreateWebhook>,
) -> Result<HttpResponse, Error> {
    let tenant = caller.tenant(body.0.tenant.as_deref())?;
    let (id, secret) = (WebhookId::from_random(state.random()), state.random::<32>());
    let now_us = state.now_us();
    let new = Webhook {
        sealed: state.secrets.seal(&secret, id.as_str(), state.random()),
        id,
        tenant,
        url: body.0.url,
        events: body.0.events,
        disabled_us: None,
        failing_us: None,
        revision: 1,
        created_us: now_us,
        updated_us: now_us,
    };
    let mut entry = caller.entry(&state, Some(&new.tenant), "webhook.create", new.id.as_str());
    entry.after = Some(json(WebhookView::from(&new))?);
    let webhook = state.store.create_webhook(new, entry).await?;
    let created = WebhookCreated { webhook: WebhookView::from(&webhook), secret: Some(sign::shown(&secret)) };
    Ok(revised(StatusCode::CREATED, webhook.revision, created))
}

pub(super) async fn list(
    state: web::Data<State>,
    caller: Caller,
    query: Query<Scope>,
) -> Result<web::Json<List<WebhookView>>, Error> {
    let tenant = caller.tenant(query.0.tenant.as_deref())?;
    let webhooks = state.store.webhooks(&tenant).await?;
    Ok(web::Json(List::whole(webhooks.iter().map(WebhookView::from).collect())))
}

async fn find(state: &State, caller: &Caller, id: &str) -> Result<Webhook, Error> {
    let not_found = Error::NotFound("webhook");
    let id = WebhookId::parse(id).map_err(|_| not_found.clone())?;
    let webhook = state.store.webhook(&id).await?.filter(|webhook| caller.sees(&webhook.tenant));
    webhook.ok_or(not_found)
}

pub(super) async fn get(state: web::Data<State>, caller: Caller, id: web::Path<String>) -> Result<HttpResponse, Error> {
    let webhook = find(&state, &caller, &id).await?;
    Ok(revised(StatusCode::OK, webhook.revision, WebhookView::from(&webhook)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchWebhook {
    url: Option<String>,
    events: Option<Vec<String>>,
    /// False: try again, also where it was disabled after it had failed for long.
    disabled: Option<bool>,
}

impl Check for PatchWebhook {
    fn check(&self) -> Result<(), Error> {
        self.url.as_deref().map_or(Ok(()), |url| check_url("url", url))?;
        self.events.as_deref().map_or(Ok(()), check_events)
    }
}

impl PatchWebhook {
    fn apply(&self, webhook: &mut Webhook, now_us: i64) {
        if let Some(url) = &self.url {
            webhook.url.clone_from(url);
        }
        if let Some(events) = &self.events {
            webhook.events.clone_from(events);
        }
        match self.disabled {
            Some(true) => webhook.disabled_us = webhook.disabled_us.or(Some(now_us)),
            Some(false) => (webhook.disabled_us, webhook.failing_us) = (None, None),
            None => {}
        }
    }
}

pub(super) async fn patch(
    state: web::Data<State>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    body: Body<PatchWebhook>,
) -> Result<HttpResponse, Error> {
    let meant = Meant::of(&request);
    let change = async || {
        let before = find(&state, &caller, &id).await?;
        meant.check(before.revision)?;
        let mut webhook = before.clone();
        body.0.apply(&mut webhook, state.now_us());
        let mut entry = caller.entry(&state, Some(&webhook.tenant), "webhook.update", webhook.id.as_str());
        entry.before = Some(json(WebhookView::from(&before))?);
        entry.after = Some(json(WebhookView::from(&webhook))?);
        Ok(state.store.update_webhook(&webhook, entry).await?)
    };
    let webhook = meant.apply(change).await?;
    Ok(revised(StatusCode::OK, webhook.revision, WebhookView::from(&webhook)))
}

pub(super) async fn delete(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let webhook = find(&state, &caller, &id).await?;
    let mut entry = caller.entry(&state, Some(&webhook.tenant), "webhook.delete", webhook.id.as_str());
    entry.before = Some(json(WebhookView::from(&webhook))?);
    state.store.delete_webhook(&webhook.id, entry).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListDeliveries {
    limit: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn deliveries(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
    query: Query<ListDeliveries>,
) -> Result<web::Json<List<DeliveryView>>, Error> {
    let page = page(query.0.limit.as_deref(), query.0.cursor.as_deref())?;
    let webhook = find(&state, &caller, &id).await?;
    let rows = state.store.deliveries(&webhook.id, &Page { limit: page.limit + 1, ..page.clone() }).await?;
    let at = |row: &Delivery| position(row.created_us, &row.id);
    Ok(web::Json(List::of(rows, page.limit, at, DeliveryView::from)))
}

/// Sends it again, under the same event's id.
pub(super) async fn redeliver(
    state: web::Data<State>,
    caller: Caller,
    ids: web::Path<(String, String)>,
) -> Result<HttpResponse, Error> {
    let (id, delivery) = ids.into_inner();
    let webhook = find(&state, &caller, &id).await?;
    let delivery = DeliveryId::parse(&delivery).map_err(|_| Error::NotFound("delivery"))?;
    let entry = caller.entry(&state, Some(&webhook.tenant), "delivery.redeliver", delivery.as_str());
    let again = state.store.redeliver(&webhook.id, &delivery, entry).await?;
    Ok(HttpResponse::Ok().json(DeliveryView::from(again)))
}

/// Sends an event that means nothing.
pub(super) async fn test(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let webhook = find(&state, &caller, &id).await?;
    if webhook.disabled_us.is_some() {
        return Err(Error::Conflict("webhook_disabled", "the webhook is disabled".to_owned()));
    }
    let event = Event {
        id: EventId::from_random(state.random()),
        name: event::TEST,
        tenant: webhook.tenant.clone(),
        stream: None,
        fence: None,
        at_us: state.now_us(),
        data: serde_json::json!({}),
    };
    let new = event.happened().delivery(DeliveryId::from_random(state.random()), webhook.id);
    state.store.enqueue(std::slice::from_ref(&new)).await?;
    Ok(HttpResponse::Created().json(DeliveryView::from(new)))
}
