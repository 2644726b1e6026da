//! `weir demo`: a node that publishes a clip to itself by RTMP, and the links to watch it.

use crate::api::{self, Demo, DemoStream};
use crate::app::{Addresses, Node};
use crate::auth::key::{ApiKey, RANDOM_BYTES};
use crate::cli::publish::{self, Clip, Repeat};
use crate::cli::{say, serve};
use crate::config::{Config, Secret};
use crate::rtmp::url::Url;
use crate::telemetry::traces::Outgoing;
use anyhow::Context as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A clock, a frame counter, a flash with a beep each second; made by `demo-clip.sh`.
const CLIP: &[u8] = include_bytes!("demo.flv");

pub fn run(mut config: Config, traces: Option<Outgoing>) -> anyhow::Result<()> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    let api_key = ApiKey::from_random(random);
    config.admin_key = Some(Secret::new(api_key.reveal()));
    let moved = [&mut config.http.listen, &mut config.rtmp.listen, &mut config.internal.listen].map(free_port);
    actix::System::new().block_on(async {
        let node = Node::start(&config).await?;
        let _sending = traces.map(|traces| node.send_traces(traces)).transpose()?;
        let demo = api::demo(&node.administration).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        say(&links(&demo, &api_key, node.addresses, moved.contains(&Port::Moved)));
        let url = Url::parse(&rtmp_url(&demo.clip, node.addresses)).context("the node's own address")?;
        let clip = Clip::from_bytes(CLIP);
        let published = publish::publish(&url, clip, Repeat::Endless, async { drop(serve::stopped().await) }, |_| {});
        let published = published.await;
        node.drain().await;
        published.context("the clip can't be published")?;
        Ok(())
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    AsConfigured,
    Moved,
}

/// A demo runs beside whatever has its port already.
fn free_port(listen: &mut SocketAddr) -> Port {
    if listen.port() == 0 || TcpListener::bind(*listen).is_ok() {
        return Port::AsConfigured;
    }
    listen.set_port(0);
    Port::Moved
}

/// As one reaches it from this machine.
fn local(address: SocketAddr) -> String {
    if address.ip().is_unspecified() || address.ip() == Ipv4Addr::LOCALHOST {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

fn rtmp_url(stream: &DemoStream, at: Addresses) -> String {
    let host = if at.rtmp.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { at.rtmp.ip() };
    format!("rtmp://{}/live/{}", SocketAddr::new(host, at.rtmp.port()), stream.stream_key.reveal())
}

fn links(demo: &Demo, api_key: &ApiKey, at: Addresses, is_moved: bool) -> String {
    let (http, rtmp) = (local(at.http), local(at.rtmp));
    let Demo { clip, own, admin } = demo;
    let admin = api::sign_in(&format!("http://{http}"), admin);
    let moved = if is_moved { "\n  (Ports that were taken were replaced by free ones.)\n" } else { "" };
    format!(
        "
  Weir is live.
{moved}
  Watch in a browser
    http://{http}/watch/{clip_id}#token={clip_token}

  Watch with ffplay, VLC or curl
    http://{http}/live/{clip_id}.mp4?token={clip_token}

  Publish something of your own, and watch it
    OBS       server      rtmp://{rtmp}/live
              stream key  {key}
    ffmpeg    ffmpeg -re -i FILE -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 60 -c:a aac -f flv rtmp://{rtmp}/live/{key}
    watch     http://{http}/watch/{own_id}#token={own_token}

  Administer (the link signs you in, once)
    {admin}

  Administer with a program
    curl -H 'Authorization: Bearer {api}' http://{http}/api/v1/streams

  Ctrl-C ends it.
",
        clip_id = clip.playback_id,
        clip_token = clip.token,
        own_id = own.playback_id,
        own_token = own.token,
        key = own.stream_key.reveal(),
        api = api_key.reveal(),
    )
}
