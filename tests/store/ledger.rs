//! What every store promises of replays, webhooks, deliveries and usage.

use super::{Bench, records};
use std::collections::BTreeSet;
use weir::auth::secret::Sealed;
use weir::id::{DeliveryId, EventId, KeyId, StreamId, TenantId, WebhookId};
use weir::store::{
    Answer, Conflict, Delivery, DeliveryState, Entry, Error, Fetched, HOUR_US, Happened, KEY_SETS_MAX, KeySet, Page,
    Position, REPLAY_RUNNING_US, REPLAY_US, Replay, Settled, Usage, WEBHOOKS_MAX, Webhook,
};

const NOW_US: i64 = records::CREATED_US;

fn webhook(n: u8, tenant: &TenantId) -> Webhook {
    Webhook {
        id: WebhookId::from_random([n; 16]),
        tenant: tenant.clone(),
        url: format!("https://example.com/{n}"),
        events: vec!["stream.live".to_owned()],
        sealed: Sealed::from_bytes(vec![n; 40]),
        disabled_us: None,
        failing_us: None,
        revision: 1,
        created_us: NOW_US + i64::from(n),
        updated_us: NOW_US + i64::from(n),
    }
}

fn delivery(n: u8, webhook: &Webhook) -> Delivery {
    Delivery {
        id: DeliveryId::from_random([n; 16]),
        webhook: webhook.id.clone(),
        event_id: EventId::from_random([n; 16]),
        event: "stream.live".to_owned(),
        payload: "{\"n\": 1}".to_owned(),
        state: DeliveryState::Pending,
        attempts: 0,
        next_us: NOW_US + i64::from(n),
        status: None,
        error: None,
        created_us: NOW_US + i64::from(n),
        updated_us: NOW_US + i64::from(n),
    }
}

fn settled(state: DeliveryState, at_us: i64) -> Settled {
    let (status, error) = (Some(503), Some("refused".to_owned()));
    Settled { state, attempts: 1, next_us: at_us + 100, status, error, at_us, disable_before_us: 0 }
}

async fn tenant(bench: &Bench, n: u32) -> TenantId {
    bench.store.create_tenant(records::tenant(n), records::entry()).await.unwrap().id
}

pub(super) async fn a_request_is_begun_once_and_its_answer_kept_for_a_day(bench: &Bench) {
    let store = &bench.store;
    let asked = (0..8).map(|_| store.begin_replay("k", "r", NOW_US));
    let begun = futures_util::future::join_all(asked).await;
    let new = begun.iter().filter(|begun| **begun == Ok(Replay::New)).count();
    assert_eq!(new, 1, "{begun:?}");
    assert_eq!(store.begin_replay("k", "r", NOW_US + 1).await, Ok(Replay::Running));
    assert_eq!(store.begin_replay("k", "other", NOW_US + 1).await, Ok(Replay::Other));
    let answer = Answer { status: 201, body: "{\"id\":1}".to_owned() };
    store.finish_replay("k", Some(&answer)).await.unwrap();
    assert_eq!(store.begin_replay("k", "r", NOW_US + REPLAY_US - 1).await, Ok(Replay::Done(answer)));
    assert_eq!(store.begin_replay("k", "r", NOW_US + REPLAY_US).await, Ok(Replay::New));
    store.finish_replay("k", None).await.unwrap();
    assert_eq!(store.begin_replay("k", "other", NOW_US).await, Ok(Replay::New));
    assert_eq!(store.begin_replay("k", "r", NOW_US + REPLAY_RUNNING_US).await, Ok(Replay::New), "it was cut off");
    store.forget_before(i64::MAX, i64::MAX).await.unwrap();
    assert_eq!(store.begin_replay("k", "r", NOW_US).await, Ok(Replay::New));
}

