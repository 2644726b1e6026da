//! Where a connection stands between requests, by the bytes that pass: so that a head is bounded in bytes and time.

const END: &[u8; 4] = b"\r\n\r\n";

const CLOSE: &[u8] = b"\r\nconnection: close\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Between requests.
    Idle,
    /// In a request's head: its bytes so far, and how much of its end was matched.
    Head { bytes: usize, matched: usize },
    /// A handler has it; a body may be on its way.
    Handling,
    /// The answer has begun; what comes in now is the next request's.
    Answering,
}

/// Follows the phases of one connection.
#[derive(Debug)]
pub struct Head {
    phase: Phase,
    bytes_max: usize,
    heads: u64,
    /// The answer ends the connection: what still comes in is the rest of a body that nobody reads.
    is_last: bool,
}

/// A head is longer than heads may be.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

impl Head {
    pub fn new(bytes_max: usize) -> Self {
        Self { phase: Phase::Idle, bytes_max, heads: 0, is_last: false }
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Of this connection, the one that comes in included.
    pub fn heads(&self) -> u64 {
        self.heads
    }

    pub fn is_last(&self) -> bool {
        self.is_last
    }

    pub fn handle_read(&mut self, input: &[u8]) -> Result<(), TooLong> {
        if input.is_empty() || self.phase == Phase::Handling {
            return Ok(());
        }
        let (bytes, mut matched) = match self.phase {
            Phase::Head { bytes, matched } => (bytes, matched),
            _ => {
                self.heads += 1;
                (0, 0)
            }
        };
        for (at, byte) in input.iter().enumerate() {
            matched = match (*byte == END[matched], *byte) {
                (true, _) => matched + 1,
                (false, b'\r') => 1,
                (false, _) => 0,
            };
            if matched == END.len() {
                self.phase = Phase::Handling;
                return if bytes + at < self.bytes_max { Ok(()) } else { Err(TooLong) };
            }
        }
        self.phase = Phase::Head { bytes: bytes + input.len(), matched };
        if bytes + input.len() > self.bytes_max { Err(TooLong) } else { Ok(()) }
    }

    /// An interim answer (RFC 9110 15.2) asks for the body of the same request.
    pub fn handle_write(&mut self, output: &[u8]) {
        if !output.starts_with(b"HTTP/1.1 1") || output.starts_with(b"HTTP/1.1 101") {
            self.is_last |= self.phase == Phase::Handling && says_close(output);
            self.phase = Phase::Answering;
        }
    }
}

/// Whether a head, as actix-http writes it, is of a connection's last answer (RFC 9112 9.6).
fn says_close(output: &[u8]) -> bool {
    let end = output.windows(END.len()).position(|bytes| bytes == END).map_or(output.len(), |at| at + 2);
    output[..end].windows(CLOSE.len()).any(|bytes| bytes == CLOSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    #[test]
    fn a_head_ends_at_its_empty_line_however_it_is_cut() {
        for cut in 0..GET.len() {
            let mut head = Head::new(GET.len());
            head.handle_read(&GET[..cut]).unwrap();
            assert_ne!(head.phase(), Phase::Handling, "cut at {cut}");
            head.handle_read(&GET[cut..]).unwrap();
            assert_eq!((head.phase(), head.heads()), (Phase::Handling, 1), "cut at {cut}");
        }
    }

    #[test]
    fn a_head_is_bounded_and_a_body_is_not() {
        assert_eq!(Head::new(GET.len() - 1).handle_read(GET), Err(TooLong));
        let mut endless = Head::new(100);
        assert_eq!(endless.handle_read(&[b'a'; 100]), Ok(()));
        assert_eq!(endless.handle_read(b"a"), Err(TooLong));
        let mut head = Head::new(100);
        head.handle_read(GET).unwrap();
        assert_eq!(head.handle_read(&[b'a'; 10_000]), Ok(()));
    }

    #[test]
    fn the_next_request_begins_after_an_answer_but_not_after_an_interim_one() {
        let mut head = Head::new(100);
        head.handle_read(GET).unwrap();
        head.handle_write(b"HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(head.handle_read(&[b'a'; 10_000]), Ok(()));
        head.handle_write(b"HTTP/1.1 200 OK\r\n\r\n");
        head.handle_read(b"GET / ").unwrap();
        assert_eq!((head.phase(), head.heads()), (Phase::Head { bytes: 6, matched: 0 }, 2));
    }

    #[test]
    fn an_answer_tells_in_its_head_that_it_is_the_last() {
        for (answer, is_last) in [
            ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ndate: x\r\nconnection: close\r\na: b\r\n\r\nbody", true),
            ("HTTP/1.1 200 OK\r\n\r\nbody\r\nconnection: close\r\n", false),
        ] {
            let mut head = Head::new(100);
            head.handle_read(GET).unwrap();
            head.handle_write(answer.as_bytes());
            head.handle_write(b"\r\nconnection: close\r\n\r\n");
            assert_eq!(head.is_last(), is_last, "{answer}");
        }
    }

    #[test]
    fn a_lone_return_before_the_end_does_not_hide_it() {
        let mut head = Head::new(100);
        head.handle_read(b"GET / HTTP/1.1\r\na: b\r\r\n\r\n").unwrap();
        assert_eq!(head.phase(), Phase::Handling);
    }
}
