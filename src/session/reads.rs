//! A viewer's bytes as a stream; polling it also sends what waits.

use crate::session::viewer::Viewer;
use actix_web::web;
use bytes::Bytes;
use futures_util::Stream;
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// One read; shared by all viewers of a thread.
const SCRATCH_BYTES: usize = 16 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into());
}

/// What a viewer sends, until its connection ends.
pub struct Reads {
    viewer: Rc<RefCell<Viewer>>,
    early: Option<Box<web::Payload>>,
}

impl Reads {
    /// `early` holds what the client sent before its socket was taken out of the HTTP server.
    pub fn new(viewer: Rc<RefCell<Viewer>>, early: web::Payload) -> Self {
        Self { viewer, early: Some(Box::new(early)) }
    }
}

impl Stream for Reads {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // What a viewer says is answered after it was greeted.
        if self.viewer.borrow().is_waiting() {
            self.viewer.borrow_mut().poll_write(cx);
            return Poll::Pending;
        }
        if let Some(early) = &mut self.early {
            match Pin::new(early.as_mut()).poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => return Poll::Ready(Some(bytes)),
                Poll::Ready(Some(Err(_)) | None) => self.early = None,
                // The HTTP dispatcher is about to find the end; until then nothing may be read past it.
                Poll::Pending => {
                    self.viewer.borrow_mut().poll_write(cx);
                    return Poll::Pending;
                }
            }
        }
        SCRATCH.with_borrow_mut(|scratch| match self.viewer.borrow_mut().poll_io(cx, scratch) {
            Poll::Ready(0) => Poll::Ready(None),
            Poll::Ready(read) => Poll::Ready(Some(Bytes::copy_from_slice(&scratch[..read]))),
            Poll::Pending => Poll::Pending,
        })
    }
}
