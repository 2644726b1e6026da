//! The viewers' pages: built from `player/`, embedded in the binary; and what other sites ask to embed them.

use crate::id::PlaybackId;
use crate::net::client::Client;
use crate::net::problem::Problem;
use crate::session::admission::{Denied, Door};
use crate::session::route::Viewing;
use crate::store::Policy;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CROSS_ORIGIN_RESOURCE_POLICY, ETAG, EntityTag,
    Header as _, HeaderValue, IfNoneMatch, ORIGIN, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use rust_embed::{Embed, EmbeddedFile};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::sync::Arc;

/// `player/dist`; without it the server builds all the same, and the page says what is missing.
#[derive(Embed)]
#[folder = "player/dist"]
#[allow_missing = true]
struct Player;

/// Of all pages; each adds who may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src blob:; \
    connect-src 'self' ws: wss:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors ";

/// Files whose name tells their content never change.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// What `/oembed` answers where it is not asked for less, pixels.
const OEMBED_WIDTH: u32 = 960;

/// Whether the pages were there when this program was built.
pub fn are_built() -> bool {
    Player::get("watch.html").is_some()
}

pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/watch/{playback_id}").route(web::get().to(watch)))
        .service(web::resource("/embed/{playback_id}").route(web::get().to(embed)))
        .service(web::resource("/oembed").route(web::get().to(oembed)))
        .service(web::resource("/player/{path:.+}").route(web::get().to(file)));
}

async fn watch(request: HttpRequest, viewing: web::Data<Viewing>, id: web::Path<String>) -> HttpResponse {
    page("watch.html", StatusCode::OK, "'none'", &discovery(&request, &viewing, &id))
}

/// Who may frame it stands in the policy; whether a viewer may watch is asked of its socket.
async fn embed(request: HttpRequest, viewing: web::Data<Viewing>, id: web::Path<String>) -> HttpResponse {
    match door(&viewing, &id).await {
        Ok(door) => {
            let ancestors = ancestors(&door.play.stream.settings.allowed_origins);
            page("embed.html", StatusCode::OK, &ancestors, &discovery(&request, &viewing, &id))
        }
        Err(Denied::Unavailable) => unavailable().to_response(),
        // The player says so in the frame, where a browser would show nothing.
        Err(_) => page("embed.html", StatusCode::NOT_FOUND, "*", ""),
    }
}

/// Tells sites that are given a page's address where the code to embed it is (oEmbed 1.0, 4).
fn discovery(request: &HttpRequest, viewing: &Viewing, id: &str) -> String {
    let own = viewing.own_origin(&Client::of(request, &viewing.trusted));
    let Ok(id) = PlaybackId::parse(id) else { return String::new() };
    let href = format!("{own}/oembed?url={own}/watch/{id}");
    format!("<link rel=\"alternate\" type=\"application/json+oembed\" href=\"{}\" />\n  ", escaped(&href))
}

async fn door(viewing: &Viewing, id: &str) -> Result<Arc<Door>, Denied> {
    let id = PlaybackId::parse(id).map_err(|_| Denied::NoSuchStream)?;
    viewing.admission.door(&id).await
}

fn unavailable() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "try again").with_retry_after(1)
}

/// The sources of `frame-ancestors`; an origin that could end the directive is left out.
fn ancestors(allowed_origins: &[String]) -> String {
    if allowed_origins.is_empty() {
        return "*".to_owned();
    }
    let mut sources = "'self'".to_owned();
    for origin in allowed_origins {
        if origin.bytes().all(|b| b.is_ascii_graphic() && b != b';' && b != b',') {
            sources.push(' ');
            sources.push_str(origin);
        }
    }
    sources
}

/// `head` goes to the end of the page's own.
fn page(name: &str, status: StatusCode, ancestors: &str, head: &str) -> HttpResponse {
    let Some(page) = Player::get(name) else {
        return secured(HttpResponse::ServiceUnavailable())
            .content_type("text/plain; charset=utf-8")
            .body("This Weir was built without its player. Run `make player` and build again.\n");
    };
    secured(HttpResponse::build(status))
        .insert_header((CONTENT_SECURITY_POLICY, format!("{POLICY}{ancestors}")))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .content_type("text/html; charset=utf-8")
        .body(String::from_utf8_lossy(&page.data).replacen("</head>", &format!("{head}</head>"), 1))
}

/// Scripts of the player, for pages anywhere.
async fn file(request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    let Some(found) = Player::get(&path) else { return secured(HttpResponse::NotFound()).finish() };
    let tag = EntityTag::new_strong(hash(&found));
    let is_known = match IfNoneMatch::parse(&request) {
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        _ => false,
    };
    let caching = if path.starts_with("chunk-") { IMMUTABLE } else { "no-cache" };
    let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = secured(HttpResponse::build(status));
    response
        .insert_header((CACHE_CONTROL, caching))
        .insert_header((ETAG, tag))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"));
    if is_known {
        return response.finish();
    }
    response.content_type(found.metadata.mimetype()).body(found.data)
}