pub(super) async fn webhooks_are_kept_changed_and_gone_with_their_tenant(bench: &Bench) {
    let (store, owner) = (&bench.store, tenant(bench, 1).await);
    let made = store.create_webhook(webhook(1, &owner), records::entry()).await.unwrap();
    assert_eq!(store.webhook(&made.id).await.unwrap(), Some(webhook(1, &owner)));
    let changed = Webhook { url: "https://other.example".to_owned(), disabled_us: Some(9), ..made.clone() };
    let changed = store.update_webhook(&changed, records::entry()).await.unwrap();
    assert_eq!((changed.revision, changed.disabled_us), (2, Some(9)));
    let stale = store.update_webhook(&made, records::entry()).await;
    assert_eq!(stale, Err(Error::Conflict(Conflict::Stale)));
    for n in 2..=WEBHOOKS_MAX {
        store.create_webhook(webhook(u8::try_from(n).unwrap(), &owner), records::entry()).await.unwrap();
    }
    let more = store.create_webhook(webhook(200, &owner), records::entry()).await;
    assert_eq!(more, Err(Error::Conflict(Conflict::TooManyWebhooks)));
    let listed = store.webhooks(&owner).await.unwrap();
    assert_eq!((listed.len(), listed.last()), (WEBHOOKS_MAX, Some(&changed)));
    store.delete_webhook(&listed[0].id, records::entry()).await.unwrap();
    assert_eq!(store.delete_webhook(&listed[0].id, records::entry()).await, Err(Error::NotFound("webhook")));
    store.enqueue(&[delivery(1, &made)]).await.unwrap();
    store.delete_tenant(&owner, records::entry()).await.unwrap();
    assert_eq!(store.webhook(&made.id).await.unwrap(), None);
    assert_eq!(store.enqueue(&[delivery(2, &made)]).await, Err(Error::NotFound("webhook")));
    let nobody = store.create_webhook(webhook(7, &owner), records::entry()).await;
    assert_eq!(nobody, Err(Error::NotFound("tenant")));
}

pub(super) async fn a_delivery_is_taken_by_one_at_a_time_until_it_is_settled(bench: &Bench) {
    let (store, owner) = (&bench.store, tenant(bench, 1).await);
    let hook = store.create_webhook(webhook(1, &owner), records::entry()).await.unwrap();
    let rows: Vec<_> = (1..=9).map(|n| delivery(n, &hook)).collect();
    store.enqueue(&rows).await.unwrap();
    let (now, until) = (NOW_US + 8, NOW_US + 60);
    let taken = futures_util::future::join_all((0..6).map(|_| store.take_deliveries(now, until, 2))).await;
    let ids: Vec<_> = taken.into_iter().flat_map(Result::unwrap).map(|row| row.id).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "none is taken twice");
    let rest = store.take_deliveries(now, until, 20).await.unwrap();
    assert_eq!(ids.len() + rest.len(), 8, "the ninth is not due");
    let again = store.take_deliveries(until, until + 1, 20).await.unwrap();
    assert_eq!(again.len(), 9, "the one who took them did not come back");

    store.settle_delivery(&rows[0].id, &settled(DeliveryState::Delivered, now)).await.unwrap();
    store.settle_delivery(&rows[1].id, &settled(DeliveryState::Failed, now)).await.unwrap();
    let page = Page { limit: 20, after: None };
    let listed = store.deliveries(&hook.id, &page).await.unwrap();
    assert_eq!((listed.len(), &listed[8].id, listed[8].state), (9, &rows[0].id, DeliveryState::Delivered));
    assert_eq!((listed[7].status, listed[7].error.as_deref()), (Some(503), Some("refused")));
    let entry = Entry { at_us: now, ..records::entry() };
    let again = store.redeliver(&hook.id, &rows[1].id, entry.clone()).await.unwrap();
    assert_eq!((again.state, again.attempts, again.event_id), (DeliveryState::Pending, 0, rows[1].event_id.clone()));
    assert_eq!(store.take_deliveries(now, until, 20).await.unwrap().len(), 1);
    let foreign = store.redeliver(&WebhookId::from_random([99; 16]), &rows[1].id, entry).await;
    assert_eq!(foreign, Err(Error::NotFound("delivery")));
    store.forget_before(0, i64::MAX).await.unwrap();
    assert_eq!(store.deliveries(&hook.id, &page).await.unwrap().len(), 8, "what is pending stays");
}

