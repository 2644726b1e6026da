//! Traces by OTLP: spans wait in a bounded queue for a thread of their own, and nobody waits for that.

use crate::telemetry::Tracing;
use crate::telemetry::spans::TARGET;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::Layer as _;

/// Spans that may wait to be sent; past it they are left out and counted.
const QUEUE_MAX: usize = 2048;
const BATCH_MAX: usize = 512;
const BATCH_EVERY: Duration = Duration::from_secs(1);
/// For the last batch, when the process ends.
const LAST_WITHIN: Duration = Duration::from_secs(1);

/// Where the queue leads to; [`Outgoing::start`] sends what comes.
pub struct Outgoing {
    spans: mpsc::Receiver<SpanData>,
    exporter: SpanExporter,
    full: Arc<AtomicU64>,
}

/// Hears of spans that were not delivered: how many, and why where that was tried.
pub type OnLost = Box<dyn FnMut(u64, Option<String>) + Send>;

/// The layer that makes spans, and where they go. Endpoint, headers, time-out, sampler and resource come from the standard
/// variables (`OTEL_...`).
pub fn open(client: impl HttpClient + 'static, resource: Resource) -> Result<(Tracing, Outgoing), ExporterBuildError> {
    let mut exporter = SpanExporter::builder().with_http().with_http_client(client).build()?;
    exporter.set_resource(&resource);
    let (sender, spans) = mpsc::channel(QUEUE_MAX);
    let full = Arc::new(AtomicU64::new(0));
    let queue = Queue { sender, full: full.clone() };
    let provider = SdkTracerProvider::builder().with_resource(resource).with_span_processor(queue).build();
    let layer = OpenTelemetryLayer::new(provider.tracer("weir"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(|metadata| metadata.target() == TARGET).with_max_level_hint(LevelFilter::INFO));
    Ok((layer.boxed(), Outgoing { spans, exporter, full }))
}

#[derive(Debug)]
struct Queue {
    sender: mpsc::Sender<SpanData>,
    full: Arc<AtomicU64>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            self.full.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends what still waits when it is dropped, as far as that takes no time.
#[must_use]
pub struct Sending {
    stop: Option<oneshot::Sender<()>>,
    ended: std::sync::mpsc::Receiver<()>,
}

impl Outgoing {
    /// On a thread of its own.
    pub fn start(self, on_lost: OnLost) -> std::io::Result<Sending> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name("traces".to_owned()).spawn(move || {
            runtime.block_on(self.run(stopped, on_lost));
            // Nobody waits for it any more: the process is ending.
            let _ = end.try_send(());
        })?;
        Ok(Sending { stop: Some(stop), ended })
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<()>, mut on_lost: OnLost) {
        loop {
            let is_last = tokio::select! {
                () = tokio::time::sleep(BATCH_EVERY) => false,
                _ = &mut stopped => true,
            };
            self.send_all(&mut on_lost).await;
            let full = self.full.swap(0, Ordering::Relaxed);
            if full > 0 {
                on_lost(full, None);
            }
            if is_last {
                return;
            }
        }
    }

    async fn send_all(&mut self, on_lost: &mut OnLost) {
        loop {
            let mut batch = Vec::new();
            while batch.len() < BATCH_MAX
                && let Ok(span) = self.spans.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            let count = batch.len() as u64;
            if let Err(error) = self.exporter.export(batch).await {
                return on_lost(count, Some(error.to_string()));
            }
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Ended already, or too slow: the rest is lost.
            let _ = stop.send(());
            let _ = self.ended.recv_timeout(LAST_WITHIN);
        }
    }
}

/// What a request says of the trace that it belongs to (W3C Trace Context).
#[derive(Debug, Default, Clone, Copy)]
pub struct Traceparent<'a> {
    pub parent: Option<&'a str>,
    pub state: Option<&'a str>,
}

impl Traceparent<'_> {
    /// One that can't be read is as if it were not there.
    pub fn adopt(self, span: &tracing::Span) {
        if self.parent.is_some() && !span.is_disabled() {
            // The span has no layer to tell: then nobody collects it.
            let _ = span.set_parent(TraceContextPropagator::new().extract(&self));
        }
    }
}

impl Extractor for Traceparent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.parent,
            "tracestate" => self.state,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}
