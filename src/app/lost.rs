//! Streams whose node is lost: the others tell that they are interrupted and ended, and the database keeps one of each.

use super::watcher::{About, Teller};
use crate::clock::Clock;
use crate::cluster::{self, Nodes, Owner, Ownership, Presence};
use crate::id::{StreamId, TenantId};
use crate::store::{self, Store};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);
/// Nodes of a Redis that lost its data have this long to be back in its list, and their leases with them.
const LOST_AFTER: Duration = Duration::from_secs(3);

pub(super) struct Mourner {
    pub(super) nodes: Arc<Nodes>,
    pub(super) ownership: Arc<dyn Ownership>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) teller: Teller,
}

/// A stream that another node publishes, or published.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Followed {
    tenant: TenantId,
    incarnation: String,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// A living node tells by itself what becomes of its streams.
    Published,
    Lost {
        since: Duration,
    },
    /// That it is interrupted.
    Told {
        fence: u64,
        ends: Duration,
    },
}

/// What is to be told of a stream that was lost.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Somebody publishes it.
    Nothing,
    Interrupted,
    /// It was cut off, and nobody took its place.
    Back {
        fence: u64,
    },
    Wait,
    Ended {
        fence: u64,
    },
}

impl Fate {
    fn judge(self, owner: Option<&Owner>, now: Duration) -> Verdict {
        match (self, owner) {
            (Self::Told { fence, .. }, Some(owner)) if owner.fence == fence => Verdict::Back { fence },
            (Self::Published, _) | (_, Some(_)) => Verdict::Nothing,
            (Self::Lost { .. }, None) => Verdict::Interrupted,
            (Self::Told { ends, .. }, None) if now < ends => Verdict::Wait,
            (Self::Told { fence, .. }, None) => Verdict::Ended { fence },
        }
    }
}

/// What the others publish, and whose node is lost of it.
#[derive(Debug, Default)]
struct Lost(HashMap<StreamId, Followed>);

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Mourner {
    /// For as long as the process lives.
    pub(super) async fn run(self) {
        let mut lost = Lost::default();
        loop {
            tokio::time::sleep(EVERY).await;
            for (stream, followed) in lost.poll(&self.nodes.others(), self.clock.monotonic()) {
                match self.mourn(&stream, &followed).await {
                    Ok(Some(fate)) => lost.change(&stream, fate),
                    Ok(None) => lost.forget(&stream),
                    Err(error) => tracing::debug!(%stream, %error, "what became of a stream can't be looked up"),
                }
            }
        }
    }

    /// None: that was all.
    async fn mourn(&self, stream: &StreamId, followed: &Followed) -> Result<Option<Fate>, Failed> {
        let about = |fence| About { tenant: followed.tenant.clone(), stream: stream.clone(), fence };
        let owner = self.ownership.locate(stream).await?;
        let now = self.clock.monotonic();
        match followed.fate.judge(owner.as_ref(), now) {
            Verdict::Nothing => Ok(None),
            Verdict::Wait => Ok(Some(followed.fate)),
            Verdict::Interrupted => {
                let Some(stored) = self.store.stream(stream).await? else { return Ok(None) };
                let publish = about(self.store.accepted_fence(stream).await?);
                tracing::info!(%stream, fence = publish.fence, "the node of a stream is lost");
                let data = json!({ "state": "interrupted", "reason": "node_lost" });
                self.teller.tell_as(publish.once("lost"), &publish, "stream.interrupted", data);
                let window = Duration::from_secs(stored.settings.reconnect_window_s.into());
                Ok(Some(Fate::Told { fence: publish.fence, ends: now + window }))
            }
            Verdict::Back { fence } => {
                let publish = about(fence);
                self.teller.tell_as(publish.once("back"), &publish, "stream.live", json!({ "state": "live" }));
                Ok(None)
            }
            Verdict::Ended { fence } => {
                self.teller.tell_of(&about(fence), "stream.ended", json!({ "state": "ended" }));
                Ok(None)
            }
        }
    }
}

