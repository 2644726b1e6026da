//! The one table of what the API answers, and who may ask it.

use super::caller::check;
use super::request_id::numbered;
use super::{
    Error, api_keys, audit, events, login, nodes, openapi, publishes, sessions, signing_keys, stream_keys, streams,
    tenants, tokens, usage, users, webhooks,
};
use crate::store::Role;
use actix_web::http::Method;
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{HttpRequest, Resource, web};

/// Where the API is.
pub const BASE: &str = "/api/v1";

/// What describes all the others.
const DOCUMENT: &str = "/openapi.json";

pub struct Route {
    pub method: Method,
    /// Under [`BASE`].
    pub path: &'static str,
    /// The lowest role that may ask; None: anybody.
    pub role: Option<Role>,
    mount: fn() -> actix_web::Route,
}

macro_rules! role {
    (Anybody) => {
        None
    };
    ($role:ident) => {
        Some(Role::$role)
    };
}

macro_rules! table {
    ($($method:ident $path:literal $role:ident $handler:path;)+) => {
        &[$(Route {
            method: Method::$method,
            path: $path,
            role: role!($role),
            mount: || web::method(Method::$method).to($handler),
        }),+]
    };
}

pub const ROUTES: &[Route] = table! {
    GET    "/tenants"                       Reader   tenants::list;
    POST   "/tenants"                       Platform tenants::create;
    GET    "/tenants/{tenant}"              Reader   tenants::get;
    PATCH  "/tenants/{tenant}"              Platform tenants::patch;
    DELETE "/tenants/{tenant}"              Platform tenants::delete;
    GET    "/streams"                       Reader   streams::list;
    POST   "/streams"                       Operator streams::create;
    GET    "/streams/{stream}"              Reader   streams::get;
    PATCH  "/streams/{stream}"              Operator streams::patch;
    DELETE "/streams/{stream}"              Operator streams::delete;
    GET    "/streams/{stream}/keys"         Reader   stream_keys::list;
    POST   "/streams/{stream}/keys"         Operator stream_keys::create;
    DELETE "/streams/{stream}/keys/{key}"   Operator stream_keys::delete;
    POST   "/streams/{stream}/tokens"       Operator tokens::create;
    POST   "/streams/{stream}/disconnect"   Operator streams::disconnect;
    GET    "/streams/{stream}/publishes"    Reader   publishes::list;
    GET    "/sessions"                      Reader   sessions::list;
    DELETE "/sessions/{session}"            Operator sessions::kick;
    GET    "/signing-keys"                  Reader   signing_keys::list;
    POST   "/signing-keys"                  Owner    signing_keys::create;
    DELETE "/signing-keys/{key}"            Owner    signing_keys::delete;
    GET    "/api-keys"                      Owner    api_keys::list;
    POST   "/api-keys"                      Owner    api_keys::create;
    DELETE "/api-keys/{key}"                Owner    api_keys::delete;
    GET    "/webhooks"                      Reader   webhooks::list;
    POST   "/webhooks"                      Owner    webhooks::create;
    GET    "/webhooks/{webhook}"            Reader   webhooks::get;
    PATCH  "/webhooks/{webhook}"            Owner    webhooks::patch;
    DELETE "/webhooks/{webhook}"            Owner    webhooks::delete;
    POST   "/webhooks/{webhook}/test"       Owner    webhooks::test;
    GET    "/webhooks/{webhook}/deliveries" Reader   webhooks::deliveries;
    POST   "/webhooks/{webhook}/deliveries/{delivery}/redeliver" Owner webhooks::redeliver;
    GET    "/events"                        Reader   events::listen;
    GET    "/usage"                         Reader   usage::list;
    GET    "/users"                         Owner    users::list;
    POST   "/users"                         Owner    users::create;
    PATCH  "/users/{user}"                  Owner    users::patch;
    DELETE "/users/{user}"                  Owner    users::delete;
    POST   "/users/{user}/link"             Owner    users::create_link;
    POST   "/login"                         Anybody  login::login;
    POST   "/logout"                        Reader   login::logout;
    POST   "/logout-all"                    Reader   login::logout_all;
    GET    "/me"                            Reader   login::me;
    PATCH  "/me"                            Reader   login::patch_me;
    GET    "/nodes"                         Platform nodes::list;
    POST   "/nodes/{node}/drain"            Platform nodes::drain;
    GET    "/audit"                         Owner    audit::list;
};

/// Mounts `/api/v1`; the app's data must hold a [`super::State`].
pub fn configure(config: &mut web::ServiceConfig) {
    let headers = DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("Cache-Control", "no-store"))
        .add(("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"))
        .add(("Referrer-Policy", "no-referrer"));
    let mut scope =
        web::scope(BASE).wrap(headers).wrap(from_fn(numbered)).default_service(web::route().to(nothing_here));
    for resource in resources() {
        scope = scope.service(resource);
    }
    let document = web::resource(DOCUMENT).route(web::get().to(openapi::serve));
    config.service(scope.service(document.default_service(web::route().to(other_method))));
}

fn resources() -> Vec<Resource> {
    let mut paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    let resource = |path: &'static str| {
        let routes = ROUTES.iter().filter(|route| route.path == path);
        routes.fold(web::resource(path).default_service(web::route().to(other_method)), |resource, route| {
            let role = route.role;
            resource.route((route.mount)().wrap(from_fn(move |request, next| check(role, request, next))))
        })
    };
    paths.into_iter().map(resource).collect()
}

async fn nothing_here() -> Result<(), Error> {
    Err(Error::NotFound("address in this API"))
}

async fn other_method(request: HttpRequest) -> Result<(), Error> {
    let pattern = request.match_pattern().unwrap_or_default();
    let path = pattern.strip_prefix(BASE).unwrap_or(&pattern);
    let described = ROUTES.iter().filter(|route| route.path == path).map(|route| route.method.as_str());
    let allowed: Vec<&str> = described.chain((path == DOCUMENT).then_some("GET")).collect();
    Err(Error::Method { method: request.method().clone(), allowed: allowed.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_one_path_stand_together() {
        let mut paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
        paths.dedup();
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count);
    }

    #[test]
    fn anybody_may_sign_in_and_nothing_else() {
        let open: Vec<&str> = ROUTES.iter().filter(|route| route.role.is_none()).map(|route| route.path).collect();
        assert_eq!(open, ["/login"]);
    }

    #[test]
    fn who_may_only_read_changes_nothing() {
        for route in ROUTES.iter().filter(|route| route.role == Some(Role::Reader)) {
            let is_own = ["/logout", "/logout-all", "/me"].contains(&route.path);
            assert!(is_own || route.method == Method::GET, "{}", route.path);
        }
    }
}
