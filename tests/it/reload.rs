//! The configuration is read again while streams run.

use crate::support::{Encoder, Seen, Stream, Viewer, Weir, until, until_async};
use std::sync::Arc;
use tempfile::TempDir;

const OK: &str = "weir_config_reloads_total{result=\"ok\"}";
const FAILED: &str = "weir_config_reloads_total{result=\"failed\"}";

/// A node with a `weir.toml`, which also says what it logs.
struct Configured {
    weir: Weir,
    reloads: [f64; 2],
}

impl Configured {
    async fn start(file: &str) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        std::fs::write(folder.path().join("weir.toml"), file).unwrap();
        Self { weir: Weir::start_in(folder, &[("RUST_LOG", "")]).await, reloads: [0.0, 0.0] }
    }

    /// Returns once the node has read it; whether it took it on.
    async fn reload(&mut self, file: &str) -> bool {
        std::fs::write(self.weir.data.path().join("weir.toml"), file).unwrap();
        self.weir.signal("HUP");
        let before = self.reloads;
        self.reloads = until_async("the configuration to be read again", async || {
            let now = [self.weir.metric(OK).await, self.weir.metric(FAILED).await];
            (now != before).then_some(now)
        })
        .await;
        self.reloads[0] > before[0]
    }

    fn has_logged(&self, text: &str) -> bool {
        self.weir.log.lock().unwrap().contains(text)
    }

    async fn until_logged(&self, text: &str) {
        until(&format!("a line with {text}"), || self.has_logged(text).then_some(())).await;
    }

    /// Of a request with a head of some 2 kB, on a new connection.
    async fn status_of_a_long_head(&self) -> u16 {
        let request = reqwest::Client::new().get(format!("http://{}/livez", self.weir.http));
        request.header("x-padding", "a".repeat(2000)).send().await.unwrap().status().as_u16()
    }

    async fn come_and_go(&self, stream: &Stream) {
        let mut viewer = Viewer::connect(&self.weir, stream, "weir.v1").await;
        viewer.video(1).await;
    }
}

/// Each picture begins where the one before it ended.
fn assert_whole(seen: &[Seen]) {
    let chunks = seen.iter().filter_map(|seen| match seen {
        Seen::Chunk(chunk) if chunk.track == 1 => Some(chunk),
        other => {
            assert!(!other.is("gap") && !other.is("bye") && !other.is("state"), "{other:?}");
            None
        }
    });
    let chunks: Vec<_> = chunks.collect();
    for pair in chunks.windows(2) {
        assert_eq!(pair[0].start + u64::from(pair[0].duration), pair[1].start, "{pair:?}");
    }
}

#[actix_rt::test]
async fn what_may_change_changes_and_no_session_notices() {
    let mut node = Configured::start("[limits]\nhttp_header_bytes = '16KiB'\n").await;
    let stream = node.weir.public_stream().await;
    let encoder = Encoder::start(&node.weir.rtmp_url(&stream.key)).await;
    node.weir.until_state(&stream, "live").await;
    let mut viewer = Viewer::connect(&node.weir, &stream, "weir.v1").await;
    let mut seen = viewer.video(10).await;
    assert_eq!(node.status_of_a_long_head().await, 200);
    node.come_and_go(&stream).await;

    let lower = "[limits]\nhttp_header_bytes = 1000\n[log]\nfilter = 'info,weir=debug'\n[node]\nid = 'another'\n";
    assert!(node.reload(lower).await, "{}", node.weir.tail());
    assert_eq!(node.status_of_a_long_head().await, 431);
    node.until_logged("takes effect at the next start: node.id").await;
    node.until_logged("\"changed\":\"limits.http_header_bytes,log.filter\"").await;
    assert!(!node.has_logged("viewer left"), "a line for debugging was written before it was asked for");
    node.come_and_go(&stream).await;
    node.until_logged("viewer left").await;

    assert!(!node.reload("[limits]\nhttp_header_bytes = 'many'\n").await, "a bad value was taken on");
    node.until_logged("`limits.http_header_bytes` in the configuration file is `many`; allowed is a number of bytes")
        .await;
    assert!(!node.reload("[limits\n").await, "a file that is no TOML was taken on");
    assert_eq!(node.status_of_a_long_head().await, 431, "the old limit is gone");

    assert!(node.reload("[limits]\nhttp_header_bytes = '16KiB'\n").await);
    assert_eq!(node.status_of_a_long_head().await, 200);
    let sent = encoder.sent();
    seen.extend(viewer.video(60).await);
    assert_whole(&seen);
    assert!(!encoder.is_over() && encoder.sent() > sent);
}

#[actix_rt::test]
async fn limits_on_connections_to_come_are_taken_on() {
    let mut node = Configured::start("[limits]\nrtmp_handshake = '1h'\nhttp_headers = '1h'\n").await;
    let hits = async |node: &Configured, limit: &str| {
        node.weir.metric(&format!("weir_limit_hits_total{{limit=\"{limit}\"}}")).await
    };
    let connect = async |address: &str, bytes: &[u8]| {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut socket, bytes).await.unwrap();
        socket
    };
    let early = [connect(&node.weir.http, b"GET / HT").await, connect(&node.weir.rtmp, &[3]).await];
    assert!(node.reload("[limits]\nrtmp_handshake = '1s'\nhttp_headers = '1s'\n").await);
    let _late = [connect(&node.weir.http, b"GET / HT").await, connect(&node.weir.rtmp, &[3]).await];
    until_async("the limits to be hit", async || {
        let hit = hits(&node, "http_headers").await >= 1.0 && hits(&node, "rtmp_handshake").await >= 1.0;
        hit.then_some(())
    })
    .await;
    for socket in early {
        // The RTMP server may have begun its own part of the handshake.
        let read = socket.try_read(&mut [0; 8]).map_err(|error| error.kind());
        assert!(
            matches!(read, Ok(1..) | Err(std::io::ErrorKind::WouldBlock)),
            "an earlier connection was ended: {read:?}"
        );
    }
}
