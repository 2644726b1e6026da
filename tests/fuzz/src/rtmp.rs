use bytes::BytesMut;
use weir::rtmp::chunk::{Limits, Message, Reader};
use weir::rtmp::handshake::{self, PACKET_BYTES};
use weir::rtmp::session::{Event, Session};
use weir::rtmp::status::Code;
use weir::rtmp::{Error, amf0, client, url};

/// Both sides, in pieces whose size the first byte tells.
pub fn handshake(input: &[u8]) {
    let Some((&size, bytes)) = input.split_first() else { return };
    let (mut server, mut client) = (handshake::Server::new(1), handshake::Client::new(2));
    for mut piece in bytes.chunks(usize::from(size) + 1) {
        let mut for_client = piece;
        let server_fails = server.handle_bytes(&mut piece).is_err();
        let client_fails = client.handle_bytes(&mut for_client).is_err();
        assert_eq!(server_fails, client_fails);
        if server_fails {
            return;
        }
    }
    assert_eq!(server.is_done(), bytes.len() > 2 * PACKET_BYTES);
    assert_eq!(client.is_done(), server.is_done());
}

/// Whole and in pieces, which must come to the same.
pub fn chunk(input: &[u8]) {
    let Some((&size, bytes)) = input.split_first() else { return };
    assert_eq!(read(bytes, bytes.len().max(1)), read(bytes, usize::from(size) + 1));
}

fn read(bytes: &[u8], size: usize) -> (Vec<Message>, Option<Error>) {
    let (mut reader, mut messages) = (Reader::new(Limits::default()), Vec::new());
    for mut piece in bytes.chunks(size) {
        loop {
            match reader.read(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    assert!(reader.unfinished_bytes() <= bytes.len());
    (messages, None)
}

/// What is decoded can be encoded, and from then on stays what it is.
pub fn amf0(input: &[u8]) {
    if let Ok(values) = amf0::decode_all(input) {
        let once = encode(&values);
        let again = amf0::decode_all(&once).expect("what was encoded here");
        assert_eq!(once, encode(&again));
    }
}

fn encode(values: &[amf0::Value]) -> BytesMut {
    let mut out = BytesMut::new();
    values.iter().for_each(|value| amf0::encode(value, &mut out));
    out
}

/// A peer that has shaken hands; the first byte tells the size of the pieces and what its publish is answered.
pub fn session(input: &[u8]) {
    let Some((&first, bytes)) = input.split_first() else { return };
    let mut session = Session::new(1, Limits::default());
    let mut hello = vec![0; 1 + 2 * PACKET_BYTES];
    hello[0] = 3;
    session.handle_bytes(&hello).expect("a handshake");
    session.poll_transmit();
    let mut said = Vec::new();
    for piece in bytes.chunks(usize::from(first >> 1) + 1) {
        if session.handle_bytes(piece).is_err() {
            session.end(Code::ConnectClosed, "malformed");
        }
        while let Some(event) = session.poll_event() {
            match event {
                Event::Publish(_) if first & 1 == 0 => session.accept_publish(),
                Event::Publish(_) => session.reject_publish(Code::PublishBadName, "no such stream key"),
                _ => {}
            }
        }
        said.extend(session.poll_transmit().into_iter().flatten());
    }
    heard_by_a_client(&said);
}

/// What the server sends must not harm a client that is in the middle of connecting.
fn heard_by_a_client(bytes: &[u8]) {
    let address = url::Url::parse("rtmp://host/live/key").expect("an address");
    let mut client = client::Client::new(address, 1);
    let mut hello = vec![0; 1 + 2 * PACKET_BYTES];
    hello[0] = 3;
    client.handle_bytes(&hello).expect("a handshake");
    let _ = client.handle_bytes(bytes);
}
