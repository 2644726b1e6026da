//! What goes out: times, links, lists.

use super::input::cursor;
use super::{Error, State};
use crate::auth::key::LinkKey;
use crate::config::Current;
use crate::id::PlaybackId;
use crate::net::client::Client;
use crate::store::Position;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ETAG;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

/// RFC 3339, UTC.
pub(super) fn time(unix_us: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_us) * 1_000).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    data: Vec<T>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

impl<T> List<T> {
    /// `rows` were asked for with a limit of one more than `limit`.
    pub(super) fn of<R>(
        mut rows: Vec<R>,
        limit: u32,
        position: impl Fn(&R) -> Position,
        show: impl FnMut(R) -> T,
    ) -> Self {
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next_cursor = rows.last().filter(|_| more).map(|last| cursor(&position(last)));
        Self { data: rows.into_iter().map(show).collect(), next_cursor }
    }

    /// A page whose place in the list is told in another way.
    pub(super) fn from_parts(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { data, next_cursor }
    }

    /// A list that is short enough to be shown whole.
    pub(super) fn whole(data: Vec<T>) -> Self {
        Self { data, next_cursor: None }
    }
}

pub(super) fn position(created_us: i64, id: impl ToString) -> Position {
    Position { created_us, id: id.to_string() }
}

/// With the revision as its ETag.
pub(super) fn revised(status: StatusCode, revision: i64, shown: impl Serialize) -> HttpResponse {
    HttpResponse::build(status).insert_header((ETAG, format!("\"{revision}\""))).json(shown)
}

/// For the audit: what was shown, without what changes by itself.
pub(super) fn json(shown: impl Serialize) -> Result<serde_json::Value, Error> {
    serde_json::to_value(shown).map_err(|_| Error::Internal)
}

/// Where streams are published and watched.
#[derive(Debug, Clone)]
pub struct Links {
    public_url: Current<Option<String>>,
    rtmp_port: u16,
    rtmps_port: Option<u16>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct IngestLinks {
    /// Server and key in one, for programs such as ffmpeg; null where the key is not shown.
    pub rtmp_url: Option<String>,
    /// For programs that ask for server and key, such as OBS.
    pub rtmp_server: String,
    /// As `rtmp_url`, encrypted; null where this server takes none (`rtmps.listen`).
    pub rtmps_url: Option<String>,
    pub rtmps_server: Option<String>,
    pub stream_key: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PlayLinks {
    pub ws_url: String,
    pub mp4_url: String,
    pub page_url: String,
}

impl Links {
    pub fn new(public_url: Current<Option<String>>, rtmp_port: u16, rtmps_port: Option<u16>) -> Self {
        Self { public_url, rtmp_port, rtmps_port }
    }

    /// What is configured, else the address by which the client came.
    pub fn base(&self, client: &Client) -> String {
        self.public_url.get().unwrap_or_else(|| client.origin())
    }

    pub(super) fn public_url(&self) -> Option<String> {
        self.public_url.get()
    }

    pub fn ingest(&self, base: &str, stream_key: Option<&str>) -> IngestLinks {
        let host = host(base);
        let rtmp_server = format!("rtmp://{host}:{}/live", self.rtmp_port);
        let rtmps_server = self.rtmps_port.map(|port| format!("rtmps://{host}:{port}/live"));
        let with_key = |server: &str| stream_key.map(|key| format!("{server}/{key}"));
        IngestLinks {
            rtmp_url: with_key(&rtmp_server),
            rtmps_url: rtmps_server.as_deref().and_then(with_key),
            rtmp_server,
            rtmps_server,
            stream_key: stream_key.map(str::to_owned),
        }
    }

    pub fn play(&self, base: &str, id: &PlaybackId) -> PlayLinks {
        PlayLinks {
            ws_url: format!("{}/live/{id}", base.replacen("http", "ws", 1)),
            mp4_url: format!("{base}/live/{id}.mp4"),
            page_url: format!("{base}/watch/{id}"),
        }
    }
}

/// In the fragment, which browsers send nobody.
pub fn sign_in(base: &str, key: &LinkKey) -> String {
    format!("{base}/admin/welcome#link={}", key.reveal())
}

/// Without scheme, port and path; IPv6 in its brackets.
fn host(base: &str) -> &str {
    let authority = base.split_once("://").map_or(base, |(_, rest)| rest).split('/').next().unwrap_or_default();
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    }
}

/// The links of a request.
pub(super) struct Linker<'a> {
    links: &'a Links,
    base: String,
}

impl<'a> Linker<'a> {
    pub(super) fn new(state: &'a State, client: &Client) -> Self {
        Self { links: &state.links, base: state.links.base(client) }
    }

    pub(super) fn ingest(&self, stream_key: Option<&str>) -> IngestLinks {
        self.links.ingest(&self.base, stream_key)
    }

    pub(super) fn sign_in(&self, key: &LinkKey) -> String {
        sign_in(&self.base, key)
    }

    pub(super) fn play(&self, id: &PlaybackId) -> PlayLinks {
        self.links.play(&self.base, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(1_800_000_000_123_456), "2027-01-15T08:00:00.123456Z");
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn links_lead_to_where_the_client_came_from() {
        let links = Links::new(Current::default(), 1935, None);
        let id = PlaybackId::from_random([0; 16]);
        for (base, server, socket) in [
            ("http://live.example:8080", "rtmp://live.example:1935/live", "ws://live.example:8080/live/"),
            ("https://live.example", "rtmp://live.example:1935/live", "wss://live.example/live/"),
            ("http://[::1]:8080", "rtmp://[::1]:1935/live", "ws://[::1]:8080/live/"),
            ("https://[::1]", "rtmp://[::1]:1935/live", "wss://[::1]/live/"),
        ] {
            assert_eq!(links.ingest(base, None).rtmp_server, server);
            assert_eq!(links.play(base, &id).ws_url, format!("{socket}{id}"));
        }
        let ingest = links.ingest("http://h", Some("sk_x"));
        assert_eq!(ingest.rtmp_url.as_deref(), Some("rtmp://h:1935/live/sk_x"));
        assert_eq!((ingest.rtmps_url, ingest.rtmps_server), (None, None), "it takes none");
        let encrypted = Links::new(Current::new(Some("https://live.example".to_owned())), 1935, Some(1936));
        let ingest = encrypted.ingest("https://live.example", Some("sk_x"));
        assert_eq!(ingest.rtmps_server.as_deref(), Some("rtmps://live.example:1936/live"));
        assert_eq!(ingest.rtmps_url.as_deref(), Some("rtmps://live.example:1936/live/sk_x"));
        assert_eq!(encrypted.ingest("https://live.example", None).rtmps_url, None, "the key is shown once");
    }

    #[test]
    fn a_list_tells_where_its_next_page_starts() {
        let page = |rows: Vec<i64>| List::of(rows, 2, |row| position(*row, row), |row| row);
        assert_eq!(page(vec![3, 2]).next_cursor, None);
        let full = page(vec![3, 2, 1]);
        assert_eq!((full.data, full.next_cursor), (vec![3, 2], Some(cursor(&position(2, 2)))));
    }
}