impl Lost {
    /// Takes in who lives; what is to be looked at now.
    fn poll(&mut self, living: &[Presence], now: Duration) -> Vec<(StreamId, Followed)> {
        let mut again = Vec::new();
        for presence in living {
            for (tenant, stream) in published(presence) {
                match self.0.get(stream) {
                    Some(known) if matches!(known.fate, Fate::Told { .. }) => again.push(stream.clone()),
                    _ => {
                        let (tenant, incarnation) = (tenant.clone(), presence.incarnation.clone());
                        self.0.insert(stream.clone(), Followed { tenant, incarnation, fate: Fate::Published });
                    }
                }
            }
        }
        self.0.retain(|stream, followed| {
            let node = living.iter().find(|presence| presence.incarnation == followed.incarnation);
            match (node, followed.fate) {
                (None, Fate::Published) => followed.fate = Fate::Lost { since: now },
                (Some(_), Fate::Lost { .. }) => followed.fate = Fate::Published,
                _ => {}
            }
            let is_over = |node: &Presence| !published(node).any(|(_, of)| of == stream);
            !(followed.fate == Fate::Published && node.is_some_and(is_over))
        });
        let is_due = |stream: &StreamId, fate| match fate {
            Fate::Published => false,
            Fate::Lost { since } => now.saturating_sub(since) >= LOST_AFTER,
            Fate::Told { ends, .. } => now >= ends || again.contains(stream),
        };
        let due = self.0.iter().filter(|(stream, followed)| is_due(stream, followed.fate));
        due.map(|(stream, followed)| (stream.clone(), followed.clone())).collect()
    }

    fn change(&mut self, stream: &StreamId, fate: Fate) {
        if let Some(followed) = self.0.get_mut(stream) {
            followed.fate = fate;
        }
    }

    fn forget(&mut self, stream: &StreamId) {
        self.0.remove(stream);
    }
}

fn published(presence: &Presence) -> impl Iterator<Item = (&TenantId, &StreamId)> {
    presence.shares.iter().flat_map(|(tenant, share)| share.publishing.iter().map(move |stream| (tenant, stream)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Share;

    fn stream() -> StreamId {
        StreamId::from_random([1; 16])
    }

    fn node(incarnation: &str, publishes: bool) -> Presence {
        let publishing = publishes.then(stream).into_iter().collect();
        let shares = [(TenantId::from_random([1; 16]), Share { publishing, ..Share::default() })].into();
        Presence { incarnation: incarnation.to_owned(), shares, ..Presence::default() }
    }

    fn poll(lost: &mut Lost, living: &[Presence], second: u64) -> Vec<Fate> {
        lost.poll(living, Duration::from_secs(second)).into_iter().map(|(_, followed)| followed.fate).collect()
    }

    #[test]
    fn a_stream_is_lost_with_its_node_and_looked_at_until_it_ends() {
        let mut lost = Lost::default();
        assert_eq!(poll(&mut lost, &[node("one", true)], 0), []);
        assert_eq!(poll(&mut lost, &[], 1), []);
        assert_eq!(poll(&mut lost, &[node("other", false)], 3), []);
        assert_eq!(poll(&mut lost, &[], 4), [Fate::Lost { since: Duration::from_secs(1) }]);
        let told = Fate::Told { fence: 1, ends: Duration::from_secs(34) };
        lost.change(&stream(), told);
        assert_eq!(poll(&mut lost, &[], 33), []);
        assert_eq!(poll(&mut lost, &[], 34), [told]);
        assert_eq!(poll(&mut lost, &[node("other", true)], 20), [told], "it is published again, by whomever");
        lost.forget(&stream());
        assert_eq!(poll(&mut lost, &[], 40), []);
    }

    #[test]
    fn a_stream_of_a_living_node_is_left_to_it() {
        let mut lost = Lost::default();
        for (second, living) in [
            (0, vec![node("one", true)]),
            // A Redis that lost its data.
            (1, vec![]),
            (2, vec![node("one", true)]),
            (10, vec![node("one", false)]),
            (11, vec![]),
            (20, vec![]),
            (21, vec![node("one", true)]),
            // Another took over.
            (22, vec![node("two", true)]),
            (30, vec![node("two", true)]),
        ] {
            assert_eq!(poll(&mut lost, &living, second), []);
        }
    }

    #[test]
    fn what_is_told_depends_on_who_owns_it_then() {
        let at = Duration::from_secs(40);
        let owner = |fence| Owner { node: "one".to_owned(), incarnation: "1".to_owned(), url: String::new(), fence };
        let (lost, told) = (Fate::Lost { since: at }, Fate::Told { fence: 7, ends: at });
        assert_eq!(lost.judge(None, at), Verdict::Interrupted);
        assert_eq!(lost.judge(Some(&owner(7)), at), Verdict::Nothing);
        assert_eq!(told.judge(Some(&owner(7)), at), Verdict::Back { fence: 7 });
        assert_eq!(told.judge(Some(&owner(8)), at), Verdict::Nothing);
        assert_eq!(told.judge(None, at), Verdict::Ended { fence: 7 });
        assert_eq!(told.judge(None, at - Duration::from_secs(1)), Verdict::Wait);
    }
}
