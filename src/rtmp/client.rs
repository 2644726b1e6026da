//! The publisher's side of a connection, as a machine.

use crate::rtmp::amf0::{Properties, Value};
use crate::rtmp::flow::Received;
use crate::rtmp::message::{Command, Content, UserControl};
use crate::rtmp::status::Code;
use crate::rtmp::url::Url;
use crate::rtmp::{Error, chunk, handshake};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

const CHUNK_BYTES: u32 = 4096;
const FOURCCS: [&str; 8] = ["avc1", "hvc1", "av01", "vp09", "mp4a", "Opus", "fLaC", ".mp3"];
const ENCODER: &str = concat!("Weir/", env!("CARGO_PKG_VERSION"), " (compatible; FMLE/3.0)");

/// Transaction numbers of the calls whose answers matter.
const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 4.0;
const PUBLISH: f64 = 5.0;

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Media is wanted from now on.
    Published,
    /// The server will not have the publish, or no more of it; it is about to close the connection.
    Refused { code: String, description: String },
    /// The server asks to come back on a new connection.
    ReconnectRequest { description: String },
}

#[derive(Debug)]
pub struct Client {
    url: Url,
    handshake: handshake::Client,
    reader: chunk::Reader,
    writer: chunk::Writer,
    out: BytesMut,
    events: VecDeque<Event>,
    received: Received,
    step: Step,
    /// `capsEx` of Enhanced RTMP.
    capabilities: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Handshake,
    Connecting,
    Creating,
    Asking(u32),
    Publishing(u32),
    Finished,
}

impl Client {
    /// `random` goes into the handshake; it need not be secret.
    pub fn new(url: Url, random: u64) -> Self {
        let mut handshake = handshake::Client::new(random);
        let out = handshake.poll_transmit().into_iter().flatten().collect();
        Self {
            url,
            handshake,
            reader: chunk::Reader::default(),
            writer: chunk::Writer::default(),
            out,
            events: VecDeque::new(),
            received: Received::default(),
            step: Step::Handshake,
            capabilities: 0.0,
        }
    }

    /// Tells the server that [`Event::ReconnectRequest`] will be obeyed.
    pub fn announce_reconnect(mut self) -> Self {
        self.capabilities = 1.0;
        self
    }

