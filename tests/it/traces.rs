//! Traces by OTLP, as a collector gets them.

use crate::support::{ADMIN_KEY, Cluster, Encoder, Viewer, Weir, free, until, until_async};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Takes what is posted to it.
#[derive(Clone, Default)]
struct Collector {
    heads: Arc<Mutex<Vec<String>>>,
    got: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    bodies: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self::default();
        let serving = collector.clone();
        actix_rt::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                actix_rt::spawn(serving.clone().take(socket));
            }
        });
        (collector, address)
    }

    async fn take(self, mut socket: TcpStream) -> Option<()> {
        let mut bytes = Vec::new();
        let (head, length) = loop {
            socket.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
            let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length: usize = head.split("content-length: ").nth(1)?.lines().next()?.parse().ok()?;
            break (head, end + 4 + length);
        };
        while bytes.len() < length {
            socket.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
        }
        let body = &bytes[bytes.len().min(head.len() + 4)..];
        self.got.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
        self.bodies.lock().unwrap().extend_from_slice(body);
        self.heads.lock().unwrap().push(head);
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok()
    }

    fn spans(&self) -> Vec<Span> {
        let got = self.got.lock().unwrap();
        let scopes = got.iter().flat_map(|request| &request.resource_spans).flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The first span that `wanted` names.
    async fn until_span(&self, what: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        until(&format!("a span of {what}"), || self.spans().into_iter().find(&wanted)).await
    }
}

/// Numbers as text.
fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn has(span: &Span, name: &str, value: &str) -> bool {
    attribute(&span.attributes, name).as_deref() == Some(value)
}

#[actix_rt::test]
async fn requests_publishes_and_viewers_are_told_to_the_collector() {
    let (collector, endpoint) = Collector::start().await;
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=weir"),
        ("OTEL_SERVICE_NAME", "live"),
    ];
    let weir = Weir::start_with(&settings).await;
    let stream = weir.stream(json!({ "policy": "signed" })).await;
    let token = weir.token(&stream, 60).await;
    let encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
    let mut viewer = Viewer::connect(&weir, &stream, &format!("weir.v1, auth.{token}")).await;
    viewer.video(3).await;
    let request = weir.client.get(format!("http://{}/api/v1/streams/{}", weir.http, stream.id)).bearer_auth(ADMIN_KEY);
    let answer = request.header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01")).send().await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    drop((viewer, encoder));

    let asked = collector.until_span("the request", |span| has(span, "weir.request_id", &id)).await;
    assert_eq!(asked.name, "GET /api/v1/streams/{stream}");
    assert!(has(&asked, "http.response.status_code", "200") && has(&asked, "http.request.method", "GET"), "{asked:?}");
    assert!(has(&asked, "http.route", "/api/v1/streams/{stream}"), "{asked:?}");
    let trace: String = asked.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(trace, TRACE, "the caller's trace was not taken up");
    let of = |name: &'static str| {
        let stream = stream.id.clone();
        move |span: &Span| span.name == name && has(span, "weir.stream", &stream)
    };
    let watched = collector.until_span("the viewer", of("viewer")).await;
    assert!(has(&watched, "weir.protocol", "weir.v1") && has(&watched, "weir.frames_dropped", "0"), "{watched:?}");
    assert!(attribute(&watched.attributes, "weir.session").is_some_and(|id| id.starts_with("ses_")), "{watched:?}");
    let published = collector.until_span("the publish", of("publish")).await;
    assert!(attribute(&published.attributes, "weir.reason").is_some_and(|reason| !reason.is_empty()), "{published:?}");
    assert!(published.end_time_unix_nano > published.start_time_unix_nano);

    let resource = collector.got.lock().unwrap()[0].resource_spans[0].resource.clone().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name").as_deref(), Some("live"));
    assert!(collector.heads.lock().unwrap().iter().all(|head| {
        head.starts_with("post /v1/traces ")
            && head.contains("x-tenant: weir")
            && head.contains("application/x-protobuf")
    }));
    let sent = collector.bodies.lock().unwrap();
    for secret in [stream.key.as_str(), &token, ADMIN_KEY] {
        assert!(!sent.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "a secret was sent");
    }
}

#[actix_rt::test]
async fn a_relay_is_a_span_of_the_node_that_follows() {
    let (collector, endpoint) = Collector::start().await;
    let cluster = Cluster::start().await;
    let owner = cluster.node("a").await;
    let follower = cluster.node_with("b", &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())]).await;
    let stream = owner.public_stream().await;
    let encoder = Encoder::start(&owner.rtmp_url(&stream.key)).await;
    let mut viewer = Viewer::connect(&follower, &stream, "weir.v1").await;
    viewer.video(3).await;
    drop(encoder);
    let relayed = collector.until_span("the relay", |span| span.name == "relay").await;
    assert!(has(&relayed, "weir.stream", &stream.id) && has(&relayed, "weir.owner", "a"), "{relayed:?}");
    assert!(attribute(&relayed.attributes, "weir.reason").is_some(), "{relayed:?}");
}

#[actix_rt::test]
async fn a_collector_that_is_not_there_costs_one_line_of_the_log() {
    let nowhere = format!("http://{}", free());
    let weir = Weir::start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", nowhere.as_str())]).await;
    let lost = "weir_trace_spans_lost_total{reason=\"undelivered\"}";
    let mut before = 0.0;
    for _ in 0..2 {
        let stream = weir.public_stream().await;
        let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;
        Viewer::connect(&weir, &stream, "weir.v1").await.video(1).await;
        before = until_async("spans to be lost", async || {
            let now = weir.metric(lost).await;
            (now > before).then_some(now)
        })
        .await;
    }
    assert_eq!(weir.log.lock().unwrap().matches("traces can't be delivered").count(), 1);
}
