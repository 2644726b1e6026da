//! A socket and its session.

use crate::net::socket::Socket;
use crate::rtmp::proxy::{self, Source};
use crate::rtmp::session::Session;
use crate::rtmp::{Error, chunk};
use socket2::{SockRef, TcpKeepalive};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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

pub(super) fn tune(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE))?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// Waits for the header that a proxy begins with, and takes not a byte of what follows it.
pub(super) async fn receive_source(stream: &mut TcpStream) -> Result<Source, Closed> {
    let mut reader = proxy::Reader::default();
    loop {
        let byte = stream.read_u8().await.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Closed::ByPeer,
            _ => error.into(),
        })?;
        if let Some(source) = reader.handle_bytes(&mut &[byte][..])? {
            return Ok(source);
        }
    }
}

pub(super) struct Wire {
    socket: Socket,
    pub(super) session: Session,
}

impl Wire {
    pub(super) fn new(socket: Socket, random: u64, limits: chunk::Limits) -> Self {
        Self { socket, session: Session::new(random, limits) }
    }

    /// Waits for bytes and gives them to the session; tells how many. Can be dropped at any await without a loss.
    pub(super) async fn receive(&mut self) -> Result<usize, Closed> {
        let Self { socket, session } = self;
        poll_fn(|cx| {
            SCRATCH.with_borrow_mut(|scratch| {
                let bytes = ready!(socket.poll_read(cx, scratch))?;
                session.handle_bytes(&scratch[..bytes])?;
                Poll::Ready(if bytes == 0 { Err(Closed::ByPeer) } else { Ok(bytes) })
            })
        })
        .await
    }

    /// Sends what the session has to say; must not be dropped half-way.
    pub(super) async fn flush(&mut self) -> Result<(), Closed> {
        while let Some(bytes) = self.session.poll_transmit() {
            let write = async {
                self.socket.write_all(&bytes).await?;
                self.socket.flush().await
            };
            let written = tokio::time::timeout(WRITE_TIMEOUT, write).await;
            written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        }
        Ok(())
    }

    /// Sends the rest, lets the peer read it, and closes.
    pub(super) async fn close(mut self) {
        let shut = async { self.flush().await.is_ok() && self.socket.shutdown().await.is_ok() };
        if !tokio::time::timeout(WRITE_TIMEOUT, shut).await.unwrap_or(false) {
            return;
        }
        let until_closed = async { while self.discard().await.is_ok_and(|bytes| bytes > 0) {} };
        // Either the peer has closed, or it had its time.
        let _ = tokio::time::timeout(LINGER, until_closed).await;
    }

    /// Below TLS: nobody wants to know what it says.
    async fn discard(&self) -> io::Result<usize> {
        let stream = self.socket.tcp();
        stream.readable().await?;
        match SCRATCH.with_borrow_mut(|scratch| stream.try_read(scratch)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(1),
            other => other,
        }
    }
}
