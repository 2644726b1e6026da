//! What the cluster's traits promise, of two nodes.

use super::{Bench, myself, presence, until};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir::cluster::{Error, Listener, Message, Nodes, Presence, Share, Standing, lease};
use weir::id::{StreamId, TenantId};

/// Past the end of a lease.
const EXPIRED: Duration = lease::TTL.saturating_add(Duration::from_millis(100));

pub(super) async fn every_claim_has_a_higher_fence(bench: &Bench) {
    let (one, other, stream) = (&bench.one.ownership, &bench.other.ownership, &bench.stream);
    let first = one.claim(stream, None).await.unwrap();
    one.release(stream, first.fence).await.unwrap();
    let second = other.claim(stream, None).await.unwrap();
    let third = one.claim(stream, Some(second.fence)).await.unwrap();
    assert!(first.fence < second.fence && second.fence < third.fence);
    assert_eq!(bench.store.accepted_fence(stream).await, Ok(third.fence));
}

pub(super) async fn a_stream_that_is_owned_refuses_a_second_claim(bench: &Bench) {
    let (one, other, stream) = (&bench.one.ownership, &bench.other.ownership, &bench.stream);
    let first = one.claim(stream, None).await.unwrap();
    let owner = other.locate(stream).await.unwrap().unwrap();
    assert_eq!((owner.node.as_str(), owner.fence), ("one", first.fence));
    for over in [None, Some(first.fence + 1)] {
        assert_eq!(other.claim(stream, over).await, Err(Error::Owned(owner.clone())));
    }
    assert_eq!(one.renew(stream, first.fence).await, Ok(()));
    assert_eq!(bench.store.accepted_fence(stream).await, Ok(first.fence), "the losers' fences are unused");
}

pub(super) async fn of_many_that_claim_at_once_one_wins(bench: &Bench) {
    let claims = (0..8).map(|n| {
        let node = if n % 2 == 0 { &bench.one } else { &bench.other };
        let (ownership, stream) = (node.ownership.clone(), bench.stream.clone());
        tokio::spawn(async move { ownership.claim(&stream, None).await })
    });
    let mut won = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        won.extend(claim.await.unwrap().ok());
    }
    assert_eq!(won.len(), 1, "{won:?}");
    assert_eq!(bench.store.accepted_fence(&bench.stream).await, Ok(won[0].fence));
}

pub(super) async fn an_owner_that_was_replaced_learns_it_and_cannot_release_the_new_one(bench: &Bench) {
    let (one, other, stream) = (&bench.one.ownership, &bench.other.ownership, &bench.stream);
    let old = one.claim(stream, None).await.unwrap();
    let new = other.claim(stream, Some(old.fence)).await.unwrap();
    assert_eq!(one.standing(stream, old.fence), Standing::Held, "it does not know yet");
    assert_eq!(one.renew(stream, old.fence).await, Err(Error::Lost(old.fence)));
    assert_eq!(one.standing(stream, old.fence), Standing::Lost);
    assert_eq!(other.renew(stream, new.fence).await, Ok(()));
    one.release(stream, old.fence).await.unwrap();
    assert_eq!(one.locate(stream).await.unwrap().map(|owner| owner.fence), Some(new.fence));
    assert_eq!(other.held(stream), Some((new.fence, Standing::Held)));
}

pub(super) async fn a_released_stream_has_no_owner(bench: &Bench) {
    let (one, stream) = (&bench.one.ownership, &bench.stream);
    let claim = one.claim(stream, None).await.unwrap();
    one.release(stream, claim.fence).await.unwrap();
    assert_eq!(one.locate(stream).await, Ok(None));
    assert_eq!(one.renew(stream, claim.fence).await, Err(Error::Lost(claim.fence)));
    assert_eq!((one.standing(stream, claim.fence), one.held(stream)), (Standing::Lost, None));
}

pub(super) async fn a_lease_that_nobody_renews_runs_out_and_comes_back_where_nobody_took_it(bench: &Bench) {
    let (one, other, stream) = (&bench.one.ownership, &bench.other.ownership, &bench.stream);
    let first = one.claim(stream, None).await.unwrap();
    bench.pass(EXPIRED).await;
    assert_eq!(one.standing(stream, first.fence), Standing::Unread);
    assert_eq!(other.locate(stream).await, Ok(None));
    assert_eq!(one.renew(stream, first.fence).await, Ok(()));
    assert_eq!(one.standing(stream, first.fence), Standing::Held);
    assert!(matches!(other.claim(stream, None).await, Err(Error::Owned(_))));

    bench.pass(EXPIRED).await;
    let second = other.claim(stream, None).await.unwrap();
    assert_eq!(one.renew(stream, first.fence).await, Err(Error::Lost(first.fence)));
    other.release(stream, second.fence).await.unwrap();
    assert_eq!(one.renew(stream, first.fence).await, Err(Error::Lost(first.fence)));
}

