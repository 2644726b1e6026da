//! The admin UI: built from `admin-ui/`, embedded in the binary.

use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, HeaderMap, LOCATION, REFERRER_POLICY,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use rust_embed::{Embed, EmbeddedFile};

/// `admin-ui/dist`; without it the server builds all the same, and the page says what is missing.
#[derive(Embed)]
#[folder = "admin-ui/dist"]
#[allow_missing = true]
struct Built;

/// The preview plays what a socket brings (`blob:`); nothing comes from elsewhere, nothing is written inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    media-src blob:; connect-src 'self' ws: wss:; worker-src 'self' blob:; manifest-src 'self'; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'self'";

/// Files whose name tells their content never change.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// What the build has compressed, the smallest first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

const MISSING: &str = "This Weir was built without its admin UI. Run `make admin-ui` and build again.\n";

/// Whether the UI was there when this program was built.
pub fn is_ui_built() -> bool {
    Built::get("index.html").is_some()
}

/// Mounts `/admin/`.
pub fn ui(config: &mut web::ServiceConfig) {
    config
        .service(web::resource(["/", "/admin"]).route(web::get().to(to_admin)).route(web::head().to(to_admin)))
        .service(web::resource("/admin/assets/{path:.+}").route(web::get().to(asset)))
        // The page itself knows its addresses.
        .service(web::resource("/admin/{path:.*}").route(web::get().to(page)));
}

async fn to_admin() -> HttpResponse {
    secured(HttpResponse::Found()).insert_header((LOCATION, "/admin/")).finish()
}

async fn page(request: HttpRequest) -> HttpResponse {
    let Some((page, encoding)) = chosen("index.html", request.headers()) else {
        return secured(HttpResponse::ServiceUnavailable()).content_type("text/plain; charset=utf-8").body(MISSING);
    };
    let mut response = secured(HttpResponse::Ok());
    response.insert_header((CACHE_CONTROL, "no-cache")).content_type("text/html; charset=utf-8");
    encoded(response, encoding).body(page.data)
}

async fn asset(path: web::Path<String>, request: HttpRequest) -> HttpResponse {
    let name = format!("assets/{path}");
    let Some((file, encoding)) = chosen(&name, request.headers()) else {
        return secured(HttpResponse::NotFound()).finish();
    };
    // Of the file itself, not of its compressed form.
    let kind = Built::get(&name).map_or_else(String::new, |plain| plain.metadata.mimetype().to_owned());
    let mut response = secured(HttpResponse::Ok());
    response.insert_header((CACHE_CONTROL, IMMUTABLE)).content_type(kind);
    encoded(response, encoding).body(file.data)
}

/// The file in the smallest form that the browser takes.
fn chosen(name: &str, headers: &HeaderMap) -> Option<(EmbeddedFile, Option<&'static str>)> {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let takes = |wanted: &str| {
        accepted.split(',').any(|part| {
            let (coding, quality) = part.split_once(';').unwrap_or((part, ""));
            coding.trim() == wanted && !matches!(quality.trim(), "q=0" | "q=0.0")
        })
    };
    for (coding, suffix) in ENCODINGS {
        if takes(coding)
            && let Some(file) = Built::get(&format!("{name}{suffix}"))
        {
            return Some((file, Some(coding)));
        }
    }
    Built::get(name).map(|file| (file, None))
}

fn encoded(mut response: HttpResponseBuilder, encoding: Option<&'static str>) -> HttpResponseBuilder {
    response.insert_header((VARY, "Accept-Encoding"));
    if let Some(encoding) = encoding {
        response.insert_header((CONTENT_ENCODING, encoding));
    }
    response
}

fn secured(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"));
    response
}
