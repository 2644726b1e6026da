//! The viewers' pages: built from `player/`, embedded in the binary.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, HttpResponseBuilder, web};
use rust_embed::Embed;

/// `player/dist`; without it the server builds all the same, and the page says what is missing.
#[derive(Embed)]
#[folder = "player/dist"]
#[allow_missing = true]
struct Player;

const WATCH_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    media-src blob:; connect-src 'self' ws: wss:; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; \
    form-action 'none'";

/// Files whose name tells their content never change.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/watch/{playback_id}").route(web::get().to(watch)))
        .service(web::resource("/player/{path:.+}").route(web::get().to(file)));
}

async fn watch() -> HttpResponse {
    match Player::get("watch.html") {
        Some(page) => {
            let mut response = secured(HttpResponse::Ok());
            response.insert_header((CONTENT_SECURITY_POLICY, WATCH_POLICY));
            response.insert_header((REFERRER_POLICY, "no-referrer")).insert_header((CACHE_CONTROL, "no-cache"));
            response.content_type("text/html; charset=utf-8").body(page.data)
        }
        None => secured(HttpResponse::ServiceUnavailable())
            .content_type("text/plain; charset=utf-8")
            .body("This Weir was built without its player. Run `make player` and build again.\n"),
    }
}

async fn file(path: web::Path<String>) -> HttpResponse {
    match Player::get(&path) {
        Some(found) => {
            let caching = if path.starts_with("assets/") { IMMUTABLE } else { "no-cache" };
            let kind = found.metadata.mimetype().to_owned();
            secured(HttpResponse::Ok()).insert_header((CACHE_CONTROL, caching)).content_type(kind).body(found.data)
        }
        None => secured(HttpResponse::NotFound()).finish(),
    }
}

fn secured(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    response
}
