use super::caller::Caller;
use super::input::{Query, limit_of, number_cursor};
use super::show::{List, time};
use super::{Error, State};
use crate::id::TenantId;
use crate::store::{Audited, Outcome};
use actix_web::web;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct AuditView {
    /// A 64-bit number as a string.
    seq: String,
    at: String,
    tenant: Option<TenantId>,
    actor: String,
    #[schema(value_type = Option<String>)]
    address: Option<IpAddr>,
    action: String,
    target: String,
    outcome: Outcome,
    #[schema(value_type = Option<Object>)]
    before: Option<serde_json::Value>,
    #[schema(value_type = Option<Object>)]
    after: Option<serde_json::Value>,
}

impl From<Audited> for AuditView {
    fn from(Audited { seq, entry }: Audited) -> Self {
        Self {
            seq: seq.to_string(),
            at: time(entry.at_us),
            tenant: entry.tenant,
            actor: entry.actor,
            address: entry.address,
            action: entry.action,
            target: entry.target,
            outcome: entry.outcome,
            before: entry.before,
            after: entry.after,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListAudit {
    tenant: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn list(
    state: web::Data<State>,
    caller: Caller,
    query: Query<ListAudit>,
) -> Result<web::Json<List<AuditView>>, Error> {
    let ListAudit { tenant, limit, cursor } = query.0;
    let limit = limit_of(limit.as_deref())?;
    let tenant = caller.scope(tenant.as_deref())?;
    let before = number_cursor(cursor.as_deref())?;
    let mut rows = state.store.audit(tenant.as_ref(), limit + 1, before).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|last| last.seq.to_string());
    Ok(web::Json(List::from_parts(rows.into_iter().map(AuditView::from).collect(), next)))
}
