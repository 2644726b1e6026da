//! Status codes and the commands that carry them, RTMP 1.0 7.2.

use crate::rtmp::amf0::{Properties, Value};
use crate::rtmp::message::Command;

/// What a peer is told; `level` is `error` for what ends a publish, so that encoders show the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    ConnectSuccess,
    ConnectClosed,
    ConnectRejected,
    /// Enhanced RTMP: go elsewhere or come back, as soon as it suits.
    ReconnectRequest,
    CallFailed,
    PublishStart,
    /// The key is wrong or in use.
    PublishBadName,
    /// The key is right and yet this publish is refused.
    PublishDenied,
    /// The server ends a running publish.
    PublishReset,
    UnpublishSuccess,
    PlayFailed,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectSuccess => "NetConnection.Connect.Success",
            Self::ConnectClosed => "NetConnection.Connect.Closed",
            Self::ConnectRejected => "NetConnection.Connect.Rejected",
            Self::ReconnectRequest => "NetConnection.Connect.ReconnectRequest",
            Self::CallFailed => "NetConnection.Call.Failed",
            Self::PublishStart => "NetStream.Publish.Start",
            Self::PublishBadName => "NetStream.Publish.BadName",
            Self::PublishDenied => "NetStream.Publish.Denied",
            Self::PublishReset => "NetStream.Publish.Reset",
            Self::UnpublishSuccess => "NetStream.Unpublish.Success",
            Self::PlayFailed => "NetStream.Play.Failed",
        }
    }

    fn level(self) -> &'static str {
        match self {
            Self::ConnectSuccess | Self::ReconnectRequest | Self::PublishStart | Self::UnpublishSuccess => "status",
            _ => "error",
        }
    }

    /// Whether it is about a stream rather than the whole connection.
    pub(super) fn is_of_stream(self) -> bool {
        self.as_str().starts_with("NetStream.")
    }
}

pub(super) fn info(code: Code, description: &str) -> Properties {
    vec![
        ("level".to_owned(), code.level().into()),
        ("code".to_owned(), code.as_str().into()),
        ("description".to_owned(), description.into()),
    ]
}

pub(super) fn on_status(code: Code, description: &str) -> Command {
    Command {
        name: "onStatus".to_owned(),
        transaction: 0.0,
        object: Value::Null,
        arguments: vec![Value::Object(info(code, description))],
    }
}

pub(super) fn result(transaction: f64, object: Value, answer: Value) -> Command {
    Command { name: "_result".to_owned(), transaction, object, arguments: vec![answer] }
}

pub(super) fn error(transaction: f64, description: &str) -> Command {
    let info = Value::Object(info(Code::CallFailed, description));
    Command { name: "_error".to_owned(), transaction, object: Value::Null, arguments: vec![info] }
}
