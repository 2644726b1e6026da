//! The header that a proxy puts before a connection to tell whose it is: PROXY protocol versions 1 and 2.

use crate::rtmp::Error;
use std::net::IpAddr;

/// PROXY protocol 2.1: the longest line, its end included.
const LINE_BYTES_MAX: usize = 107;
/// 2.2: what a proxy adds beside the addresses is bounded by what fits into one packet.
const BINARY_BYTES_MAX: usize = 1500;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const BINARY_HEADER_BYTES: usize = 16;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Client(IpAddr),
    /// The proxy's own, for instance to see whether we are there.
    Proxy,
}

#[derive(Debug, Default)]
pub struct Reader {
    held: Vec<u8>,
}

impl Reader {
    /// Takes the header off the front of `input`; `None` until it is complete.
    pub fn handle_bytes(&mut self, input: &mut &[u8]) -> Result<Option<Source>, Error> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.held.push(byte);
            if let Some(source) = parse(&self.held)? {
                return Ok(Some(source));
            }
        }
        Ok(None)
    }
}

fn parse(held: &[u8]) -> Result<Option<Source>, Error> {
    let compared = held.len().min(SIGNATURE.len());
    if held[..compared] == SIGNATURE[..compared] {
        return parse_binary(held);
    }
    let prefix = held.len().min(6);
    if held[..prefix] != b"PROXY "[..prefix] || held.len() > LINE_BYTES_MAX {
        return Err(Error::ProxyHeader("it does not begin as one"));
    }
    held.strip_suffix(b"\r\n").map(parse_line).transpose()
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 1935`
fn parse_line(line: &[u8]) -> Result<Source, Error> {
    let text = std::str::from_utf8(line).map_err(|_| Error::ProxyHeader("it is no text"))?;
    let mut words = text.split(' ').skip(1);
    match (words.next(), words.next()) {
        (Some("UNKNOWN"), _) => Ok(Source::Proxy),
        (Some("TCP4" | "TCP6"), Some(address)) => {
            address.parse().map(Source::Client).map_err(|_| Error::ProxyHeader("the address is none"))
        }
        _ => Err(Error::ProxyHeader("the protocol is unknown")),
    }
}

fn parse_binary(held: &[u8]) -> Result<Option<Source>, Error> {
    let Some((header, body)) = held.split_first_chunk::<BINARY_HEADER_BYTES>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if length > BINARY_BYTES_MAX {
        return Err(Error::ProxyHeader("it is too long"));
    }
    if body.len() < length {
        return Ok(None);
    }
    let address = match (header[12], header[13] >> 4) {
        (0x20, _) | (0x21, 0 | 3) => return Ok(Some(Source::Proxy)),
        (0x21, 1) => body.first_chunk::<12>().and_then(|ends| ends.first_chunk::<4>()).map(|&source| source.into()),
        (0x21, 2) => body.first_chunk::<36>().and_then(|ends| ends.first_chunk::<16>()).map(|&source| source.into()),
        _ => return Err(Error::ProxyHeader("the version, command or family is unknown")),
    };
    let address: IpAddr = address.ok_or(Error::ProxyHeader("it is too short for its addresses"))?;
    Ok(Some(Source::Client(address)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv6Addr;

    fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        [&SIGNATURE[..], &[command, family], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    fn read(bytes: &[u8], size: usize) -> (Result<Option<Source>, Error>, usize) {
        let mut reader = Reader::default();
        let mut rest = bytes.len();
        for mut piece in bytes.chunks(size) {
            let before = piece.len();
            let result = reader.handle_bytes(&mut piece);
            rest -= before - piece.len();
            if result != Ok(None) {
                return (result, rest);
            }
        }
        (Ok(None), rest)
    }

    #[test]
    fn both_versions_tell_the_client_and_leave_what_follows() {
        let client = |text: &str| Source::Client(text.parse().unwrap());
        let v6: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let with_v6 = [&v6.octets()[..], &[0; 20]].concat();
        let table = [
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 1935\r\n".to_vec(), client("192.0.2.1")),
            (b"PROXY TCP6 2001:db8::1 ::1 56324 1935\r\n".to_vec(), client("2001:db8::1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), Source::Proxy),
            (binary(0x21, 0x11, &[192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0]), client("192.0.2.1")),
            (binary(0x21, 0x11, &[192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 9]), client("192.0.2.1")),
            (binary(0x21, 0x21, &with_v6), client("2001:db8::1")),
            (binary(0x20, 0x00, &[]), Source::Proxy),
            (binary(0x21, 0x00, &[1, 2]), Source::Proxy),
        ];
        for (mut bytes, source) in table {
            bytes.extend([3, 1, 4, 1]);
            for size in [1, 5, 200] {
                assert_eq!(read(&bytes, size), (Ok(Some(source)), 4), "{bytes:?}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused_at_once() {
        let long = [&b"PROXY TCP4 "[..], &[b'1'; 100]].concat();
        let table = [
            &[3, 0][..],
            b"GET /",
            b"PROXY TCP4 nobody 192.0.2.2 1 2\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY \r\n",
            &long,
            &binary(0x11, 0x11, &[0; 12]),
            &binary(0x21, 0x41, &[0; 12]),
            &binary(0x21, 0x11, &[0; 11]),
            &binary(0x21, 0x11, &[0; 1501]),
        ];
        for bytes in table {
            assert!(read(bytes, 7).0.is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..100), start in 0..3_usize) {
            let start: &[u8] = [&b""[..], b"PROXY TCP4 ", SIGNATURE][start];
            let _ = read(&[start, &noise].concat(), 9);
        }
    }
}