pub(super) async fn a_lease_that_is_gone_is_not_registered_past_a_higher_fence(bench: &Bench) {
    let (one, other, stream) = (&bench.one.ownership, &bench.other.ownership, &bench.stream);
    let first = one.claim(stream, None).await.unwrap();
    let second = other.claim(stream, Some(first.fence)).await.unwrap();
    other.release(stream, second.fence).await.unwrap();
    assert_eq!(other.locate(stream).await, Ok(None));
    assert_eq!(one.renew(stream, first.fence).await, Err(Error::Lost(first.fence)));
    assert_eq!(other.locate(stream).await, Ok(None));
}

pub(super) async fn the_timeline_goes_on_from_the_first_claim(bench: &Bench) {
    let (one, other, stream) = (&bench.one.ownership, &bench.other.ownership, &bench.stream);
    let first = one.claim(stream, None).await.unwrap();
    assert!(first.start_us < 1_000_000, "{first:?}");
    bench.pass(Duration::from_secs(1)).await;
    let second = other.claim(stream, Some(first.fence)).await.unwrap();
    assert!((1_000_000..5_000_000).contains(&second.start_us), "{second:?}");
}

pub(super) async fn a_stream_that_is_not_there_cannot_be_claimed(bench: &Bench) {
    let nothing = StreamId::from_random([9; 16]);
    assert_eq!(bench.one.ownership.claim(&nothing, None).await, Err(Error::NotFound));
}

pub(super) async fn nodes_hear_of_each_other_while_they_live(bench: &Bench) {
    let names = async |name: &str| {
        let mut nodes = bench.one.roster.exchange(&presence(name)).await.unwrap().living;
        nodes.sort_by(|one, other| one.node.cmp(&other.node));
        nodes.into_iter().map(|presence| presence.node).collect::<Vec<_>>()
    };
    assert_eq!(names("one").await, ["one"]);
    assert_eq!(names("other").await, ["one", "other"]);
    bench.other.roster.leave(&presence("other")).await.unwrap();
    assert_eq!(names("one").await, ["one"]);
    names("other").await;
    bench.pass(EXPIRED).await;
    assert_eq!(names("one").await, ["one"]);
}

pub(super) async fn a_process_of_the_same_name_is_noticed_while_it_lives(bench: &Bench) {
    let own = presence("one");
    let other = Presence { incarnation: "another".to_owned(), ..own.clone() };
    let namesake = async |own: &Presence| bench.one.roster.exchange(own).await.unwrap().namesake;
    assert_eq!(namesake(&own).await, None);
    assert_eq!(namesake(&own).await, None);
    assert_eq!(namesake(&other).await, Some(own.clone()));
    assert_eq!(namesake(&other).await, None);
    assert_eq!(namesake(&own).await, Some(other));
    bench.pass(EXPIRED).await;
    assert_eq!(namesake(&Presence { incarnation: "third".to_owned(), ..own }).await, None);
}

pub(super) async fn what_nodes_count_is_summed_and_a_dead_nodes_share_goes_with_it(bench: &Bench) {
    let tenant = TenantId::from_random([1; 16]);
    let tell = async |node: &str, viewers: u32| {
        let watched = [(bench.stream.clone(), viewers)].into();
        let shares = [(tenant.clone(), Share { watched, ..Share::default() })].into();
        let living = bench.one.roster.exchange(&Presence { shares, ..presence(node) }).await.unwrap().living;
        let nodes = Nodes::new(myself(node));
        nodes.set(living);
        nodes.elsewhere(&tenant).viewers()
    };
    assert_eq!(tell("one", 3).await, 0);
    assert_eq!(tell("two", 4).await, 3);
    assert_eq!(tell("one", 5).await, 4);
    assert_eq!(tell("three", 1).await, 9);
    bench.pass(EXPIRED).await;
    assert_eq!(tell("one", 5).await, 0);
}

#[derive(Default)]
struct Heard(Mutex<Vec<Message>>);

impl Listener for Heard {
    fn handle(&self, message: &Message) {
        self.0.lock().unwrap().push(message.clone());
    }
}

pub(super) async fn every_node_hears_each_message_once_and_in_order(bench: &Bench) {
    let heard = [Arc::new(Heard::default()), Arc::new(Heard::default())];
    bench.one.bus.subscribe(heard[0].clone());
    bench.other.bus.subscribe(heard[1].clone());
    let session = weir::id::SessionId::from_random([2; 16]);
    let sent = [
        Message::StreamDeleted { stream: bench.stream.clone() },
        Message::SessionKicked { session },
        Message::NodeDraining { node: "one".to_owned() },
        Message::Reread,
    ];
    for message in sent.clone() {
        bench.one.bus.publish(message).await.unwrap();
    }
    for heard in heard {
        until("all messages", || (heard.0.lock().unwrap().len() >= sent.len()).then_some(())).await;
        assert_eq!(*heard.0.lock().unwrap(), sent);
    }
}