pub(super) async fn a_webhook_that_fails_for_long_is_disabled_and_one_that_recovers_is_not(bench: &Bench) {
    let (store, owner) = (&bench.store, tenant(bench, 1).await);
    let hook = store.create_webhook(webhook(1, &owner), records::entry()).await.unwrap();
    let rows: Vec<_> = (1..=2).map(|n| delivery(n, &hook)).collect();
    store.enqueue(&rows).await.unwrap();
    let state = async || {
        let hook = store.webhook(&hook.id).await.unwrap().unwrap();
        (hook.failing_us, hook.disabled_us)
    };
    let failed =
        |at_us: i64, disable_before_us| Settled { disable_before_us, ..settled(DeliveryState::Pending, at_us) };
    store.settle_delivery(&rows[0].id, &failed(NOW_US, NOW_US)).await.unwrap();
    assert_eq!(state().await, (Some(NOW_US), None));
    store.settle_delivery(&rows[0].id, &settled(DeliveryState::Delivered, NOW_US + 5)).await.unwrap();
    assert_eq!(state().await, (None, None));
    store.settle_delivery(&rows[1].id, &failed(NOW_US + 10, NOW_US)).await.unwrap();
    store.settle_delivery(&rows[1].id, &failed(NOW_US + 20, NOW_US + 10)).await.unwrap();
    assert_eq!(state().await, (Some(NOW_US + 10), None));
    store.settle_delivery(&rows[1].id, &failed(NOW_US + 30, NOW_US + 11)).await.unwrap();
    assert_eq!(state().await, (Some(NOW_US + 10), Some(NOW_US + 30)));
    assert_eq!(store.take_deliveries(i64::MAX - 1, i64::MAX, 20).await, Ok(Vec::new()));
}

pub(super) async fn usage_adds_up_by_the_hour(bench: &Bench) {
    let (store, owner) = (&bench.store, tenant(bench, 1).await);
    let used = |hour: i64, ingest_bytes| Usage {
        tenant: owner.clone(),
        hour_us: hour * HOUR_US,
        ingest_bytes,
        egress_bytes: 1 << 40,
        viewer_seconds: 60,
    };
    store.add_usage(&[used(1, 5), used(2, 7)]).await.unwrap();
    store.add_usage(&[used(2, 1)]).await.unwrap();
    let rows = store.usage(&owner, 0, 3 * HOUR_US, 10).await.unwrap();
    let shown: Vec<_> = rows.iter().map(|row| (row.hour_us / HOUR_US, row.ingest_bytes, row.viewer_seconds)).collect();
    assert_eq!(shown, [(1, 5, 60), (2, 8, 120)]);
    assert_eq!(rows[1].egress_bytes, 2 << 40);
    assert_eq!(store.usage(&owner, HOUR_US, 2 * HOUR_US, 10).await.unwrap().len(), 1);
    assert_eq!(store.usage(&owner, 0, 3 * HOUR_US, 1).await.unwrap().len(), 1);
    assert_eq!(store.usage(&TenantId::from_random([8; 16]), 0, i64::MAX, 10).await.unwrap(), []);
}

fn happened(n: u8, tenant: &TenantId, name: &str) -> Happened {
    Happened {
        id: EventId::from_random([n; 16]),
        tenant: tenant.clone(),
        stream: Some(StreamId::from_random([n; 16])),
        name: name.to_owned(),
        payload: format!("{{\"n\":{n}}}"),
        at_us: NOW_US + i64::from(n),
    }
}

