//! The simple handshake, RTMP 1.0 5.2: strict sizes, no digests, no time.

use crate::rtmp::Error;
use bytes::{BufMut, Bytes, BytesMut};
use std::ops::RangeInclusive;

/// C1, S1, C2 and S2, 5.2.3.
pub const PACKET_BYTES: usize = 1536;
/// What is answered to every version that is accepted, 5.2.2.
const VERSION: u8 = 3;
/// 6 to 9 are encrypted forms, whose clients go on in plain when told 3. What else there is, a TLS or a proxy's hello
/// among it, is refused rather than left waiting.
const VERSIONS: RangeInclusive<u8> = 3..=9;

/// The server's side: takes C0, C1 and C2, gives S0, S1 and S2.
#[derive(Debug)]
pub struct Server {
    random: u64,
    received: Vec<u8>,
    transmit: Option<Bytes>,
    step: ServerStep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServerStep {
    Version,
    C1,
    C2 { missing: usize },
    Done,
}

impl Server {
    /// `random` fills S1; it need not be secret.
    pub fn new(random: u64) -> Self {
        Self { random, received: Vec::new(), transmit: None, step: ServerStep::Version }
    }

    /// Takes what belongs to the handshake off the front of `input`.
    pub fn handle_bytes(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        while !input.is_empty() && self.step != ServerStep::Done {
            match self.step {
                ServerStep::Version => {
                    check_version(take(input, 1))?;
                    self.step = ServerStep::C1;
                }
                ServerStep::C1 => {
                    let missing = PACKET_BYTES - self.received.len();
                    self.received.extend_from_slice(take(input, missing));
                    if self.received.len() == PACKET_BYTES {
                        self.answer();
                    }
                }
                ServerStep::C2 { missing } => {
                    let taken = take(input, missing).len();
                    self.step =
                        if taken == missing { ServerStep::Done } else { ServerStep::C2 { missing: missing - taken } };
                }
                ServerStep::Done => {}
            }
        }
        Ok(())
    }

    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.transmit.take()
    }

    pub fn is_done(&self) -> bool {
        self.step == ServerStep::Done
    }

    fn answer(&mut self) {
        let c1 = std::mem::take(&mut self.received);
        let mut out = BytesMut::with_capacity(1 + 2 * PACKET_BYTES);
        out.put_u8(VERSION);
        put_packet(&mut out, self.random);
        out.extend_from_slice(&c1);
        self.transmit = Some(out.freeze());
        self.step = ServerStep::C2 { missing: PACKET_BYTES };
    }
}

/// The client's side: gives C0, C1 and C2, takes S0, S1 and S2.
#[derive(Debug)]
pub struct Client {
    received: Vec<u8>,
    transmit: Option<Bytes>,
    step: ClientStep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientStep {
    Version,
    S1,
    S2 { missing: usize },
    Done,
}

impl Client {
    /// `random` fills C1; it need not be secret.
    pub fn new(random: u64) -> Self {
        let mut out = BytesMut::with_capacity(1 + PACKET_BYTES);
        out.put_u8(VERSION);
        put_packet(&mut out, random);
        Self { received: Vec::new(), transmit: Some(out.freeze()), step: ClientStep::Version }
    }

    /// Takes what belongs to the handshake off the front of `input`.
    pub fn handle_bytes(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        while !input.is_empty() && self.step != ClientStep::Done {
            match self.step {
                ClientStep::Version => {
                    check_version(take(input, 1))?;
                    self.step = ClientStep::S1;
                }
                ClientStep::S1 => {
                    let missing = PACKET_BYTES - self.received.len();
                    self.received.extend_from_slice(take(input, missing));
                    if self.received.len() == PACKET_BYTES {
                        self.transmit = Some(Bytes::from(std::mem::take(&mut self.received)));
                        self.step = ClientStep::S2 { missing: PACKET_BYTES };
                    }
                }
                ClientStep::S2 { missing } => {
                    let taken = take(input, missing).len();
                    self.step =
                        if taken == missing { ClientStep::Done } else { ClientStep::S2 { missing: missing - taken } };
                }
                ClientStep::Done => {}
            }
        }
        Ok(())
    }

    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.transmit.take()
    }

