//! Traces go out by our own client for outgoing calls, to where the operator says.

use super::Node;
use crate::clock::Clock;
use crate::config::{Config, environment};
use crate::hooks::client::Client;
use crate::hooks::guard::Guard;
use crate::telemetry::traces::{self, Outgoing, Sending};
use crate::telemetry::{Metrics, Tracing};
use anyhow::Context as _;
use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_sdk::Resource;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// Spans that can't be delivered are told of at most this often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The layer, and what is to be started with the node; nothing where no endpoint is set.
pub fn open(config: &Config) -> anyhow::Result<Option<(Tracing, Outgoing)>> {
    let is_off = environment("OTEL_SDK_DISABLED").is_some_and(|said| said.eq_ignore_ascii_case("true"));
    if is_off || !ENDPOINTS.iter().any(|name| environment(name).is_some()) {
        return Ok(None);
    }
    traces::open(Collector::new()?, resource(config)).context(ENDPOINTS[0]).map(Some)
}

impl Node {
    /// Until what comes back is dropped.
    pub fn send_traces(&self, outgoing: Outgoing) -> std::io::Result<Sending> {
        let mut told =
            Told { last: None, lost: 0, clock: self.parts.clock.clone(), metrics: self.parts.metrics.clone() };
        outgoing.start(Box::new(move |count, error| told.handle(count, error)))
    }
}

fn resource(config: &Config) -> Resource {
    let attributes = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", config.node.id.clone()),
    ];
    let resource = Resource::builder().with_attributes(attributes);
    let is_named = environment("OTEL_SERVICE_NAME").is_some()
        || environment("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|said| said.contains("service.name="));
    if is_named { resource.build() } else { resource.with_service_name("weir").build() }
}

/// The collector, which is the operator's own: any network, any port.
struct Collector(Client);

impl Collector {
    fn new() -> anyhow::Result<Self> {
        let allowed = ["0.0.0.0/0", "::/0"].iter().map(|network| network.parse()).collect::<Result<_, _>>()?;
        Ok(Self(Client::new(Guard { allowed })))
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let headers: Vec<_> = request
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.to_owned())))
            .collect();
        let reply = self.0.post(&request.uri().to_string(), &headers, request.body().clone()).await?;
        Ok(Response::builder().status(reply.status).body(reply.body.unwrap_or_default())?)
    }
}

/// What became of spans that were not delivered.
struct Told {
    last: Option<Duration>,
    /// Since then.
    lost: u64,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Told {
    fn handle(&mut self, count: u64, error: Option<String>) {
        self.metrics.spans_lost(if error.is_some() { "undelivered" } else { "queue_full" }, count);
        self.lost += count;
        let now = self.clock.monotonic();
        if self.last.is_none_or(|last| now.saturating_sub(last) >= TOLD_EVERY) {
            let lost = std::mem::take(&mut self.lost);
            let error = error.unwrap_or_else(|| "more spans than can be sent".to_owned());
            tracing::warn!(lost, error, "traces can't be delivered");
            self.last = Some(now);
        }
    }
}
