use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weir::auth::token::Algorithm;
use weir::id::{KeyId, PlaybackId, StreamId, TenantId};
use weir::store::{
    ApiKey, Conflict, Entry, Error, Material, NewSigningKey, NewStream, Outcome, Page, Policy, Position, Quotas, Role,
    SecondPublisher, Settings, Stream, StreamFilter, Tenant,
};

use super::{Bench, records};

const LATER_US: i64 = records::CREATED_US + 60_000_000;

async fn tenant(bench: &Bench, n: u32) -> Tenant {
    bench.store.create_tenant(records::tenant(n), records::entry()).await.unwrap()
}

async fn stream(bench: &Bench, n: u32, tenant: &Tenant) -> Stream {
    bench.store.create_stream(records::stream(n, &tenant.id), records::entry()).await.unwrap()
}

fn page(limit: u32) -> Page {
    Page { limit, after: None }
}

fn later() -> Entry {
    Entry { at_us: LATER_US, ..records::entry() }
}

fn api_key(n: u32, tenant: Option<&TenantId>) -> ApiKey {
    let key = records::stream_key(n);
    ApiKey {
        id: key.id,
        tenant: tenant.cloned(),
        role: if tenant.is_some() { Role::Operator } else { Role::Platform },
        name: format!("key {n}"),
        prefix: format!("wk_{n:08}"),
        hash: key.hash,
        created_us: key.created_us,
        last_used_us: None,
    }
}

pub(super) async fn a_tenant_is_read_as_it_was_written(bench: &Bench) {
    let quotas = Quotas { streams: Some(3), viewers: Some(u32::MAX), ingest_bps: Some(1 << 40), egress_bps: None };
    let new = weir::store::NewTenant { name: "Ünïcode \u{1F3A5} 'quoted'".to_owned(), quotas, ..records::tenant(1) };
    let written = bench.store.create_tenant(new, records::entry()).await.unwrap();
    assert_eq!(written.quotas, quotas);
    assert_eq!(bench.store.tenant(&written.id).await.unwrap(), Some(written.clone()));
    assert_eq!(bench.store.tenant(&TenantId::from_random([9; 16])).await.unwrap(), None);
    assert_eq!(bench.store.signing_keys(&written.id).await.unwrap(), [records::signing_key(1, &written.id)]);
    let again = bench.store.create_tenant(records::tenant(1), records::entry()).await;
    assert_eq!(again, Err(Error::Conflict(Conflict::Exists)));
    bench.store.ping().await.unwrap();
}

pub(super) async fn lists_go_newest_first_and_page_by_page(bench: &Bench) {
    let owner = tenant(bench, 1).await;
    let mut expected = Vec::new();
    for n in 0..7 {
        // Pairs of the same age, so that the order within a pair matters.
        let created_us = records::CREATED_US + i64::from(n / 2);
        let new = NewStream { created_us, ..records::stream(n, &owner.id) };
        let made = bench.store.create_stream(new, records::entry()).await.unwrap();
        expected.push(Position { created_us, id: made.id.to_string() });
    }
    expected.sort();
    expected.reverse();
    let mut seen = Vec::new();
    let mut next = page(3);
    loop {
        let rows = bench.store.streams(&StreamFilter::default(), &next).await.unwrap();
        let positions = rows.iter().map(|row| Position { created_us: row.created_us, id: row.id.to_string() });
        seen.extend(positions);
        if rows.len() < 3 {
            break;
        }
        next.after = seen.last().cloned();
    }
    assert_eq!(seen, expected);

    for n in 2..5 {
        tenant(bench, n).await;
    }
    let names = |rows: Vec<Tenant>| rows.into_iter().map(|row| row.name).collect::<Vec<_>>();
    let first = bench.store.tenants(&page(2)).await.unwrap();
    let after = Position { created_us: first[1].created_us, id: first[1].id.to_string() };
    assert_eq!(names(first), ["tenant 4", "tenant 3"]);
    let rest = bench.store.tenants(&Page { limit: 9, after: Some(after) }).await.unwrap();
    assert_eq!(names(rest), ["tenant 2", "tenant 1"]);
}

