//! What traces tell of: requests of the API, publishes, viewers' stays, relays. None is made where nobody collects them.

use crate::telemetry::Traceparent;
use tracing::Span;
use tracing::field::Empty;

/// Apart from the targets of log lines, which these spans are not for.
pub const TARGET: &str = "traces";

/// One request of the API; [`answered`] tells the rest.
pub fn request(id: &str, method: &str, path: &str, parent: Traceparent<'_>) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = Empty,
        otel.kind = "server",
        http.request.method = method,
        url.path = path,
        http.route = Empty,
        http.response.status_code = Empty,
        weir.request_id = id,
    );
    parent.adopt(&span);
    span
}

pub fn answered(span: &Span, method: &str, route: Option<&str>, status: u16) {
    if span.is_disabled() {
        return;
    }
    span.record("otel.name", format!("{method} {}", route.unwrap_or("unknown")));
    span.record("http.response.status_code", status);
    if let Some(route) = route {
        span.record("http.route", route);
    }
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// From the acceptance of a publisher to its end.
pub fn publish(stream: &str, publisher: u64, key: &str, encoder: &str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "publish",
        weir.stream = stream,
        weir.publisher = publisher,
        weir.key_id = key,
        weir.encoder = encoder,
        weir.reason = Empty,
    )
}

/// A viewer's stay, from its socket to its end.
pub fn viewer(stream: &str, session: &str, protocol: &str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "viewer",
        weir.stream = stream,
        weir.session = session,
        weir.protocol = protocol,
        weir.frames_dropped = Empty,
        weir.rung = Empty,
    )
}

/// Following the node that owns a stream.
pub fn relay(stream: &str, owner: &str, fence: u64) -> Span {
    tracing::info_span!(
        target: TARGET,
        "relay",
        weir.stream = stream,
        weir.owner = owner,
        weir.fence = fence,
        weir.reason = Empty,
    )
}
