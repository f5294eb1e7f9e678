//! A cloud side on free ports, and a client of its API.

use crate::{
    config::CloudConfig,
    drill::tests::scripted_target::ScriptedTarget,
    init::{InitOptions, Initialised, IssueOptions, ca_certificate, initialise, issue},
    role::{Started, start::start_on},
    service::Service,
    state_files::StateFiles,
    target::Target,
    testing::{
        following::Following,
        source::{Source, VOLUME_BYTES},
    },
};
use bcdr_disk::RealStorage;
use bcdr_wire::identity::{Identity, Role};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// A console on which every rung is seen.
pub(crate) const GOOD_BOOT: &str =
    "SeaBIOS\r\nLinux version 6\r\nEXT4-fs (vda1): mounted filesystem\r\nhost login: ";

pub(crate) struct Site {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) config: CloudConfig,
    pub(crate) made: Initialised,
    pub(crate) target: Arc<ScriptedTarget>,
    running: Option<(Started, CancellationToken)>,
    agent: ureq::Agent,
}

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads an answer; of a stream without end, only that it is one.
    fn read(response: &mut ureq::http::Response<ureq::Body>) -> Self {
        let headers = response.headers().clone();
        let text = |name: &str| Some(headers.get(name)?.to_str().unwrap().to_owned());
        let is_endless = text("content-type").as_deref() == Some("text/event-stream");
        Self {
            status: response.status().as_u16(),
            location: text("location"),
            body: if is_endless {
                Vec::new()
            } else {
                response.body_mut().read_to_vec().unwrap()
            },
            headers,
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body, of an answer that must have this status.
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self.json()
    }

    /// A problem with this status and code, with a remedy.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
        assert!(problem["remedy"].is_string(), "{problem}");
        problem
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        let target = Arc::new(ScriptedTarget::new(GOOD_BOOT));
        Self::start_on(target).await
    }

    pub(crate) async fn start_on(target: Arc<ScriptedTarget>) -> Self {
        // The client of the API uses the process's provider; a second installation is no matter.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let state = directory.path().join("cloud");
        let mut config = CloudConfig::new(state.clone(), directory.path().join("run"), any, any);
        config.store.space_floor_percent = 0;
        config.store.space_floor_bytes = 0;
        // Tests ask again and again, as fast as they can.
        config.api.requests_per_second = 0;
        let made = initialise(&InitOptions {
            state_directory: state.clone(),
            api_names: Vec::new(),
        })
        .unwrap();
        let agent = agent(&ca_certificate(&state));
        let mut site = Self {
            directory,
            config,
            made,
            target,
            running: None,
            agent,
        };
        site.resume().await;
        site
    }

    /// Starts the role again, in what it left.
    pub(crate) async fn resume(&mut self) {
        let stop = CancellationToken::new();
        let target: Arc<dyn Target> = self.target.clone();
        let storage = Arc::new(RealStorage::new());
        let started = start_on(self.config.clone(), storage, target, stop.clone());
        self.running = Some((started.await.unwrap(), stop));
    }

    pub(crate) async fn stop(&mut self) {
        let (started, stop) = self.running.take().unwrap();
        stop.cancel();
        started.finished.await.unwrap().unwrap();
        // A last connection may outlive the role for a moment, and who opens the catalog next must
        // find it closed.
        let catalog = StateFiles::new(&self.config.state_directory).catalog();
        let is_open = || {
            let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
            let mut files = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
            files.any(|file| file == catalog)
        };
        while is_open() {
            tokio::task::yield_now().await;
        }
    }

    /// The parts of the role that runs.
    pub(crate) fn service(&self) -> Arc<Service> {
        let (started, _) = self.running.as_ref().unwrap();
        started.service.upgrade().unwrap()
    }

    pub(crate) fn ship_address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().0.ship_address
    }

    /// An identity of this installation.
    pub(crate) fn identity(&self, role: Role, name: &str) -> Identity {
        let options = IssueOptions {
            role,
            name: name.to_owned(),
            alternative_names: Vec::new(),
            directory: self.directory.path().join(name),
        };
        let paths = issue(&self.config.state_directory, &options).unwrap();
        Identity::load_from(&paths, crate::clock::wall()).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body), &[]).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None, &[]).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let token = format!("Bearer {}", self.made.token.expose());
        let mut all = vec![("authorization", token.as_str())];
        all.extend(headers);
        self.send_with(method, path, body, &all).await
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> ureq::http::Request<String> {
        let port = self.running.as_ref().unwrap().0.api_address.port();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("https://localhost:{port}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        request.body(text).unwrap()
    }

    /// Follows a stream of events; what it says without being let through is in the answer.
    pub(crate) async fn follow(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Following, Box<Answer>> {
        let request = self.request("GET", path, None, headers);
        let agent = self.agent.clone();
        tokio::task::spawn_blocking(move || {
            let mut response = agent.run(request).unwrap();
            if response.status() != 200 {
                return Err(Box::new(Answer::read(&mut response)));
            }
            assert_eq!(response.headers()["content-type"], "text/event-stream");
            Ok(Following::of(response.into_body().into_reader()))
        })
        .await
        .unwrap()
    }

    /// The same as the administrator of the installation.
    pub(crate) async fn follow_as_admin(&self, path: &str) -> Following {
        let token = format!("Bearer {}", self.made.token.expose());
        let headers = [("authorization", token.as_str())];
        self.follow(path, &headers).await.unwrap()
    }

    pub(crate) async fn send_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let request = self.request(method, path, body, headers);
        let agent = self.agent.clone();
        tokio::task::spawn_blocking(move || Answer::read(&mut agent.run(request).unwrap()))
            .await
            .unwrap()
    }

    /// Makes the group `lab` with one volume, and a source for it.
    pub(crate) async fn group(&self) -> Source {
        self.group_named("lab").await
    }

    /// The same, of another name.
    pub(crate) async fn group_named(&self, name: &str) -> Source {
        let wanted =
            json!({"name": name, "volumes": [{"name": "root", "size_bytes": VOLUME_BYTES}]});
        let group = self.post("/api/v1/groups", wanted).await.expect(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Source::new(
            self.made.installation,
            text(&group["id"]).parse().unwrap(),
            text(&group["stream"]).parse().unwrap(),
            text(&group["volumes"][0]["id"]).parse().unwrap(),
        )
    }

    /// Flips a bit of a batch's last chunk in the log. What is returned flips it back.
    pub(crate) fn damage(&self, source: &Source, batch: &[u8]) -> impl FnOnce() + use<> {
        let tail = &batch[batch.len() - 16..];
        let replicas = self.config.state_directory.join("replicas");
        let mut directories = vec![replicas.join(source.stream.to_string())];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let kept = std::fs::read(&path).unwrap();
                if let Some(at) = kept.windows(16).position(|bytes| bytes == tail) {
                    flip(&path, at as u64);
                    return move || flip(&path, at as u64);
                }
            }
        }
        panic!("the batch is not in the log");
    }

    /// Asks for `path` until `wanted` holds.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let seen = self.get(path).await.expect(200);
            if wanted(&seen) {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn flip(path: &Path, at: u64) {
    use std::os::unix::fs::FileExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

fn agent(ca: &PathBuf) -> ureq::Agent {
    let root = ureq::tls::Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::Specific(Arc::new(vec![root])))
        .build();
    ureq::Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_idle_connections(0)
        .build()
        .new_agent()
}
