//! A receiver of webhooks that checks who calls, as the format's description says.

use aws_lc_rs::hmac;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What it does with a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    Status(u16, &'static str),
    /// It reads, and says nothing.
    Hang,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: Value,
    text: String,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let find = |line: &str| line.strip_prefix(&format!("{name}: ")).is_some();
        let line = self
            .head
            .lines()
            .find(|line| find(line))
            .unwrap_or_default();
        line.split_once(": ").map_or("", |(_, value)| value)
    }

    pub(super) fn delivery(&self) -> &str {
        self.header("bcdr-delivery")
    }

    pub(super) fn is_signed(&self) -> bool {
        let signed = format!(
            "v1.{}.{}.{}",
            self.header("bcdr-timestamp"),
            self.delivery(),
            self.text
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let mac = hmac::sign(&key, signed.as_bytes());
        let digits: String = mac
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.body["id"] == self.delivery()
            && self.header("bcdr-signature") == format!("v1={digits}")
    }
}

pub(super) struct Receiver {
    port: u16,
    answer: Arc<Mutex<Answer>>,
    requests: tokio::sync::Mutex<mpsc::UnboundedReceiver<Request>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    pub(super) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = Arc::new(Mutex::new(answer));
        let (sender, requests) = mpsc::unbounded_channel();
        let answers = Arc::clone(&answer);
        let task = tokio::spawn(async move {
            let mut all = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, answers) = (sender.clone(), Arc::clone(&answers));
                all.spawn(async move { serve(stream, &sender, &answers).await });
            }
        });
        Self {
            port,
            answer,
            requests: tokio::sync::Mutex::new(requests),
            task,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The next request, whatever was answered to it.
    pub(super) async fn next(&self) -> Request {
        self.requests.lock().await.recv().await.unwrap()
    }
}

async fn serve(
    mut stream: TcpStream,
    sender: &mpsc::UnboundedSender<Request>,
    answers: &Mutex<Answer>,
) {
    let mut bytes = Vec::new();
    let request = loop {
        let mut piece = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut piece).await else {
            return;
        };
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            break Request {
                head: head.to_owned(),
                body: serde_json::from_str(body).unwrap(),
                text: body.to_owned(),
            };
        }
    };
    let answer = *answers.lock().unwrap();
    let _gone = sender.send(request);
    match answer {
        Answer::Hang => std::future::pending().await,
        Answer::Status(status, body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _gone = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    }
}
