//! A name server of a test's own: unprivileged, in a directory that goes with it.

use bcdr_reach::dns::{NameServer, TsigKey};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

const ZONE: &str = "\
$TTL 300
@     IN SOA ns.dr.test. admin.dr.test. 1 3600 600 86400 45
      IN NS  ns.dr.test.
ns    IN A   127.0.0.1
shop  120 IN A 192.0.2.10
shop  120 IN A 192.0.2.11
www   IN CNAME shop.dr.test.
";

/// A running `named`. It ends with the value.
pub(crate) struct Named {
    port: u16,
    directory: TempDir,
    process: Child,
}

impl Named {
    /// Starts it with the zones `dr.test`, which its key may change, and `fixed.test`, which nobody may.
    ///
    /// # Panics
    /// When `named` is missing or does not start: what it says is then in the message.
    pub(crate) fn start() -> Self {
        // The port is free for both protocols now; who takes it first in between wins it.
        for _ in 0..10 {
            if let Some(named) = Self::try_start(free_port()) {
                return named;
            }
        }
        panic!("named found its port taken ten times");
    }

    fn try_start(port: u16) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path();
        let key = run("tsig-keygen", &["-a", "hmac-sha256", "dr-key"]);
        fs::write(path.join("dr.key"), key).expect("the test's own files, key and sockets");
        fs::write(path.join("dr.zone"), ZONE).expect("the test's own files, key and sockets");
        fs::write(
            path.join("fixed.zone"),
            ZONE.replace("dr.test", "fixed.test"),
        )
        .expect("the test's own files, key and sockets");
        fs::write(path.join("named.conf"), configuration(path, port))
            .expect("the test's own files, key and sockets");
        let mut process = Command::new(tool("named"))
            // In the foreground, with what it says on the standard error.
            .args(["-g", "-n", "1", "-c"])
            .arg(path.join("named.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot start named: {error}; run tests/setup/packages.sh")
            });
        let said = BufReader::new(process.stderr.take().expect("it is piped"));
        let mut lines = Vec::new();
        for line in said.lines().map_while(Result::ok) {
            let is_taken = line.contains("address in use");
            let runs = line.ends_with(" running");
            lines.push(line);
            if is_taken {
                let _ = process.kill();
                let _ = process.wait();
                return None;
            }
            if runs {
                // Nobody reads on; what it says from now on goes nowhere.
                return Some(Self {
                    port,
                    directory,
                    process,
                });
            }
        }
        let _ = process.wait();
        panic!("named ended:\n{}", lines.join("\n"));
    }

    /// Where the key lies that the server knows.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.directory.path().join("dr.key")
    }

    /// The key that the server knows.
    pub(crate) fn key(&self) -> TsigKey {
        let file =
            fs::read_to_string(self.key_file()).expect("the test's own files, key and sockets");
        TsigKey::from_key_file(&file).expect("the test's own files, key and sockets")
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A client of it.
    pub(crate) fn server(&self, zone: &str, key: TsigKey) -> NameServer {
        NameServer::new(&self.address(), zone, key).expect("the test's own files, key and sockets")
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(directory: &Path, port: u16) -> String {
    let directory = directory.display();
    format!(
        r#"
include "{directory}/dr.key";
options {{
    directory "{directory}";
    pid-file none;
    session-keyfile "{directory}/session.key";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    notify no;
    dnssec-validation no;
    empty-zones-enable no;
}};
controls {{ }};
zone "dr.test" {{ type primary; file "dr.zone"; allow-update {{ key dr-key; }}; }};
zone "fixed.test" {{ type primary; file "fixed.zone"; }};
"#
    )
}

fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("the test's own files, key and sockets");
        let port = tcp.local_addr().expect("it is bound").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(tool(program))
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!("cannot run {program}: {error}; run tests/setup/packages.sh")
        });
    assert!(output.status.success(), "{program}: {output:?}");
    output.stdout
}

/// Servers live in sbin, which an ordinary user's path lacks.
fn tool(name: &str) -> PathBuf {
    ["/usr/sbin", "/usr/local/sbin", "/sbin"]
        .iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| File::open(path).is_ok())
        .unwrap_or_else(|| PathBuf::from(name))
}
