//! A socket and its session.

use crate::rtmp::proxy::{self, Source};
use crate::rtmp::session::Session;
use crate::rtmp::{Error, chunk};
use socket2::{SockRef, TcpKeepalive};
use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// Read at once; shared by all connections of a thread, so that an idle one holds none.
const SCRATCH_BYTES: usize = 64 * 1024;
/// The server says little: who does not take it in this time takes nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// For the peer to read why it was ended, before unread bytes of its own reset the connection.
const LINGER: Duration = Duration::from_secs(1);
/// A peer that acknowledges nothing for this long is dead.
const USER_TIMEOUT: Duration = Duration::from_secs(15);
const KEEP_ALIVE: Duration = Duration::from_secs(10);

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Closed {
    #[error("the peer closed the connection")]
    ByPeer,
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error(transparent)]
    Malformed(#[from] Error),
}

pub(super) struct Wire {
    stream: TcpStream,
    pub(super) session: Session,
}

impl Wire {
    pub(super) fn new(stream: std::net::TcpStream, random: u64, limits: chunk::Limits) -> io::Result<Self> {
        let stream = TcpStream::from_std(stream)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE))?;
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        Ok(Self { stream, session: Session::new(random, limits) })
    }

    /// Waits for the header that a proxy begins with.
    pub(super) async fn receive_source(&mut self) -> Result<Source, Closed> {
        let mut reader = proxy::Reader::default();
        loop {
            self.stream.readable().await?;
            let received = SCRATCH.with_borrow_mut(|scratch| {
                let bytes = self.stream.try_read(scratch)?;
                let mut input = &scratch[..bytes];
                let source = reader.handle_bytes(&mut input)?;
                self.session.handle_bytes(input)?;
                if bytes == 0 { Err(Closed::ByPeer) } else { Ok(source) }
            });
            match received {
                Ok(Some(source)) => return Ok(source),
                Ok(None) => {}
                Err(Closed::Broken(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(closed) => return Err(closed),
            }
        }
    }

    /// Waits for bytes and gives them to the session; tells how many. Can be dropped at any await without a loss.
    pub(super) async fn receive(&mut self) -> Result<usize, Closed> {
        loop {
            self.stream.readable().await?;
            let received = SCRATCH.with_borrow_mut(|scratch| {
                let bytes = self.stream.try_read(scratch)?;
                self.session.handle_bytes(&scratch[..bytes])?;
                Ok(bytes)
            });
            match received {
                Ok(0) => return Err(Closed::ByPeer),
                Err(Closed::Broken(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }

    /// Sends what the session has to say; must not be dropped half-way.
    pub(super) async fn flush(&mut self) -> Result<(), Closed> {
        while let Some(bytes) = self.session.poll_transmit() {
            let written = tokio::time::timeout(WRITE_TIMEOUT, self.stream.write_all(&bytes)).await;
            written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        }
        Ok(())
    }

    /// Sends the rest, lets the peer read it, and closes.
    pub(super) async fn close(mut self) {
        if self.flush().await.is_err() || SockRef::from(&self.stream).shutdown(Shutdown::Write).is_err() {
            return;
        }
        let until_closed = async { while self.discard().await.is_ok_and(|bytes| bytes > 0) {} };
        // Either the peer has closed, or it had its time.
        let _ = tokio::time::timeout(LINGER, until_closed).await;
    }

    async fn discard(&self) -> io::Result<usize> {
        self.stream.readable().await?;
        match SCRATCH.with_borrow_mut(|scratch| self.stream.try_read(scratch)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(1),
            other => other,
        }
    }
}
