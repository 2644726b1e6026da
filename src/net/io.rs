//! The IO that the HTTP server reads and writes, and out of which a viewer's socket is taken.

use crate::net::door::{Door, Place};
use crate::net::head::{Head, Phase};
use crate::net::socket::Socket;
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// From the end of a request's head until the answer begins.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// An answer of which nothing was written for so long is over, as far as making room for others goes.
const ANSWERED_AFTER: Duration = Duration::from_secs(1);
/// For a client to read why it was refused, before unread bytes of its own reset the connection.
const LINGER: Duration = Duration::from_secs(1);
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    content-type: application/problem+json\r\nconnection: close\r\ncontent-length: 134\r\n\r\n\
    {\"type\":\"about:blank\",\"title\":\"Request Timeout\",\"status\":408,\
    \"code\":\"headers_too_slow\",\"detail\":\"the head of the request is too slow\"}";
const TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    content-type: application/problem+json\r\nconnection: close\r\ncontent-length: 151\r\n\r\n\
    {\"type\":\"about:blank\",\"title\":\"Request Header Fields Too Large\",\"status\":431,\
    \"code\":\"headers_too_large\",\"detail\":\"the head of the request is too long\"}";

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
    door: Arc<Door>,
    place: Rc<RefCell<Option<Place>>>,
    is_evicted: bool,
    head: Head,
    /// Runs while a request comes in or waits for its answer.
    timeout: Option<Pin<Box<Sleep>>>,
    /// What is left to say to one whose request's head is too long or too slow.
    refusal: Option<&'static [u8]>,
}

/// What a request handler finds about its connection.
#[derive(Clone)]
pub struct Connection {
    pub peer: SocketAddr,
    pub is_tls: bool,
    takeover: Rc<RefCell<State>>,
    place: Rc<RefCell<Option<Place>>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the socket was taken already")]
pub struct Taken;

impl Io {
    pub fn new(socket: Socket, peer: SocketAddr, door: Arc<Door>, place: Option<Place>) -> Self {
        Self {
            state: Rc::new(RefCell::new(State::Http(socket))),
            peer,
            head: Head::new(door.header_bytes()),
            place: Rc::new(RefCell::new(place)),
            is_evicted: false,
            timeout: Some(Box::pin(tokio::time::sleep(door.header_time()))),
            door,
            refusal: None,
        }
    }

    pub fn connection(&self) -> Connection {
        let is_tls = matches!(&*self.state.borrow(), State::Http(Socket::Tls(_)));
        Connection { peer: self.peer, is_tls, takeover: self.state.clone(), place: self.place.clone() }
    }

    /// `None` where the socket has been taken.
    fn with<T>(&self, poll: impl FnOnce(Pin<&mut Socket>) -> T) -> Option<T> {
        match &mut *self.state.borrow_mut() {
            State::Http(socket) | State::Armed { socket, .. } => Some(poll(Pin::new(socket))),
            State::Taken => None,
        }
    }

    fn wait_at_most(&mut self, time: Duration) {
        self.timeout = Some(Box::pin(tokio::time::sleep(time)));
    }

    fn is_over_time(&mut self, cx: &mut Context<'_>) -> bool {
        self.timeout.as_mut().is_some_and(|timeout| timeout.as_mut().poll(cx).is_ready())
    }

    /// Bytes came in.
    fn note_read(&mut self, before: Phase, input: &[u8]) {
        if self.head.handle_read(input).is_err() {
            // After the last answer nothing more is said: it would pass for an answer to something else.
            if self.head.is_last() {
                self.refusal = Some(b"");
            } else {
                self.door.metrics.limit_hit("http_header_bytes");
                self.refusal = Some(TOO_LARGE);
            }
            self.wait_at_most(LINGER);
            return;
        }
        match (before, self.head.phase()) {
            (Phase::Handling, _) => {}
            (_, Phase::Handling) => self.wait_at_most(REQUEST_TIMEOUT),
            (Phase::Idle | Phase::Answering, Phase::Head { .. }) if self.head.heads() > 1 => {
                self.wait_at_most(self.door.header_time());
            }
            _ => {}
        }
    }

    /// Tells a client whose head is too long or too slow, and swallows what it still sends for a while.
    fn poll_refuse(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.refusal.filter(|rest| !rest.is_empty()) {
            let written = self.with(|socket| socket.poll_write(cx, rest)).unwrap_or(Poll::Ready(Ok(rest.len())));
            let Poll::Ready(written) = written else { break };
            self.refusal = rest.get(written?..);
        }
        if self.refusal.is_none_or(<[u8]>::is_empty) && !self.head.is_last() {
            // What can't be shut is closed already.
            let _ = self.with(|socket| socket.poll_shutdown(cx));
        }
        let mut scratch = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match self.with(|socket| socket.poll_read(cx, &mut buffer)).unwrap_or(Poll::Ready(Ok(()))) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Pending if !self.is_over_time(cx) => return Poll::Pending,
                _ => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            }
        }
    }

    /// True when this connection has to end for the sake of newer ones of its address.
    fn makes_room(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(place) = &mut *self.place.borrow_mut()
            && !self.is_evicted
        {
            self.is_evicted = place.poll_evicted(cx).is_ready();
        }
        if !self.is_evicted || self.place.borrow().is_none() {
            return false;
        }
        match self.head.phase() {
            Phase::Idle | Phase::Head { .. } => true,
            Phase::Handling => false,
            Phase::Answering => {
                if self.timeout.is_none() {
                    self.wait_at_most(ANSWERED_AFTER);
                }
                false
            }
        }
    }
}

impl Connection {
    /// It is somebody's who is expected: it no longer counts among its address's unknown ones.
    pub fn admit(&self) {
        self.place.take();
    }

    /// Hands the socket to `start` once the response that is being made has been written; to be called last in a
    /// handler.
    pub fn take(&self, start: impl FnOnce(Socket) + 'static) -> Result<(), Taken> {
        let mut state = self.takeover.borrow_mut();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Http(socket) => {
                *state = State::Armed { socket, start: Box::new(start), is_written: false };
                self.admit();
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
        if self.refusal.is_some() {
            return self.poll_refuse(cx);
        }
        let before = buffer.filled().len();
        let read = self.with(|socket| socket.poll_read(cx, buffer)).unwrap_or(Poll::Ready(Ok(())));
        if buffer.filled().len() > before {
            let phase = self.head.phase();
            self.note_read(phase, &buffer.filled()[before..]);
            if self.refusal.is_some() {
                buffer.set_filled(before);
                return self.poll_refuse(cx);
            }
        }
        if read.is_pending() && self.makes_room(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if self.is_over_time(cx) {
            if matches!(self.head.phase(), Phase::Head { .. }) {
                self.door.metrics.limit_hit("http_headers");
                self.refusal = Some(TOO_SLOW);
                self.wait_at_most(LINGER);
                return self.poll_refuse(cx);
            }
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.timeout = None;
        self.head.handle_write(buffer);
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
