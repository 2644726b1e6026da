use crate::support::{DEADLINE, Encoder, Seen, Viewer, Weir};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[actix_rt::test]
async fn a_wrong_key_is_told_why() {
    let weir = Weir::start().await;
    let refused = Encoder::start_at(&weir.rtmp_url("sk_this_is_not_a_key"), 0).await.err().unwrap();
    assert!(refused.starts_with("NetStream.Publish.BadName: "), "{refused}");
    assert!(refused.contains("stream key"), "{refused}");
}

#[actix_rt::test]
async fn a_second_publisher_waits_for_the_first_to_fall_silent() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let url = weir.rtmp_url(&stream.key);
    let first = Encoder::start(&url).await;
    weir.until_state(&stream, "live").await;
    let refused = Encoder::start_at(&url, 0).await.err().unwrap();
    assert!(refused.starts_with("NetStream.Publish.BadName: "), "{refused}");

    first.hold();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
    let _second = Encoder::start(&url).await;
    viewer.video(30).await;
    let ended = first.ended().await;
    assert!(ended.contains("took over") || ended == "closed", "{ended}");
}

#[actix_rt::test]
async fn takeover_replaces_the_first_publisher() {
    let weir = Weir::start().await;
    let stream = weir.stream(json!({ "policy": "public", "second_publisher": "takeover" })).await;
    let url = weir.rtmp_url(&stream.key);
    let first = Encoder::start(&url).await;
    weir.until_state(&stream, "live").await;
    let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
    viewer.video(10).await;
    let _second = Encoder::start(&url).await;
    let seen = viewer.until(|s| s.is("init")).await;
    assert!(!seen.iter().any(|s| matches!(s, Seen::Close(_))));
    viewer.video(30).await;
    first.ended().await;
}

/// Encoders that have run for 4 h 39 min, and for 49 days.
#[actix_rt::test]
async fn clocks_that_pass_24_and_32_bits_play_through() {
    let weir = Weir::start().await;
    for border in [1_u64 << 24, 1 << 32] {
        let stream = weir.public_stream().await;
        let from_ms = u32::try_from(border - 2000).unwrap();
        let _encoder = Encoder::start_at(&weir.rtmp_url(&stream.key), from_ms).await.unwrap();
        let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
        let seen = viewer.video(120).await;
        assert!(!seen.iter().any(|s| s.is("gap")), "a hole at {border}");
        assert_eq!(seen.iter().filter(|s| s.is("init")).count(), 1);
        for track in [1, 2] {
            let of_track = |s: &Seen| if let Seen::Chunk(c) = s { (c.track == track).then_some(*c) } else { None };
            let chunks: Vec<_> = seen.iter().filter_map(of_track).collect();
            for pair in chunks.windows(2) {
                assert_eq!(pair[0].start + u64::from(pair[0].duration), pair[1].start, "{border}: {pair:?}");
            }
        }
    }
}

#[actix_rt::test]
async fn ffmpeg_publishes_and_weir_publishes() {
    let weir = Weir::start().await;
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/demo.flv");
    let ffmpeg = ["ffmpeg", "-v", "error", "-re", "-i", clip, "-c", "copy", "-f", "flv"];
    let own = [env!("CARGO_BIN_EXE_weir"), "publish"];
    for (command, after) in [(&ffmpeg[..], None), (&own[..], Some(clip))] {
        let stream = weir.public_stream().await;
        let mut child = Command::new(command[0])
            .args(&command[1..])
            .arg(weir.rtmp_url(&stream.key))
            .args(after)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
        let seen = viewer.video(60).await;
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen.iter().any(|s| s.is("live")));
        weir.until_state(&stream, "interrupted").await;
    }
}

#[actix_rt::test]
async fn a_stream_shows_how_its_media_arrives() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    let start = Instant::now();
    let shown = loop {
        let shown = weir.get(&format!("/streams/{}", stream.id)).await;
        if shown["drift_ms"].is_i64() && shown["skew_ms"].is_i64() {
            break shown;
        }
        assert!(start.elapsed() < DEADLINE, "{shown}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(
        shown["drift_ms"].as_i64().unwrap().abs() < 1_000 && shown["skew_ms"].as_i64().unwrap().abs() < 500,
        "{shown}"
    );
    drop(encoder);
    weir.until_state(&stream, "interrupted").await;
    let shown = weir.get(&format!("/streams/{}", stream.id)).await;
    assert_eq!((&shown["drift_ms"], &shown["skew_ms"]), (&Value::Null, &Value::Null));
}