pub(super) async fn an_update_of_what_was_changed_meanwhile_is_refused(bench: &Bench) {
    let owner = tenant(bench, 1).await;
    let renamed = Tenant { name: "new".to_owned(), disabled_us: Some(LATER_US), ..owner.clone() };
    let updated = bench.store.update_tenant(&renamed, later()).await.unwrap();
    assert_eq!(updated, Tenant { revision: owner.revision + 1, updated_us: LATER_US, ..renamed.clone() });
    assert_eq!(bench.store.tenant(&owner.id).await.unwrap(), Some(updated));
    assert_eq!(bench.store.update_tenant(&renamed, later()).await, Err(Error::Conflict(Conflict::Stale)));

    let made = stream(bench, 1, &owner).await;
    let settings = Settings { policy: Policy::Public, latency_target_ms: Some(200), ..made.settings.clone() };
    let changed = Stream { name: "new".to_owned(), settings, ..made.clone() };
    let updated = bench.store.update_stream(&changed, later()).await.unwrap();
    assert_eq!(updated, Stream { revision: made.revision + 1, updated_us: LATER_US, ..changed.clone() });
    assert_eq!(bench.store.stream(&made.id).await.unwrap(), Some(updated));
    assert_eq!(bench.store.update_stream(&changed, later()).await, Err(Error::Conflict(Conflict::Stale)));

    let nobody = Tenant { id: TenantId::from_random([9; 16]), ..owner };
    assert_eq!(bench.store.update_tenant(&nobody, later()).await, Err(Error::NotFound("tenant")));
    let nothing = Stream { id: StreamId::from_random([9; 16]), ..made };
    assert_eq!(bench.store.update_stream(&nothing, later()).await, Err(Error::NotFound("stream")));
}

pub(super) async fn deleting_a_tenant_takes_all_but_its_audit(bench: &Bench) {
    let (gone, kept) = (tenant(bench, 1).await, tenant(bench, 2).await);
    let (gone_stream, kept_stream) = (stream(bench, 1, &gone).await, stream(bench, 2, &kept).await);
    let key = bench.store.create_api_key(api_key(7, Some(&gone.id)), records::entry()).await.unwrap();
    let entry = Entry { tenant: Some(gone.id.clone()), action: "tenant.delete".to_owned(), ..records::entry() };
    bench.store.delete_tenant(&gone.id, entry.clone()).await.unwrap();

    assert_eq!(bench.store.tenant(&gone.id).await.unwrap(), None);
    assert_eq!(bench.store.stream(&gone_stream.id).await.unwrap(), None);
    assert_eq!(bench.store.stream_by_key_hash(&records::hash(1)).await.unwrap(), None);
    assert_eq!(bench.store.play(&gone_stream.playback_id).await.unwrap(), None);
    assert!(bench.store.signing_keys(&gone.id).await.unwrap().is_empty());
    assert_eq!(bench.store.api_key_by_hash(&key.hash).await.unwrap(), None);
    let audit = bench.store.audit(Some(&gone.id), 10, None).await.unwrap();
    assert_eq!(audit.into_iter().map(|line| line.entry).collect::<Vec<_>>(), [entry]);

    assert!(bench.store.play(&kept_stream.playback_id).await.unwrap().is_some());
    assert_eq!(bench.store.delete_tenant(&gone.id, records::entry()).await, Err(Error::NotFound("tenant")));
}

