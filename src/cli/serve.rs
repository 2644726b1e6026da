//! `weir serve`: a node, until a signal ends it.

use crate::app::Node;
use crate::config::Config;
use tokio::signal::unix::{SignalKind, signal};

pub fn run(config: &Config) -> anyhow::Result<()> {
    actix::System::new().block_on(async {
        let node = Node::start(config).await?;
        node.first_start(config).await?;
        let at = node.addresses;
        tracing::info!(http = %at.http, rtmp = %at.rtmp, rtmps = at.rtmps.map(tracing::field::display), internal = %at.internal, "ready");
        tokio::select! {
            stopped = stopped() => stopped?,
            () = node.drain_asked() => {}
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
