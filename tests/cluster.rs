//! What every version of the cluster's traits promises.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use weir::clock::Manual;
use weir::cluster::{
    Bus, Counters, Error, Listener, LocalBus, LocalCounters, LocalOwnership, Measure, Message, Ownership,
};
use weir::id::{StreamId, TenantId};
use weir::store::{Memory, Store};

#[path = "support/records.rs"]
mod records;

const NOW_US: i64 = 1_800_000_000_000_000;

struct Bench {
    clock: Arc<Manual>,
    ownership: Arc<dyn Ownership>,
    stream: StreamId,
}

async fn local() -> Bench {
    let clock = Arc::new(Manual::at(NOW_US));
    let store = Arc::new(Memory::new(clock.clone()));
    let tenant = store.create_tenant(records::tenant(1), records::entry()).await.unwrap();
    let stream = store.create_stream(records::stream(1, &tenant.id), records::entry()).await.unwrap();
    let ownership = Arc::new(LocalOwnership::new(store, "a".to_owned(), "http://127.0.0.1:9900".to_owned()));
    Bench { clock, ownership, stream: stream.id }
}

#[tokio::test]
async fn every_claim_has_a_higher_fence() {
    let Bench { ownership, stream, .. } = local().await;
    let first = ownership.claim(&stream, None).await.unwrap();
    ownership.release(&stream, first.fence).await.unwrap();
    let second = ownership.claim(&stream, None).await.unwrap();
    let third = ownership.claim(&stream, Some(second.fence)).await.unwrap();
    assert!(first.fence < second.fence && second.fence < third.fence);
}

#[tokio::test]
async fn a_stream_that_is_owned_refuses_a_second_claim() {
    let Bench { ownership, stream, .. } = local().await;
    let first = ownership.claim(&stream, None).await.unwrap();
    let owner = ownership.locate(&stream).await.unwrap().unwrap();
    assert_eq!((owner.node.as_str(), owner.fence), ("a", first.fence));
    assert_eq!(ownership.claim(&stream, None).await, Err(Error::Owned(owner.clone())));
    assert_eq!(ownership.claim(&stream, Some(first.fence + 1)).await, Err(Error::Owned(owner)));
}

#[tokio::test]
async fn an_owner_that_was_replaced_learns_it_and_cannot_release_the_new_one() {
    let Bench { ownership, stream, .. } = local().await;
    let old = ownership.claim(&stream, None).await.unwrap();
    let new = ownership.claim(&stream, Some(old.fence)).await.unwrap();
    assert_eq!(ownership.renew(&stream, old.fence).await, Err(Error::Lost(old.fence)));
    assert_eq!(ownership.renew(&stream, new.fence).await, Ok(()));
    ownership.release(&stream, old.fence).await.unwrap();
    assert_eq!(ownership.locate(&stream).await.unwrap().map(|owner| owner.fence), Some(new.fence));
}

#[tokio::test]
async fn a_released_stream_has_no_owner() {
    let Bench { ownership, stream, .. } = local().await;
    let claim = ownership.claim(&stream, None).await.unwrap();
    ownership.release(&stream, claim.fence).await.unwrap();
    assert_eq!(ownership.locate(&stream).await, Ok(None));
    assert_eq!(ownership.renew(&stream, claim.fence).await, Err(Error::Lost(claim.fence)));
}

#[tokio::test]
async fn the_timeline_goes_on_from_the_first_claim() {
    let Bench { clock, ownership, stream } = local().await;
    let first = ownership.claim(&stream, None).await.unwrap();
    assert_eq!(first.start_us, 0);
    clock.advance(Duration::from_secs(90));
    let second = ownership.claim(&stream, Some(first.fence)).await.unwrap();
    assert_eq!(second.start_us, 90_000_000);
}

#[tokio::test]
async fn a_stream_that_is_not_there_cannot_be_claimed() {
    let Bench { ownership, .. } = local().await;
    assert_eq!(ownership.claim(&StreamId::from_random([9; 16]), None).await, Err(Error::NotFound));
}

#[tokio::test]
async fn a_counter_is_what_was_last_reported() {
    let counters: Arc<dyn Counters> = Arc::new(LocalCounters::default());
    let (one, other) = (TenantId::from_random([1; 16]), TenantId::from_random([2; 16]));
    for viewers in [3, 7] {
        counters.report(&one, Measure::Viewers, viewers).await.unwrap();
    }
    counters.report(&one, Measure::Streams, 1).await.unwrap();
    assert_eq!(counters.total(&one, Measure::Viewers).await, Ok(7));
    assert_eq!(counters.total(&other, Measure::Viewers).await, Ok(0));
    counters.report(&one, Measure::Viewers, 0).await.unwrap();
    assert_eq!(counters.total(&one, Measure::Viewers).await, Ok(0));
    assert_eq!(counters.total(&one, Measure::Streams).await, Ok(1));
}

#[derive(Default)]
struct Heard(Mutex<Vec<Message>>);

impl Listener for Heard {
    fn handle(&self, message: &Message) {
        self.0.lock().unwrap().push(message.clone());
    }
}

#[tokio::test]
async fn every_listener_hears_each_message_once_and_in_order() {
    let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
    let heard = [Arc::new(Heard::default()), Arc::new(Heard::default())];
    for listener in &heard {
        bus.subscribe(listener.clone());
    }
    let sent = [Message::Reread, Message::StreamDeleted { stream: StreamId::from_random([1; 16]) }];
    for message in sent.clone() {
        bus.publish(message).await.unwrap();
    }
    for listener in &heard {
        assert_eq!(*listener.0.lock().unwrap(), sent);
    }
}
