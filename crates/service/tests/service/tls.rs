//! HTTPS, and a certificate that is replaced.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offkey_service::TlsConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::common::Service;

/// Writes a certificate of its own authority and answers it.
fn write_pair(folder: &Path) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), pair.cert.pem()).unwrap();
    pair.cert.der().clone()
}

/// What the service answers to somebody who trusts `root` alone.
fn get(service: &Service, root: &CertificateDer<'static>) -> Result<String, std::io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(service.addr())?);
    stream.write_all(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn new_certificate_is_taken_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_pair(folder.path());
    let tls = TlsConfig {
        certificate: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    let service = Service::start_with(
        |_| {},
        |config| {
            config.tls = Some(tls);
            config.limits.header_seconds = NonZeroU32::MIN;
        },
    );
    assert!(get(&service, &first).unwrap().starts_with("HTTP/1.1 404 "));
    // Plain HTTP is no TLS.
    let mut plain = TcpStream::connect(service.addr()).unwrap();
    plain.write_all(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"));

    // Who does not say hello is cut.
    let start = Instant::now();
    let mut silent = TcpStream::connect(service.addr()).unwrap();
    assert_eq!(silent.read_to_end(&mut answer).unwrap(), 0);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());

    std::fs::write(folder.path().join("cert.pem"), "broken").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert!(get(&service, &first).unwrap().starts_with("HTTP/1.1 404 "));

    let second = write_pair(folder.path());
    let start = Instant::now();
    while get(&service, &second).is_err() {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(get(&service, &first).is_err());
}
