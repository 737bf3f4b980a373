//! An S3 server (moto, a Python package), and a proxy that leads to it whatever name is asked for.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use offkey_testkit::{free_port, repo_path, wait_for};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// How the server is reached.
pub(crate) enum Served<'h> {
    /// By HTTP, so that requests can be looked at.
    Plainly,
    /// By HTTPS, with a certificate for these names.
    WithTls(&'h [&'h str]),
}

/// Both of them.
pub(crate) struct StandIn {
    moto: Child,
    moto_port: u16,
    has_tls: bool,
    proxy_port: u16,
    seen: Arc<Mutex<Seen>>,
    folder: TempDir,
}

#[derive(Default)]
struct Seen {
    /// Names that connections were asked for.
    asked: Vec<String>,
    /// Heads of requests, where they are not encrypted.
    requests: Vec<String>,
}

/// Runs a script with the Python that has moto, and botocore with it.
pub(crate) fn python(script: &str, arguments: &[&str], input: &str) -> String {
    let mut python = Command::new(program("python").unwrap())
        .args(["-c", script])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// A program of the tests' own Python.
fn program(name: &str) -> Option<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let program = repo_path(target).join("venv/bin").join(name);
    let required = std::env::var("OFFKEY_SERVERS").is_ok_and(|value| value == "required");
    assert!(program.exists() || !required, "not installed: {}", program.display());
    program.exists().then_some(program)
}

impl StandIn {
    /// Starts both; nothing where moto is not installed.
    pub(crate) fn start(served: Served<'_>) -> Option<Self> {
        let Some(program) = program("moto_server") else {
            eprintln!("no moto: nothing is tested");
            return None;
        };
        let (folder, moto_port) = (tempfile::tempdir().unwrap(), free_port());
        let mut moto = Command::new(program);
        moto.args(["-H", "127.0.0.1", "-p", &moto_port.to_string()]);
        let has_tls = matches!(served, Served::WithTls(_));
        if let Served::WithTls(hosts) = served {
            certify(&folder, hosts);
            let of = |name: &str| folder.path().join(name);
            moto.arg("-s").arg("-c").arg(of("cert.pem")).arg("-k").arg(of("key.pem"));
        }
        let moto = moto.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy_port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let its_seen = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming() {
                let seen = Arc::clone(&its_seen);
                thread::spawn(move || lead(client.unwrap(), moto_port, !has_tls, &seen).ok());
            }
        });
        wait_for("moto listens", || TcpStream::connect(("127.0.0.1", moto_port)).is_ok());
        Some(Self { moto, moto_port, has_tls, proxy_port, seen, folder })
    }

    /// Stores an object, in a bucket that is made if it is not there; botocore does it.
    pub(crate) fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let path = self.folder.path().join("object");
        std::fs::write(&path, bytes).unwrap();
        let script = r#"
import sys, boto3, warnings
warnings.simplefilter("ignore")
endpoint, bucket, key, path = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, verify=False, region_name="us-east-1",
                  aws_access_key_id="a", aws_secret_access_key="b")
s3.create_bucket(Bucket=bucket)
s3.upload_file(path, bucket, key)
"#;
        python(script, &[&self.endpoint(), bucket, key, path.to_str().unwrap()], "");
    }

    /// URL of the server without the proxy.
    pub(crate) fn endpoint(&self) -> String {
        let scheme = if self.has_tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.moto_port)
    }

    /// URL of the proxy.
    pub(crate) fn proxy(&self) -> String {
        format!("http://127.0.0.1:{}", self.proxy_port)
    }

    /// File of the authority that has signed the server's certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// Names that were asked for since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap().asked)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.moto.kill();
        let _ = self.moto.wait();
    }
}

fn certify(folder: &TempDir, hosts: &[&str]) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let names: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("cert.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
}

/// Leads one connection to the server, as `CONNECT name:port` asks for.
fn lead(
    mut client: TcpStream,
    moto_port: u16,
    is_plain: bool,
    seen: &Mutex<Seen>,
) -> std::io::Result<()> {
    let asked = head(&mut client)?;
    let name = asked.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    seen.lock().unwrap().asked.push(name.unwrap_or("no CONNECT").to_owned());
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let mut server = TcpStream::connect(("127.0.0.1", moto_port))?;
    let (mut back, mut to) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        // Either may be gone, and then so is the other.
        let _ = std::io::copy(&mut back, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    if is_plain {
        loop {
            let request = head(&mut client)?;
            seen.lock().unwrap().requests.push(request.clone());
            server.write_all(request.as_bytes())?;
        }
    }
    std::io::copy(&mut client, &mut server)?;
    server.shutdown(Shutdown::Both)
}

/// What comes before an empty line; none of the requests has a body.
fn head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    Ok(String::from_utf8(bytes).unwrap())
}
