//! Several nodes, a Redis and a PostgreSQL: who owns a stream, and what happens when one of them is away.

use crate::support::cluster::{Cluster, until_async};
use crate::support::proxy::{Fault, Proxy};
use crate::support::{ADMIN_KEY, Encoder, Seen, Stream, Viewer, Weir};
use serde_json::json;
use std::time::{Duration, Instant};

/// Tells a figure, and whether it is what it must be.
fn figure(what: &str, took: Duration, most: Duration) {
    println!("{what}: {:.0} ms, at most {} ms", took.as_secs_f64() * 1e3, most.as_millis());
    assert!(took <= most, "{what}: {took:?}");
}

/// Tries until the publish is accepted, as an encoder does that reconnects at once.
async fn publish_when_possible(node: &Weir, stream: &Stream) -> (Encoder, Duration) {
    let start = Instant::now();
    let encoder = until_async("the publish to be accepted", async || {
        Encoder::start_at(&node.rtmp_url(&stream.key), 0).await.ok()
    });
    (encoder.await, start.elapsed())
}

async fn until_owner(cluster: &Cluster, stream: &Stream, node: Option<&str>) -> Option<(String, u64)> {
    until_async("the owner to change", async || {
        let owner = cluster.owner(&stream.id);
        (owner.as_ref().map(|(name, _)| name.as_str()) == node).then_some(owner)
    })
    .await
}

