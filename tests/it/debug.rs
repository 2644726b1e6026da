//! What the internal listener shows of the streams that run.

use crate::support::{Encoder, Stream, Viewer, Weir, until_async};
use serde_json::{Value, json};
use tokio_tungstenite::MaybeTlsStream;

async fn ask(address: &str, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{address}/debug/streams{path}")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn inside(weir: &Weir, stream: &Stream, query: &str) -> Value {
    let (status, text) = ask(&weir.internal, &format!("/{}{query}", stream.id)).await;
    assert_eq!(status, 200, "{text}");
    assert!(!text.contains(&stream.key) && !text.contains("ann") && !text.contains("127.0.0.1"), "{text}");
    serde_json::from_str(&text).unwrap()
}

#[actix_rt::test]
async fn the_inside_of_a_stream_is_shown_to_who_looks_for_a_fault() {
    let weir = Weir::start().await;
    let stream = weir.stream(json!({ "policy": "signed" })).await;
    let token = weir.token(&stream, 60).await;
    let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    let protocols = format!("weir.v1, auth.{token}");
    let mut reads = Viewer::connect(&weir, &stream, &protocols).await;
    let mut stops = Viewer::connect(&weir, &stream, &protocols).await;
    let MaybeTlsStream::Plain(socket) = stops.socket.get_ref() else { panic!("TLS was not asked for") };
    socket2::SockRef::from(socket).set_recv_buffer_size(16 * 1024).unwrap();
    stops.video(1).await;

    let seen = until_async("a viewer who is behind", async || {
        reads.video(1).await;
        let seen = inside(&weir, &stream, "").await;
        (seen["viewers"][0]["outbox_bytes"].as_u64()? > 0).then_some(seen)
    })
    .await;
    assert_eq!((&seen["id"], &seen["state"], &seen["answered"]), (&json!(stream.id), &json!("live"), &json!(true)));
    assert_eq!((&seen["has_publisher"], &seen["is_fed"], &seen["relays"]), (&json!(true), &json!(false), &json!(0)));
    assert!(seen["epoch"].as_str().is_some_and(|epoch| epoch.len() > 10), "{seen}");
    let backlog = &seen["backlog"];
    assert_eq!(backlog["groups"], 1, "{seen}");
    assert!(backlog["bytes"].as_u64().unwrap() > 1000 && backlog["fragments"].as_u64().unwrap() > 0, "{seen}");
    assert!(backlog["to_us"].as_i64().unwrap() > backlog["from_us"].as_i64().unwrap(), "{seen}");
    let sum =
        |key: &str| -> u64 { seen["hubs"].as_array().unwrap().iter().map(|hub| hub[key].as_u64().unwrap()).sum() };
    assert_eq!((sum("viewers"), &seen["viewers"].as_array().unwrap().len()), (2, &2), "{seen}");
    assert!(sum("outbox_bytes") > 0 && seen["hubs"][0]["answered"] == true, "{seen}");
    let behind = &seen["viewers"][0];
    assert!(behind["oldest_ms"].as_i64().unwrap() >= 0 && behind["protocol"] == "weir.v1", "{seen}");
    assert!(behind["rung"].is_u64() && behind["frames_dropped"].is_u64(), "{seen}");
    let listed = weir.get(&format!("/sessions?stream={}", stream.id)).await;
    let known: Vec<_> = listed["data"].as_array().unwrap().iter().map(|session| &session["id"]).collect();
    assert!(known.contains(&&behind["session"]), "{seen} {listed}");

    let short = inside(&weir, &stream, "?limit=1").await;
    assert_eq!((short["viewers"].as_array().unwrap().len(), sum("viewers")), (1, 2));
}

#[actix_rt::test]
async fn all_streams_that_run_are_listed_there_and_nowhere_else() {
    let weir = Weir::start().await;
    let streams = [weir.public_stream().await, weir.public_stream().await];
    let idle = weir.public_stream().await;
    let mut encoders = Vec::new();
    for stream in &streams {
        encoders.push(Encoder::start(&weir.rtmp_url(&stream.key)).await);
        weir.until_state(stream, "live").await;
    }
    let (status, text) = ask(&weir.internal, "").await;
    let listed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &listed["total"]), (200, &json!(2)), "{text}");
    assert!(streams.iter().all(|stream| text.contains(&stream.id)) && !text.contains(&idle.id), "{text}");
    assert_eq!(listed["streams"][0]["state"], "live");
    let (_, text) = ask(&weir.internal, "?limit=1").await;
    let listed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&listed["total"], listed["streams"].as_array().unwrap().len()), (&json!(2), 1));

    for path in ["?limit=0", "?limit=many", "?what=1"] {
        let (status, text) = ask(&weir.internal, path).await;
        assert_eq!(status, 422, "{path}: {text}");
    }
    assert_eq!(ask(&weir.internal, &format!("/{}", idle.id)).await.0, 404);
    assert_eq!(ask(&weir.internal, "/nonsense").await.0, 404);
    assert_eq!(ask(&weir.http, "").await.0, 404, "the public listener shows it");
}
