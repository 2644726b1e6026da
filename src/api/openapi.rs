//! The OpenAPI document: schemas from the types, paths from the route table.

use super::{BASE, ROUTES, Route, bounds, webhooks};
use super::{api_keys, audit, live, login, nodes, sessions, show, signing_keys, stream_keys, streams, tenants, tokens};
use super::{publishes, usage, users};
use crate::net::problem::Problem;
use actix_web::HttpResponse;
use actix_web::http::Method;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(components(schemas(
    Problem,
    tenants::TenantView,
    tenants::QuotasView,
    tenants::CreateTenant,
    tenants::PatchTenant,
    tenants::PatchQuotas,
    streams::StreamView,
    streams::SettingsView,
    streams::StreamCreated,
    streams::KeyCreated,
    streams::CreateStream,
    streams::PatchStream,
    stream_keys::KeyView,
    tokens::CreateToken,
    tokens::TokenCreated,
    sessions::SessionView,
    signing_keys::SigningKeyView,
    signing_keys::SetKeyView,
    signing_keys::SigningKeyCreated,
    signing_keys::CreateSigningKey,
    api_keys::ApiKeyView,
    api_keys::ApiKeyCreated,
    api_keys::CreateApiKey,
    publishes::PublishView,
    audit::AuditView,
    live::LiveView,
    live::Video,
    live::Audio,
    live::Warning,
    live::QoeView,
    show::IngestLinks,
    show::PlayLinks,
    webhooks::WebhookView,
    webhooks::WebhookCreated,
    webhooks::CreateWebhook,
    webhooks::PatchWebhook,
    webhooks::DeliveryView,
    usage::UsageView,
    nodes::NodeView,
    users::UserView,
    users::GrantView,
    users::UserCreated,
    users::LinkView,
    users::CreateUser,
    users::PatchUser,
    login::MeView,
    login::MeUser,
    login::MeTenant,
    login::PatchMe,
    login::Login,
)))]
struct Schemas;

