use crate::support::{ADMIN_KEY, Encoder, Weir, until};
use futures_util::StreamExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::Message;

/// Writes a certificate for localhost and its key; the certificate is its own root.
fn write_certificate(folder: &Path) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    made.cert.pem().into_bytes()
}

async fn connect(weir: &Weir, root: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(&weir.http).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), socket).await
}

#[actix_rt::test]
async fn viewers_watch_over_tls_while_the_certificate_is_replaced() {
    let files = tempfile::TempDir::new().unwrap();
    let first = write_certificate(files.path());
    let path = |name: &str| files.path().join(name).display().to_string();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let mut plain = Weir::start().await;
    let stream = plain.public_stream().await;
    plain.signal("TERM");
    assert_eq!(plain.ended().await, Some(0));
    let weir = Weir::start_in(plain.data.clone(), &[("WEIR_TLS_CERT", &cert), ("WEIR_TLS_KEY", &key)]).await;
    let _encoder = Encoder::start(&weir.rtmp_url(&stream.key)).await;

    let socket = connect(&weir, &first).await.unwrap();
    let url = format!("wss://localhost/live/{}", stream.playback_id);
    let (mut viewer, _) = tokio_tungstenite::client_async(url, socket).await.unwrap();
    let second = write_certificate(files.path());
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut messages = 0;
    let mut is_replaced = false;
    while !is_replaced || messages < 200 {
        assert!(Instant::now() < deadline, "{messages} messages, replaced: {is_replaced}");
        let message = viewer.next().await.unwrap().unwrap();
        messages += usize::from(matches!(message, Message::Binary(_)));
        if messages % 20 == 0 && !is_replaced {
            is_replaced = connect(&weir, &second).await.is_ok();
        }
    }
    std::fs::write(files.path().join("cert.pem"), "no certificate").unwrap();
    let log = || weir.log.lock().unwrap().contains("the new certificate can't be used");
    while !log() {
        assert!(Instant::now() < deadline + Duration::from_secs(10), "the bad certificate was not told of");
        viewer.next().await.unwrap().unwrap();
    }
    assert!(connect(&weir, &second).await.is_ok(), "the last good certificate is not used any more");
    let third = write_certificate(files.path());
    let deadline = Instant::now() + Duration::from_secs(20);
    while connect(&weir, &third).await.is_err() {
        assert!(Instant::now() < deadline, "a good certificate after a bad one is not taken");
        viewer.next().await.unwrap().unwrap();
    }
}

#[actix_rt::test]
async fn a_reload_moves_to_another_certificate_or_keeps_the_old_one() {
    let [first, second] = [(); 2].map(|()| tempfile::TempDir::new().unwrap());
    let roots = [&first, &second].map(|folder| write_certificate(folder.path()));
    let data = Arc::new(tempfile::TempDir::new().unwrap());
    let say = |folder: &Path| {
        let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name).display().to_string());
        std::fs::write(data.path().join("weir.toml"), format!("[tls]\ncert = '{cert}'\nkey = '{key}'\n")).unwrap();
    };
    say(first.path());
    let weir = Weir::start_in(data.clone(), &[]).await;
    let until_logged = async |text: &str| {
        until(text, || weir.log.lock().unwrap().contains(text).then_some(())).await;
    };
    assert!(connect(&weir, &roots[0]).await.is_ok());
    say(second.path());
    weir.signal("HUP");
    until_logged("\"changed\":\"tls.cert,tls.key\"").await;
    assert!(connect(&weir, &roots[0]).await.is_err() && connect(&weir, &roots[1]).await.is_ok());
    say(&second.path().join("nowhere"));
    weir.signal("HUP");
    until_logged("the configuration can't be used, the old one stays").await;
    assert!(connect(&weir, &roots[1]).await.is_ok());
}

#[actix_rt::test]
async fn a_publisher_comes_by_rtmps_and_plain_bytes_there_are_refused() {
    let files = tempfile::TempDir::new().unwrap();
    let root = write_certificate(files.path());
    let path = |name: &str| files.path().join(name).display().to_string();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let mut plain = Weir::start().await;
    let stream = plain.public_stream().await;
    plain.signal("TERM");
    assert_eq!(plain.ended().await, Some(0));
    let tls = [("WEIR_TLS_CERT", cert.as_str()), ("WEIR_TLS_KEY", &key), ("WEIR_RTMPS_LISTEN", "127.0.0.1:0")];
    let weir = Weir::start_in(plain.data.clone(), &tls).await;
    let rtmps = weir.rtmps.clone().expect("the port for RTMPS is told");
    let shown = shown_over_tls(&weir, &root, &format!("/api/v1/streams/{}", stream.id)).await;
    let (_, port) = rtmps.rsplit_once(':').unwrap();
    assert!(shown.contains(&format!("\"rtmps_server\":\"rtmps://localhost:{port}/live\"")), "{shown}");
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/demo.flv");
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "flv"])
        .arg(format!("rtmps://{rtmps}/live/{}", stream.key))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let published = until_published(&weir).await;
    let mut unencrypted = tokio::net::TcpStream::connect(&rtmps).await.unwrap();
    unencrypted.write_all(&[3; 1537]).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), unencrypted.read_to_end(&mut answer)).await;
    ffmpeg.kill().unwrap();
    ffmpeg.wait().unwrap();
    assert!(published, "nothing was published: {}", weir.tail());
    assert!(ended.is_ok() && !answer.starts_with(&[3]), "plain RTMP was answered");
}

/// An answer as it comes.
async fn shown_over_tls(weir: &Weir, root: &[u8], path: &str) -> String {
    let mut socket = connect(weir, root).await.unwrap();
    let ask = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN_KEY}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The server may close without a word of TLS.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn until_published(weir: &Weir) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while weir.metric("weir_fragments_total").await < 30.0 {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    true
}
