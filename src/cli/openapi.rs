//! `weir openapi`: the document that describes the API.

use crate::api;

pub fn run() -> String {
    serde_json::to_string_pretty(&api::document()).unwrap_or_default()
}