/// What a route answers when all went well.
#[derive(Clone, Copy)]
enum Answer {
    One(u16, &'static str),
    List(&'static str),
    Nothing(u16),
    Events,
}

/// A route as people read it.
struct Doc {
    id: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    body: Option<&'static str>,
    answer: Answer,
}

const fn doc(
    id: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    body: Option<&'static str>,
    answer: Answer,
) -> Doc {
    Doc { id, summary, query, body, answer }
}

use Answer::{Events, List, Nothing, One};

const PAGED: &[&str] = &["tenant", "limit", "cursor"];
const SCOPED: &[&str] = &["tenant"];

/// None: a route that nobody has described, which a test finds.
#[rustfmt::skip]
fn described(method: &Method, path: &str) -> Option<Doc> {
    Some(match (method.as_str(), path) {
        ("GET", "/tenants") => doc("list_tenants", "Lists tenants", PAGED, None, List("Tenant")),
        ("POST", "/tenants") => doc("create_tenant", "Creates a tenant with a signing key", &[], Some("CreateTenant"), One(201, "Tenant")),
        ("GET", "/tenants/{tenant}") => doc("get_tenant", "Shows a tenant", &[], None, One(200, "Tenant")),
        ("PATCH", "/tenants/{tenant}") => doc("update_tenant", "Changes name, quotas or whether it is disabled", &[], Some("PatchTenant"), One(200, "Tenant")),
        ("DELETE", "/tenants/{tenant}") => doc("delete_tenant", "Deletes a tenant with all that is its own", &[], None, Nothing(204)),
        ("GET", "/streams") => doc("list_streams", "Lists streams", &["tenant", "limit", "cursor", "name", "policy", "search"], None, List("Stream")),
        ("POST", "/streams") => doc("create_stream", "Creates a stream; its key is shown this once", &[], Some("CreateStream"), One(201, "StreamCreated")),
        ("GET", "/streams/{stream}") => doc("get_stream", "Shows a stream and how it runs", &[], None, One(200, "Stream")),
        ("PATCH", "/streams/{stream}") => doc("update_stream", "Changes a stream, also while it runs", &[], Some("PatchStream"), One(200, "Stream")),
        ("DELETE", "/streams/{stream}") => doc("delete_stream", "Deletes a stream; its publisher and viewers are ended", &[], None, Nothing(204)),
        ("GET", "/streams/{stream}/keys") => doc("list_stream_keys", "Lists a stream's keys, by their prefix", &[], None, List("StreamKey")),
        ("POST", "/streams/{stream}/keys") => doc("create_stream_key", "Creates a second key, shown this once", &[], None, One(201, "StreamKeyCreated")),
        ("DELETE", "/streams/{stream}/keys/{key}") => doc("delete_stream_key", "Revokes a key; who publishes with it is cut", &[], None, Nothing(204)),
        ("POST", "/streams/{stream}/tokens") => doc("create_token", "Signs a token for a viewer", &[], Some("CreateToken"), One(201, "TokenCreated")),
        ("POST", "/streams/{stream}/disconnect") => doc("disconnect_stream", "Ends the publisher", &[], None, Nothing(204)),
        ("GET", "/streams/{stream}/publishes") => doc("list_publishes", "Lists when a stream was published, as far back as events are kept", &["limit", "cursor"], None, List("Publish")),
        ("GET", "/sessions") => doc("list_sessions", "Lists the viewers of a stream", &["stream", "limit", "cursor"], None, List("Session")),
        ("DELETE", "/sessions/{session}") => doc("kick_session", "Disconnects a viewer", &[], None, Nothing(204)),
        ("GET", "/signing-keys") => doc("list_signing_keys", "Lists the keys that tokens may be signed with", SCOPED, None, List("SigningKey")),
        ("POST", "/signing-keys") => doc("create_signing_key", "Makes an HS256 key, takes a public key, or names where the tenant serves its own", &[], Some("CreateSigningKey"), One(201, "SigningKeyCreated")),
        ("DELETE", "/signing-keys/{key}") => doc("delete_signing_key", "Removes a key; its tokens are refused, and their viewers are disconnected", SCOPED, None, Nothing(204)),
        ("GET", "/api-keys") => doc("list_api_keys", "Lists API keys, by their prefix", PAGED, None, List("ApiKey")),
        ("POST", "/api-keys") => doc("create_api_key", "Creates an API key, shown this once", &[], Some("CreateApiKey"), One(201, "ApiKeyCreated")),
        ("DELETE", "/api-keys/{key}") => doc("delete_api_key", "Revokes an API key", SCOPED, None, Nothing(204)),
        ("GET", "/audit") => doc("list_audit", "Lists who did what, newest first", PAGED, None, List("AuditEntry")),
        ("GET", "/webhooks") => doc("list_webhooks", "Lists a tenant's webhooks", SCOPED, None, List("Webhook")),
        ("POST", "/webhooks") => doc("create_webhook", "Creates a webhook; its secret is shown this once", &[], Some("CreateWebhook"), One(201, "WebhookCreated")),
        ("GET", "/webhooks/{webhook}") => doc("get_webhook", "Shows a webhook", &[], None, One(200, "Webhook")),
        ("PATCH", "/webhooks/{webhook}") => doc("update_webhook", "Changes a webhook", &[], Some("PatchWebhook"), One(200, "Webhook")),
        ("DELETE", "/webhooks/{webhook}") => doc("delete_webhook", "Deletes a webhook and its deliveries", &[], None, Nothing(204)),
        ("POST", "/webhooks/{webhook}/test") => doc("test_webhook", "Sends an event `webhook.test`", &[], None, One(201, "Delivery")),
        ("GET", "/webhooks/{webhook}/deliveries") => doc("list_deliveries", "Lists what was sent and what came of it", &["limit", "cursor"], None, List("Delivery")),
        ("POST", "/webhooks/{webhook}/deliveries/{delivery}/redeliver") => doc("redeliver", "Sends an event again", &[], None, One(200, "Delivery")),
        ("GET", "/events") => doc("listen", "Server-sent events of streams and quotas, as they happen", &["tenant", "stream"], None, Events),
        ("GET", "/usage") => doc("list_usage", "Bytes in and out and viewer minutes by the hour", &["tenant", "from", "to", "cursor"], None, List("Usage")),
        ("GET", "/users") => doc("list_users", "Lists the people who may sign in", PAGED, None, List("User")),
        ("POST", "/users") => doc("create_user", "Invites somebody; the link is shown this once", &[], Some("CreateUser"), One(201, "UserCreated")),
        ("PATCH", "/users/{user}") => doc("update_user", "Changes a role", &[], Some("PatchUser"), One(200, "User")),
        ("DELETE", "/users/{user}") => doc("delete_user", "Takes away a role; who has none left is deleted", SCOPED, None, Nothing(204)),
        ("POST", "/users/{user}/link") => doc("create_user_link", "Makes a link for one who has lost the password", &[], None, One(201, "UserCreated")),
        ("POST", "/login") => doc("login", "Signs in, by password or by a link; the answer sets a cookie", &[], Some("Login"), One(200, "Me")),
        ("POST", "/logout") => doc("logout", "Signs out of this browser", &[], None, Nothing(204)),
        ("POST", "/logout-all") => doc("logout_all", "Signs out of every browser", &[], None, Nothing(204)),
        ("GET", "/me") => doc("get_me", "Tells who asks, and what they may do", &[], None, One(200, "Me")),
        ("PATCH", "/me") => doc("update_me", "Changes one's own name or password", &[], Some("PatchMe"), One(200, "Me")),
        ("GET", "/nodes") => doc("list_nodes", "Lists nodes with their load", &[], None, List("Node")),
        ("POST", "/nodes/{node}/drain") => doc("drain_node", "Sends everybody away and ends the node", &[], None, Nothing(202)),
        _ => return None,
    })
}

/// The document, the same for each build of a version.
pub fn document() -> Value {
    let mut document = serde_json::to_value(Schemas::openapi()).unwrap_or_default();
    bounds::narrow(&mut document["components"]["schemas"]);
    document["info"] = json!({
        "title": "Weir",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Administration of tenants, streams, keys, webhooks and nodes.",
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    document["servers"] = json!([{ "url": BASE }]);
    document["security"] = json!([{ "key": [] }, { "browser": [] }]);
    document["components"]["securitySchemes"] = json!({
        "key": { "type": "http", "scheme": "bearer" },
        "browser": { "type": "apiKey", "in": "cookie", "name": "__Host-weir" },
    });
    let mut paths = Map::new();
    for route in ROUTES {
        if let Some(doc) = described(&route.method, route.path) {
            let path = paths.entry(route.path).or_insert_with(|| json!({}));
            path[route.method.as_str().to_lowercase()] = operation(route, &doc);
        }
    }
    document["paths"] = paths.into();
    document
}

pub(super) async fn serve() -> HttpResponse {
    HttpResponse::Ok().json(document())
}

fn operation(route: &Route, doc: &Doc) -> Value {
    let tag = route.path.split('/').nth(1).unwrap_or_default();
    let needed = match route.role {
        Some(role) => format!("Needs the role `{}` or a higher one.", role.name()),
        None => "Needs no key.".to_owned(),
    };
    let mut operation = json!({
        "operationId": doc.id,
        "tags": [tag],
        "summary": doc.summary,
        "description": needed,
        "parameters": parameters(route, doc),
        "responses": responses(doc),
    });
    if route.role.is_none() {
        operation["security"] = json!([]);
    }
    if let Some(body) = doc.body {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema(body) } } });
    }
    operation
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn parameters(route: &Route, doc: &Doc) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(
        |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }),
    );
    let in_query = doc.query.iter().map(|name| {
        let schema = if *name == "policy" { schema("Policy") } else { bounds::query(doc.id, name) };
        let required = (doc.id, *name) == ("list_sessions", "stream");
        json!({ "name": name, "in": "query", "required": required, "schema": schema })
    });
    let header = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "header", "required": false, "description": description, "schema": schema });
    let in_header = match route.method {
        Method::POST => Some(header(
            "Idempotency-Key",
            "A request that is sent again with it is not done again.",
            bounds::idempotency_key(),
        )),
        Method::PATCH => {
            Some(header("If-Match", "The ETag that the change is meant for.", json!({ "type": "string" })))
        }
        _ => None,
    };
    in_path.chain(in_query).chain(in_header).collect()
}