pub(super) async fn a_stream_is_found_by_its_key_and_by_its_playback_id(bench: &Bench) {
    let owner = tenant(bench, 1).await;
    let made = stream(bench, 1, &owner).await;
    stream(bench, 2, &owner).await;
    assert_eq!(bench.store.stream(&made.id).await.unwrap(), Some(made.clone()));

    let publish = bench.store.stream_by_key_hash(&records::hash(1)).await.unwrap().unwrap();
    assert_eq!((publish.stream, publish.tenant), (made.clone(), owner.clone()));
    assert_eq!(publish.key, records::stream_key(1).id);
    assert_eq!(bench.store.stream_by_key_hash(&records::hash(3)).await.unwrap(), None);

    let play = bench.store.play(&made.playback_id).await.unwrap().unwrap();
    assert_eq!((play.stream, play.tenant), (made.clone(), owner.clone()));
    assert_eq!(play.signing_keys, [records::signing_key(1, &owner.id)]);
    assert_eq!(bench.store.play(&PlaybackId::from_random([9; 16])).await.unwrap(), None);

    bench.store.delete_stream(&made.id, records::entry()).await.unwrap();
    assert_eq!(bench.store.stream_by_key_hash(&records::hash(1)).await.unwrap(), None);
    assert_eq!(bench.store.delete_stream(&made.id, records::entry()).await, Err(Error::NotFound("stream")));
}

pub(super) async fn a_stream_without_a_tenant_is_not_stored(bench: &Bench) {
    let nobody = TenantId::from_random([9; 16]);
    let refused = bench.store.create_stream(records::stream(1, &nobody), records::entry()).await;
    assert_eq!(refused, Err(Error::NotFound("tenant")));
    assert_eq!(bench.store.stream_by_key_hash(&records::hash(1)).await.unwrap(), None);
    let refused = bench.store.create_signing_key(records::signing_key(1, &nobody), records::entry()).await;
    assert_eq!(refused, Err(Error::NotFound("tenant")));
    let refused = bench.store.create_api_key(api_key(1, Some(&nobody)), records::entry()).await;
    assert_eq!(refused, Err(Error::NotFound("tenant")));
}

pub(super) async fn a_stream_whose_key_is_taken_is_not_stored(bench: &Bench) {
    let owner = tenant(bench, 1).await;
    stream(bench, 1, &owner).await;
    let new = NewStream { key: records::stream_key(1), ..records::stream(2, &owner.id) };
    let refused = bench.store.create_stream(new.clone(), records::entry()).await;
    assert_eq!(refused, Err(Error::Conflict(Conflict::Exists)));
    assert_eq!(bench.store.stream(&new.id).await.unwrap(), None);
}

pub(super) async fn settings_are_read_as_they_were_written(bench: &Bench) {
    let owner = tenant(bench, 1).await;
    let settings = Settings {
        policy: Policy::Public,
        second_publisher: SecondPublisher::Takeover,
        reconnect_window_s: 0,
        latency_target_ms: Some(1000),
        allowed_origins: vec!["https://a.example".to_owned(), "http://localhost:3000".to_owned()],
        labels: BTreeMap::from([("venue".to_owned(), "Zürich \"HB\"".to_owned()), (String::new(), String::new())]),
    };
    let new = NewStream { settings: settings.clone(), ..records::stream(1, &owner.id) };
    let made = bench.store.create_stream(new, records::entry()).await.unwrap();
    assert_eq!(made.settings, settings);
    assert_eq!(bench.store.stream(&made.id).await.unwrap(), Some(made));
}

pub(super) async fn streams_are_filtered(bench: &Bench) {
    let (one, other) = (tenant(bench, 1).await, tenant(bench, 2).await);
    stream(bench, 1, &one).await;
    stream(bench, 2, &other).await;
    let public = Settings { policy: Policy::Public, ..Settings::default() };
    let new = NewStream { settings: public, name: "stream 2".to_owned(), ..records::stream(3, &one.id) };
    bench.store.create_stream(new, records::entry()).await.unwrap();

    let list = async |filter: StreamFilter| {
        let rows = bench.store.streams(&filter, &page(10)).await.unwrap();
        rows.into_iter().map(|row| (row.tenant, row.name)).collect::<Vec<_>>()
    };
    let row = |tenant: &Tenant, n: u32| (tenant.id.clone(), format!("stream {n}"));
    let of_one = StreamFilter { tenant: Some(one.id.clone()), ..StreamFilter::default() };
    assert_eq!(list(StreamFilter::default()).await, [row(&one, 2), row(&other, 2), row(&one, 1)]);
    assert_eq!(list(of_one.clone()).await, [row(&one, 2), row(&one, 1)]);
    assert_eq!(list(StreamFilter { name: Some("stream 1".to_owned()), ..of_one.clone() }).await, [row(&one, 1)]);
    assert_eq!(list(StreamFilter { policy: Some(Policy::Public), ..of_one }).await, [row(&one, 2)]);
}

