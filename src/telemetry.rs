//! Logs, metrics and traces: names, units and how they are shown.

pub mod spans;
pub mod traces;

use crate::config;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry as Subscriber, fmt, reload};

pub use traces::Traceparent;

/// One label.
pub type Label = [(&'static str, &'static str); 1];

/// What this node counts; every name starts with `weir_`.
pub struct Metrics {
    registry: Registry,
    pub viewers: Gauge,
    pub relays: Gauge,
    pub streams_live: Gauge,
    pub publishers: Gauge,
    pub ingest_bytes: Counter,
    pub delivered_bytes: Counter,
    pub fragments: Counter,
    pub hubs_behind: Counter,
    pub outbox_bytes: Gauge,
    pub backlog_bytes: Gauge,
    pub fanout_seconds: Histogram,
    pub join_seconds: Histogram,
    viewer_latency_seconds: Histogram,
    viewer_first_frame_seconds: Histogram,
    viewer_played_seconds: Counter<f64, AtomicU64>,
    viewer_stalled_seconds: Counter<f64, AtomicU64>,
    pub lease_renew_seconds: Histogram,
    pub owner_changes: Counter,
    frames_dropped: Family<Label, Counter>,
    rung_changes: Family<Label, Counter>,
    viewers_on_rung: Family<Label, Gauge>,
    viewers_evicted: Family<Label, Counter>,
    auth_failures: Family<Label, Counter>,
    publishes_refused: Family<Label, Counter>,
    degraded: Family<Label, Gauge>,
    panics: Counter,
    config_reloads: Family<Label, Counter>,
    spans_lost: Family<Label, Counter>,
    limits_hit: Family<Label, Counter>,
    /// Since the log last told of them.
    limits_untold: Mutex<BTreeMap<&'static str, u64>>,
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("weir");
        let registry_ref = &mut registry;
        Self {
            viewers: register(registry_ref, "viewers", "Viewers connected to this node", Gauge::default()),
            relays: register(registry_ref, "relays", "Nodes that follow streams of this one", Gauge::default()),
            streams_live: register(
                registry_ref,
                "streams_live",
                "Streams with a publisher on this node",
                Gauge::default(),
            ),
            publishers: register(registry_ref, "publisher_connections", "RTMP connections", Gauge::default()),
            ingest_bytes: register(registry_ref, "ingest_bytes", "Media received", Counter::default()),
            delivered_bytes: register(
                registry_ref,
                "delivered_bytes",
                "Bytes given to viewers' sockets",
                Counter::default(),
            ),
            fragments: register(registry_ref, "fragments", "Fragments cut", Counter::default()),
            hubs_behind: register(
                registry_ref,
                "hubs_behind",
                "Times that a worker lost its place in a stream",
                Counter::default(),
            ),
            outbox_bytes: register(registry_ref, "outbox_bytes", "Bytes that wait for slow viewers", Gauge::default()),
            backlog_bytes: register(
                registry_ref,
                "backlog_bytes",
                "Bytes held of live streams for viewers who join",
                Gauge::default(),
            ),
            fanout_seconds: register(
                registry_ref,
                "fanout_seconds",
                "From a frame's arrival until it was handed to a worker's viewers",
                Histogram::new(exponential_buckets(0.000_25, 2.0, 14)),
            ),
            join_seconds: register(
                registry_ref,
                "join_seconds",
                "From a viewer's request until its first media was handed over",
                Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            ),
            viewer_latency_seconds: register(
                registry_ref,
                "viewer_latency_seconds",
                "From a frame's arrival until a player showed it, as players tell",
                Histogram::new(exponential_buckets(0.02, 1.6, 14)),
            ),
            viewer_first_frame_seconds: register(
                registry_ref,
                "viewer_first_frame_seconds",
                "From a player's start until its first picture, as players tell",
                Histogram::new(exponential_buckets(0.05, 1.6, 14)),
            ),
            viewer_played_seconds: register(
                registry_ref,
                "viewer_played_seconds",
                "Time in which pictures went on, as players tell",
                Counter::default(),
            ),
            viewer_stalled_seconds: register(
                registry_ref,
                "viewer_stalled_seconds",
                "Time in which pictures stood still and should not have, as players tell",
                Counter::default(),
            ),
            lease_renew_seconds: register(
                registry_ref,
                "lease_renew_seconds",
                "What a renewal of a stream's lease took",
                Histogram::new(exponential_buckets(0.000_25, 2.0, 14)),
            ),
            owner_changes: register(
                registry_ref,
                "owner_changes",
                "Times that this node became the owner of a stream",
                Counter::default(),
            ),
            frames_dropped: register(
                registry_ref,
                "frames_dropped",
                "Frames that a viewer was not sent",
                Family::default(),
            ),
            rung_changes: register(
                registry_ref,
                "rung_changes",
                "Times that a viewer came to a rung of the drop ladder",
                Family::default(),
            ),
            viewers_on_rung: register(
                registry_ref,
                "slow_viewers",
                "Viewers below the drop ladder's first rung",
                Family::default(),
            ),
            viewers_evicted: register(registry_ref, "viewers_evicted", "Viewers that had to go", Family::default()),
            auth_failures: register(registry_ref, "auth_failures", "Keys and tokens refused", Family::default()),
            publishes_refused: register(registry_ref, "publishes_refused", "Publishers refused", Family::default()),
            panics: register(registry_ref, "panics", "Tasks that ended by a fault of the program", Counter::default()),
            config_reloads: register(
                registry_ref,
                "config_reloads",
                "Times that the configuration was read again",
                Family::default(),
            ),
            spans_lost: register(registry_ref, "trace_spans_lost", "Spans that were not delivered", Family::default()),
            limits_hit: register(registry_ref, "limit_hits", "Times that a limit was reached", Family::default()),
            limits_untold: Mutex::default(),
            degraded: register(registry_ref, "degraded", "1 where a part this node needs is away", Family::default()),
            registry,
        }
    }

    pub fn frames_dropped(&self, reason: &'static str, frames: u64) {
        self.frames_dropped.get_or_create(&[("reason", reason)]).inc_by(frames);
    }

    /// What a player told of itself since it told last, in ms.
    pub fn player_told(&self, latency: Option<f64>, first_frame: Option<f64>, played: f64, stalled: f64) {
        for (ms, histogram) in
            [(latency, &self.viewer_latency_seconds), (first_frame, &self.viewer_first_frame_seconds)]
        {
            if let Some(ms) = ms {
                histogram.observe(ms / 1e3);
            }
        }
        self.viewer_played_seconds.inc_by(played / 1e3);
        self.viewer_stalled_seconds.inc_by(stalled / 1e3);
    }

    /// A viewer left one rung of the drop ladder for another; on the first one nobody is counted.
    pub fn rung_changed(&self, from: &'static str, to: &'static str) {
        self.rung_changes.get_or_create(&[("rung", to)]).inc();
        self.rung_left(from);
        if to != "0" {
            self.viewers_on_rung.get_or_create(&[("rung", to)]).inc();
        }
    }

    pub fn rung_left(&self, rung: &'static str) {
        if rung != "0" {
            self.viewers_on_rung.get_or_create(&[("rung", rung)]).dec();
        }
    }

    pub fn viewer_evicted(&self, reason: &'static str) {
        self.viewers_evicted.get_or_create(&[("reason", reason)]).inc();
    }

    pub fn auth_failure(&self, reason: &'static str) {
        self.auth_failures.get_or_create(&[("reason", reason)]).inc();
    }

    pub fn publish_refused(&self, reason: &'static str) {
        self.publishes_refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// `ok`, or `failed` where nothing was changed.
    pub fn config_reloaded(&self, result: &'static str) {
        self.config_reloads.get_or_create(&[("result", result)]).inc();
    }

    pub fn spans_lost(&self, reason: &'static str, spans: u64) {
        self.spans_lost.get_or_create(&[("reason", reason)]).inc_by(spans);
    }

    /// From now on a panic, which ends one task, is counted and logged as one line.
    pub fn watch_panics(self: &Arc<Self>) {
        let metrics = self.clone();
        std::panic::set_hook(Box::new(move |panic| {
            metrics.panics.inc();
            let place = panic.location().map(ToString::to_string);
            tracing::error!(place, what = panic.payload_as_str(), "a task panicked; all others go on");
        }));
    }

    /// By its key in the configuration, without `limits.`.
    pub fn limit_hit(&self, limit: &'static str) {
        self.limits_hit.get_or_create(&[("limit", limit)]).inc();
        *self.limits_untold().entry(limit).or_default() += 1;
    }

    /// One line for each limit that was hit since the last call: an attack must not fill the log.
    pub fn log_limits(&self) {
        for (limit, times) in std::mem::take(&mut *self.limits_untold()) {
            tracing::warn!(limit, times, "a limit was reached");
        }
    }

    fn limits_untold(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.limits_untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_degraded(&self, part: &'static str, is_away: bool) {
        self.degraded.get_or_create(&[("part", part)]).set(i64::from(is_away));
    }

    /// The OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string does not fail");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// Lines that wait for a reader of the log who is slow; past it they are left out and counted, for a log that nobody
/// reads must not hold up a stream.
const LOG_LINES_MAX: usize = 16 * 1024;

/// Makes traces of spans.
pub type Tracing = Box<dyn Layer<Subscriber> + Send + Sync>;

/// Writes what still waits when it is dropped.
#[must_use]
pub struct Logs {
    /// Where nothing else is said of a target.
    base: &'static str,
    filter: Option<reload::Handle<EnvFilter, Subscriber>>,
    _writer: WorkerGuard,
}

impl Logs {
    /// Sends logs to standard error: text on a terminal, JSON otherwise or where `is_json` says so. What `filter` says goes
    /// over `base`; `RUST_LOG` stands above both.
    pub fn start(is_json: Option<bool>, base: &'static str, filter: Option<&str>, traces: Option<Tracing>) -> Self {
        let environment = config::environment(EnvFilter::DEFAULT_ENV);
        let is_fixed = environment.is_some();
        let (filter, handle) =
            reload::Layer::new(without_noise(EnvFilter::new(environment.unwrap_or_else(|| over(base, filter)))));
        let writer = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LOG_LINES_MAX);
        let (writer, guard) = writer.finish(std::io::stderr());
        let lines = fmt::layer().with_writer(writer).with_target(false);
        let is_terminal = std::io::stderr().is_terminal();
        let no_span = filter_fn(|metadata| metadata.target() != spans::TARGET).with_max_level_hint(LevelFilter::TRACE);
        let filter = filter.and(no_span);
        let lines = if is_json.unwrap_or(!is_terminal) {
            lines.json().flatten_event(true).with_filter(filter).boxed()
        } else {
            lines.with_ansi(is_terminal).with_filter(filter).boxed()
        };
        let layers: Vec<_> = [Some(lines), traces].into_iter().flatten().collect();
        tracing_subscriber::registry().with(layers).init();
        Self { base, filter: (!is_fixed).then_some(handle), _writer: guard }
    }

    /// False where `RUST_LOG` stands above it.
    pub fn filter(&self, filter: Option<&str>) -> bool {
        let filter = without_noise(EnvFilter::new(over(self.base, filter)));
        self.filter.as_ref().is_some_and(|handle| handle.reload(filter).is_ok())
    }
}

fn over(base: &str, filter: Option<&str>) -> String {
    filter.map_or_else(|| base.to_owned(), |filter| format!("{base},{filter}"))
}

/// Of each request that is no HTTP, actix-http would make a line that says ERROR, which is for faults that an operator
/// mends; who wants them names it.
fn without_noise(filter: EnvFilter) -> EnvFilter {
    const NOISY: &str = "actix_http";
    if filter.to_string().contains(NOISY) {
        return filter;
    }
    let quiet = format!("{NOISY}=off").parse().expect("a directive");
    filter.add_directive(quiet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_do_wrong_is_no_error_unless_it_is_asked_for() {
        for said in ["info", "debug", "warn,weir=trace"] {
            assert!(without_noise(EnvFilter::new(said)).to_string().contains("actix_http=off"), "{said}");
        }
        assert_eq!(without_noise(EnvFilter::new("actix_http=debug")).to_string(), "actix_http=debug");
    }

    #[test]
    fn metrics_are_shown_by_their_documented_names() {
        let metrics = Metrics::new();
        metrics.viewers.set(3);
        metrics.delivered_bytes.inc_by(7);
        metrics.frames_dropped("slow", 2);
        metrics.set_degraded("sql", true);
        let text = metrics.render();
        for line in [
            "weir_viewers 3",
            "weir_delivered_bytes_total 7",
            "weir_frames_dropped_total{reason=\"slow\"} 2",
            "weir_degraded{part=\"sql\"} 1",
            "# TYPE weir_fanout_seconds histogram",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
