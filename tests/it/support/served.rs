//! A page of our own, for what a node fetches.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers whatever is asked with what it was given last.
pub struct Served {
    pub url: String,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Served {
    pub async fn start(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys.json", listener.local_addr().unwrap());
        let served = Self { url, answer: Arc::new(Mutex::new((200, body.to_owned()))), asked: Arc::default() };
        let (answer, asked) = (served.answer.clone(), served.asked.clone());
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                asked.fetch_add(1, Ordering::Relaxed);
                let (status, body) = answer.lock().unwrap().clone();
                let mut request = [0; 4096];
                let _read = socket.read(&mut request).await;
                let head =
                    format!("HTTP/1.1 {status} X\r\nlocation: /elsewhere\r\ncontent-length: {}\r\n\r\n", body.len());
                let _gone = socket.write_all((head + &body).as_bytes()).await;
            }
        });
        served
    }

    pub fn answer(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}
