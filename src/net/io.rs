//! The IO that the HTTP server reads and writes, and out of which a viewer's socket is taken.

use crate::net::socket::Socket;
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// From the first byte of a request until the answer begins.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Gets the socket as soon as the head of the response is in the kernel.
type Start = Box<dyn FnOnce(Socket)>;

enum State {
    Http(Socket),
    /// Armed by a handler; `is_written` once the server has written something since.
    Armed {
        socket: Socket,
        start: Start,
        is_written: bool,
    },
    /// Reads give the end and writes go nowhere, so that the HTTP dispatcher ends by itself.
    Taken,
}

/// One connection, as the HTTP server sees it.
pub struct Io {
    state: Rc<RefCell<State>>,
    peer: SocketAddr,
    /// Runs while a request has begun and no answer has: actix-http times the first head only.
    timeout: Option<Pin<Box<Sleep>>>,
}

/// What a request handler finds about its connection.
#[derive(Clone)]
pub struct Connection {
    pub peer: SocketAddr,
    pub is_tls: bool,
    takeover: Rc<RefCell<State>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the socket was taken already")]
pub struct Taken;

impl Io {
    pub fn new(socket: Socket, peer: SocketAddr) -> Self {
        Self { state: Rc::new(RefCell::new(State::Http(socket))), peer, timeout: None }
    }

    pub fn connection(&self) -> Connection {
        let is_tls = matches!(&*self.state.borrow(), State::Http(Socket::Tls(_)));
        Connection { peer: self.peer, is_tls, takeover: self.state.clone() }
    }

    /// `None` where the socket has been taken.
    fn with<T>(&self, poll: impl FnOnce(Pin<&mut Socket>) -> T) -> Option<T> {
        match &mut *self.state.borrow_mut() {
            State::Http(socket) | State::Armed { socket, .. } => Some(poll(Pin::new(socket))),
            State::Taken => None,
        }
    }
}

impl Connection {
    /// Hands the socket to `start` once the response that is being made has been written; to be called last in a
    /// handler.
    pub fn take(&self, start: impl FnOnce(Socket) + 'static) -> Result<(), Taken> {
        let mut state = self.takeover.borrow_mut();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Http(socket) => {
                *state = State::Armed { socket, start: Box::new(start), is_written: false };
                Ok(())
            }
            other => {
                *state = other;
                Err(Taken)
            }
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.with(|socket| socket.poll_read(cx, buffer)).unwrap_or(Poll::Ready(Ok(())));
        if buffer.filled().len() > before && self.timeout.is_none() {
            self.timeout = Some(Box::pin(tokio::time::sleep(REQUEST_TIMEOUT)));
        }
        if let Some(timeout) = &mut self.timeout
            && timeout.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.timeout = None;
        if let State::Armed { is_written, .. } = &mut *self.state.borrow_mut() {
            *is_written = true;
        }
        self.with(|socket| socket.poll_write(cx, buffer)).unwrap_or(Poll::Ready(Ok(buffer.len())))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.with(|socket| socket.poll_flush(cx)).unwrap_or(Poll::Ready(Ok(()))))?;
        let mut state = self.state.borrow_mut();
        if matches!(*state, State::Armed { is_written: true, .. })
            && let State::Armed { socket, start, .. } = std::mem::replace(&mut *state, State::Taken)
        {
            drop(state);
            // The dispatcher has to look again to find the end.
            cx.waker().wake_by_ref();
            start(socket);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|socket| socket.poll_shutdown(cx)).unwrap_or(Poll::Ready(Ok(())))
    }
}