    pub fn is_done(&self) -> bool {
        self.step == ClientStep::Done
    }
}

fn check_version(byte: &[u8]) -> Result<(), Error> {
    match byte {
        [version] if !VERSIONS.contains(version) => Err(Error::HandshakeVersion(*version)),
        _ => Ok(()),
    }
}

fn take<'a>(input: &mut &'a [u8], at_most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(at_most.min(input.len()));
    *input = rest;
    taken
}

/// Time 0 and a zero version, so that no peer looks for a digest; then noise (splitmix64).
fn put_packet(out: &mut BytesMut, random: u64) {
    out.put_u64(0);
    let mut state = random;
    for _ in 0..(PACKET_BYTES - 8) / 8 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.put_u64(word ^ (word >> 31));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c0_c1_c2() -> Vec<u8> {
        let mut bytes = vec![3];
        bytes.extend((0..PACKET_BYTES).map(|i| (i % 251) as u8));
        bytes.extend([7; PACKET_BYTES]);
        bytes
    }

    #[test]
    fn both_sides_finish_and_what_follows_is_left_alone() {
        let (mut server, mut client) = (Server::new(1), Client::new(2));
        let c0_c1 = client.poll_transmit().expect("c0 and c1");
        assert_eq!(c0_c1.len(), 1537);
        server.handle_bytes(&mut &c0_c1[..]).unwrap();
        let answer = server.poll_transmit().expect("s0, s1 and s2");
        assert_eq!((answer.len(), answer[0]), (3073, 3));
        assert_eq!(
            (&answer[1..9], &c0_c1[1..9]),
            (&[0; 8][..], &[0; 8][..]),
            "no time, and no version that has digests"
        );
        assert_eq!(answer[1537..], c0_c1[1..], "S2 echoes C1");
        client.handle_bytes(&mut &answer[..]).unwrap();
        let mut c2 = client.poll_transmit().expect("c2").to_vec();
        assert_eq!(c2, answer[1..1537], "C2 echoes S1");
        c2.extend([1, 2, 3]);
        let mut input = &c2[..];
        server.handle_bytes(&mut input).unwrap();
        assert_eq!(input, [1, 2, 3]);
        assert!(server.is_done() && client.is_done());
    }

    #[test]
    fn a_byte_at_a_time_is_the_same() {
        let bytes = c0_c1_c2();
        let mut server = Server::new(9);
        let mut answer = Vec::new();
        for (at, byte) in bytes.iter().enumerate() {
            assert!(!server.is_done(), "done after {at}");
            server.handle_bytes(&mut &[*byte][..]).unwrap();
            answer.extend(server.poll_transmit().into_iter().flatten());
        }
        assert!(server.is_done());
        let mut whole = Server::new(9);
        whole.handle_bytes(&mut &bytes[..]).unwrap();
        assert_eq!(whole.poll_transmit().unwrap(), answer);
    }

    #[test]
    fn later_versions_are_answered_with_three_and_others_refused() {
        for version in [3, 6, 9] {
            let mut bytes = c0_c1_c2();
            bytes[0] = version;
            let mut server = Server::new(0);
            server.handle_bytes(&mut &bytes[..]).unwrap();
            assert_eq!(server.poll_transmit().unwrap()[0], 3);
        }
        for version in [0, 2, 10, b'\r', 0x16, 32, b'G', b'P'] {
            let error = Server::new(0).handle_bytes(&mut &[version, 0, 0][..]).unwrap_err();
            assert_eq!(error, Error::HandshakeVersion(version));
            assert!(Client::new(0).handle_bytes(&mut &[version][..]).is_err());
        }
    }

    #[test]
    fn nothing_is_held_before_anything_came() {
        assert_eq!(Server::new(0).received.capacity(), 0);
    }
}