    pub fn handle_bytes(&mut self, mut input: &[u8]) -> Result<(), Error> {
        if self.step == Step::Handshake {
            self.handshake.handle_bytes(&mut input)?;
            self.out.extend(self.handshake.poll_transmit().into_iter().flatten());
            if self.handshake.is_done() {
                self.connect();
            }
        }
        self.received.count(input.len());
        while let Some(message) = self.reader.read(&mut input)? {
            self.handle_message(&message)?;
        }
        if let Some(total) = self.received.poll_acknowledgement() {
            self.send(0, 0, Content::Acknowledgement(total));
        }
        Ok(())
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    /// Sends the payload of an FLV video tag; without effect unless published.
    pub fn send_video(&mut self, timestamp_ms: u32, payload: Bytes) {
        self.send_media(timestamp_ms, Content::Video(payload));
    }

    /// Sends the payload of an FLV audio tag; without effect unless published.
    pub fn send_audio(&mut self, timestamp_ms: u32, payload: Bytes) {
        self.send_media(timestamp_ms, Content::Audio(payload));
    }

    /// Sends `onMetaData`; without effect unless published.
    pub fn send_metadata(&mut self, properties: Properties) {
        let values = vec!["@setDataFrame".into(), "onMetaData".into(), Value::EcmaArray(properties)];
        self.send_media(0, Content::Data(values));
    }

    /// Ends the publish; close the connection when all is sent.
    pub fn unpublish(&mut self) {
        if let Step::Asking(stream_id) | Step::Publishing(stream_id) = self.step {
            let name = self.name();
            self.call("FCUnpublish", 0.0, 0, vec![name]);
            self.call("deleteStream", 0.0, 0, vec![f64::from(stream_id).into()]);
        }
        self.step = Step::Finished;
    }

    fn connect(&mut self) {
        self.step = Step::Connecting;
        self.writer.set_chunk_size(CHUNK_BYTES, &mut self.out);
        let properties = vec![
            ("app".to_owned(), self.url.app.as_str().into()),
            ("type".to_owned(), "nonprivate".into()),
            ("flashVer".to_owned(), ENCODER.into()),
            ("tcUrl".to_owned(), Value::String(self.url.tc_url())),
            ("fourCcList".to_owned(), Value::StrictArray(FOURCCS.into_iter().map(Value::from).collect())),
            ("capsEx".to_owned(), self.capabilities.into()),
        ];
        let object = Value::Object(properties);
        self.send_command(0, Command { name: "connect".to_owned(), transaction: CONNECT, object, arguments: vec![] });
    }

    fn handle_message(&mut self, message: &chunk::Message) -> Result<(), Error> {
        match Content::parse(message)? {
            Content::WindowSize(bytes) => self.received.set_window(bytes),
            Content::UserControl(UserControl::PingRequest(time_ms)) => {
                self.send(0, 0, Content::UserControl(UserControl::PingResponse(time_ms)));
            }
            Content::Command(command) => self.handle_command(&command),
            _ => {}
        }
        Ok(())
    }

    fn handle_command(&mut self, command: &Command) {
        match command.name.as_str() {
            "_result" => self.handle_result(command),
            "_error" if [CONNECT, CREATE_STREAM, PUBLISH].contains(&command.transaction) => self.refused(command),
            "onStatus" => self.handle_status(command),
            _ => {}
        }
    }

    fn handle_result(&mut self, command: &Command) {
        if self.step == Step::Connecting && command.transaction == CONNECT {
            self.step = Step::Creating;
            let name = self.name();
            self.call("releaseStream", 2.0, 0, vec![name.clone()]);
            self.call("FCPublish", 3.0, 0, vec![name]);
            self.call("createStream", CREATE_STREAM, 0, vec![]);
        } else if self.step == Step::Creating && command.transaction == CREATE_STREAM {
            let stream_id = command.arguments.first().and_then(Value::as_f64).unwrap_or(1.0) as u32;
            self.step = Step::Asking(stream_id);
            let name = self.name();
            self.call("publish", PUBLISH, stream_id, vec![name, "live".into()]);
        }
    }

    fn handle_status(&mut self, command: &Command) {
        let (code, level, description) = (info(command, "code"), info(command, "level"), info(command, "description"));
        if code == Code::ReconnectRequest.as_str() {
            self.events.push_back(Event::ReconnectRequest { description });
        } else if level == "error" {
            self.refused(command);
        } else if let Step::Asking(stream_id) = self.step
            && code == Code::PublishStart.as_str()
        {
            self.step = Step::Publishing(stream_id);
            self.events.push_back(Event::Published);
        }
    }

    fn refused(&mut self, command: &Command) {
        self.step = Step::Finished;
        self.events
            .push_back(Event::Refused { code: info(command, "code"), description: info(command, "description") });
    }

    fn name(&self) -> Value {
        self.url.name.expose().into()
    }

    fn call(&mut self, name: &str, transaction: f64, stream_id: u32, arguments: Vec<Value>) {
        self.send_command(stream_id, Command { name: name.to_owned(), transaction, object: Value::Null, arguments });
    }

    fn send_command(&mut self, stream_id: u32, command: Command) {
        self.send(0, stream_id, Content::Command(command));
    }

    fn send_media(&mut self, timestamp_ms: u32, content: Content) {
        if let Step::Publishing(stream_id) = self.step {
            self.send(timestamp_ms, stream_id, content);
        }
    }

    fn send(&mut self, timestamp_ms: u32, stream_id: u32, content: Content) {
        content.write(timestamp_ms, stream_id, &mut self.writer, &mut self.out);
    }
}

/// A string of the information object, wherever among the arguments that is.
fn info(command: &Command, name: &str) -> String {
    let found = command.arguments.iter().find_map(|argument| argument.get(name)?.as_str());
    found.unwrap_or_default().to_owned()
}
