//! A TCP proxy that does to connections what networks do: for links to Redis, to the database, between nodes.

use socket2::SockRef;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// What happens to all connections, those that come included, until another is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each test binary uses some of them")]
pub(crate) enum Fault {
    None,
    /// What was read is passed on this much later.
    Delay(Duration),
    /// Nothing is read; all of it is passed on later.
    Stall,
    /// Nothing more comes from the server, whose side stays open.
    HalfClose,
    /// Connections are reset.
    Reset,
    /// What is sent is gone; such a connection is reset when the fault is over.
    BlackHole,
}

/// Ends with its connections when dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    fault: watch::Sender<Fault>,
    accepted: Arc<AtomicUsize>,
    /// Of its own: a test that blocks its thread does not hold up what passes here.
    runtime: Option<Runtime>,
}

impl Proxy {
    /// In front of `target`.
    pub(crate) fn start(target: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let fault = watch::Sender::new(Fault::None);
        let accepted = Arc::new(AtomicUsize::new(0));
        runtime.spawn(accept(listener, target.to_owned(), fault.subscribe(), accepted.clone()));
        Self { address, fault, accepted, runtime: Some(runtime) }
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Accepted so far.
    #[allow(dead_code, reason = "each test binary uses some of it")]
    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(
    listener: std::net::TcpListener,
    target: String,
    fault: watch::Receiver<Fault>,
    accepted: Arc<AtomicUsize>,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        accepted.fetch_add(1, Ordering::SeqCst);
        if *fault.borrow() == Fault::Reset {
            reset(&client);
            continue;
        }
        // A server that refuses: the client's connection ends as well.
        let Ok(server) = TcpStream::connect(&target).await else { continue };
        for socket in [&client, &server] {
            socket.set_nodelay(true).unwrap();
        }
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::spawn(pump(from_client, to_server, Side::Client, fault.clone()));
        tokio::spawn(pump(from_server, to_client, Side::Server, fault.clone()));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// From one side to the other, until either ends or the proxy does.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, side: Side, mut fault: watch::Receiver<Fault>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut has_lost = false;
    loop {
        let now = *fault.borrow_and_update();
        match now {
            Fault::Reset => break,
            Fault::BlackHole => {}
            _ if has_lost => break,
            Fault::HalfClose if side == Side::Server => {
                // Gone already: there is nothing to close.
                let _gone = to.shutdown().await;
                if fault.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Fault::Stall => {
                if fault.changed().await.is_err() {
                    return;
                }
                continue;
            }
            _ => {}
        }
        let read = tokio::select! {
            biased;
            changed = fault.changed() => {
                if changed.is_err() {
                    return;
                }
                continue;
            }
            read = from.read(&mut buffer) => read,
        };
        let Ok(read @ 1..) = read else {
            let _gone = to.shutdown().await;
            return;
        };
        match now {
            Fault::BlackHole => {
                has_lost = true;
                continue;
            }
            Fault::Delay(time) => tokio::time::sleep(time).await,
            _ => {}
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    reset(from.as_ref());
    reset(to.as_ref());
}

/// When it is closed.
fn reset(socket: &TcpStream) {
    SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap();
}
