//! `weir serve`: a node, until a signal ends it.

use crate::app::Node;
use crate::config::{self, Config};
use crate::telemetry::Logs;
use crate::telemetry::traces::Outgoing;
use tokio::signal::unix::{SignalKind, signal};

/// `read` reads the configuration again, as it was read for the start.
pub fn run(
    config: &Config,
    read: impl Fn() -> Result<Config, config::Error>,
    logs: &Logs,
    traces: Option<Outgoing>,
) -> anyhow::Result<()> {
    actix::System::new().block_on(async {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut node = Node::start(config).await?;
        node.first_start(config).await?;
        let _sending = traces.map(|traces| node.send_traces(traces)).transpose()?;
        let at = node.addresses;
        tracing::info!(http = %at.http, rtmp = %at.rtmp, rtmps = at.rtmps.map(tracing::field::display), internal = %at.internal, "ready");
        let mut stopped = std::pin::pin!(stopped());
        loop {
            tokio::select! {
                stopped = &mut stopped => break stopped?,
                () = node.drain_asked() => break,
                _ = hangup.recv() => node.reload(read(), logs),
            }
        }
        node.drain().await;
        Ok(())
    })
}

/// SIGTERM or SIGINT.
pub async fn stopped() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
