//! The server's side of one publisher's connection, as a machine.

use crate::rtmp::amf0::{Properties, Value};
use crate::rtmp::flow::{Received, WINDOW_BYTES_DEFAULT};
use crate::rtmp::message::{Command, Content, Limit, UserControl, is_media, split_aggregate};
use crate::rtmp::status::{self, Code};
use crate::rtmp::{Error, StreamKeySecret, chunk, handshake, key};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// What the server cuts its own messages into: its longest answer in one piece.
const CHUNK_BYTES: u32 = 4096;
/// Media that comes while nothing is published, or before the publish is decided: a keyframe and its second. Nobody
/// who has not shown a stream key holds more memory than this.
const EARLY_BYTES_MAX: usize = 1 << 20;
/// Commands and data messages without media between them; a publish takes about ten.
const COMMANDS_MAX: u32 = 256;
/// Encoders pack a second of sound at most.
const AGGREGATED_MAX: usize = 1024;
/// What is kept of how an encoder calls itself.
const ENCODER_CHARS_MAX: usize = 64;
/// `capsEx` of Enhanced RTMP: understands reconnect requests.
const CAPABILITY_RECONNECT: u32 = 1;
/// Values of `videoFourCcInfoMap`: passes it on, neither decodes nor encodes.
const FOURCC_FORWARDED: f64 = 4.0;
const VIDEO_FOURCCS: [&str; 4] = ["avc1", "hvc1", "av01", "vp09"];
const AUDIO_FOURCCS: [&str; 4] = ["mp4a", "Opus", "fLaC", ".mp3"];

/// What a publisher did.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Wants to publish; answered by [`Session::accept_publish`] or [`Session::reject_publish`].
    Publish(PublishRequest),
    Metadata(Properties),
    /// `payload` is an FLV video tag without its header.
    Video {
        timestamp_ms: u32,
        payload: Bytes,
    },
    /// `payload` is an FLV audio tag without its header.
    Audio {
        timestamp_ms: u32,
        payload: Bytes,
    },
    Unpublish,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PublishRequest {
    pub app: String,
    pub key: StreamKeySecret,
    /// What the encoder calls itself, printable and short.
    pub encoder: String,
}

#[derive(Debug)]
pub struct Session {
    handshake: handshake::Server,
    reader: chunk::Reader,
    writer: chunk::Writer,
    out: BytesMut,
    events: VecDeque<Event>,
    received: Received,
    /// What the peer was told to acknowledge after.
    window_bytes: u32,
    step: Step,
    app: String,
    encoder: String,
    reconnect: Reconnect,
    streams_created: u32,
    /// Publishes that the peer took back before they were answered.
    withdrawn: u32,
    early_bytes: usize,
    /// Commands that may still come; each media message of a publish gives one back.
    commands_left: u32,
    /// Once something is published.
    limits: chunk::Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begun,
    Connected,
    /// A publish waits for its answer on this message stream.
    Asked(u32),
    Publishing(u32),
    /// Nothing more is taken in; what is in `out` still goes out.
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reconnect {
    NotAnnounced,
    Announced,
}

impl Session {
    /// `random` goes into the handshake; it need not be secret.
    pub fn new(random: u64, limits: chunk::Limits) -> Self {
        Self {
            handshake: handshake::Server::new(random),
            reader: chunk::Reader::new(limits.at_most(EARLY_BYTES_MAX as u32)),
            writer: chunk::Writer::default(),
            out: BytesMut::new(),
            events: VecDeque::new(),
            received: Received::default(),
            window_bytes: WINDOW_BYTES_DEFAULT,
            step: Step::Begun,
            app: String::new(),
            encoder: String::new(),
            reconnect: Reconnect::NotAnnounced,
            streams_created: 0,
            withdrawn: 0,
            early_bytes: 0,
            commands_left: COMMANDS_MAX,
            limits,
        }
    }

