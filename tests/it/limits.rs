use crate::support::{ADMIN_KEY, Encoder, Viewer, Weir, until};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn connect(address: &str) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    socket
}

fn head(path: &str, padding: usize) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\nx-padding: {}\r\n\r\n", "a".repeat(padding))
}

/// The first bytes of the answer; nothing where the connection was closed without one.
fn answer(socket: &mut TcpStream) -> String {
    let mut buffer = [0; 4096];
    let read = socket.read(&mut buffer).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

/// Has the other side ended it?
fn is_closed(socket: &mut TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

#[actix_rt::test]
async fn a_head_longer_than_16_kib_is_answered_431() {
    let weir = Weir::start().await;
    let mut socket = connect(&weir.http);
    socket.write_all(head("/livez", 15_000).as_bytes()).unwrap();
    assert!(answer(&mut socket).starts_with("HTTP/1.1 200"), "15 kB are within the limit");
    for padding in [17_000, 60_000] {
        let mut socket = connect(&weir.http);
        socket.write_all(head("/livez", padding).as_bytes()).unwrap();
        let text = answer(&mut socket);
        assert!(text.starts_with("HTTP/1.1 431"), "{text}");
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["code"], "headers_too_large");
    }
    assert!((weir.metric("weir_limit_hits_total{limit=\"http_header_bytes\"}").await - 2.0).abs() < f64::EPSILON);
}

#[actix_rt::test]
async fn the_rest_of_a_body_that_nobody_reads_is_not_taken_for_a_request() {
    let weir = Weir::start().await;
    for padding in [100, 200_000, 4_000_000] {
        let mut socket = connect(&weir.http);
        let request = format!("POST /api/v1/nothing HTTP/1.1\r\nhost: a\r\ncontent-length: {padding}\r\n\r\n");
        // It may be closed before all of this is through.
        let _cut = socket.write_all(&[request.as_bytes(), "x".repeat(padding).as_bytes()].concat());
        let text = answer(&mut socket);
        assert!(text.starts_with("HTTP/1.1 404"), "{text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
    }
    assert!(weir.metric("weir_limit_hits_total{limit=\"http_header_bytes\"}").await.abs() < f64::EPSILON);
}

#[actix_rt::test]
async fn a_head_has_its_time_on_a_used_connection_too() {
    let weir = Weir::start_with(&[("WEIR_LIMITS_HTTP_HEADERS", "500ms")]).await;
    for is_used in [false, true] {
        let mut socket = connect(&weir.http);
        if is_used {
            socket.write_all(head("/livez", 0).as_bytes()).unwrap();
            assert!(answer(&mut socket).starts_with("HTTP/1.1 200"));
        }
        let start = Instant::now();
        let mut closed = false;
        for byte in head("/livez", 1000).bytes() {
            closed = socket.write_all(&[byte]).is_err() || is_closed(&mut socket);
            if closed || start.elapsed() > Duration::from_secs(15) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(closed, "a byte each 20 ms is still waited for, used before: {is_used}");
    }
}

#[actix_rt::test]
async fn one_address_can_t_keep_others_out_by_connections_that_ask_for_nothing() {
    let weir = Weir::start_with(&[("WEIR_LIMITS_ADDRESS_CONNECTIONS", "20")]).await;
    let stream = weir.public_stream().await;
    let mut admitted = connect(&weir.http);
    let request = format!("GET /api/v1/streams HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {ADMIN_KEY}\r\n\r\n");
    admitted.write_all(request.as_bytes()).unwrap();
    assert!(answer(&mut admitted).starts_with("HTTP/1.1 200"));
    let mut early = Viewer::connect(&weir, &stream, "weir.v1").await;

    let mut idle: Vec<_> = (0..60).map(|_| connect(&weir.http)).collect();
    for socket in &mut idle[..30] {
        socket.write_all(b"GET / HT").unwrap();
    }
    let mut publishers: Vec<_> = (0..60).map(|_| connect(&weir.rtmp)).collect();
    let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    let mut late = Viewer::connect(&weir, &stream, "weir.v1").await;
    early.video(1).await;
    late.video(1).await;
    for (what, sockets) in [("HTTP", &mut idle), ("RTMP", &mut publishers)] {
        until("the oldest connections to end", || {
            let open = sockets.iter_mut().map(is_closed).filter(|is_closed| !is_closed).count();
            (open <= 20).then_some(())
        })
        .await;
        assert!(is_closed(&mut sockets[0]), "{what}: not the oldest one made room");
    }
    assert!(!is_closed(&mut admitted), "one with a key had to go");
    assert!(weir.metric("weir_limit_hits_total{limit=\"address_connections\"}").await >= 80.0);
}

#[actix_rt::test]
async fn an_rtmp_handshake_has_its_time() {
    let weir = Weir::start_with(&[("WEIR_LIMITS_RTMP_HANDSHAKE", "300ms")]).await;
    let mut socket = connect(&weir.rtmp);
    socket.write_all(&[3, 0, 0, 0]).unwrap();
    until("the connection to end", || is_closed(&mut socket).then_some(())).await;
    assert!((weir.metric("weir_limit_hits_total{limit=\"rtmp_handshake\"}").await - 1.0).abs() < f64::EPSILON);
    let told = || weir.log.lock().unwrap().contains("\"limit\":\"rtmp_handshake\",\"times\":1");
    until("the log to tell of it", || told().then_some(())).await;
}
