use crate::support::{DEADLINE, Encoder, Seen, Stream, Viewer, Weir};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Upgrades, reads the head, and from then on only what it is told to.
fn silent_viewer(weir: &Weir, stream: &Stream) -> TcpStream {
    let mut socket = TcpStream::connect(&weir.http).unwrap();
    let request = format!(
        "GET /live/{} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        stream.playback_id, weir.http
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    socket
}

/// Frames that a viewer got, and whether there was a hole among them.
async fn watch(mut viewer: Viewer, until: Instant) -> (usize, bool) {
    let mut frames = 0;
    let mut end = None;
    let mut has_hole = false;
    while Instant::now() < until {
        match viewer.next().await {
            Seen::Chunk(chunk) if chunk.track == 1 => {
                has_hole |= end.is_some_and(|end| end != chunk.start);
                end = Some(chunk.start + u64::from(chunk.duration));
                frames += 1;
            }
            Seen::Gone | Seen::Close(_) => panic!("a viewer was cut"),
            other => has_hole |= other.is("gap"),
        }
    }
    (frames, has_hole)
}

/// The kernel holds some, the outbox its bound; then the clock runs.
#[actix_rt::test]
async fn one_who_reads_nothing_is_evicted_and_199_others_lose_nothing() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    weir.until_state(&stream, "live").await;
    let until = Instant::now() + Duration::from_secs(14);
    let mut others = Vec::new();
    for _ in 0..199 {
        let viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
        others.push(tokio::task::spawn_local(watch(viewer, until)));
    }
    let silent = silent_viewer(&weir, &stream);
    socket2::SockRef::from(&silent).set_recv_buffer_size(16 * 1024).unwrap();
    let joined = Instant::now();
    let memory_kb = weir.memory_kb();
    let sent = encoder.sent();
    while weir.metric("weir_viewers_evicted_total{reason=\"slow\"}").await == 0.0 {
        assert!(joined.elapsed() < DEADLINE, "never evicted; {}", weir.tail());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = joined.elapsed();
    let grown_kb = weir.memory_kb().saturating_sub(memory_kb);
    println!("evicted after {took:?}, memory grew by {grown_kb} kB");
    assert!(took > Duration::from_secs(8), "{took:?}");
    assert!(grown_kb < 4096, "memory grew by {grown_kb} kB");
    for other in others {
        let (frames, has_hole) = other.await.unwrap();
        assert!(!has_hole);
        assert!(frames > 200, "{frames} of {}", encoder.sent() - sent);
    }
    assert!(weir.metric("weir_frames_dropped_total{reason=\"slow\"}").await > 0.0);
    // Without reading: the end is not queued behind what it never took.
    let error = silent.take_error().unwrap().map(|error| error.kind());
    assert_eq!(error, Some(std::io::ErrorKind::ConnectionReset));
}