pub(super) async fn streams_are_found_by_a_part_of_their_name_or_by_an_id(bench: &Bench) {
    let (one, other) = (tenant(bench, 1).await, tenant(bench, 2).await);
    let names = ["Main Stage", "stage 100%", "a_b", "Bühne", "Main hall"];
    for (n, name) in (1..).zip(names) {
        let new = NewStream { name: name.to_owned(), ..records::stream(n, &one.id) };
        bench.store.create_stream(new, records::entry()).await.unwrap();
    }
    let found = async |text: &str, of: &Tenant| {
        let filter =
            StreamFilter { tenant: Some(of.id.clone()), search: Some(text.to_owned()), ..StreamFilter::default() };
        let rows = bench.store.streams(&filter, &page(10)).await.unwrap();
        rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    assert_eq!(found("STAGE", &one).await, ["stage 100%", "Main Stage"]);
    assert_eq!(found("main", &one).await, ["Main hall", "Main Stage"]);
    assert_eq!(found("%", &one).await, ["stage 100%"], "it is a text and no pattern");
    assert_eq!(found("_", &one).await, ["a_b"]);
    assert_eq!(found("ühn", &one).await, ["Bühne"]);
    for text in ["!", "\\", "'", "stage1", "main stage "] {
        assert_eq!(found(text, &one).await, [""; 0], "{text}");
    }
    let new = records::stream(3, &one.id);
    assert_eq!(found(new.id.as_str(), &one).await, ["a_b"]);
    assert_eq!(found(new.playback_id.as_str(), &one).await, ["a_b"]);
    assert_eq!(found(new.id.as_str(), &other).await, [""; 0]);
    assert_eq!(found("stage", &other).await, [""; 0]);
}

pub(super) async fn a_stream_has_at_most_two_keys_however_many_ask_at_once(bench: &Bench) {
    let owner = tenant(bench, 1).await;
    let made = stream(bench, 1, &owner).await;
    let asked = (10..18).map(|n| {
        let (store, id) = (bench.store.clone(), made.id.clone());
        tokio::spawn(async move { store.create_stream_key(&id, records::stream_key(n), records::entry()).await })
    });
    let mut made_keys = 0;
    for asked in asked.collect::<Vec<_>>() {
        match asked.await.unwrap() {
            Ok(_) => made_keys += 1,
            Err(error) => assert_eq!(error, Error::Conflict(Conflict::TooManyKeys)),
        }
    }
    assert_eq!(made_keys, 1);
    let keys = bench.store.stream_keys(&made.id).await.unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[1].prefix, records::stream_key(1).prefix, "the oldest comes last");
    let nothing = StreamId::from_random([9; 16]);
    let refused = bench.store.create_stream_key(&nothing, records::stream_key(20), records::entry()).await;
    assert_eq!(refused, Err(Error::NotFound("stream")));
}

