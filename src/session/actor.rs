//! The actor of one viewer: reads its socket, answers its messages, ends with it.

use crate::id::StreamId;
use crate::session::admission::Denied;
use crate::session::fan::Fan;
use crate::session::inbound::{Inbound, Message};
use crate::session::protocol::{self, ServerMessage, ViewerMessage};
use crate::session::reads::Reads;
use crate::session::route::Renewal;
use crate::session::stats::Told;
use crate::session::viewer::{Dialect, Viewer};
use crate::session::worker::Worker;
use crate::telemetry::spans;
use actix::{Actor, ActorContext, ActorFutureExt as _, AsyncContext, Context, StreamHandler, WrapFuture as _};
use actix_web::web;
use bytes::Bytes;
use std::cell::RefCell;
use std::rc::Rc;

pub struct Session {
    viewer: Rc<RefCell<Viewer>>,
    fan: Rc<RefCell<Fan>>,
    worker: Rc<Worker>,
    inbound: Inbound,
    renewal: Option<Rc<Renewal>>,
    stream: StreamId,
    told: Told,
    span: tracing::Span,
}

impl Session {
    /// `early` holds what the client sent before its socket was taken out of the HTTP server.
    pub fn start_for(
        viewer: Rc<RefCell<Viewer>>,
        fan: Rc<RefCell<Fan>>,
        worker: Rc<Worker>,
        renewal: Option<Renewal>,
        early: web::Payload,
        stream: StreamId,
    ) {
        Self::create(|ctx| {
            ctx.add_stream(Reads::new(viewer.clone(), early));
            let (session, dialect) = (viewer.borrow().ticket.session.clone(), viewer.borrow().ticket.dialect);
            let span = spans::viewer(stream.as_str(), session.as_str(), dialect.name());
            let (inbound, told) = (Inbound::default(), Told::default());
            Self { viewer, fan, worker, inbound, renewal: renewal.map(Rc::new), stream, told, span }
        });
    }

    fn answer(&mut self, message: Message, ctx: &mut Context<Self>) {
        let mut viewer = self.viewer.borrow_mut();
        match message {
            Message::Text(text) if viewer.ticket.dialect == Dialect::V1 => match protocol::parse(&text) {
                Ok(message) => {
                    drop(viewer);
                    return self.answer_text(message, ctx);
                }
                Err(error) => viewer.close(4400, &error.to_string(), None),
            },
            Message::Binary(_) if viewer.ticket.dialect == Dialect::V1 => {
                viewer.close(4400, "viewers send text only", None);
            }
            Message::Text(_) | Message::Binary(_) | Message::Pong => {}
            Message::Ping(payload) => viewer.pong(&payload),
            Message::Close(code) => viewer.answer_close(code),
        }
        viewer.flush();
    }

    fn answer_text(&mut self, message: ViewerMessage, ctx: &mut Context<Self>) {
        match message {
            ViewerMessage::Time { t0_us } => {
                let server_time_us = self.worker.unix_us() + self.fan.borrow().clock_ahead_us();
                let answer = ServerMessage::Time { t0_us, server_time_us };
                let mut viewer = self.viewer.borrow_mut();
                viewer.say_json(&answer.to_json());
                viewer.flush();
            }
            ViewerMessage::Token { token } => self.renew(token, ctx),
            ViewerMessage::Stats(stats) => {
                let report = self.told.handle(&stats);
                self.worker.report(&self.stream, &report);
            }
            ViewerMessage::Tracks { video, audio } => self.viewer.borrow_mut().want(video, audio),
            ViewerMessage::Pause => self.viewer.borrow_mut().pause(),
            ViewerMessage::Resume => self.fan.borrow_mut().resume(&self.viewer),
            ViewerMessage::Unknown => {}
        }
    }

    fn renew(&mut self, token: String, ctx: &mut Context<Self>) {
        let Some(renewal) = self.renewal.clone() else { return };
        let renewed = async move { renewal.renew(&token).await };
        ctx.spawn(renewed.into_actor(self).map(|renewed, session, _| {
            let mut viewer = session.viewer.borrow_mut();
            match renewed {
                Ok(admitted) => viewer.renew(&admitted),
                // The old token still holds, and there is time to send this one again.
                Err(Denied::Unavailable) => {}
                Err(error) => {
                    session.worker.metrics.auth_failure(error.label());
                    viewer.close(4401, "the new token is not valid", None);
                }
            }
        }));
    }
}

impl Actor for Session {
    type Context = Context<Self>;
}

/// Also after a panic: the viewer gives up its seat.
impl Drop for Session {
    fn drop(&mut self) {
        self.viewer.borrow_mut().end();
        let standing = self.viewer.borrow().standing();
        self.span.record("weir.frames_dropped", standing.frames_dropped).record("weir.rung", standing.rung);
        self.fan.borrow_mut().leave(&self.viewer);
        tracing::debug!(session = %self.viewer.borrow().ticket.session, "viewer left");
    }
}

impl StreamHandler<Bytes> for Session {
    fn handle(&mut self, bytes: Bytes, ctx: &mut Self::Context) {
        self.viewer.borrow_mut().heard();
        if self.viewer.borrow().ticket.dialect == Dialect::Http {
            return;
        }
        self.inbound.push(&bytes, self.worker.now());
        loop {
            match self.inbound.poll() {
                Ok(Some(message)) => self.answer(message, ctx),
                Ok(None) => return,
                Err(error) => {
                    let mut viewer = self.viewer.borrow_mut();
                    viewer.close(error.close_code(), &error.to_string(), None);
                    self.inbound = Inbound::default();
                    return;
                }
            }
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
