//! Many at once on several nodes: a viewer who stops reading, a database that is away, a crowd that comes, a node that goes.

use crate::support::{Cluster, Encoder, Seen, Stream, Viewer, Watchers, Weir, until, until_async};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Comes by WebSocket, and reads nothing.
fn silent_viewer(node: &Weir, stream: &Stream) -> TcpStream {
    let mut socket = TcpStream::connect(&node.http).unwrap();
    socket.write_all(upgrade(&node.http, stream).as_bytes()).unwrap();
    socket.read_exact(&mut [0; 12]).unwrap();
    socket2::SockRef::from(&socket).set_recv_buffer_size(16 * 1024).unwrap();
    socket
}

fn upgrade(http: &str, stream: &Stream) -> String {
    format!(
        "GET /live/{} HTTP/1.1\r\nHost: {http}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: weir.v1\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        stream.playback_id
    )
}

/// F13 on a node that follows.
#[actix_rt::test]
#[ignore = "wants a machine for itself; make faults"]
async fn f13_one_of_200_viewers_of_a_follower_stops_reading() {
    let cluster = Cluster::start().await;
    let [a, b] = cluster.nodes(["a", "b"]).await;
    let stream = a.public_stream().await;
    let _encoder = Encoder::start(&a.rtmp_url(&stream.key)).await;
    a.until_state(&stream, "live").await;
    let others = Watchers::start(&b, &stream, 199).await;
    others.until("all to see it", |log| log.chunks > 50).await;
    others.age_p99();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let before = others.age_p99();
    let memory_kb = b.memory_kb();
    let _silent = silent_viewer(&b, &stream);
    let joined = Instant::now();
    until_async("the silent one to be sent away", async || {
        (b.metric("weir_viewers_evicted_total{reason=\"slow\"}").await == 1.0).then_some(())
    })
    .await;
    let took = joined.elapsed();
    tokio::time::sleep(Duration::from_secs(10).saturating_sub(took)).await;
    let after = others.age_p99();
    let grown_kb = b.memory_kb().saturating_sub(memory_kb);
    println!(
        "F13: sent away after {took:?}; p99 age at the other 199 {before:?} before, {after:?} meanwhile; memory +{grown_kb} kB"
    );
    others.check();
    assert_eq!(others.gaps(), 0);
    // Its queue is full before the 8 s without progress begin.
    assert!(took < Duration::from_secs(16), "{took:?}");
    assert!(grown_kb < 8 * 1024, "{grown_kb} kB");
    assert!(after < before.mul_f64(1.1) + Duration::from_millis(1), "{before:?} {after:?}");
}

/// F18.
#[actix_rt::test]
async fn while_the_database_stands_still_live_streams_and_their_new_viewers_go_on() {
    let cluster = Cluster::start_alone().await;
    let [a, b] = cluster.nodes(["a", "b"]).await;
    let (stream, other) = (a.public_stream().await, a.public_stream().await);
    let _encoder = Encoder::start(&a.rtmp_url(&stream.key)).await;
    a.until_state(&stream, "live").await;
    let old = [Watchers::start(&a, &stream, 5).await, Watchers::start(&b, &stream, 5).await];
    for watchers in &old {
        watchers.until("all to see it", |log| log.chunks > 50).await;
    }
    let told = old.each_ref().map(Watchers::most_states);
    let postgres = cluster.postgres.as_ref().unwrap();
    postgres.signal("-STOP");
    let stopped = Instant::now();
    let mut slowest = Duration::ZERO;
    for round in 0..4 {
        let start = Instant::now();
        let node = [&a, &b][round % 2];
        let refused = Encoder::start_at(&node.rtmp_url(&other.key), 0).await.err().unwrap();
        assert!(refused.contains("NetStream.Publish."), "{refused}");
        slowest = slowest.max(start.elapsed());
        let mut viewer = Viewer::connect(node, &stream, "weir.v1").await;
        viewer.video(30).await;
    }
    println!("F18: a publish is refused within {slowest:?}");
    let listed = a.client.get(format!("http://{}/api/v1/streams", a.http)).bearer_auth(crate::support::ADMIN_KEY);
    let start = Instant::now();
    let answer = listed.send().await.unwrap();
    println!("F18: the API answers {} after {:?}", answer.status().as_u16(), start.elapsed());
    assert_eq!(answer.status().as_u16(), 503);
    let start = Instant::now();
    let unknown = b.client.get(b.live_url(&other)).send().await.unwrap();
    println!(
        "F18: a viewer of what a node knows nothing of is answered {} after {:?}",
        unknown.status(),
        start.elapsed()
    );
    assert_eq!(unknown.status().as_u16(), 503);
    assert!(start.elapsed() < Duration::from_secs(3));
    tokio::time::sleep(Duration::from_secs(10).saturating_sub(stopped.elapsed())).await;
    postgres.signal("-CONT");
    let back = Instant::now();
    let _other =
        until_async("a publish to be accepted", async || Encoder::start_at(&b.rtmp_url(&other.key), 0).await.ok())
            .await;
    println!("F18: a publish is accepted {:?} after the database is back", back.elapsed());
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert!(back.elapsed() < Duration::from_secs(3), "{:?}", back.elapsed());
    for (watchers, told) in old.iter().zip(told) {
        watchers.check();
        assert_eq!((watchers.gaps(), watchers.most_states()), (0, told), "nobody noticed");
    }
}