fn hash(file: &EmbeddedFile) -> String {
    file.metadata.sha256_hash()[..12].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn secured(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    response
}

#[derive(Debug, Deserialize)]
struct Asked {
    url: Option<String>,
    format: Option<String>,
    maxwidth: Option<u32>,
    maxheight: Option<u32>,
}

/// oEmbed 1.0, 2.3.
#[derive(Debug, PartialEq, Serialize)]
struct OEmbed {
    version: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    provider_name: &'static str,
    provider_url: String,
    title: String,
    width: u32,
    height: u32,
    html: String,
}

async fn oembed(request: HttpRequest, viewing: web::Data<Viewing>, asked: web::Query<Asked>) -> HttpResponse {
    let own = viewing.own_origin(&Client::of(&request, &viewing.trusted));
    let (id, door) = match embeddable(&viewing, &own, &asked).await {
        Ok(found) => found,
        Err(problem) => return problem.to_response(),
    };
    let origin = request.headers().get(ORIGIN).and_then(|o| o.to_str().ok());
    if origin.is_some() && door.check_origin(origin, &own).is_err() {
        let problem = Problem::new(StatusCode::FORBIDDEN, "origin_not_allowed", "this site may not show the stream");
        return problem.to_response();
    }
    let (width, height) = fit(asked.maxwidth, asked.maxheight);
    let title = door.play.stream.name.clone();
    let src = format!("{own}/embed/{id}?autoplay=1");
    let html = format!(
        "<iframe src=\"{}\" width=\"{width}\" height=\"{height}\" title=\"{}\" allow=\"autoplay; fullscreen; \
         picture-in-picture\" frameborder=\"0\"></iframe>",
        escaped(&src),
        escaped(&title)
    );
    let mut response = secured(HttpResponse::Ok());
    response.insert_header((VARY, "origin"));
    if let Some(origin) = origin.and_then(|o| HeaderValue::from_str(o).ok()) {
        response.insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, origin));
    }
    let provider_url = own;
    let (version, kind, provider_name) = ("1.0", "video", "Weir");
    response.json(OEmbed { version, kind, provider_name, provider_url, title, width, height, html })
}

/// The public stream whose page was asked for.
async fn embeddable(viewing: &Viewing, own: &str, asked: &Asked) -> Result<(String, Arc<Door>), Problem> {
    if asked.format.as_deref().is_some_and(|format| format != "json") {
        let problem = Problem::new(StatusCode::NOT_IMPLEMENTED, "format", "only json is made here");
        return Err(problem.with_field("format", "json"));
    }
    let wanted = || format!("{own}/watch/PLAYBACK_ID");
    let Some(url) = &asked.url else {
        let problem = Problem::new(StatusCode::BAD_REQUEST, "missing", "url is missing");
        return Err(problem.with_field("url", wanted()));
    };
    let Some(id) = page_of(url, own) else {
        let problem = Problem::new(StatusCode::NOT_FOUND, "not_found", "url is no page of this server");
        return Err(problem.with_field("url", wanted()));
    };
    let door = door(viewing, id).await.map_err(|denied| match denied {
        Denied::Unavailable => unavailable(),
        _ => Problem::new(StatusCode::NOT_FOUND, "not_found", "no such stream"),
    })?;
    if door.play.stream.settings.policy == Policy::Signed {
        let detail = "this stream needs a token, so there is no code to embed it that works for everybody";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail));
    }
    Ok((id.to_owned(), door))
}

/// The playback id in the address of a page of ours.
fn page_of<'a>(url: &'a str, own: &str) -> Option<&'a str> {
    let path = url.strip_prefix(own)?.strip_prefix('/')?;
    let id = path.strip_prefix("watch/").or_else(|| path.strip_prefix("embed/"))?;
    Some(id.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/'))
}

/// 16:9, within what is allowed.
fn fit(maxwidth: Option<u32>, maxheight: Option<u32>) -> (u32, u32) {
    let by_height = maxheight.map_or(u32::MAX, |height| height.saturating_mul(16) / 9);
    let width = OEMBED_WIDTH.min(maxwidth.unwrap_or(u32::MAX)).min(by_height).max(1);
    (width, (width * 9 / 16).max(1))
}

/// As the value of an HTML attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_allowed_where_the_stream_is() {
        assert_eq!(ancestors(&[]), "*");
        let origins = ["https://a.example".to_owned(), "https://b.example; script-src *".to_owned()];
        assert_eq!(ancestors(&origins), "'self' https://a.example");
    }

    #[test]
    fn only_pages_of_this_server_are_embedded() {
        let own = "https://weir.example";
        assert_eq!(page_of("https://weir.example/watch/abc", own), Some("abc"));
        assert_eq!(page_of("https://weir.example/embed/abc/?autoplay=1#token=x", own), Some("abc"));
        for other in ["https://weir.example.evil/watch/abc", "https://weir.example/admin/abc", "watch/abc", ""] {
            assert_eq!(page_of(other, own), None, "{other}");
        }
    }

    #[test]
    fn the_frame_fits_what_was_asked_for() {
        assert_eq!(fit(None, None), (960, 540));
        assert_eq!(fit(Some(320), None), (320, 180));
        assert_eq!(fit(Some(800), Some(90)), (160, 90));
        assert_eq!(fit(Some(0), Some(u32::MAX)), (1, 1));
    }

    #[test]
    fn a_name_stays_inside_its_attribute() {
        assert_eq!(escaped("\"><script>&"), "&quot;&gt;&lt;script&gt;&amp;");
    }
}
