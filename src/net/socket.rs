//! A connection, plain or TLS, written without waiting.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What the kernel may hold unsent: more would hide a slow viewer from us for seconds.
const NOTSENT_LOWAT_BYTES: u32 = 16 * 1024;
/// A peer that acknowledges nothing for this long is dead.
const USER_TIMEOUT: Duration = Duration::from_secs(20);
/// Plain bytes that rustls may hold encrypted; past it a write would block.
const TLS_BUFFER_BYTES: usize = 32 * 1024;

pub enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Sets what every connection needs; a socket that is dead already is found out by the first read.
pub fn tune(stream: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOTSENT_LOWAT_BYTES)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

impl Socket {
    pub fn tls(mut stream: TlsStream<TcpStream>) -> Self {
        stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
        Self::Tls(Box::new(stream))
    }

    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Writes what fits now; `WouldBlock` where nothing does.
    pub fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => match slices {
                [one] => stream.try_write(one),
                many => stream.try_write_vectored(many),
            },
            Self::Tls(stream) => {
                let (tcp, tls) = stream.get_mut();
                let mut written = 0;
                for slice in slices {
                    let mut rest = &slice[..];
                    while !rest.is_empty() {
                        let taken = tls.writer().write(rest)?;
                        written += taken;
                        rest = &rest[taken..];
                        let is_blocked = !drain_tls(tls, tcp)?;
                        if is_blocked && (taken == 0 || tls.wants_write()) {
                            return if written == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(written) };
                        }
                    }
                }
                Ok(written)
            }
        }
    }

    /// Encrypted bytes wait for the kernel, although `try_write` took them.
    pub fn wants_flush(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.get_ref().1.wants_write())
    }

    /// True when nothing waits any more.
    pub fn try_flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Tls(stream) => {
                let (tcp, tls) = stream.get_mut();
                drain_tls(tls, tcp)
            }
        }
    }

    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp().poll_write_ready(cx)
    }

    /// Reads what is there into `scratch`; 0 is the end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(scratch);
        ready!(match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, &mut buffer),
        })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Ends it so that a peer that reads nothing hears of it too: an orderly end would wait behind what it has not read.
    pub fn reset(&self) {
        // One that is gone already needs no telling.
        let _ = socket2::SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO));
        self.shut();
    }

    /// Ends both directions at once: nothing waits for a peer that does not read.
    pub fn shut(&self) {
        // The peer may have closed already; there is nothing left to do then.
        let _ = socket2::SockRef::from(self.tcp()).shutdown(Shutdown::Both);
    }
}

/// Writes what rustls holds; false where the kernel takes no more.
fn drain_tls(tls: &mut tokio_rustls::rustls::ServerConnection, tcp: &TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(&mut Direct(tcp)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Lets rustls write to the kernel without waiting.
struct Direct<'a>(&'a TcpStream);

impl Write for Direct<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.try_write(buffer)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Direct<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