fn responses(doc: &Doc) -> Value {
    let (status, description, content) = match doc.answer {
        One(status, name) => (status, "Done", Some(("application/json", schema(name)))),
        List(name) => (200, "A page of the list", Some(("application/json", list(name)))),
        Nothing(status) => (status, "Done", None),
        Events => (200, "Events without end", Some(("text/event-stream", json!({ "type": "string" })))),
    };
    let mut good = json!({ "description": description });
    if let Some((kind, schema)) = content {
        good["content"] = json!({ kind: { "schema": schema } });
    }
    let problem = json!({
        "description": "A problem (RFC 9457) with a stable `code`",
        "content": { "application/problem+json": { "schema": schema("Problem") } },
    });
    json!({ status.to_string(): good, "4XX": problem, "5XX": problem })
}

fn list(name: &str) -> Value {
    json!({
        "type": "object",
        "required": ["data", "next_cursor"],
        "properties": {
            "data": { "type": "array", "items": schema(name) },
            "next_cursor": { "type": ["string", "null"], "description": "Null on the last page." },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document();
        let mut described: Vec<String> = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            described
                .extend(methods.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())));
        }
        let mut routes: Vec<String> = ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        described.sort();
        routes.sort();
        assert_eq!(described, routes);
    }

    #[test]
    fn every_schema_that_is_named_is_there() {
        let document = document();
        let text = document.to_string();
        for name in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
        }
        assert_eq!(document["openapi"], "3.1.0");
    }

    #[test]
    fn the_document_that_is_kept_is_the_one_that_is_served() {
        let kept: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        assert!(kept == document(), "src/api/openapi.json is old: cargo run -- openapi > src/api/openapi.json");
    }
}
