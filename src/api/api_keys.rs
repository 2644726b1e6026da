use super::caller::Caller;
use super::input::{Body, Check, Paging, Query, Scope, check_name};
use super::show::{List, position, time};
use super::{Error, State};
use crate::auth::key;
use crate::cluster::Message;
use crate::id::{KeyId, TenantId};
use crate::store::{ApiKey, Page, Role};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(super) struct ApiKeyView {
    id: KeyId,
    /// Null: the platform's.
    tenant: Option<TenantId>,
    role: Role,
    name: String,
    prefix: String,
    created_at: String,
    last_used_at: Option<String>,
}

impl From<&ApiKey> for ApiKeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.clone(),
            tenant: key.tenant.clone(),
            role: key.role,
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            created_at: time(key.created_us),
            last_used_at: key.last_used_us.map(time),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApiKeyCreated {
    #[serde(flatten)]
    view: ApiKeyView,
    /// Shown this once.
    key: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateApiKey {
    tenant: Option<String>,
    role: Role,
    name: String,
}

impl Check for CreateApiKey {
    fn check(&self) -> Result<(), Error> {
        check_name("name", &self.name)
    }
}

pub(super) async fn create(
    state: web::Data<State>,
    caller: Caller,
    body: Body<CreateApiKey>,
) -> Result<HttpResponse, Error> {
    let CreateApiKey { tenant, role, name } = body.0;
    // Roles are declared from the highest to the lowest.
    if role < caller.role {
        return Err(Error::Forbidden { needed: role });
    }
    let tenant = match (role, tenant) {
        (Role::Platform, None) => None,
        (Role::Platform, Some(_)) => return Err(Error::invalid("tenant", "a platform key has no tenant", "null")),
        (_, tenant) => Some(caller.tenant(tenant.as_deref())?),
    };
    let (new, key) = new_key(&state, tenant, role, name);
    let mut entry = caller.entry(&state, new.tenant.as_ref(), "api_key.create", new.id.as_str());
    entry.after = Some(serde_json::json!({ "name": new.name, "role": role, "prefix": new.prefix }));
    let stored = state.store.create_api_key(new, entry).await?;
    let created = ApiKeyCreated { view: ApiKeyView::from(&stored), key: Some(key.reveal().to_owned()) };
    Ok(HttpResponse::Created().json(created))
}

fn new_key(state: &State, tenant: Option<TenantId>, role: Role, name: String) -> (ApiKey, key::ApiKey) {
    let key = key::ApiKey::from_random(state.random());
    let new = ApiKey {
        id: KeyId::from_random(state.random()),
        tenant,
        role,
        name,
        prefix: key.prefix().to_owned(),
        hash: state.secrets.hash(key.reveal()),
        created_us: state.now_us(),
        last_used_us: None,
    };
    (new, key)
}

/// A tenant's; a platform key that names none sees the platform's.
pub(super) async fn list(
    state: web::Data<State>,
    caller: Caller,
    query: Query<Paging>,
) -> Result<web::Json<List<ApiKeyView>>, Error> {
    let page = query.0.page()?;
    let tenant = caller.scope(query.0.tenant())?;
    let rows = state.store.api_keys(tenant.as_ref(), &Page { limit: page.limit + 1, ..page.clone() }).await?;
    let at = |key: &ApiKey| position(key.created_us, &key.id);
    Ok(web::Json(List::of(rows, page.limit, at, |key| ApiKeyView::from(&key))))
}

pub(super) async fn delete(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
    query: Query<Scope>,
) -> Result<HttpResponse, Error> {
    let tenant = caller.scope(query.0.tenant.as_deref())?;
    let id = KeyId::parse(&id).map_err(|_| Error::NotFound("API key"))?;
    let entry = caller.entry(&state, tenant.as_ref(), "api_key.delete", id.as_str());
    state.store.delete_api_key(tenant.as_ref(), &id, entry).await?;
    state.tell(Message::AccessChanged { actor: id.to_string() }).await;
    Ok(HttpResponse::NoContent().finish())
}