pub(super) async fn a_deleted_key_opens_nothing(bench: &Bench) {
    let owner = tenant(bench, 1).await;
    let (made, other) = (stream(bench, 1, &owner).await, stream(bench, 2, &owner).await);
    let second = bench.store.create_stream_key(&made.id, records::stream_key(10), records::entry()).await.unwrap();
    let first = records::stream_key(1).id;
    let foreign = bench.store.delete_stream_key(&other.id, &first, records::entry()).await;
    assert_eq!(foreign, Err(Error::NotFound("stream key")));
    bench.store.delete_stream_key(&made.id, &first, records::entry()).await.unwrap();
    assert_eq!(bench.store.stream_by_key_hash(&records::hash(1)).await.unwrap(), None);
    let publish = bench.store.stream_by_key_hash(&records::hash(10)).await.unwrap().unwrap();
    assert_eq!((publish.stream.id, publish.key), (made.id, second.id));
}

pub(super) async fn a_key_remembers_when_it_was_last_used(bench: &Bench) {
    let owner = tenant(bench, 1).await;
    let made = stream(bench, 1, &owner).await;
    let id = bench.store.stream_keys(&made.id).await.unwrap()[0].id.clone();
    for used_us in [LATER_US, LATER_US - 1] {
        bench.store.touch_stream_key(&id, used_us).await.unwrap();
    }
    assert_eq!(bench.store.stream_keys(&made.id).await.unwrap()[0].last_used_us, Some(LATER_US));
    bench.store.touch_stream_key(&KeyId::from_random([9; 16]), LATER_US).await.unwrap();

    let key = bench.store.create_api_key(api_key(7, None), records::entry()).await.unwrap();
    for used_us in [LATER_US, LATER_US - 1] {
        bench.store.touch_api_key(&key.id, used_us).await.unwrap();
    }
    let key = bench.store.api_key_by_hash(&key.hash).await.unwrap().unwrap();
    assert_eq!(key.last_used_us, Some(LATER_US));
}

pub(super) async fn signing_keys_belong_to_their_tenant(bench: &Bench) {
    let (one, other) = (tenant(bench, 1).await, tenant(bench, 2).await);
    let public = NewSigningKey {
        algorithm: Algorithm::EdDsa,
        material: Material::Public("-----BEGIN PUBLIC KEY-----".to_owned()),
        kid: "theirs".to_owned(),
        ..records::signing_key(10, &one.id)
    };
    let made = bench.store.create_signing_key(public.clone(), records::entry()).await.unwrap();
    assert_eq!(made, public);
    assert_eq!(bench.store.signing_keys(&one.id).await.unwrap(), [public.clone(), records::signing_key(1, &one.id)]);
    assert_eq!(bench.store.signing_keys(&other.id).await.unwrap(), [records::signing_key(2, &other.id)]);

    let same_kid = NewSigningKey { kid: "theirs".to_owned(), ..records::signing_key(11, &one.id) };
    let refused = bench.store.create_signing_key(same_kid.clone(), records::entry()).await;
    assert_eq!(refused, Err(Error::Conflict(Conflict::Exists)));
    let elsewhere = NewSigningKey { tenant: other.id.clone(), ..same_kid };
    bench.store.create_signing_key(elsewhere, records::entry()).await.unwrap();

    let foreign = bench.store.delete_signing_key(&other.id, &public.id, records::entry()).await;
    assert_eq!(foreign, Err(Error::NotFound("signing key")));
    bench.store.delete_signing_key(&one.id, &public.id, records::entry()).await.unwrap();
    assert_eq!(bench.store.signing_keys(&one.id).await.unwrap(), [records::signing_key(1, &one.id)]);
}

