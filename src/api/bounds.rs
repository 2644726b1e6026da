//! Which values are allowed where a type alone does not tell: what the OpenAPI document adds to the schemas.

use super::signing_keys::PUBLIC_KEY_BYTES_MAX;
use super::webhooks::{EVENTS_MAX, URL_BYTES_MAX};
use crate::auth::token::Algorithm;
use crate::hooks::event;
use serde_json::{Value, json};

/// As [`super::input`] checks them; texts that people read hold no control characters.
const NAME: &str = r"^[^\u0000-\u001f\u007f-\u009f]{1,200}$";
const ORIGIN: &str = r"^https?://[0-9A-Za-z._:\[\]-]{1,247}$";
const LOGIN: &str = r"^ *[^\s\u0000-\u001f\u007f-\u009f]{1,200} *$";
const TENANT: &str = "^ten_[0-9A-Za-z]{1,60}$";
const BIG_NUMBER: &str = "^[0-9]{1,18}$";

/// Where a page of a list starts.
const CURSOR: &str = r"^[0-9]{1,17}\.[a-z]{3}_[0-9A-Za-z]{1,60}$";
/// The same in lists that are ordered by a number.
const CURSOR_NUMBER: &str = "^[0-9]{1,18}$";

/// Of the query parameter `name` of the operation `id`.
pub(super) fn query(id: &str, name: &str) -> Value {
    match (id, name) {
        (_, "limit") => json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 20 }),
        (_, "from" | "to") => json!({ "type": "string", "format": "date-time" }),
        (_, "tenant") => json!({ "type": "string", "pattern": TENANT }),
        ("list_audit" | "list_usage", "cursor") => json!({ "type": "string", "pattern": CURSOR_NUMBER }),
        (_, "cursor") => json!({ "type": "string", "pattern": CURSOR }),
        (_, "name") => json!({ "type": "string", "pattern": NAME }),
        (_, "search") => json!({ "type": "string", "maxLength": 200, "pattern": NAME.replace("{1,200}", "*") }),
        _ => json!({ "type": "string" }),
    }
}

pub(super) fn idempotency_key() -> Value {
    json!({ "type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$" })
}

/// Adds what is allowed to the fields of the schemas.
pub(super) fn narrow(schemas: &mut Value) {
    for (schema, field, allowed) in fields() {
        if let (Some(place), Value::Object(allowed)) = (schemas.pointer_mut(&place(schema, field)), allowed)
            && let Some(place) = place.as_object_mut()
        {
            place.extend(allowed);
        }
    }
}

fn place(schema: &str, field: &str) -> String {
    format!("/{schema}/properties/{field}")
}

fn fields() -> Vec<(&'static str, &'static str, Value)> {
    let (name, tenant) = (json!({ "pattern": NAME }), json!({ "pattern": TENANT }));
    let number = json!({ "format": "int64", "maximum": u32::MAX });
    let big = json!({ "pattern": BIG_NUMBER });
    let mut fields = Vec::new();
    for schema in
        ["CreateTenant", "PatchTenant", "CreateStream", "PatchStream", "CreateApiKey", "CreateUser", "PatchMe"]
    {
        fields.push((schema, "name", name.clone()));
    }
    for schema in ["CreateStream", "CreateApiKey", "CreateSigningKey", "CreateWebhook", "CreateUser", "PatchUser"] {
        fields.push((schema, "tenant", tenant.clone()));
    }
    fields.push(("CreateUser", "login", json!({ "pattern": LOGIN })));
    for schema in ["Quotas", "PatchQuotas"] {
        for field in ["streams", "viewers"] {
            fields.push((schema, field, number.clone()));
        }
        for field in ["ingest_bps", "egress_bps"] {
            fields.push((schema, field, big.clone()));
        }
    }
    for schema in ["CreateStream", "PatchStream"] {
        fields.push((schema, "reconnect_window_s", json!({ "maximum": 3_600 })));
        fields.push((schema, "latency_target_ms", json!({ "minimum": 40, "maximum": 1_000 })));
        let origin = json!({ "type": "string", "pattern": ORIGIN });
        fields.push((schema, "allowed_origins", json!({ "maxItems": 100, "items": origin })));
        let key = json!({ "type": "string", "minLength": 1, "maxLength": 64 });
        let value = json!({ "type": "string", "maxLength": 256 });
        let labels = json!({ "maxProperties": 50, "propertyNames": key, "additionalProperties": value });
        fields.push((schema, "labels", labels));
    }
    fields.push(("CreateToken", "ttl_s", json!({ "minimum": 1, "maximum": super::tokens::TTL_S_MAX })));
    fields.push(("CreateToken", "sub", json!({ "minLength": 1, "maxLength": 256 })));
    fields.push((
        "CreateToken",
        "ip",
        json!({ "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }, { "type": "null" }] }),
    ));
    fields.push(("CreateToken", "origin", json!({ "pattern": ORIGIN })));
    fields.push(("CreateToken", "max_sessions", json!({ "format": "int64", "minimum": 1, "maximum": u32::MAX })));
    let events: Vec<_> = event::NAMES.into_iter().chain([event::VIEWERS]).collect();
    let events = json!({ "maxItems": EVENTS_MAX, "items": { "type": "string", "enum": events } });
    let url = json!({ "format": "uri", "maxLength": URL_BYTES_MAX });
    for schema in ["CreateWebhook", "PatchWebhook"] {
        fields.push((schema, "events", events.clone()));
        fields.push((schema, "url", url.clone()));
    }
    let algorithms: Vec<_> =
        Algorithm::ALL.iter().map(|algorithm| json!(algorithm.name())).chain([Value::Null]).collect();
    fields.push(("CreateSigningKey", "algorithm", json!({ "enum": algorithms })));
    fields.push(("CreateSigningKey", "public_key", json!({ "maxLength": PUBLIC_KEY_BYTES_MAX })));
    fields.push(("CreateSigningKey", "kid", json!({ "pattern": NAME.replace("{1,200}", "{1,128}") })));
    fields.push(("CreateSigningKey", "jwks_url", url));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_said_of_fields_that_there_are() {
        let document = super::super::document();
        for (schema, field, allowed) in fields() {
            let said = document.pointer(&format!("/components/schemas{}", place(schema, field)));
            let said = said.unwrap_or_else(|| panic!("{schema} has no {field}"));
            for (rule, value) in allowed.as_object().unwrap() {
                assert_eq!(&said[rule], value, "{schema}.{field}");
            }
        }
    }
}
