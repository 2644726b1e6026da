//! Each request has an id: in its answer, in the problem it is told, in what is logged meanwhile.

use super::State;
use crate::id::RequestId;
use crate::net::problem::REQUEST_ID;
use crate::telemetry::{Traceparent, spans};
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web;
use tracing::Instrument as _;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

pub(super) async fn numbered<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let state = request.app_data::<web::Data<State>>();
    let id = state.map(|state| RequestId::from_random(state.random()).to_string()).unwrap_or_default();
    let span = tracing::info_span!("request", id, method = %request.method(), path = request.path());
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let parent = Traceparent { parent: header("traceparent"), state: header("tracestate") };
    let method = request.method().clone();
    let traced = spans::request(&id, method.as_str(), request.path(), parent);
    let mut response = REQUEST_ID.scope(id.clone(), next.call(request)).instrument(span).await?;
    let route = response.request().match_pattern();
    spans::answered(&traced, method.as_str(), route.as_deref(), response.status().as_u16());
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    Ok(response)
}
