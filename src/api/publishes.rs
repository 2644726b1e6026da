//! What was published when: read from the events of a stream, as long as they are kept.

use super::caller::Caller;
use super::input::{Query, page};
use super::show::{List, position, time};
use super::streams::find;
use super::{Error, State, elsewhere};
use crate::id::EventId;
use crate::store::{Happened, Page};
use actix_web::web;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Events read at once, and how often for one page: an encoder that comes and goes all day makes thousands.
const BATCH: u32 = 500;
const BATCHES_MAX: usize = 10;

/// From when somebody began to publish until nobody came back within the reconnect window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Publish)]
pub(super) struct PublishView {
    id: EventId,
    /// `live`, `interrupted` (the publisher may come back) or `ended`.
    state: &'static str,
    /// Null: before the oldest event that is kept.
    started_at: Option<String>,
    /// When the publisher left for good; null while it may come back, and where its node was lost.
    ended_at: Option<String>,
    /// Whole seconds from `started_at` to `ended_at` or to now; null where either is not known.
    #[schema(minimum = 0)]
    duration_s: Option<i64>,
    /// How often the publisher was away and came back.
    interruptions: u32,
    /// The node that it was connected to last.
    node: Option<String>,
    /// Why the publisher left last: `unpublished`, `connection_lost`, `node_lost`, `silent`, `malformed`, `disconnected`,
    /// `key_revoked`, `removed`, `replaced`, `quota` or `draining`.
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListPublishes {
    limit: Option<String>,
    cursor: Option<String>,
}

/// Newest first.
pub(super) async fn list(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
    query: Query<ListPublishes>,
) -> Result<web::Json<List<PublishView>>, Error> {
    let page = page(query.0.limit.as_deref(), query.0.cursor.as_deref())?;
    let stream = find(&state, &caller, &id).await?.id;
    let live = elsewhere::live(&state, std::slice::from_ref(&stream)).await.remove(&stream);
    let runs = live.is_some_and(|live| matches!(&*live.state, "live" | "stalled" | "interrupted"));
    let mut history = History::new(page.after.is_none() && runs);
    let mut next = Page { limit: BATCH, after: page.after };
    for _ in 0..BATCHES_MAX {
        let events = state.store.publish_events(&stream, &next).await?;
        let Some(oldest) = events.last() else { break };
        let is_last = events.len() < BATCH as usize;
        next.after = Some(position(oldest.at_us, &oldest.id));
        events.iter().for_each(|event| history.go_back_to(event));
        if is_last || history.told.len() > page.limit as usize {
            break;
        }
    }
    let now_us = state.now_us();
    let at = |publish: &Publish| position(publish.oldest.0, &publish.oldest.1);
    Ok(web::Json(List::of(history.finish(), page.limit, at, |publish| publish.view(now_us))))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Live,
    Interrupted,
    Ended,
}

#[derive(Debug)]
struct Publish {
    stage: Stage,
    /// Its oldest event that was seen, by time and id.
    oldest: (i64, EventId),
    /// What the oldest event told.
    began_by: Stage,
    ended_us: Option<i64>,
    interruptions: u32,
    node: Option<String>,
    reason: Option<String>,
}

/// Events, newest first, put together to publishes.
struct History {
    /// Somebody publishes now, or may come back, so that the newest publish goes on.
    goes_on: bool,
    open: Option<Publish>,
    told: Vec<Publish>,
}

impl History {
    fn new(goes_on: bool) -> Self {
        Self { goes_on, open: None, told: Vec::new() }
    }

    fn go_back_to(&mut self, event: &Happened) {
        let stage = match event.name.as_str() {
            "stream.live" => Stage::Live,
            "stream.interrupted" => Stage::Interrupted,
            "stream.ended" => Stage::Ended,
            _ => return,
        };
        // Whoever goes live while another is live, so far as is known, is a new publisher.
        let is_older = |publish: &Publish| match stage {
            Stage::Ended => true,
            Stage::Live => publish.began_by == Stage::Live,
            Stage::Interrupted => false,
        };
        if self.open.as_ref().is_some_and(is_older) {
            self.told.extend(self.open.take());
        }
        let is_newest = self.goes_on && self.told.is_empty();
        let publish = self.open.get_or_insert_with(|| Publish {
            stage: if is_newest { stage } else { Stage::Ended },
            oldest: (event.at_us, event.id.clone()),
            began_by: stage,
            ended_us: None,
            interruptions: 0,
            node: None,
            reason: None,
        });
        publish.go_back_to(event, stage);
    }