fn delivery_ids(n: u8) -> Vec<DeliveryId> {
    (0..WEBHOOKS_MAX as u8)
        .map(|at| DeliveryId::from_random([n, at, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
        .collect()
}

pub(super) async fn an_event_and_its_deliveries_are_stored_together_or_not_at_all(bench: &Bench) {
    let (store, owner) = (&bench.store, tenant(bench, 1).await);
    let wanting = store.create_webhook(webhook(1, &owner), records::entry()).await.unwrap();
    let all = Webhook { events: Vec::new(), ..webhook(2, &owner) };
    let all = store.create_webhook(all, records::entry()).await.unwrap();
    let other = Webhook { events: vec!["stream.ended".to_owned()], ..webhook(3, &owner) };
    let other = store.create_webhook(other, records::entry()).await.unwrap();
    let off = Webhook { disabled_us: Some(1), ..webhook(4, &owner) };
    let off = store.create_webhook(off, records::entry()).await.unwrap();
    let stranger = tenant(bench, 2).await;
    let theirs = store.create_webhook(webhook(5, &stranger), records::entry()).await.unwrap();

    let event = happened(1, &owner, "stream.live");
    store.record_event(&event, None, &delivery_ids(1)).await.unwrap();
    let page = Page { limit: 20, after: None };
    for (hook, count) in [(&wanting, 1), (&all, 1), (&other, 0), (&off, 0), (&theirs, 0)] {
        let rows = store.deliveries(&hook.id, &page).await.unwrap();
        assert_eq!(rows.len(), count, "{}", hook.url);
        for row in rows {
            assert_eq!(
                (row.event_id, row.payload, row.next_us),
                (event.id.clone(), event.payload.clone(), event.at_us)
            );
        }
    }
    let again = store.record_event(&event, None, &delivery_ids(2)).await;
    assert_eq!(again, Err(Error::Conflict(Conflict::Exists)), "written once, however often it is tried");

    // A delivery that can't be stored takes its event along.
    let before = happened(2, &owner, "stream.live");
    store.record_event(&before, None, &delivery_ids(3)).await.unwrap();
    if bench.clock.is_none() {
        let broken = store.record_event(&happened(3, &owner, "stream.live"), None, &delivery_ids(3)).await;
        assert_eq!(broken, Err(Error::Conflict(Conflict::Exists)));
        assert_eq!(store.events_after(None, &before.id, 10).await, Ok(Vec::new()));
    }
    let nobody = happened(4, &TenantId::from_random([9; 16]), "stream.live");
    assert_eq!(store.record_event(&nobody, None, &delivery_ids(4)).await, Err(Error::NotFound("tenant")));
}

pub(super) async fn an_event_of_an_older_publish_is_not_stored_after_a_newer_one_began(bench: &Bench) {
    let (store, owner) = (&bench.store, tenant(bench, 1).await);
    let stream = store.create_stream(records::stream(1, &owner), records::entry()).await.unwrap().id;
    let event = |n| Happened { stream: Some(stream.clone()), ..happened(n, &owner, "stream.live") };
    store.accept_fence(&stream, 7).await.unwrap();
    store.record_event(&event(1), Some(7), &[]).await.unwrap();
    store.record_event(&event(2), Some(8), &[]).await.unwrap();
    let late = store.record_event(&event(3), Some(6), &[]).await;
    assert_eq!(late, Err(Error::Conflict(Conflict::Superseded)));
    assert_eq!(store.events_after(None, &event(1).id, 10).await, Ok(vec![event(2)]));
    store.record_event(&happened(4, &owner, "stream.ended"), Some(1), &[]).await.unwrap();
}

pub(super) async fn events_are_listed_after_one_that_is_known(bench: &Bench) {
    let (store, owner, other) = (&bench.store, tenant(bench, 1).await, tenant(bench, 2).await);
    let events =
        [happened(1, &owner, "a"), happened(2, &other, "b"), happened(3, &owner, "c"), happened(4, &owner, "d")];
    for event in events.iter().rev() {
        store.record_event(event, None, &delivery_ids(0)).await.unwrap();
    }
    assert_eq!(store.events_after(Some(&owner), &events[0].id, 10).await.unwrap(), events[2..]);
    assert_eq!(store.events_after(None, &events[0].id, 2).await.unwrap(), events[1..3]);
    assert_eq!(store.events_after(None, &EventId::from_random([99; 16]), 10).await, Ok(Vec::new()));
    store.forget_before(0, events[2].at_us).await.unwrap();
    assert_eq!(store.events_after(None, &events[0].id, 10).await, Ok(Vec::new()));
    assert_eq!(store.events_after(None, &events[2].id, 10).await.unwrap(), events[3..]);
    store.delete_tenant(&owner, records::entry()).await.unwrap();
    assert_eq!(store.events_after(None, &events[2].id, 10).await, Ok(Vec::new()));
}

pub(super) async fn publishes_are_told_newest_first_and_page_by_page(bench: &Bench) {
    let (store, owner) = (&bench.store, tenant(bench, 1).await);
    let stream = StreamId::from_random([7; 16]);
    let told =
        |n: u8, name: &str, stream: &StreamId| Happened { stream: Some(stream.clone()), ..happened(n, &owner, name) };
    let events = [
        told(1, "stream.live", &stream),
        told(2, "stream.warning", &stream),
        told(3, "stream.interrupted", &stream),
        told(4, "stream.live", &StreamId::from_random([8; 16])),
        told(5, "stream.ended", &stream),
    ];
    for event in &events {
        store.record_event(event, None, &delivery_ids(0)).await.unwrap();
    }
    let first = store.publish_events(&stream, &Page { limit: 2, after: None }).await.unwrap();
    assert_eq!(first, [events[4].clone(), events[2].clone()]);
    let after = Position { created_us: first[1].at_us, id: first[1].id.to_string() };
    let rest = store.publish_events(&stream, &Page { limit: 2, after: Some(after) }).await.unwrap();
    assert_eq!(rest, [events[0].clone()]);
}

fn key_set(n: u8, tenant: &TenantId) -> KeySet {
    KeySet {
        id: KeyId::from_random([n; 16]),
        tenant: tenant.clone(),
        url: format!("https://example.com/{n}.json"),
        keys: Vec::new(),
        fetched_us: None,
        error: None,
        next_us: NOW_US + i64::from(n),
        created_us: NOW_US + i64::from(n),
    }
}

pub(super) async fn a_key_set_is_fetched_by_one_at_a_time_and_keeps_its_last_good_keys(bench: &Bench) {
    let (store, owner) = (&bench.store, tenant(bench, 1).await);
    for n in 1..=KEY_SETS_MAX as u8 {
        store.create_key_set(key_set(n, &owner), records::entry()).await.unwrap();
    }
    let more = store.create_key_set(key_set(100, &owner), records::entry()).await;
    assert_eq!(more, Err(Error::Conflict(Conflict::TooManyKeySets)));
    let nobody = store.create_key_set(key_set(100, &TenantId::from_random([9; 16])), records::entry()).await;
    assert_eq!(nobody, Err(Error::NotFound("tenant")));

    let asked = (0..6).map(|_| store.take_key_sets(NOW_US + 3, NOW_US + 60, 1));
    let taken: Vec<_> =
        futures_util::future::join_all(asked).await.into_iter().flat_map(Result::unwrap).map(|set| set.id).collect();
    let distinct: BTreeSet<_> = taken.iter().collect();
    assert_eq!(distinct.len(), taken.len(), "none is taken twice");
    store.take_key_sets(NOW_US + 3, NOW_US + 60, 9).await.unwrap();
    let again = store.take_key_sets(NOW_US + 60, NOW_US + 61, 9).await.unwrap();
    assert_eq!(again.len(), KEY_SETS_MAX, "the one who took them did not come back");

    let id = key_set(1, &owner).id;
    let keys = vec!["{\"kid\":\"a\"}".to_owned(), "{\"kid\":\"b\"}".to_owned()];
    let good = Fetched { outcome: Ok(keys.clone()), at_us: NOW_US + 70, next_us: NOW_US + 100 };
    store.settle_key_set(&id, &good).await.unwrap();
    let bad = Fetched { outcome: Err("no answer".to_owned()), at_us: NOW_US + 100, next_us: NOW_US + 120 };
    store.settle_key_set(&id, &bad).await.unwrap();
    let error = Some("no answer".to_owned());
    let kept = KeySet { keys, fetched_us: Some(NOW_US + 70), error, next_us: NOW_US + 120, ..key_set(1, &owner) };
    assert_eq!(store.key_sets(&owner).await.unwrap().last(), Some(&kept));
    store.settle_key_set(&id, &good).await.unwrap();
    assert_eq!(store.key_sets(&owner).await.unwrap().last().unwrap().error, None);

    let made = store.create_stream(records::stream(1, &owner), records::entry()).await.unwrap();
    let play = store.play(&made.playback_id).await.unwrap().unwrap();
    assert_eq!(play.key_sets, store.key_sets(&owner).await.unwrap());
    let other = tenant(bench, 2).await;
    let foreign = store.delete_signing_key(&other, &id, records::entry()).await;
    assert_eq!(foreign, Err(Error::NotFound("signing key")));
    store.delete_signing_key(&owner, &id, records::entry()).await.unwrap();
    assert_eq!(store.key_sets(&owner).await.unwrap().len(), KEY_SETS_MAX - 1);
    store.delete_tenant(&owner, records::entry()).await.unwrap();
    assert_eq!(store.key_sets(&owner).await, Ok(Vec::new()));
}
