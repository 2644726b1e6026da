use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::time::Duration;
use weir::auth::key_set;
use weir::auth::token::{self, Request, Streams, TOKEN_BYTES_MAX, VerifyingKey};
use weir::session::inbound::{Inbound, Message};
use weir::session::protocol::{self, MESSAGE_BYTES_MAX, ViewerMessage};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const PLAYBACK_ID: &str = "play_1";
const NOW_S: i64 = 1_800_000_000;

/// What a viewer sends after the upgrade, whole and in pieces whose size the first byte tells: it comes to the same.
pub fn viewer(input: &[u8]) {
    let Some((&size, bytes)) = input.split_first() else { return };
    let whole = messages(bytes, bytes.len().max(1));
    assert_eq!(whole, messages(bytes, usize::from(size) + 1));
    for message in whole.0 {
        if let Message::Text(text) | Message::Binary(text) = message {
            assert!(text.len() <= MESSAGE_BYTES_MAX);
            if let Ok(ViewerMessage::Token { token }) = protocol::parse(&text) {
                shown(&token);
            }
        }
    }
}

/// Messages, and the code by which the viewer is sent away.
fn messages(bytes: &[u8], size: usize) -> (Vec<Message>, Option<u16>) {
    let (mut inbound, mut messages) = (Inbound::default(), Vec::new());
    for piece in bytes.chunks(size) {
        inbound.push(piece, Duration::ZERO);
        loop {
            match inbound.poll() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error.close_code())),
            }
        }
    }
    (messages, None)
}

/// As it comes, then as header and claims that were signed by one who has the secret; a zero byte parts them.
pub fn token(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        shown(text);
    }
    let mut parts = input.splitn(2, |byte| *byte == 0);
    if let (Some(header), Some(claims)) = (parts.next(), parts.next()) {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("any length is a key");
        mac.update(message.as_bytes());
        shown(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())));
    }
    let _ = key_set::parse(input);
}

fn shown(token: &str) {
    let keys = [VerifyingKey::hs256("k", SECRET).expect("a long secret")];
    let request = Request { playback_id: PLAYBACK_ID, now_s: NOW_S, address: None, origin: None };
    let Ok(claims) = token::verify(token, &keys, &request) else { return };
    assert!(
        token.len() <= TOKEN_BYTES_MAX && claims.expires_s > NOW_S && claims.ip.is_none() && claims.origin.is_none()
    );
    match claims.streams {
        Streams::One(one) => assert!(one == "*" || one == PLAYBACK_ID),
        Streams::List(list) => assert!(list.iter().any(|one| one == PLAYBACK_ID)),
    }
}