    fn finish(mut self) -> Vec<Publish> {
        self.told.extend(self.open);
        self.told
    }
}

impl Publish {
    fn go_back_to(&mut self, event: &Happened, stage: Stage) {
        let said = |name: &str| {
            let payload: Value = serde_json::from_str(&event.payload).ok()?;
            Some(payload.pointer(&format!("/data/{name}"))?.as_str()?.to_owned())
        };
        self.node = self.node.take().or_else(|| said("node"));
        self.reason = self.reason.take().or_else(|| said("reason"));
        match (stage, self.began_by) {
            (Stage::Ended, _) => self.ended_us = Some(event.at_us),
            // It came back after this.
            (Stage::Interrupted, Stage::Live) => self.interruptions += 1,
            // The publisher left here, and was waited for until it had ended.
            (Stage::Interrupted, _) if self.stage == Stage::Ended => self.ended_us = Some(event.at_us),
            _ => {}
        }
        self.began_by = stage;
        self.oldest = (event.at_us, event.id.clone());
    }

    fn view(self, now_us: i64) -> PublishView {
        let Self { stage, oldest: (oldest_us, id), began_by, ended_us, interruptions, node, reason } = self;
        let started_us = (began_by == Stage::Live).then_some(oldest_us);
        let until_us = if stage == Stage::Ended { ended_us } else { Some(now_us) };
        PublishView {
            id,
            state: match stage {
                Stage::Live => "live",
                Stage::Interrupted => "interrupted",
                Stage::Ended => "ended",
            },
            started_at: started_us.map(time),
            ended_at: ended_us.map(time),
            duration_s: started_us.zip(until_us).map(|(from_us, to_us)| (to_us - from_us).max(0) / 1_000_000),
            interruptions,
            node,
            reason: if stage == Stage::Live { None } else { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{StreamId, TenantId};

    /// Events one after the other, a second apart, oldest first.
    fn told(goes_on: bool, names: &[&str]) -> Vec<(&'static str, Option<i64>, Option<i64>, u32)> {
        let mut history = History::new(goes_on);
        for (n, name) in names.iter().enumerate().rev() {
            history.go_back_to(&Happened {
                id: EventId::from_random([n as u8; 16]),
                tenant: TenantId::from_random([1; 16]),
                stream: Some(StreamId::from_random([1; 16])),
                name: format!("stream.{name}"),
                payload: "{}".to_owned(),
                at_us: n as i64 * 1_000_000,
            });
        }
        let shown = |publish: Publish| {
            let ended_s = publish.ended_us.map(|us| us / 1_000_000);
            let view = publish.view(100_000_000);
            (view.state, view.duration_s, ended_s, view.interruptions)
        };
        history.finish().into_iter().map(shown).collect()
    }

    #[test]
    fn a_publish_lasts_from_going_live_until_the_publisher_left_for_good() {
        assert_eq!(told(true, &[]), []);
        assert_eq!(told(true, &["live"]), [("live", Some(100), None, 0)]);
        assert_eq!(told(true, &["live", "interrupted"]), [("interrupted", Some(100), None, 0)]);
        assert_eq!(told(true, &["live", "interrupted", "live"]), [("live", Some(100), None, 1)]);
        assert_eq!(told(false, &["live", "interrupted", "ended"]), [("ended", Some(1), Some(1), 0)]);
        assert_eq!(told(false, &["live", "ended"]), [("ended", Some(1), Some(1), 0)]);
        let twice = ["live", "interrupted", "live", "interrupted", "ended", "live"];
        assert_eq!(told(true, &twice), [("live", Some(95), None, 0), ("ended", Some(3), Some(3), 1)]);
    }

    #[test]
    fn what_no_event_tells_is_not_made_up() {
        assert_eq!(told(false, &["live"]), [("ended", None, None, 0)], "its node was lost");
        assert_eq!(told(true, &["live", "live"]), [("live", Some(99), None, 0), ("ended", None, None, 0)]);
        assert_eq!(told(false, &["interrupted", "ended"]), [("ended", None, Some(0), 0)], "its start is forgotten");
        assert_eq!(
            told(false, &["ended", "live", "ended"]),
            [("ended", Some(1), Some(2), 0), ("ended", None, Some(0), 0)]
        );
        assert_eq!(told(true, &["live", "warning"]), [("live", Some(100), None, 0)]);
    }
}