    /// Takes what the peer sent, in pieces of any size. After an error only [`Session::end`] makes sense.
    pub fn handle_bytes(&mut self, mut input: &[u8]) -> Result<(), Error> {
        if !self.handshake.is_done() {
            self.handshake.handle_bytes(&mut input)?;
            self.out.extend(self.handshake.poll_transmit().into_iter().flatten());
        }
        self.received.count(input.len());
        while self.step != Step::Finished
            && let Some(message) = self.reader.read(&mut input)?
        {
            self.handle_message(&message)?;
        }
        if let Some(total) = self.received.poll_acknowledgement() {
            self.send(0, Content::Acknowledgement(total));
        }
        Ok(())
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    pub fn is_handshake_done(&self) -> bool {
        self.handshake.is_done()
    }

    /// Whether the connection is to be closed once [`Session::poll_transmit`] has given all.
    pub fn is_finished(&self) -> bool {
        self.step == Step::Finished
    }

    /// Answers the oldest unanswered [`Event::Publish`]; without effect if the peer has taken it back.
    pub fn accept_publish(&mut self) {
        if self.withdrawn > 0 {
            self.withdrawn -= 1;
        } else if let Step::Asked(stream_id) = self.step {
            self.step = Step::Publishing(stream_id);
            self.early_bytes = 0;
            self.reader.set_limits(self.limits);
            self.send(0, Content::UserControl(UserControl::StreamBegin(stream_id)));
            self.send_status(stream_id, Code::PublishStart, "the stream is live");
        }
    }

    /// Answers [`Event::Publish`] and finishes the connection.
    pub fn reject_publish(&mut self, code: Code, description: &str) {
        self.end(code, description);
    }

    /// Tells the peer why, as far as it can be told, and finishes the connection.
    pub fn end(&mut self, code: Code, description: &str) {
        if self.step == Step::Finished {
            return;
        }
        if self.handshake.is_done() {
            let stream_id = self.publish_stream().filter(|_| code.is_of_stream());
            self.send_status(stream_id.unwrap_or(0), code, description);
        }
        self.finish();
    }

    /// Asks the encoder to come back on a new connection; `false` if it has not announced that it can.
    pub fn request_reconnect(&mut self, description: &str) -> bool {
        let announced = self.reconnect == Reconnect::Announced && self.step != Step::Finished;
        if announced {
            self.send_status(0, Code::ReconnectRequest, description);
        }
        announced
    }

    /// Asks for a sign of life; `time_ms` is the server's and comes back.
    pub fn ping(&mut self, time_ms: u32) {
        if self.handshake.is_done() && self.step != Step::Finished {
            self.send(0, Content::UserControl(UserControl::PingRequest(time_ms)));
        }
    }

    fn handle_message(&mut self, message: &chunk::Message) -> Result<(), Error> {
        match self.parse(message)? {
            Content::WindowSize(bytes) => self.received.set_window(bytes),
            Content::PeerBandwidth { window_bytes, .. } => self.handle_peer_bandwidth(window_bytes),
            Content::UserControl(UserControl::PingRequest(time_ms)) => {
                self.send(0, Content::UserControl(UserControl::PingResponse(time_ms)));
            }
            Content::Command(command) => return self.handle_command(message.stream_id, &command),
            Content::Aggregate(payload) => {
                let parts = split_aggregate(message.timestamp_ms, message.stream_id, payload);
                for part in parts.take(AGGREGATED_MAX) {
                    let content = self.parse(&part)?;
                    self.handle_media(&part, content)?;
                }
            }
            content => return self.handle_media(message, content),
        }
        Ok(())
    }

    /// Commands and data are paid for before they are looked at.
    fn parse(&mut self, message: &chunk::Message) -> Result<Content, Error> {
        if is_media(message) {
            let publishing = self.step == Step::Publishing(message.stream_id);
            self.commands_left = (self.commands_left + u32::from(publishing)).min(COMMANDS_MAX);
        } else {
            self.commands_left = self.commands_left.checked_sub(1).ok_or(Error::TooManyCommands)?;
        }
        Content::parse(message)
    }

    fn handle_media(&mut self, message: &chunk::Message, content: Content) -> Result<(), Error> {
        let timestamp_ms = message.timestamp_ms;
        let event = match content {
            Content::Video(payload) => Event::Video { timestamp_ms, payload },
            Content::Audio(payload) => Event::Audio { timestamp_ms, payload },
            Content::Data(values) => match metadata(values) {
                Some(properties) => Event::Metadata(properties),
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        let publishing = self.step == Step::Publishing(message.stream_id);
        if !publishing {
            self.early_bytes += message.payload.len() + size_of::<Event>();
            if self.early_bytes > EARLY_BYTES_MAX {
                return Err(Error::MediaTooEarly(EARLY_BYTES_MAX));
            }
        }
        if publishing || self.step == Step::Asked(message.stream_id) {
            self.events.push_back(event);
        }
        Ok(())
    }

    fn handle_peer_bandwidth(&mut self, window_bytes: u32) {
        if window_bytes != self.window_bytes {
            self.window_bytes = window_bytes;
            self.send(0, Content::WindowSize(window_bytes));
        }
    }

    fn handle_command(&mut self, stream_id: u32, command: &Command) -> Result<(), Error> {
        if self.step == Step::Begun && command.name != "connect" {
            return Err(Error::NotConnected);
        }
        match command.name.as_str() {
            "connect" => self.handle_connect(command),
            "createStream" => {
                self.streams_created = self.streams_created.wrapping_add(1);
                self.answer(command, Value::Null, Value::Number(f64::from(self.streams_created)));
            }
            "publish" => self.handle_publish(stream_id, command),
            "releaseStream" => self.answer(command, Value::Null, Value::Undefined),
            "FCPublish" => self.answer_fc(command, "onFCPublish", Code::PublishStart),
            "FCUnpublish" => {
                self.answer_fc(command, "onFCUnpublish", Code::UnpublishSuccess);
                if let Some(published) = self.publish_stream() {
                    self.unpublish(published);
                }
            }
            "closeStream" => self.unpublish(stream_id),
            "deleteStream" => {
                let deleted = command.arguments.first().and_then(Value::as_f64);
                self.unpublish(deleted.map_or(stream_id, |id| id as u32));
            }
            "play" | "play2" => {
                self.send_status(stream_id, Code::PlayFailed, "nothing is played over RTMP here: watch it on its page");
                self.finish();
            }
            // Answers to what was never asked, and calls that want no answer.
            "_result" | "_error" | "onStatus" => {}
            _ if command.transaction == 0.0 => {}
            _ => self.send_command(stream_id, status::error(command.transaction, "no such method here")),
        }
        Ok(())
    }

    fn handle_connect(&mut self, command: &Command) {
        let of_client = |name: &str| command.object.get(name);
        self.app = of_client("app").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.encoder = printable(of_client("flashVer").and_then(Value::as_str).unwrap_or_default());
        let capabilities = of_client("capsEx").and_then(Value::as_f64);
        if capabilities.is_some_and(|bits| bits as u32 & CAPABILITY_RECONNECT != 0) {
            self.reconnect = Reconnect::Announced;
        }
        if self.step == Step::Begun {
            self.step = Step::Connected;
            self.send(0, Content::WindowSize(self.window_bytes));
            self.send(0, Content::PeerBandwidth { window_bytes: WINDOW_BYTES_DEFAULT, limit: Limit::Dynamic });
            self.writer.set_chunk_size(CHUNK_BYTES, &mut self.out);
        }
        let enhanced = ["fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap", "capsEx"];
        let mut properties: Properties = vec![
            ("fmsVer".to_owned(), "FMS/3,5,7,7009".into()),
            ("capabilities".to_owned(), 31.0.into()),
            ("mode".to_owned(), 1.0.into()),
        ];
        if enhanced.into_iter().any(|name| of_client(name).is_some()) {
            properties.extend(enhanced_capabilities());
        }
        let mut info = status::info(Code::ConnectSuccess, "connected");
        info.push(("objectEncoding".to_owned(), 0.0.into()));
        self.answer(command, Value::Object(properties), Value::Object(info));
    }

    fn handle_publish(&mut self, stream_id: u32, command: &Command) {
        if self.publish_stream().is_some() {
            let description = "this connection already publishes a stream";
            return self.send_status(stream_id, Code::PublishBadName, description);
        }
        let (app, key) = key::locate(&self.app, command.string(0).unwrap_or_default());
        self.step = Step::Asked(stream_id);
        if key.expose().is_empty() {
            return self.end(Code::PublishBadName, "no stream key was given");
        }
        self.events.push_back(Event::Publish(PublishRequest { app, key, encoder: self.encoder.clone() }));
    }

    fn unpublish(&mut self, stream_id: u32) {
        if self.publish_stream() == Some(stream_id) {
            self.withdrawn += u32::from(self.step == Step::Asked(stream_id));
            self.step = Step::Connected;
            self.events.push_back(Event::Unpublish);
            self.send_status(stream_id, Code::UnpublishSuccess, "the stream is no longer live");
        }
    }

    fn publish_stream(&self) -> Option<u32> {
        match self.step {
            Step::Asked(stream_id) | Step::Publishing(stream_id) => Some(stream_id),
            _ => None,
        }
    }

    fn finish(&mut self) {
        self.step = Step::Finished;
        self.events.clear();
    }

    fn answer(&mut self, command: &Command, object: Value, answer: Value) {
        self.send_command(0, status::result(command.transaction, object, answer));
    }

    /// What Flash-era encoders wait for beside the result.
    fn answer_fc(&mut self, command: &Command, name: &str, code: Code) {
        let mut notice = status::on_status(code, "");
        notice.name = name.to_owned();
        self.send_command(0, notice);
        if command.transaction != 0.0 {
            self.answer(command, Value::Null, Value::Undefined);
        }
    }

    fn send_status(&mut self, stream_id: u32, code: Code, description: &str) {
        self.send_command(stream_id, status::on_status(code, description));
    }

    fn send_command(&mut self, stream_id: u32, command: Command) {
        self.send(stream_id, Content::Command(command));
    }

    fn send(&mut self, stream_id: u32, content: Content) {
        content.write(0, stream_id, &mut self.writer, &mut self.out);
    }
}

/// The properties of `onMetaData`, with or without `@setDataFrame` before it.
fn metadata(values: Vec<Value>) -> Option<Properties> {
    let mut values = values.into_iter().skip_while(|value| value.as_str() == Some("@setDataFrame"));
    if values.next()?.as_str() != Some("onMetaData") {
        return None;
    }
    match values.next()? {
        Value::Object(properties) | Value::EcmaArray(properties) => Some(properties),
        _ => None,
    }
}

/// Enhanced RTMP, "Enhancing NetConnection connect Command".
fn enhanced_capabilities() -> Properties {
    let map = |names: [&str; 4]| {
        Value::Object(names.into_iter().map(|name| (name.to_owned(), FOURCC_FORWARDED.into())).collect())
    };
    let list = VIDEO_FOURCCS.into_iter().chain(AUDIO_FOURCCS).map(Value::from).collect();
    vec![
        ("fourCcList".to_owned(), Value::StrictArray(list)),
        ("videoFourCcInfoMap".to_owned(), map(VIDEO_FOURCCS)),
        ("audioFourCcInfoMap".to_owned(), map(AUDIO_FOURCCS)),
        ("capsEx".to_owned(), f64::from(CAPABILITY_RECONNECT).into()),
    ]
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ENCODER_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::client::{self, Client};
    use crate::rtmp::url::Url;
    use proptest::prelude::*;

    const KEY: &str = "sk_marker";

    fn session() -> Session {
        Session::new(1, chunk::Limits::default())
    }

    fn client(url: &str) -> Client {
        Client::new(Url::parse(url).unwrap(), 2)
    }

    /// Lets both talk until neither has more to say.
    fn talk(client: &mut Client, session: &mut Session) -> Result<(), Error> {
        loop {
            let (to_server, to_client) = (client.poll_transmit(), session.poll_transmit());
            if to_server.is_none() && to_client.is_none() {
                return Ok(());
            }
            session.handle_bytes(&to_server.unwrap_or_default())?;
            client.handle_bytes(&to_client.unwrap_or_default()).expect("what the server sends is right");
        }
    }

    fn asked(url: &str) -> (Client, Session, PublishRequest) {
        let (mut client, mut session) = (client(url), session());
        talk(&mut client, &mut session).unwrap();
        let Some(Event::Publish(request)) = session.poll_event() else { panic!("no publish") };
        (client, session, request)
    }

    fn published() -> (Client, Session) {
        let (mut client, mut session, _) = asked(&format!("rtmp://h/live/{KEY}"));
        session.accept_publish();
        talk(&mut client, &mut session).unwrap();
        assert_eq!(client.poll_event(), Some(client::Event::Published));
        (client, session)
    }

    /// A peer beyond its handshake that says exactly what it is told to.
    struct Peer {
        session: Session,
        writer: chunk::Writer,
        reader: chunk::Reader,
    }

    impl Peer {
        fn new() -> Self {
            let mut session = session();
            let mut bytes = vec![0; 1 + 2 * handshake::PACKET_BYTES];
            bytes[0] = 3;
            session.handle_bytes(&bytes).unwrap();
            session.poll_transmit();
            Self { session, writer: chunk::Writer::default(), reader: chunk::Reader::default() }
        }

        fn connected() -> Self {
            let mut peer = Self::new();
            peer.command("connect", 1.0, 0, vec![]).unwrap();
            peer.heard();
            peer
        }

        fn say(&mut self, stream_id: u32, content: Content) -> Result<(), Error> {
            let mut out = BytesMut::new();
            content.write(7, stream_id, &mut self.writer, &mut out);
            self.session.handle_bytes(&out)
        }

        fn command(&mut self, name: &str, transaction: f64, stream: u32, arguments: Vec<Value>) -> Result<(), Error> {
            let object = Value::Null;
            self.say(stream, Content::Command(Command { name: name.into(), transaction, object, arguments }))
        }

        fn publish(&mut self, stream: u32, key: &str) {
            self.command("publish", 5.0, stream, vec![key.into(), "live".into()]).unwrap();
        }

        fn heard(&mut self) -> Vec<(u32, Content)> {
            let bytes = self.session.poll_transmit().unwrap_or_default();
            let (mut input, mut heard) = (&bytes[..], Vec::new());
            while let Some(message) = self.reader.read(&mut input).unwrap() {
                heard.push((message.stream_id, Content::parse(&message).unwrap()));
            }
            heard
        }

        /// Name and status code of the commands heard, with the stream they are on.
        fn heard_commands(&mut self) -> Vec<(u32, String, String)> {
            let heard = self.heard().into_iter().filter_map(|(stream_id, content)| match content {
                Content::Command(command) => {
                    let code = command.arguments.first().and_then(|info| info.get("code")?.as_str().map(str::to_owned));
                    Some((stream_id, command.name, code.unwrap_or_default()))
                }
                _ => None,
            });
            heard.collect()
        }

        fn events(&mut self) -> Vec<Event> {
            std::iter::from_fn(|| self.session.poll_event()).collect()
        }
    }

    #[test]
    fn a_publish_goes_from_connect_to_media() {
        let (mut client, mut session) = published();
        client.send_metadata(vec![("width".into(), 1280.0.into())]);
        client.send_video(40, Bytes::from_static(&[0x17, 1]));
        client.send_audio(u32::MAX, Bytes::new());
        client.send_audio(5, Bytes::from_static(&[0xaf]));
        talk(&mut client, &mut session).unwrap();
        let events: Vec<_> = std::iter::from_fn(|| session.poll_event()).collect();
        let audio = |timestamp_ms, payload: &'static [u8]| Event::Audio { timestamp_ms, payload: payload.into() };
        let want = [
            Event::Metadata(vec![("width".into(), 1280.0.into())]),
            Event::Video { timestamp_ms: 40, payload: Bytes::from_static(&[0x17, 1]) },
            audio(u32::MAX, &[]),
            audio(5, &[0xaf]),
        ];
        assert_eq!(events, want);
        client.unpublish();
        talk(&mut client, &mut session).unwrap();
        assert_eq!(session.poll_event(), Some(Event::Unpublish));
        assert_eq!(session.poll_event(), None);
    }

    #[test]
    fn the_key_is_found_in_every_form_of_address() {
        let table = [
            ("rtmp://h/live/sk_marker", "live"),
            ("rtmp://h/live/sk_marker?x=y/z", "live"),
            ("rtmp://h/sk_marker", ""),
            ("rtmp://h/a/b/sk_marker", "a/b"),
        ];
        for (url, app) in table {
            let (_, _, request) = asked(url);
            assert_eq!((request.app.as_str(), request.key.expose()), (app, KEY), "{url}");
            assert!(request.encoder.starts_with("Weir/"));
            assert!(!format!("{request:?}").contains("marker"));
        }
    }

    #[test]
    fn a_refused_publish_is_told_why_and_finished() {
        let (mut client, mut session, _) = asked("rtmp://h/live/k");
        session.reject_publish(Code::PublishBadName, "no such stream key");
        assert!(session.is_finished());
        talk(&mut client, &mut session).unwrap();
        let refused = client::Event::Refused {
            code: "NetStream.Publish.BadName".into(),
            description: "no such stream key".into(),
        };
        assert_eq!(client.poll_event(), Some(refused));
        session.handle_bytes(&[0xff; 100]).expect("nothing is taken in any more");
        assert_eq!(session.poll_transmit(), None);
    }

    #[test]
    fn media_sent_along_with_a_refused_publish_is_dropped() {
        let mut peer = Peer::connected();
        peer.publish(1, KEY);
        peer.say(1, Content::Video(Bytes::new())).unwrap();
        peer.session.reject_publish(Code::PublishDenied, "disabled");
        assert_eq!(peer.events(), []);
    }

    #[test]
    fn an_ended_publish_is_told_why_and_finished() {
        let (mut client, mut session) = published();
        session.end(Code::PublishReset, "another encoder took over");
        session.end(Code::ConnectClosed, "said once only");
        talk(&mut client, &mut session).unwrap();
        let refused = client::Event::Refused {
            code: "NetStream.Publish.Reset".into(),
            description: "another encoder took over".into(),
        };
        assert_eq!((client.poll_event(), client.poll_event()), (Some(refused), None));
        assert!(session.is_finished());
    }

    #[test]
    fn only_who_announced_it_is_asked_to_reconnect() {
        let (mut client, mut session) = published();
        assert!(!session.request_reconnect("maintenance"));
        talk(&mut client, &mut session).unwrap();
        assert_eq!(client.poll_event(), None);

        let (mut client, mut session) =
            (super::tests::client("rtmp://h/live/k").announce_reconnect(), super::tests::session());
        talk(&mut client, &mut session).unwrap();
        assert!(session.request_reconnect("maintenance"));
        talk(&mut client, &mut session).unwrap();
        let asked = client::Event::ReconnectRequest { description: "maintenance".into() };
        assert_eq!(client.poll_event(), Some(asked));
    }

    #[test]
    fn connect_is_answered_with_windows_and_capabilities() {
        let mut peer = Peer::new();
        let object = Value::Object(vec![
            ("app".into(), "live".into()),
            ("fourCcList".into(), Value::StrictArray(vec!["hvc1".into()])),
        ]);
        let connect = Command { name: "connect".into(), transaction: 1.0, object, arguments: vec![] };
        peer.say(0, Content::Command(connect)).unwrap();
        let heard = peer.heard();
        assert_eq!(heard[0].1, Content::WindowSize(2_500_000));
        assert_eq!(heard[1].1, Content::PeerBandwidth { window_bytes: 2_500_000, limit: Limit::Dynamic });
        let Content::Command(answer) = &heard[2].1 else { panic!("no answer") };
        assert_eq!((answer.name.as_str(), answer.transaction), ("_result", 1.0));
        assert_eq!(answer.arguments[0].get("code"), Some(&"NetConnection.Connect.Success".into()));
        assert_eq!(answer.object.get("capsEx"), Some(&1.0.into()));
        assert_eq!(answer.object.get("videoFourCcInfoMap").unwrap().get("hvc1"), Some(&4.0.into()));
    }

    #[test]
    fn a_plain_connect_is_answered_plainly() {
        let mut peer = Peer::new();
        peer.command("connect", 1.0, 0, vec![]).unwrap();
        let Content::Command(answer) = &peer.heard()[2].1 else { panic!("no answer") };
        assert_eq!(answer.object.get("capsEx"), None);
    }

    #[test]
    fn calls_around_a_publish_are_answered() {
        let mut peer = Peer::connected();
        type Answers<'a> = &'a [(&'a str, &'a str)];
        let table: [(&str, f64, Answers); 8] = [
            ("releaseStream", 2.0, &[("_result", "")]),
            ("FCPublish", 3.0, &[("onFCPublish", "NetStream.Publish.Start"), ("_result", "")]),
            ("createStream", 4.0, &[("_result", "")]),
            ("_checkbw", 5.0, &[("_error", "NetConnection.Call.Failed")]),
            ("getStreamLength", 6.0, &[("_error", "NetConnection.Call.Failed")]),
            ("whatever", 0.0, &[]),
            ("_result", 7.0, &[]),
            ("_error", 8.0, &[]),
        ];
        for (name, transaction, want) in table {
            peer.command(name, transaction, 0, vec![KEY.into()]).unwrap();
            let heard: Vec<_> = peer.heard_commands().into_iter().map(|(_, name, code)| (name, code)).collect();
            let want: Vec<_> = want.iter().map(|&(name, code)| (name.to_owned(), code.to_owned())).collect();
            assert_eq!(heard, want, "{name}");
        }
    }

    #[test]
    fn pings_and_bandwidth_are_answered() {
        let mut peer = Peer::connected();
        peer.say(0, Content::UserControl(UserControl::PingRequest(77))).unwrap();
        assert_eq!(peer.heard(), [(0, Content::UserControl(UserControl::PingResponse(77)))]);
        let bandwidth = Content::PeerBandwidth { window_bytes: 9, limit: Limit::Hard };
        peer.say(0, bandwidth.clone()).unwrap();
        peer.say(0, bandwidth).unwrap();
        assert_eq!(peer.heard(), [(0, Content::WindowSize(9))]);
        peer.session.ping(5);
        assert_eq!(peer.heard(), [(0, Content::UserControl(UserControl::PingRequest(5)))]);
    }

    #[test]
    fn what_is_received_is_acknowledged() {
        let mut peer = Peer::connected();
        peer.say(0, Content::WindowSize(1000)).unwrap();
        peer.heard();
        peer.say(1, Content::Video(Bytes::from(vec![0; 2000]))).unwrap();
        assert!(matches!(peer.heard()[..], [(0, Content::Acknowledgement(total))] if total > 2000));
    }

    #[test]
    fn play_is_refused_with_a_reason() {
        let mut peer = Peer::connected();
        peer.command("play", 3.0, 1, vec![KEY.into()]).unwrap();
        assert_eq!(peer.heard_commands(), [(1, "onStatus".into(), "NetStream.Play.Failed".into())]);
        assert!(peer.session.is_finished());
    }

    #[test]
    fn a_publish_without_a_key_is_refused() {
        let mut peer = Peer::connected();
        peer.publish(1, "");
        assert_eq!(peer.heard_commands(), [(1, "onStatus".into(), "NetStream.Publish.BadName".into())]);
        assert!(peer.session.is_finished() && peer.events().is_empty());
    }

    #[test]
    fn commands_before_connect_are_an_error() {
        for name in ["createStream", "publish", "play"] {
            assert_eq!(Peer::new().command(name, 1.0, 0, vec![]), Err(Error::NotConnected));
        }
    }

    #[test]
    fn a_second_publish_is_refused_and_the_first_goes_on() {
        let mut peer = Peer::connected();
        peer.publish(1, KEY);
        peer.session.accept_publish();
        peer.heard();
        peer.publish(2, "other");
        assert_eq!(peer.heard_commands(), [(2, "onStatus".into(), "NetStream.Publish.BadName".into())]);
        peer.events();
        peer.say(2, Content::Audio(Bytes::new())).unwrap();
        peer.say(1, Content::Audio(Bytes::new())).unwrap();
        assert_eq!(peer.events().len(), 1);
    }

    #[test]
    fn media_after_unpublish_is_ignored_and_publishing_again_works() {
        for (name, stream) in [("closeStream", 1), ("deleteStream", 0), ("FCUnpublish", 0)] {
            let mut peer = Peer::connected();
            peer.publish(1, KEY);
            peer.session.accept_publish();
            peer.command(name, 0.0, stream, vec![1.0.into()]).unwrap();
            peer.say(1, Content::Video(Bytes::new())).unwrap();
            assert!(matches!(peer.events()[..], [Event::Publish(_), Event::Unpublish]), "{name}");
            peer.publish(1, KEY);
            peer.session.accept_publish();
            peer.say(1, Content::Video(Bytes::new())).unwrap();
            assert!(matches!(peer.events()[..], [Event::Publish(_), Event::Video { .. }]), "{name}");
        }
    }

    #[test]
    fn an_answer_does_not_go_to_a_later_publish() {
        let mut peer = Peer::connected();
        peer.publish(1, "right");
        peer.command("closeStream", 0.0, 1, vec![]).unwrap();
        peer.publish(1, "wrong");
        peer.heard();
        peer.session.accept_publish();
        assert_eq!(peer.heard(), []);
        peer.session.accept_publish();
        assert_eq!(peer.heard_commands(), [(1, "onStatus".into(), "NetStream.Publish.Start".into())]);
    }

    #[test]
    fn media_before_the_answer_waits_but_not_without_bound() {
        let mut peer = Peer::connected();
        let frame = Content::Video(Bytes::from(vec![0; 100_000]));
        peer.say(1, frame.clone()).unwrap();
        assert_eq!(peer.events(), [], "nothing was asked");
        peer.publish(1, KEY);
        peer.say(1, frame.clone()).unwrap();
        assert_eq!(peer.events().len(), 2);
        let error = std::iter::repeat_with(|| peer.say(1, frame.clone())).take(100).find_map(Result::err);
        assert_eq!(error, Some(Error::MediaTooEarly(EARLY_BYTES_MAX)));
    }

    #[test]
    fn one_who_has_shown_no_key_gets_little_memory_and_few_commands() {
        let mut peer = Peer::connected();
        let error = peer.say(1, Content::Video(Bytes::from(vec![0; EARLY_BYTES_MAX + 1]))).unwrap_err();
        let (length, max) = (EARLY_BYTES_MAX as u32 + 1, EARLY_BYTES_MAX as u32);
        assert_eq!(error, Error::MessageTooLong { length, max });
        let mut peer = Peer::connected();
        let errors = std::iter::repeat_with(|| peer.command("nothing", 0.0, 0, vec![]));
        assert_eq!(errors.take(COMMANDS_MAX as usize + 1).find_map(Result::err), Some(Error::TooManyCommands));
    }

    #[test]
    fn a_publisher_may_send_a_data_message_with_each_frame() {
        let mut peer = Peer::connected();
        peer.publish(1, KEY);
        peer.session.accept_publish();
        for _ in 0..4 * COMMANDS_MAX {
            peer.say(1, Content::Data(vec!["onTextData".into(), Value::Null])).unwrap();
            peer.say(1, Content::Video(Bytes::from_static(b"frame"))).unwrap();
            peer.events();
        }
        peer.say(1, Content::Video(Bytes::from(vec![0; 2 * EARLY_BYTES_MAX]))).unwrap();
    }

    #[test]
    fn metadata_is_taken_with_and_without_set_data_frame() {
        let mut peer = Peer::connected();
        peer.publish(1, KEY);
        peer.session.accept_publish();
        let properties = || vec![("fps".to_owned(), 30.0.into())];
        for values in [
            vec!["@setDataFrame".into(), "onMetaData".into(), Value::EcmaArray(properties())],
            vec!["onMetaData".into(), Value::Object(properties())],
            vec!["onTextData".into(), Value::Object(properties())],
            vec!["onMetaData".into()],
            vec![],
        ] {
            peer.say(1, Content::Data(values)).unwrap();
        }
        assert_eq!(peer.events()[1..], [Event::Metadata(properties()), Event::Metadata(properties())]);
    }

    #[test]
    fn an_aggregate_is_taken_as_its_messages() {
        let mut peer = Peer::connected();
        peer.publish(1, KEY);
        peer.session.accept_publish();
        peer.events();
        let packed =
            [8, 0, 0, 1, 0, 0, 9, 0, 0, 0, 0, 0xaf, 0, 0, 0, 12, 22, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 11];
        peer.say(1, Content::Aggregate(Bytes::copy_from_slice(&packed))).unwrap();
        assert_eq!(peer.events(), [Event::Audio { timestamp_ms: 7, payload: Bytes::from_static(&[0xaf]) }]);
    }

    proptest! {
        #[test]
        fn the_way_bytes_are_split_does_not_matter(cuts in prop::collection::vec(1..700_usize, 1..60)) {
            let (mut client, mut whole) = (client("rtmp://h/live/k"), session());
            let (mut sent, mut events) = (Vec::new(), Vec::new());
            for round in 0..8 {
                let bytes = client.poll_transmit().unwrap_or_default();
                sent.extend_from_slice(&bytes);
                whole.handle_bytes(&bytes).unwrap();
                events.extend(std::iter::from_fn(|| whole.poll_event()));
                whole.accept_publish();
                client.handle_bytes(&whole.poll_transmit().unwrap_or_default()).unwrap();
                client.send_video(round * 16_000_000, Bytes::from(vec![round as u8; 5000]));
            }
            prop_assert!(events.len() > 2);
            let (mut split, mut split_events, mut rest) = (session(), Vec::new(), &sent[..]);
            for cut in cuts.into_iter().cycle() {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                split.handle_bytes(piece).unwrap();
                split_events.extend(std::iter::from_fn(|| split.poll_event()));
                split.accept_publish();
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(events, split_events);
        }

        #[test]
        fn noise_after_the_handshake_never_panics(
            noise in prop::collection::vec(prop_oneof![0..24_u8, any::<u8>()], 0..2000),
        ) {
            let mut peer = Peer::connected();
            let _ = peer.session.handle_bytes(&noise);
            peer.session.end(Code::ConnectClosed, "malformed");
            prop_assert!(peer.session.is_finished());
        }
    }
}
