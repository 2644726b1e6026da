use super::caller::Caller;
use super::input::{Query, number_cursor};
use super::show::{List, time};
use super::{Error, State};
use crate::store::{HOUR_US, Usage};
use actix_web::web;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

/// Hours in a page: four weeks.
const HOURS: u32 = 672;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(super) struct UsageView {
    /// Start of the hour.
    from: String,
    /// Media received; a 64-bit number as a string.
    ingest_bytes: String,
    /// Media sent to viewers; a 64-bit number as a string.
    egress_bytes: String,
    viewer_minutes: f64,
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        Self {
            from: time(usage.hour_us),
            ingest_bytes: usage.ingest_bytes.to_string(),
            egress_bytes: usage.egress_bytes.to_string(),
            viewer_minutes: usage.viewer_seconds as f64 / 60.0,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListUsage {
    tenant: Option<String>,
    from: Option<String>,
    to: Option<String>,
    cursor: Option<String>,
}

/// By the hour, oldest first; the last day where no time is named.
pub(super) async fn list(
    state: web::Data<State>,
    caller: Caller,
    query: Query<ListUsage>,
) -> Result<web::Json<List<UsageView>>, Error> {
    let ListUsage { tenant, from, to, cursor } = query.0;
    let tenant = caller.tenant(tenant.as_deref())?;
    let now_us = state.now_us();
    let to_us = to.map_or(Ok(now_us), |to| parsed("to", &to))?;
    let from_us = from.map_or(Ok(to_us - 24 * HOUR_US), |from| parsed("from", &from))?;
    let after_us = number_cursor(cursor.as_deref())?;
    let start_us = after_us.map_or(from_us - from_us.rem_euclid(HOUR_US), |after| after.saturating_add(1));
    let mut rows = state.store.usage(&tenant, start_us, to_us, HOURS + 1).await?;
    let more = rows.len() > HOURS as usize;
    rows.truncate(HOURS as usize);
    let next = rows.last().filter(|_| more).map(|row| row.hour_us.to_string());
    Ok(web::Json(List::from_parts(rows.into_iter().map(UsageView::from).collect(), next)))
}

fn parsed(field: &str, text: &str) -> Result<i64, Error> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok();
    let us = time.and_then(|time| i64::try_from(time.unix_timestamp_nanos() / 1_000).ok());
    us.ok_or_else(|| Error::invalid(field, "it is no time", "RFC 3339, such as 2027-01-15T08:00:00Z"))
}
