//! `Idempotency-Key`: who asks again with the same key gets the first answer, and nothing is done twice.

use super::caller::Caller;
use super::input::read;
use super::{Error, State};
use crate::id::TenantId;
use crate::net::problem::REQUEST_ID;
use crate::store::{Answer, Replay};
use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpResponse, ResponseError as _, web};
use serde_json::Value;

pub(super) const HEADER: &str = "Idempotency-Key";

/// Where answers to POST hold what is shown once.
const SECRETS: [&str; 8] = [
    "/stream_key/key",
    "/ingest/rtmp_url",
    "/ingest/rtmps_url",
    "/ingest/stream_key",
    "/key",
    "/secret",
    "/token",
    "/link/url",
];

const KEY_BYTES_MAX: usize = 255;

/// Does what is asked, unless it was done before. Goes on to the end where the client leaves meanwhile: it comes back.
pub(super) async fn once<B: MessageBody + 'static>(
    caller: Caller,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let state = request.app_data::<web::Data<State>>().cloned();
    let begun = match &state {
        Some(state) => begin(state, &caller, &mut request).await,
        None => Err(Error::Internal),
    };
    let (state, id) = match (begun, state) {
        (Ok(Begun::New(id)), Some(state)) => (state, id),
        (Ok(Begun::Done(answer)), _) => return Ok(request.into_response(replayed(answer))),
        (Err(error), _) => return Ok(request.into_response(error.error_response())),
        (Ok(_), None) => return Ok(request.into_response(Error::Internal.error_response())),
    };
    let request_id = REQUEST_ID.try_with(Clone::clone).unwrap_or_default();
    let doing = REQUEST_ID.scope(request_id, async move {
        let response = next.call(request).await;
        finish(&state, &id, response).await
    });
    actix_web::rt::spawn(doing).await.unwrap_or_else(|_| Err(Error::Internal.into()))
}

enum Begun {
    New(String),
    Done(Answer),
}

async fn begin(state: &State, caller: &Caller, request: &mut ServiceRequest) -> Result<Begun, Error> {
    let key = request.headers().get(HEADER).and_then(|key| key.to_str().ok()).unwrap_or_default();
    let is_plain = key.bytes().all(|b| (b' '..=b'~').contains(&b));
    if !is_plain || !(1..=KEY_BYTES_MAX).contains(&key.len()) {
        return Err(Error::invalid(HEADER, "it is no such key", "1 to 255 printable characters of ASCII"));
    }
    // The same person's key means another thing in another tenant.
    let tenant = caller.tenant.as_ref().map_or("", TenantId::as_str);
    let id = hex(&state.secrets.hash(&format!("replay {} {tenant} {key}", caller.actor)));
    let body = read(&mut request.take_payload(), state.limits.get().api_body_bytes).await?;
    let asked = format!("{} {} {}", request.method(), request.uri(), String::from_utf8_lossy(&body));
    request.set_payload(payload(body));
    match state.store.begin_replay(&id, &hex(&state.secrets.hash(&asked)), state.now_us()).await? {
        Replay::New => Ok(Begun::New(id)),
        Replay::Done(answer) => Ok(Begun::Done(answer)),
        Replay::Running => Err(Error::IdempotencyRunning),
        Replay::Other => Err(Error::IdempotencyReused),
    }
}

fn payload(body: web::Bytes) -> actix_web::dev::Payload {
    let (_, mut payload) = actix_http::h1::Payload::create(true);
    payload.unread_data(body);
    payload.into()
}

fn hex(hash: &crate::auth::secret::Hash) -> String {
    hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keeps an answer that tells of something done; what failed may be tried again.
async fn finish<B: MessageBody + 'static>(
    state: &State,
    id: &str,
    response: Result<ServiceResponse<B>, actix_web::Error>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let response = match response {
        Ok(response) => response.map_into_boxed_body(),
        Err(error) => {
            keep(state, id, None).await;
            return Err(error);
        }
    };
    if !response.status().is_success() {
        keep(state, id, None).await;
        return Ok(response);
    }
    let (request, response) = response.into_parts();
    let (response, body) = response.into_parts();
    let body = to_bytes(body).await.unwrap_or_default();
    let answer = Answer { status: response.status().as_u16(), body: without_secrets(&body) };
    keep(state, id, Some(&answer)).await;
    Ok(ServiceResponse::new(request, response.set_body(BoxBody::new(body))))
}

async fn keep(state: &State, id: &str, answer: Option<&Answer>) {
    if let Err(error) = state.store.finish_replay(id, answer).await {
        tracing::warn!(%error, "an answer could not be kept for a replay");
    }
}

fn without_secrets(body: &[u8]) -> String {
    let Ok(mut body) = serde_json::from_slice::<Value>(body) else { return String::new() };
    for secret in SECRETS {
        if let Some(value) = body.pointer_mut(secret).filter(|value| value.is_string()) {
            *value = Value::Null;
        }
    }
    body.to_string()
}

fn replayed(Answer { status, body }: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    response.insert_header(("Idempotent-Replayed", "true"));
    if body.is_empty() {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, "application/json")).body(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_shown_once_is_left_out() {
        let body = br#"{"id":"str_1","labels":{"key":"kept"},"stream_key":{"id":"key_1","key":"sk_x"},"key":"wk_x",
            "ingest":{"rtmp_server":"s","rtmp_url":"s/sk_x","rtmps_url":"t/sk_x","stream_key":"sk_x"}}"#;
        let kept: Value = serde_json::from_str(&without_secrets(body)).unwrap();
        assert_eq!(kept["stream_key"], serde_json::json!({"id": "key_1", "key": null}));
        assert_eq!((&kept["key"], &kept["labels"]["key"]), (&Value::Null, &Value::from("kept")));
        assert_eq!(kept["ingest"]["rtmp_server"], "s");
        assert!(!kept.to_string().contains("sk_x"), "{kept}");
    }
}