/// F17.
#[actix_rt::test]
#[ignore = "50 publishers and 500 viewers; make faults"]
async fn f17_a_node_with_50_publishers_and_500_viewers_is_drained() {
    const PUBLISHERS: usize = 50;
    const VIEWERS: usize = 10;
    let cluster = Cluster::start().await;
    let [mut a, b] = cluster.nodes(["a", "b"]).await;
    let (mut encoders, mut viewers, mut streams) = (Vec::new(), Vec::new(), Vec::new());
    let tenant = a.tenant().await;
    for _ in 0..PUBLISHERS {
        let stream = a.stream_of(&tenant, json!({ "policy": "public" })).await;
        encoders.push(Encoder::start(&a.rtmp_url(&stream.key)).await);
        for _ in 0..VIEWERS {
            let mut viewer = Viewer::connect(&a, &stream, "weir.v1").await;
            viewers.push(tokio::spawn(async move {
                let mut retry_ms = None;
                loop {
                    match viewer.next().await {
                        Seen::Text(bye) if bye["type"] == "bye" => retry_ms = bye["retry_after_ms"].as_u64(),
                        Seen::Close(code) => return (code, retry_ms, Instant::now()),
                        Seen::Gone => return (0, retry_ms, Instant::now()),
                        _ => {}
                    }
                }
            }));
        }
        streams.push(stream);
    }
    let elsewhere = Watchers::start(&b, &streams[0], 5).await;
    elsewhere.until("all to see it", |log| log.chunks > 50).await;
    a.signal("TERM");
    let begun = Instant::now();
    let (mut told, mut slowest, mut retries) = (0, Duration::ZERO, Vec::new());
    for viewer in viewers {
        let (code, retry_ms, at) = viewer.await.unwrap();
        told += usize::from(code == 4503);
        slowest = slowest.max(at - begun);
        retries.extend(retry_ms);
    }
    let mut asked = 0;
    for encoder in encoders {
        asked += usize::from(encoder.ended().await.contains("asked to reconnect"));
    }
    let code = a.ended().await;
    let ended = begun.elapsed();
    println!(
        "F17: {told} of {} viewers told 4503, the last after {slowest:?}, to come back within {:?} ms; {asked} of \
         {PUBLISHERS} publishers asked to reconnect; exit {code:?} after {ended:?}",
        PUBLISHERS * VIEWERS,
        retries.iter().max(),
    );
    assert_eq!((code, told, asked), (Some(0), PUBLISHERS * VIEWERS, PUBLISHERS));
    assert_eq!(retries.len(), told);
    assert!(retries.iter().all(|ms| *ms <= 10_000));
    // Spread: no tenth of the ten seconds holds a third of them.
    let tenth = |n: u64| retries.iter().filter(|ms| *ms / 1_000 == n).count();
    assert!((0..10).all(|n| tenth(n) < told / 3));
    assert!(ended < Duration::from_secs(30), "{ended:?}");
    assert!(streams.iter().all(|stream| cluster.owner(&stream.id).is_none()), "leases are given back at once");
    let again = Encoder::start(&b.rtmp_url(&streams[0].key)).await;
    elsewhere.until("the new publish", |log| log.by_fence.len() == 2).await;
    elsewhere.check();
    drop(again);
}