pub(super) async fn api_keys_are_found_by_their_hash(bench: &Bench) {
    let owner = tenant(bench, 1).await;
    let platform = bench.store.create_api_key(api_key(1, None), records::entry()).await.unwrap();
    let operator = bench.store.create_api_key(api_key(2, Some(&owner.id)), records::entry()).await.unwrap();
    let again = ApiKey { id: KeyId::from_random([9; 16]), ..operator.clone() };
    let refused = bench.store.create_api_key(again, records::entry()).await;
    assert_eq!(refused, Err(Error::Conflict(Conflict::Exists)));
    for key in [&platform, &operator] {
        assert_eq!(bench.store.api_key_by_hash(&key.hash).await.unwrap().as_ref(), Some(key));
    }
    assert_eq!(bench.store.api_key_by_hash(&records::hash(3)).await.unwrap(), None);
    assert_eq!(bench.store.api_keys(None, &page(10)).await.unwrap(), std::slice::from_ref(&platform));
    assert_eq!(bench.store.api_keys(Some(&owner.id), &page(10)).await.unwrap(), std::slice::from_ref(&operator));

    let foreign = bench.store.delete_api_key(Some(&owner.id), &platform.id, records::entry()).await;
    assert_eq!(foreign, Err(Error::NotFound("API key")));
    bench.store.delete_api_key(Some(&owner.id), &operator.id, records::entry()).await.unwrap();
    bench.store.delete_api_key(None, &platform.id, records::entry()).await.unwrap();
    assert_eq!(bench.store.api_key_by_hash(&operator.hash).await.unwrap(), None);
}

pub(super) async fn the_first_api_key_is_made_once_however_many_ask_at_once(bench: &Bench) {
    let asked = (0..6).map(|n| {
        let store = bench.store.clone();
        tokio::spawn(async move { store.create_first_api_key(api_key(n, None), records::entry()).await.unwrap() })
    });
    let mut made = 0;
    for asked in asked.collect::<Vec<_>>() {
        made += u32::from(asked.await.unwrap());
    }
    assert_eq!(made, 1);
    let keys = bench.store.api_keys(None, &page(10)).await.unwrap();
    assert_eq!(keys.len(), 1);
    bench.store.delete_api_key(None, &keys[0].id, records::entry()).await.unwrap();
    assert!(!bench.store.create_first_api_key(api_key(9, None), records::entry()).await.unwrap(), "not even then");
}

