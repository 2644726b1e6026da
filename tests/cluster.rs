//! What every version of the cluster's traits promises: one suite, run in memory and on each kind of Redis.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

use std::sync::Arc;
use std::time::Duration;

use weir::clock::{Clock, Manual, System};
use weir::cluster::redis::{Link, RedisBus, RedisRoster, RedisTable};
use weir::cluster::{Bus, Coordinator, LocalBus, LocalRoster, LocalTable, Myself, Ownership, Presence, Roster, Table};
use weir::config::Secret;
use weir::id::StreamId;
use weir::store::{Memory, Store};

#[path = "cluster/contract.rs"]
mod contract;
#[path = "support/records.rs"]
mod records;
#[path = "support/redis.rs"]
mod redis;

const DEADLINE: Duration = Duration::from_secs(20);

struct Node {
    ownership: Arc<dyn Ownership>,
    roster: Arc<dyn Roster>,
    bus: Arc<dyn Bus>,
}

/// Two nodes, a stream, and how time passes.
struct Bench {
    one: Node,
    other: Node,
    store: Arc<dyn Store>,
    stream: StreamId,
    clock: Option<Arc<Manual>>,
    _redis: Option<redis::Redis>,
    _sentinel: Option<redis::Redis>,
}

impl Bench {
    async fn pass(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(time),
            None => tokio::time::sleep(time).await,
        }
    }
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = System::new();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.monotonic() < DEADLINE, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn myself(node: &str) -> Myself {
    Myself { node: node.to_owned(), incarnation: format!("{node}-1"), url: "http://127.0.0.1:9900".to_owned() }
}

fn presence(node: &str) -> Presence {
    let Myself { node, incarnation, url } = myself(node);
    let (version, state) = ("0.1.0".to_owned(), "ready".to_owned());
    Presence { node, incarnation, url, version, state, ..Presence::default() }
}

async fn stored(clock: Arc<dyn Clock>) -> (Arc<dyn Store>, StreamId) {
    let store = Memory::new(clock);
    let tenant = store.create_tenant(records::tenant(1), records::entry()).await.unwrap();
    let stream = store.create_stream(records::stream(1, &tenant.id), records::entry()).await.unwrap();
    (Arc::new(store), stream.id)
}

fn coordinator(table: Arc<dyn Table>, store: &Arc<dyn Store>, clock: Arc<dyn Clock>, node: &str) -> Arc<dyn Ownership> {
    Arc::new(Coordinator::new(table, Arc::new(store.clone()), clock, myself(node)))
}

async fn memory() -> Bench {
    let clock = Arc::new(Manual::at(records::CREATED_US));
    let (store, stream) = stored(clock.clone()).await;
    let table = Arc::new(LocalTable::new(clock.clone()));
    let roster = Arc::new(LocalRoster::new(clock.clone()));
    let bus = Arc::new(LocalBus::default());
    let node = |name| Node {
        ownership: coordinator(table.clone(), &store, clock.clone(), name),
        roster: roster.clone(),
        bus: bus.clone(),
    };
    Bench {
        one: node("one"),
        other: node("other"),
        store: store.clone(),
        stream,
        clock: Some(clock.clone()),
        _redis: None,
        _sentinel: None,
    }
}

async fn on_redis() -> Bench {
    let server = tokio::task::spawn_blocking(redis::Redis::start).await.unwrap();
    let url = server.url();
    bench(server, &url).await
}

async fn on_redis_cluster() -> Bench {
    let server = tokio::task::spawn_blocking(redis::Redis::start_cluster).await.unwrap();
    let url = format!("redis-cluster://{}", server.address());
    bench(server, &url).await
}

async fn behind_a_sentinel() -> Bench {
    let start = || {
        let server = redis::Redis::start();
        let sentinel = server.start_sentinel();
        (server, sentinel)
    };
    let (server, sentinel) = tokio::task::spawn_blocking(start).await.unwrap();
    let url = format!("redis-sentinel://{}/main", sentinel.address());
    let bench = bench(server, &url).await;
    Bench { _sentinel: Some(sentinel), ..bench }
}

async fn bench(server: redis::Redis, url: &str) -> Bench {
    let clock = Arc::new(System::new());
    let (store, stream) = stored(clock.clone()).await;
    let node = |name: &str| {
        let link = Link::new(&Secret::new(url), clock.clone(), Box::new(|_| {})).unwrap();
        let link = Arc::new(link);
        let bus = Arc::new(RedisBus::new(link.clone(), myself(name).incarnation));
        tokio::spawn(bus.clone().listen());
        let table = Arc::new(RedisTable::new(link.clone()));
        Node {
            ownership: coordinator(table, &store, clock.clone(), name),
            roster: Arc::new(RedisRoster::new(link)),
            bus,
        }
    };
    let (one, other) = (node("one"), node("other"));
    until("both nodes to listen", || server.ask("PUBSUB NUMSUB bus").ends_with(":2").then_some(())).await;
    Bench { one, other, store, stream, clock: None, _redis: Some(server), _sentinel: None }
}

macro_rules! contract {
    ($($behaviour:ident),+ $(,)?) => {
        contract!(@on memory, $($behaviour),+);
        contract!(@on on_redis, $($behaviour),+);
        contract!(@on on_redis_cluster, $($behaviour),+);
        contract!(@on behind_a_sentinel, $($behaviour),+);
    };
    (@on $version:ident, $($behaviour:ident),+) => {
        mod $version {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::contract::$behaviour(&super::$version().await).await;
                }
            )+
        }
    };
}

contract!(
    every_claim_has_a_higher_fence,
    a_stream_that_is_owned_refuses_a_second_claim,
    of_many_that_claim_at_once_one_wins,
    an_owner_that_was_replaced_learns_it_and_cannot_release_the_new_one,
    a_released_stream_has_no_owner,
    a_lease_that_nobody_renews_runs_out_and_comes_back_where_nobody_took_it,
    a_lease_that_is_gone_is_not_registered_past_a_higher_fence,
    the_timeline_goes_on_from_the_first_claim,
    a_stream_that_is_not_there_cannot_be_claimed,
    nodes_hear_of_each_other_while_they_live,
    a_process_of_the_same_name_is_noticed_while_it_lives,
    what_nodes_count_is_summed_and_a_dead_nodes_share_goes_with_it,
    every_node_hears_each_message_once_and_in_order,
);