/// When a viewer has its first picture; then reads on, without looking.
async fn join(http: String, stream: Stream, is_over: tokio::sync::watch::Receiver<bool>) -> std::io::Result<Duration> {
    let start = Instant::now();
    let mut socket = tokio::net::TcpStream::connect(&http).await?;
    socket.write_all(upgrade(&http, &stream).as_bytes()).await?;
    let (mut bytes, mut tail) = (vec![0; 16 * 1024], Vec::new());
    // `moof` of any length comes once there are pictures; the word itself is in no message before.
    while !tail.windows(4).any(|word: &[u8]| word == b"moof") {
        let keep = tail.len().saturating_sub(3);
        tail.drain(..keep);
        let read = socket.read(&mut bytes).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        tail.extend_from_slice(&bytes[..read]);
    }
    let took = start.elapsed();
    tokio::spawn(
        async move { while !*is_over.borrow() && socket.read(&mut bytes).await.is_ok_and(|read| read > 0) {} },
    );
    Ok(took)
}

/// F41.
#[actix_rt::test]
#[ignore = "5,000 viewers; make faults"]
async fn f41_5000_viewers_join_within_a_second() {
    const VIEWERS: u64 = 5_000;
    let cluster = Cluster::start().await;
    let settings = [("WEIR_LIMITS_ADDRESS_CONNECTIONS", "10000")];
    let a = cluster.node_with("a", &settings).await;
    let b = cluster.node_with("b", &settings).await;
    // Two sends a second for each: with one for each picture, two cores would do nothing else.
    let stream = a.stream(json!({ "policy": "public", "latency_target_ms": 500 })).await;
    let _encoder = Encoder::start(&a.rtmp_url(&stream.key)).await;
    a.until_state(&stream, "live").await;
    let (over, is_over) = tokio::sync::watch::channel(false);
    // Threads of their own: what is measured is the nodes.
    let crowd = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let joins: Vec<_> = (0..VIEWERS)
        .map(|n| {
            let (http, stream, is_over) = ([&a, &b][n as usize % 2].http.clone(), stream.clone(), is_over.clone());
            crowd.spawn(async move {
                tokio::time::sleep(Duration::from_micros(n * 1_000_000 / VIEWERS)).await;
                join(http, stream, is_over).await
            })
        })
        .collect();
    let (mut took, mut failed) = (Vec::new(), std::collections::BTreeMap::<String, usize>::new());
    for join in joins {
        match join.await.unwrap() {
            Ok(joined) => took.push(joined),
            Err(error) => *failed.entry(error.to_string()).or_default() += 1,
        }
    }
    took.sort();
    let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
    let relays = a.metric("weir_relays").await;
    let there = a.metric("weir_viewers").await + b.metric("weir_viewers").await;
    println!(
        "F41: {} of {VIEWERS} joined; first picture after {:?} at p50, {:?} at p99; {there} viewers there, {relays} relay; {failed:?}",
        took.len(),
        at(50),
        at(99)
    );
    over.send_replace(true);
    crowd.shutdown_background();
    assert_eq!(took.len() as u64, VIEWERS);
    assert!(at(99) < Duration::from_secs(3), "{:?}", at(99));
    assert_eq!(relays, 1.0);
    assert_eq!(a.metric("weir_panics_total").await + b.metric("weir_panics_total").await, 0.0);
    until("the nodes to be there still", || {
        (std::fs::exists(format!("/proc/{}", a.pid())).ok()? && std::fs::exists(format!("/proc/{}", b.pid())).ok()?)
            .then_some(())
    })
    .await;
}