fn rounds(few: u32) -> u32 {
    std::env::var("WEIR_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(few)
}

#[actix_rt::test]
async fn nodes_list_each_other_and_one_is_drained_by_another() {
    let cluster = Cluster::start().await;
    let [one, mut two] = cluster.nodes(["one", "two"]).await;
    let listed = one.get("/nodes").await;
    let names: Vec<_> = listed["data"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two"]);
    assert!(listed["data"].as_array().unwrap().iter().all(|node| node["state"] == "ready" && node["version"] != ""));
    assert_eq!(one.post("/nodes/three/drain", json!({})).await.0, 404);
    assert_eq!(one.post("/nodes/two/drain", json!({})).await.0, 202);
    assert_eq!(two.ended().await, Some(0));
    until_async("the node to leave the list", async || {
        let listed = one.get("/nodes").await;
        (listed["data"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_live_publisher_is_left_alone_by_other_nodes_unless_the_stream_says_takeover() {
    let cluster = Cluster::start().await;
    let [one, two] = cluster.nodes(["one", "two"]).await;
    for (second, is_taken_over) in [("refuse", false), ("takeover", true)] {
        let stream = one.stream(json!({ "policy": "public", "second_publisher": second })).await;
        let first = Encoder::start(&one.rtmp_url(&stream.key)).await;
        let (_, fence) = cluster.owner(&stream.id).unwrap();
        let start = Instant::now();
        let other = Encoder::start_at(&two.rtmp_url(&stream.key), 0).await;
        if is_taken_over {
            figure("takeover by another node", start.elapsed(), Duration::from_millis(1_500));
            let _other = other.unwrap();
            let start = Instant::now();
            let said = first.ended().await;
            figure("the first one hears of it", start.elapsed(), Duration::from_millis(1_500));
            assert!(said.contains("NetStream.Publish"), "{said}");
            let (owner, higher) = cluster.owner(&stream.id).unwrap();
            assert!(owner == "two" && higher > fence);
        } else {
            figure("refused by another node", start.elapsed(), Duration::from_secs(1));
            let said = other.err().unwrap();
            assert!(said.contains("NetStream.Publish.BadName"), "{said}");
            assert_eq!(cluster.owner(&stream.id), Some(("one".to_owned(), fence)));
        }
    }
}

/// Fault F1, the part of the publisher.
#[actix_rt::test]
async fn a_publisher_is_accepted_elsewhere_right_after_its_node_was_killed() {
    let cluster = Cluster::start().await;
    let [one, two] = cluster.nodes(["one", "two"]).await;
    let stream = two.public_stream().await;
    let _first = Encoder::start(&one.rtmp_url(&stream.key)).await;
    let (_, fence) = cluster.owner(&stream.id).unwrap();
    one.signal("KILL");
    let (_second, took) = publish_when_possible(&two, &stream).await;
    figure("F1: accepted elsewhere, its process killed", took, Duration::from_millis(1_500));
    let (owner, higher) = cluster.owner(&stream.id).unwrap();
    assert!(owner == "two" && higher > fence);
}

/// Fault F6, and the vanished host of F1.
#[actix_rt::test]
async fn a_node_that_stood_still_sends_nothing_that_is_stale() {
    let cluster = Cluster::start().await;
    let [one, two] = cluster.nodes(["one", "two"]).await;
    let stream = one.public_stream().await;
    let first = Encoder::start(&one.rtmp_url(&stream.key)).await;
    let mut viewer = Viewer::connect(&one, &stream, "weir.v1").await;
    viewer.video(30).await;
    let stopped = Instant::now();
    one.signal("STOP");
    let (_second, took) = publish_when_possible(&two, &stream).await;
    figure("F6: accepted elsewhere, its host vanished", took, Duration::from_secs(6));
    let (owner, higher) = cluster.owner(&stream.id).unwrap();
    assert_eq!(owner, "two");
    // What was on its way before.
    while let Ok(Seen::Chunk(_) | Seen::Text(_) | Seen::Init) =
        tokio::time::timeout(Duration::from_millis(200), viewer.next()).await
    {}
    tokio::time::sleep(Duration::from_secs(15).saturating_sub(stopped.elapsed())).await;

    one.signal("CONT");
    let continued = Instant::now();
    let said = first.ended().await;
    figure("F6: its publisher ended after it went on", continued.elapsed(), Duration::from_secs(1));
    assert!(said.contains("NetStream.Publish") || said.contains("closed") || said.contains("reset"), "{said}");
    // It follows the new owner now, and goes on with that one's init.
    let seen = viewer.until(|seen| seen.is("init")).await;
    let Some(Seen::Text(init)) = seen.last() else { panic!("{seen:?}") };
    let epoch = init["epoch"].as_str().unwrap();
    assert_eq!(epoch.split('-').next().unwrap().parse(), Ok(higher), "the viewer goes on with {epoch}");
    let stale = seen.iter().filter(|seen| matches!(seen, Seen::Chunk(_))).count();
    println!("F6: {stale} fragments of the old owner before it, none after");
    viewer.video(10).await;
    assert_eq!(cluster.owner(&stream.id), Some(("two".to_owned(), higher)));
}

/// Fault F9; `WEIR_TEST_ROUNDS` says how often.
#[actix_rt::test]
async fn of_two_publishers_at_the_same_instant_on_two_nodes_one_is_accepted() {
    let cluster = Cluster::start().await;
    let [one, two] = cluster.nodes(["one", "two"]).await;
    let stream = one.public_stream().await;
    let (mut slowest, mut won) = (Duration::ZERO, [0, 0]);
    let rounds = rounds(20);
    for round in 0..rounds {
        let timed = async |node: &Weir| {
            let start = Instant::now();
            (Encoder::start_at(&node.rtmp_url(&stream.key), 0).await, start.elapsed())
        };
        let ((first, first_took), (second, second_took)) = tokio::join!(timed(&one), timed(&two));
        let (refused, took) = match (&first, &second) {
            (Ok(_), Err(refused)) => (refused, second_took),
            (Err(refused), Ok(_)) => (refused, first_took),
            (Ok(_), Ok(_)) => panic!("round {round}: both are accepted"),
            (Err(one), Err(other)) => panic!("round {round}: neither is accepted: {one}, {other}"),
        };
        assert!(refused.contains("NetStream.Publish.BadName"), "round {round}: {refused}");
        slowest = slowest.max(took);
        won[usize::from(second.is_ok())] += 1;
        drop((first, second));
        until_owner(&cluster, &stream, None).await;
    }
    println!("F9: {rounds} rounds, accepted on the first node {} times, on the second {}", won[0], won[1]);
    figure("F9: the slowest refusal", slowest, Duration::from_secs(1));
}

/// Fault F11.
#[actix_rt::test]
async fn a_publisher_whose_connection_is_half_open_comes_back_on_any_node() {
    let cluster = Cluster::start().await;
    let [one, two] = cluster.nodes(["one", "two"]).await;
    for back in [&one, &two] {
        let stream = one.public_stream().await;
        let silent = Encoder::start(&one.rtmp_url(&stream.key)).await;
        one.until_state(&stream, "live").await;
        silent.hold();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let start = Instant::now();
        let _again = Encoder::start_at(&back.rtmp_url(&stream.key), 0).await.unwrap();
        figure("F11: accepted after 2 s of silence", start.elapsed(), Duration::from_secs(2));
        silent.ended().await;
    }
}

/// Fault F3.
#[actix_rt::test]
async fn a_redis_that_lost_its_data_costs_no_stream() {
    let mut cluster = Cluster::start().await;
    let [one, two] = cluster.nodes(["one", "two"]).await;
    let mut streams = Vec::new();
    for node in [&one, &two] {
        let stream = node.public_stream().await;
        let encoder = Encoder::start(&node.rtmp_url(&stream.key)).await;
        let mut viewer = Viewer::connect(node, &stream, "weir.v1").await;
        viewer.video(5).await;
        let owner = cluster.owner(&stream.id).unwrap();
        streams.push((stream, encoder, viewer, owner));
    }
    cluster.redis.stop();
    cluster.redis.start_again();
    let start = Instant::now();
    for (stream, _, _, (name, fence)) in &streams {
        let (_, back) = until_owner(&cluster, stream, Some(name)).await.unwrap();
        assert!(back >= *fence);
    }
    figure("F3: leases are back", start.elapsed(), Duration::from_secs(2));
    for (_, _, viewer, _) in &mut streams {
        let seen = viewer.video(120).await;
        assert!(seen.iter().all(|seen| !seen.is("state") && !seen.is("gap")), "{seen:?}");
    }
    until_async("both to be back to normal", async || {
        let away =
            one.metric("weir_degraded{part=\"redis\"}").await + two.metric("weir_degraded{part=\"redis\"}").await;
        (away == 0.0).then_some(())
    })
    .await;
}

/// Fault F4.
#[actix_rt::test]
async fn while_redis_is_away_streams_go_on_and_what_is_new_is_refused_at_once() {
    let cluster = Cluster::start().await;
    let proxy = Proxy::start(&cluster.redis.address());
    let one = cluster.node_by("one", &proxy.address.to_string()).await;
    let two = cluster.node_by("two", &proxy.address.to_string()).await;
    let stream = one.public_stream().await;
    let _encoder = Encoder::start(&one.rtmp_url(&stream.key)).await;
    let mut viewer = Viewer::connect(&one, &stream, "weir.v1").await;
    viewer.video(30).await;

    proxy.set(Fault::BlackHole);
    let away = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut frames = 0;
    while away.elapsed() < Duration::from_secs(20) {
        let start = Instant::now();
        let refused = Encoder::start_at(&two.rtmp_url(&stream.key), 0).await.err().unwrap();
        assert!(refused.contains("NetStream.Publish."), "{refused}");
        slowest = slowest.max(start.elapsed());
        let seen = viewer.video(60).await;
        assert!(seen.iter().all(|seen| !seen.is("state") && !seen.is("gap")), "{seen:?}");
        frames += 60;
    }
    figure("F4: a publish elsewhere is refused", slowest, Duration::from_secs(1));
    println!("F4: {frames} frames without a gap");
    assert_eq!(one.metric("weir_degraded{part=\"redis\"}").await, 1.0);
    let connects = proxy.connections();
    println!("F4: {connects} connections in {:.0} s from two nodes", away.elapsed().as_secs_f64());
    assert!(connects as f64 <= 8.0 + 2.0 * away.elapsed().as_secs_f64(), "at most one a second and node");

    proxy.set(Fault::None);
    let back = Instant::now();
    until_owner(&cluster, &stream, Some("one")).await;
    until_async("both to be back to normal", async || {
        let away =
            one.metric("weir_degraded{part=\"redis\"}").await + two.metric("weir_degraded{part=\"redis\"}").await;
        (away == 0.0).then_some(())
    })
    .await;
    figure("F4: back to normal", back.elapsed(), Duration::from_secs(3));
    viewer.video(10).await;
}

/// Fault F5.
#[actix_rt::test]
async fn an_owner_cut_off_from_redis_gives_way_to_the_next() {
    let cluster = Cluster::start().await;
    let proxy = Proxy::start(&cluster.redis.address());
    let one = cluster.node_by("one", &proxy.address.to_string()).await;
    let two = cluster.node("two").await;
    let stream = one.public_stream().await;
    let first = Encoder::start(&one.rtmp_url(&stream.key)).await;
    let mut viewer = Viewer::connect(&one, &stream, "weir.v1").await;
    viewer.video(30).await;
    proxy.set(Fault::BlackHole);
    let cut = Instant::now();
    let (_second, _) = publish_when_possible(&two, &stream).await;
    figure("F5: accepted elsewhere", cut.elapsed(), Duration::from_secs(6));
    let accepted = Instant::now();
    let said = first.ended().await;
    figure("F5: the old owner's publisher is ended", accepted.elapsed(), Duration::from_secs(1));
    assert!(said.contains("NetStream.Publish"), "{said}");
}

/// Fault F33.
#[actix_rt::test]
async fn a_revoked_key_ends_its_publisher_on_any_node() {
    let cluster = Cluster::start().await;
    let [one, two] = cluster.nodes(["one", "two"]).await;
    let stream = one.public_stream().await;
    let encoder = Encoder::start(&one.rtmp_url(&stream.key)).await;
    let keys = two.get(&format!("/streams/{}/keys", stream.id)).await;
    let key = keys["data"][0]["id"].as_str().unwrap();
    let start = Instant::now();
    two.delete(&format!("/streams/{}/keys/{key}", stream.id)).await;
    encoder.ended().await;
    figure("F33: cut by the API of another node", start.elapsed(), Duration::from_secs(2));
}

/// Fault F34.
#[actix_rt::test]
async fn a_viewer_is_kicked_by_any_node() {
    let cluster = Cluster::start().await;
    let [one, two] = cluster.nodes(["one", "two"]).await;
    let stream = one.public_stream().await;
    let _encoder = Encoder::start(&one.rtmp_url(&stream.key)).await;
    let mut viewer = Viewer::connect(&one, &stream, "weir.v1").await;
    viewer.video(5).await;
    let session = until_async("the session to be listed", async || {
        let sessions = two.get(&format!("/sessions?stream={}", stream.id)).await;
        let session = &sessions["data"].as_array().unwrap().first()?;
        assert_eq!(session["node"], "one");
        Some(session["id"].as_str().unwrap().to_owned())
    })
    .await;
    let start = Instant::now();
    two.delete(&format!("/sessions/{session}")).await;
    viewer.until(|seen| matches!(seen, Seen::Close(4410))).await;
    figure("F34: kicked by the API of another node", start.elapsed(), Duration::from_secs(2));
}

#[actix_rt::test]
async fn what_was_changed_while_a_node_could_not_hear_of_it_holds_once_it_can() {
    let cluster = Cluster::start().await;
    let proxy = Proxy::start(&cluster.redis.address());
    let one = cluster.node_by("one", &proxy.address.to_string()).await;
    let two = cluster.node("two").await;
    until_async("the nodes to hear of each other", async || {
        let listed = two.get("/nodes").await;
        (listed["data"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    let [revoked, deleted, kicked, kept] =
        [one.public_stream().await, one.public_stream().await, one.public_stream().await, one.public_stream().await];
    let (of_signed, of_disabled) = (one.tenant().await, one.tenant().await);
    let signed = one.stream_of(&of_signed, json!({ "policy": "signed" })).await;
    let disabled = one.stream_of(&of_disabled, json!({ "policy": "public" })).await;
    let token = format!("Bearer {}", one.token(&signed, 600).await);
    let encoder = async |stream: &Stream| Encoder::start(&one.rtmp_url(&stream.key)).await;
    let (revoked_encoder, deleted_encoder) = (encoder(&revoked).await, encoder(&deleted).await);
    let (disabled_encoder, kept_encoder) = (encoder(&disabled).await, encoder(&kept).await);
    let mut of_deleted = Viewer::connect(&one, &deleted, "weir.v1").await;
    let mut of_kicked = Viewer::connect(&one, &kicked, "weir.v1").await;
    let mut of_kept = Viewer::connect(&one, &kept, "weir.v1").await;
    let headers = [("authorization", token.as_str())];
    let mut of_signed_stream = Viewer::try_connect(&one, &signed, "weir.v1", &headers).await.ok().unwrap();
    let session = until_async("the session to be listed", async || {
        let sessions = two.get(&format!("/sessions?stream={}", kicked.id)).await;
        Some(sessions["data"].as_array().unwrap().first()?["id"].as_str().unwrap().to_owned())
    })
    .await;

    proxy.set(Fault::BlackHole);
    let start = Instant::now();
    two.delete(&format!("/sessions/{session}")).await;
    of_kicked.until(|seen| matches!(seen, Seen::Close(4410))).await;
    figure("F34: kicked on a node that Redis does not reach", start.elapsed(), Duration::from_secs(2));
    let keys = two.get(&format!("/streams/{}/keys", revoked.id)).await;
    two.delete(&format!("/streams/{}/keys/{}", revoked.id, keys["data"][0]["id"].as_str().unwrap())).await;
    let keys = two.get(&format!("/signing-keys?tenant={of_signed}")).await;
    let key = keys["data"][0]["id"].as_str().unwrap();
    two.delete(&format!("/signing-keys/{key}?tenant={of_signed}")).await;
    two.delete(&format!("/streams/{}", deleted.id)).await;
    let disable = two.client.patch(format!("http://{}/api/v1/tenants/{of_disabled}", two.http));
    let answer = disable.bearer_auth(ADMIN_KEY).json(&json!({ "disabled": true })).send().await.unwrap();
    assert!(answer.status().is_success());
    until_async("the node to notice", async || {
        (one.metric("weir_degraded{part=\"redis\"}").await == 1.0).then_some(())
    })
    .await;
    assert!(!revoked_encoder.is_over() && !deleted_encoder.is_over() && !disabled_encoder.is_over());

    proxy.set(Fault::None);
    let start = Instant::now();
    let (said, _, _) = tokio::join!(revoked_encoder.ended(), deleted_encoder.ended(), disabled_encoder.ended());
    of_deleted.until(|seen| matches!(seen, Seen::Close(4410))).await;
    of_signed_stream.until(|seen| matches!(seen, Seen::Close(4401))).await;
    figure("F33: what was missed holds again", start.elapsed(), Duration::from_secs(5));
    assert!(said.contains("NetStream"), "{said}");
    of_kept.video(30).await;
    assert!(!kept_encoder.is_over());
}

#[actix_rt::test]
async fn a_node_with_another_root_secret_does_not_join() {
    let cluster = Cluster::start().await;
    let _one = cluster.node("one").await;
    let (code, said) =
        cluster.refused_with("two", &[("WEIR_SECRET", "a secret that no other node has, not one")]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("`secret` (WEIR_SECRET) is not the root secret"), "{said}");
}

#[actix_rt::test]
async fn a_second_process_by_the_name_of_a_node_is_refused_and_one_after_a_crash_is_not() {
    let cluster = Cluster::start().await;
    let [one, two] = cluster.nodes(["one", "two"]).await;
    let (code, log) = cluster.refused("one").await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("another process") && log.contains("\"one\"") && log.contains("node.id"), "{log}");
    // Those whom the second one hid it from see it again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let listed = two.get("/nodes").await;
    assert!(listed["data"].as_array().unwrap().iter().any(|node| node["id"] == "one" && node["state"] == "ready"));
    one.signal("KILL");
    let start = Instant::now();
    let _again = cluster.node("one").await;
    figure("started again after a crash", start.elapsed(), Duration::from_secs(10));
}

/// Each phase of a stream is told once, whoever tells it.
#[actix_rt::test]
async fn a_stream_whose_node_is_lost_is_told_as_interrupted_and_ended_once() {
    let cluster = Cluster::start().await;
    let [one, two, three] = cluster.nodes(["one", "two", "three"]).await;
    let tenant = two.tenant().await;
    let events = ["stream.live", "stream.interrupted", "stream.ended"];
    let hook = json!({ "tenant": tenant, "url": "https://127.0.0.1/", "events": events });
    let (status, hook) = two.post("/webhooks", hook).await;
    assert_eq!(status, 201, "{hook}");
    let stream = two.stream_of(&tenant, json!({ "policy": "public", "reconnect_window_s": 5 })).await;
    let _encoder = Encoder::start(&one.rtmp_url(&stream.key)).await;
    let _viewer = Viewer::connect(&three, &stream, "weir.v1").await;
    one.until_state(&stream, "live").await;
    let told = async || -> Vec<String> {
        let listed = two.get(&format!("/webhooks/{}/deliveries", hook["id"].as_str().unwrap())).await;
        let name = |delivery: &serde_json::Value| delivery["event"].as_str().unwrap().to_owned();
        listed["data"].as_array().unwrap().iter().rev().map(name).collect()
    };
    until_async("live to be told", async || (told().await == events[..1]).then_some(())).await;
    until_async("the others to know who publishes", async || {
        let listed = two.get("/nodes").await;
        listed["data"].as_array().unwrap().iter().any(|node| node["streams"] == 1).then_some(())
    })
    .await;
    one.signal("KILL");
    let killed = Instant::now();
    until_async("interrupted to be told", async || (told().await == events[..2]).then_some(())).await;
    println!("a lost node: interrupted told after {:?}", killed.elapsed());
    until_async("ended to be told", async || (told().await == events).then_some(())).await;
    println!("a lost node: ended told after {:?}", killed.elapsed());
    // Both of the others tell, a second apart at the most.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(told().await, events);
}

/// As the README says it, with a stream that was live and watched a moment before.
#[actix_rt::test]
async fn one_machine_becomes_a_cluster_with_all_that_it_has() {
    let mut alone = Weir::start().await;
    let tenant = alone.tenant().await;
    let hook = json!({ "tenant": tenant, "url": "https://127.0.0.1/", "events": ["stream.live", "stream.ended"] });
    let (status, hook) = alone.post("/webhooks", hook).await;
    assert_eq!(status, 201, "{hook}");
    let open = alone.stream_of(&tenant, json!({ "policy": "public" })).await;
    let signed = alone.stream_of(&tenant, json!({ "policy": "signed" })).await;
    let bearer = format!("Bearer {}", alone.token(&signed, 600).await);
    let encoder = Encoder::start(&alone.rtmp_url(&open.key)).await;
    let mut viewer = Viewer::connect(&alone, &open, "weir.v1").await;
    let seen = viewer.video(60).await;
    let newest = |seen: &[Seen]| {
        let starts = seen.iter().filter_map(|seen| if let Seen::Chunk(chunk) = seen { Some(chunk) } else { None });
        starts.filter(|chunk| chunk.track == 1).map(|chunk| chunk.start).max().unwrap()
    };
    let before = newest(&seen);
    alone.signal("TERM");
    assert_eq!(alone.ended().await, Some(0));
    drop(encoder);

    let cluster = Cluster::start().await;
    let mut migrate = std::process::Command::new(env!("CARGO_BIN_EXE_weir"));
    migrate.args(["migrate", "--from", "sqlite://data/weir.db"]).current_dir(alone.data.path()).env_clear();
    let migrated = migrate.env("WEIR_DATABASE_URL", &cluster.database).output().unwrap();
    let said = String::from_utf8_lossy(&migrated.stdout).into_owned();
    assert!(migrated.status.success(), "{said} {}", String::from_utf8_lossy(&migrated.stderr));
    println!("{}", said.trim());
    let secret = std::fs::read_to_string(alone.data.path().join("data/secret")).unwrap();
    let settings = [("WEIR_SECRET", secret.trim())];
    let (one, two) = (cluster.node_with("one", &settings).await, cluster.node_with("two", &settings).await);
    let _encoders = [Encoder::start(&one.rtmp_url(&open.key)).await, Encoder::start(&two.rtmp_url(&signed.key)).await];
    let mut viewer = Viewer::connect(&two, &open, "weir.v1").await;
    let after = newest(&viewer.video(30).await);
    assert!(after > before, "one timeline: {before}, then {after}");
    let headers = [("authorization", bearer.as_str())];
    let mut viewer = Viewer::try_connect(&one, &signed, "weir.v1", &headers).await.ok().unwrap();
    viewer.video(5).await;
    let path = format!("/webhooks/{}/deliveries", hook["id"].as_str().unwrap());
    let told = until_async("both streams to be told as live, after what was told before", async || {
        let listed = two.get(&path).await;
        let live = listed["data"].as_array().unwrap().iter().filter(|one| one["event"] == "stream.live").count();
        (live == 3).then_some(listed)
    })
    .await;
    assert!(told["data"].as_array().unwrap().len() >= 3);
    let audit = two.get("/audit").await;
    let actions: Vec<_> = audit["data"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert!(actions.contains(&json!("stream.create")), "{actions:?}");
}
