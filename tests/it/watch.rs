use crate::support::{Encoder, Seen, Viewer, Weir, ftyp, parse_chunk};
use futures_util::StreamExt as _;
use serde_json::json;
use std::time::Duration;

fn texts(seen: &[Seen]) -> Vec<&str> {
    seen.iter().filter_map(|s| if let Seen::Text(text) = s { text["type"].as_str() } else { None }).collect()
}

/// Each track's fragments follow each other without hole or overlap; the picture starts with a keyframe.
fn check_continuous(seen: &[Seen]) {
    for track in [1, 2] {
        let chunks: Vec<_> = seen
            .iter()
            .filter_map(|s| if let Seen::Chunk(chunk) = s { Some(*chunk) } else { None })
            .filter(|chunk| chunk.track == track)
            .collect();
        assert!(chunks.len() > 10, "track {track}: {} fragments", chunks.len());
        assert!(chunks[0].is_sync, "track {track} starts in mid-GOP");
        for pair in chunks.windows(2) {
            assert_eq!(pair[0].start + u64::from(pair[0].duration), pair[1].start, "track {track}: {pair:?}");
        }
    }
}

#[actix_rt::test]
async fn a_viewer_is_greeted_then_gets_init_and_whole_gops() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    weir.until_state(&stream, "live").await;
    let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
    assert_eq!(viewer.protocol.as_deref(), Some("weir.v1"));
    let seen = viewer.video(90).await;
    assert_eq!(texts(&seen), ["hello", "init", "live"]);
    check_continuous(&seen);
    let Seen::Text(hello) = &seen[0] else { panic!("{:?}", seen[0]) };
    assert_eq!(hello["stream"], stream.playback_id.as_str());
    assert_eq!(hello["state"], "live");
    assert_eq!(hello["target_ms"], 150);
    let Seen::Text(init) = &seen[1] else { panic!("{:?}", seen[1]) };
    let kinds: Vec<_> = init["tracks"].as_array().unwrap().iter().map(|t| t["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["video", "audio"]);
    assert_eq!(init["tracks"][0]["width"], 960);
    let facts = weir.facts(&stream).await;
    assert_eq!(facts["policy"], "public");
    assert_eq!(facts["codecs"], json!([init["tracks"][0]["codec"], init["tracks"][1]["codec"]]));
    assert_eq!(weir.metric("weir_viewers").await, 1.0);
    assert_eq!(weir.metric("weir_streams_live").await, 1.0);
}

#[actix_rt::test]
async fn raw_viewers_get_one_init_then_media_by_socket_and_by_http() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    weir.until_state(&stream, "live").await;
    for (offered, selected) in [("", None), ("weir.raw", Some("weir.raw"))] {
        let mut viewer = Viewer::connect(&weir, &stream, offered).await;
        assert_eq!(viewer.protocol.as_deref(), selected);
        viewer.say(json!({ "type": "mse" })).await;
        let seen = viewer.video(60).await;
        assert!(matches!(seen[0], Seen::Init));
        assert!(seen[1..].iter().all(|s| matches!(s, Seen::Chunk(_))));
        check_continuous(&seen[1..]);
    }
    let response = weir.client.get(format!("{}.mp4", weir.live_url(&stream))).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "video/mp4");
    let mut body = response.bytes_stream();
    let mut bytes = Vec::new();
    while bytes.len() < 200_000 {
        bytes.extend_from_slice(&body.next().await.unwrap().unwrap());
    }
    assert!(ftyp(&bytes));
    let first = find(&bytes, b"prft") - 4;
    let second = first + 8 + find(&bytes[first + 8..], b"prft") - 4;
    assert!(parse_chunk(&bytes[first..second]).start > 0);
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|w| w == what).unwrap()
}

#[actix_rt::test]
async fn a_viewer_who_waits_starts_when_the_stream_does_and_stays_over_a_reconnect() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
    let Seen::Text(hello) = viewer.next().await else { panic!("no hello") };
    assert_eq!(hello["state"], "waiting");

    let encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    let first = viewer.video(40).await;
    assert_eq!(first.iter().filter(|s| s.is("init")).count(), 1);
    check_continuous(&first);
    drop(encoder);
    let gone = viewer.until(|s| s.is("state")).await;
    assert!(matches!(gone.last(), Some(Seen::Text(state)) if state["state"] == "interrupted"), "{gone:?}");

    let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    let again = viewer.video(40).await;
    assert!(again.iter().any(|s| matches!(s, Seen::Text(state) if state["state"] == "live")));
    check_continuous(&again);
    let epoch = |seen: &[Seen]| seen.iter().find_map(|s| s.is("init").then(|| s.clone()));
    let epochs = [epoch(&first), epoch(&again)].map(|init| match init {
        Some(Seen::Text(init)) => init["epoch"].as_str().unwrap().to_owned(),
        other => panic!("{other:?}"),
    });
    assert!(epochs[0] < epochs[1], "{epochs:?}");
    let last = |seen: &[Seen]| seen.iter().rev().find_map(|s| if let Seen::Chunk(c) = s { Some(*c) } else { None });
    let start = |seen: &[Seen], track| {
        seen.iter().find_map(|s| if let Seen::Chunk(c) = s { (c.track == track).then_some(c.start) } else { None })
    };
    let before = last(&first).unwrap();
    assert!(start(&again, before.track).unwrap() > before.start, "time went back");
}

#[actix_rt::test]
async fn a_viewers_clock_is_answered() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
    viewer.say(json!({ "type": "time", "t0_us": 42 })).await;
    viewer.say(json!({ "type": "of_a_newer_player" })).await;
    let seen = viewer.until(|s| s.is("time")).await;
    let Some(Seen::Text(time)) = seen.last() else { panic!() };
    assert_eq!(time["t0_us"], 42);
    assert!(time["server_time_us"].as_i64().unwrap() > 1_700_000_000_000_000);
    viewer.say(json!({ "type": "time" })).await;
    let end = viewer.until(|s| matches!(s, Seen::Close(_))).await;
    assert!(end.iter().any(|s| s.is("bye")));
    assert!(matches!(end.last(), Some(Seen::Close(4400))), "{end:?}");
}

#[actix_rt::test]
async fn a_token_is_renewed_in_band_and_enforced_when_it_ends() {
    let weir = Weir::start().await;
    let stream = weir.stream(json!({ "policy": "signed" })).await;
    let short = weir.token(&stream, 3).await;
    let mut viewer = Viewer::connect(&weir, &stream, &format!("weir.v1, auth.{short}")).await;
    assert_eq!(viewer.protocol.as_deref(), Some("weir.v1"));
    let asked = viewer.until(|s| s.is("token")).await;
    assert!(asked.iter().any(|s| s.is("hello")));
    let next = weir.token(&stream, 6).await;
    viewer.say(json!({ "type": "token", "token": next })).await;
    // Past the end of the first token; the end of the second.
    let begun = std::time::Instant::now();
    let end = viewer.until(|s| matches!(s, Seen::Close(_))).await;
    assert!(matches!(end.last(), Some(Seen::Close(4401))), "{end:?}");
    assert!(begun.elapsed() > Duration::from_secs(4), "the first token's end was enforced");
    let bye = end.iter().find(|s| s.is("bye"));
    assert!(matches!(bye, Some(Seen::Text(bye)) if bye["code"] == 4401 && bye.get("retry_after_ms").is_none()));
}