pub(super) async fn of_many_who_write_at_once_each_gets_its_turn(bench: &Bench) {
    let owner = tenant(bench, 1).await;
    let asked = (0..50).map(|n| {
        let (store, new) = (bench.store.clone(), records::stream(n, &owner.id));
        tokio::spawn(async move { store.create_stream(new, records::entry()).await })
    });
    for asked in asked.collect::<Vec<_>>() {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(bench.store.streams(&StreamFilter::default(), &page(100)).await.unwrap().len(), 50);
}

pub(super) async fn fences_only_grow_however_many_ask_at_once(bench: &Bench) {
    let owner = tenant(bench, 1).await;
    let (made, other) = (stream(bench, 1, &owner).await, stream(bench, 2, &owner).await);
    let asked = (0..20).map(|_| {
        let (store, id) = (bench.store.clone(), made.id.clone());
        tokio::spawn(async move { store.take_fence(&id).await.unwrap().fence })
    });
    let mut fences = BTreeSet::new();
    for asked in asked.collect::<Vec<_>>() {
        fences.insert(asked.await.unwrap());
    }
    assert_eq!(fences, (1..=20).collect());
    assert_eq!(bench.store.take_fence(&other.id).await.unwrap().fence, 1);
    let nothing = StreamId::from_random([9; 16]);
    assert_eq!(bench.store.take_fence(&nothing).await, Err(Error::NotFound("stream")));
}

pub(super) async fn a_fence_is_accepted_once_and_never_after_a_higher_one(bench: &Bench) {
    let owner = tenant(bench, 1).await;
    let made = stream(bench, 1, &owner).await;
    let accept = async |fence| bench.store.accept_fence(&made.id, fence).await.unwrap();
    assert_eq!(bench.store.accepted_fence(&made.id).await, Ok(0));
    assert!(accept(1).await);
    assert!(!accept(1).await);
    assert!(accept(3).await);
    assert!(!accept(2).await);
    assert_eq!(bench.store.accepted_fence(&made.id).await, Ok(3));
    let nothing = StreamId::from_random([9; 16]);
    assert_eq!(bench.store.accepted_fence(&nothing).await, Err(Error::NotFound("stream")));
    assert_eq!(bench.store.accept_fence(&nothing, 1).await, Err(Error::NotFound("stream")));
}

pub(super) async fn a_timeline_starts_with_the_first_fence(bench: &Bench) {
    const STEP: Duration = Duration::from_millis(60);
    let owner = tenant(bench, 1).await;
    let made = stream(bench, 1, &owner).await;
    bench.wait(STEP).await;
    let first = bench.store.take_fence(&made.id).await.unwrap();
    assert!(first.since_origin_us < 1_000, "{}", first.since_origin_us);
    bench.wait(STEP).await;
    let second = bench.store.take_fence(&made.id).await.unwrap();
    // SQLite's clock has steps of a millisecond, and a busy machine wakes late.
    assert!((59_000..3_000_000).contains(&second.since_origin_us), "{}", second.since_origin_us);
}

pub(super) async fn a_change_and_its_audit_are_stored_together_or_not_at_all(bench: &Bench) {
    let named = |action: &str| Entry { action: action.to_owned(), ..records::entry() };
    let owner = bench.store.create_tenant(records::tenant(1), named("tenant.create")).await.unwrap();
    bench.store.create_stream(records::stream(1, &owner.id), named("stream.create")).await.unwrap();
    let again = bench.store.create_stream(records::stream(1, &owner.id), named("stream.again")).await;
    assert_eq!(again, Err(Error::Conflict(Conflict::Exists)));
    let stale = Tenant { revision: 7, ..owner.clone() };
    bench.store.update_tenant(&stale, named("tenant.stale")).await.unwrap_err();
    bench.store.update_tenant(&owner, named("tenant.update")).await.unwrap();
    let lines = bench.store.audit(None, 10, None).await.unwrap();
    let actions: Vec<_> = lines.iter().map(|line| line.entry.action.as_str()).collect();
    assert_eq!(actions, ["tenant.update", "stream.create", "tenant.create"]);
}

pub(super) async fn the_audit_goes_newest_first_and_by_tenant(bench: &Bench) {
    let one = TenantId::from_random([1; 16]);
    let entry = |n: i64, tenant: Option<&TenantId>| Entry {
        at_us: records::CREATED_US + n,
        tenant: tenant.cloned(),
        actor: format!("key_{n}"),
        address: "2001:db8::1".parse().ok(),
        outcome: Outcome::Refused,
        before: Some(serde_json::json!({"name": "old", "n": n})),
        after: None,
        ..records::entry()
    };
    let written: Vec<_> = (0..5).map(|n| entry(n, (n % 2 == 0).then_some(&one))).collect();
    for entry in &written {
        bench.store.record(entry.clone()).await.unwrap();
    }
    let all = bench.store.audit(None, 3, None).await.unwrap();
    assert_eq!(all.iter().map(|line| &line.entry).collect::<Vec<_>>(), [&written[4], &written[3], &written[2]]);
    let rest = bench.store.audit(None, 9, Some(all[2].seq)).await.unwrap();
    assert_eq!(rest.iter().map(|line| &line.entry).collect::<Vec<_>>(), [&written[1], &written[0]]);
    let of_one = bench.store.audit(Some(&one), 9, None).await.unwrap();
    assert_eq!(of_one.iter().map(|line| &line.entry).collect::<Vec<_>>(), [&written[4], &written[2], &written[0]]);
}

pub(super) async fn of_root_secrets_the_first_one_s_check_is_kept_until_it_is_forgotten(bench: &Bench) {
    let (first, second) = (records::hash(1), records::hash(2));
    assert_eq!(bench.store.root_check().await.unwrap(), None);
    assert_eq!(bench.store.keep_root_check(&first).await.unwrap(), first);
    assert_eq!(bench.store.keep_root_check(&second).await.unwrap(), first);
    assert_eq!(bench.store.root_check().await.unwrap(), Some(first));
    bench.store.forget_root_check().await.unwrap();
    assert_eq!(bench.store.keep_root_check(&second).await.unwrap(), second);
}
