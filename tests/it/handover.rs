use crate::support::{Encoder, Seen, Stream, Viewer, Weir, until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

fn upgrade(weir: &Weir, stream: &Stream) -> Vec<u8> {
    format!(
        "GET /live/{} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: weir.v1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        stream.playback_id, weir.http
    )
    .into_bytes()
}

/// A client's text frame with a mask.
fn text(payload: &str) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![0x81, 0x80 | u8::try_from(payload.len()).unwrap()];
    frame.extend_from_slice(&mask);
    frame.extend(payload.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn reads(socket: &mut TcpStream, wanted: &[u8]) -> bool {
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    while !got.windows(wanted.len()).any(|w| w == wanted) {
        match socket.read(&mut buffer) {
            Ok(read) if read > 0 => got.extend_from_slice(&buffer[..read]),
            _ => return false,
        }
    }
    true
}

/// What a client sends with its request, right after it, and byte by byte, arrives whole whichever way it is cut.
#[actix_rt::test]
async fn frames_sent_before_the_handshake_is_answered_arrive() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let message = text(r#"{"type":"time","t0_us":123456789}"#);
    let request = upgrade(&weir, &stream);
    let whole = [request.clone(), message.clone()].concat();
    for cut in [whole.len(), request.len(), request.len() + 1, request.len() + 7, request.len() - 3] {
        let mut socket = TcpStream::connect(&weir.http).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.write_all(&whole[..cut]).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        socket.write_all(&whole[cut..]).unwrap();
        assert!(reads(&mut socket, b"\"t0_us\":123456789"), "cut at {cut}: no answer");
    }
    let mut socket = TcpStream::connect(&weir.http).unwrap();
    socket.set_nodelay(true).unwrap();
    for byte in &whole {
        socket.write_all(&[*byte]).unwrap();
    }
    assert!(reads(&mut socket, b"\"t0_us\":123456789"), "byte by byte: no answer");
}

#[actix_rt::test]
async fn files_are_back_where_they_were_however_viewers_leave() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    weir.until_state(&stream, "live").await;
    let before = weir.open_files();
    for round in 0..2 {
        let mut viewers = Vec::new();
        for _ in 0..50 {
            let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
            viewer.video(1).await;
            viewers.push(viewer);
        }
        assert!(weir.open_files() >= before + 50);
        for (index, mut viewer) in viewers.into_iter().enumerate() {
            match index % 3 {
                0 => viewer.socket.close(None).await.unwrap(),
                1 => drop(viewer),
                _ => {
                    if let tokio_tungstenite::MaybeTlsStream::Plain(tcp) = viewer.socket.get_ref() {
                        // A reset instead of an orderly end.
                        socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO)).unwrap();
                    }
                }
            }
        }
        let files = until("the files to be closed", || {
            let files = weir.open_files();
            (files <= before + 2).then_some(files)
        });
        println!("round {round}: {before} files before, {} after", files.await);
    }
}

#[actix_rt::test]
async fn a_close_frame_is_answered_with_its_code() {
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let mut viewer = Viewer::connect(&weir, &stream, "weir.v1").await;
    viewer.next().await;
    let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame { code: 1000.into(), reason: "done".into() };
    viewer.socket.close(Some(frame)).await.unwrap();
    assert!(matches!(viewer.next().await, Seen::Close(1000)));
}

/// actix-http times the head of the first request only.
#[actix_rt::test]
async fn a_second_request_that_is_never_finished_is_given_up() {
    let weir = Weir::start().await;
    let mut socket = TcpStream::connect(&weir.http).unwrap();
    socket.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(reads(&mut socket, b"live"));
    socket.write_all(b"G").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let mut rest = Vec::new();
    assert!(socket.read_to_end(&mut rest).is_ok(), "it was kept open");
}

/// Longer than the timers of actix-http run: request head, disconnect and keep-alive.
#[actix_rt::test]
async fn viewers_outlive_the_http_dispatcher_that_let_them_in() {
    const KEEP_ALIVE_S: f64 = 30.0;
    let weir = Weir::start().await;
    let stream = weir.public_stream().await;
    let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    weir.until_state(&stream, "live").await;
    let mut viewer = Viewer::connect(&weir, &stream, "weir.raw").await;
    let body = reqwest::get(format!("http://{}/live/{}.mp4", weir.http, stream.playback_id)).await.unwrap();
    let body = actix_rt::spawn(async move {
        let mut body = body;
        let mut bytes = 0;
        while let Ok(Some(piece)) = body.chunk().await {
            bytes += piece.len();
        }
        bytes
    });
    let seen = viewer.video(1).await;
    let Some(Seen::Chunk(first)) = seen.last().cloned() else { panic!("{seen:?}") };
    let mut last = first.start;
    while ((last - first.start) as f64) < (KEEP_ALIVE_S + 3.0) * 90_000.0 {
        let seen = viewer.video(1).await;
        let Some(Seen::Chunk(next)) = seen.last().cloned() else { panic!("{seen:?}") };
        last = next.start;
    }
    assert!(!body.is_finished(), "the HTTP viewer was cut");
    body.abort();
}
