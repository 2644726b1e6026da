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
    requests: Arc<Mutex<Vec<String>>>,
}

impl Served {
    pub async fn start(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys.json", listener.local_addr().unwrap());
        let served = Self {
            url,
            answer: Arc::new(Mutex::new((200, body.to_owned()))),
            asked: Arc::default(),
            requests: Arc::default(),
        };
        let (answer, asked, requests) = (served.answer.clone(), served.asked.clone(), served.requests.clone());
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                asked.fetch_add(1, Ordering::Relaxed);
                let (status, body) = answer.lock().unwrap().clone();
                let mut request = Vec::new();
                while !is_whole(&request) && socket.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
                requests.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
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

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
