//! A server that speaks TLS alone, and wants to see our certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use offkey_fetch::{Access, Address, Gate, LiveNode, Secret, Taking, Timeouts, Tls};
use offkey_testkit::{Server, fill, free_port};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

use crate::data::{found, program};

/// Files of an authority, and of a certificate it has signed.
struct Files {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

fn certificates(folder: &Path) -> Files {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "authority of the test");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    Files {
        authority: file("ca.pem", authority.pem()),
        certificate: file("cert.pem", certificate.pem()),
        key: file("key.pem", key.serialize_pem()),
    }
}

#[test]
fn server_with_tls_is_verified_and_shown_our_certificate() {
    // The only one of the servers that is built with TLS.
    let Some(program) = program("redis-7.0.15") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (theirs, other_folder) = (certificates(folder.path()), tempfile::tempdir().unwrap());
    let stranger = certificates(other_folder.path()).authority;
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let port = free_port();
    let (tls_port, cert, key, ca) =
        (port.to_string(), text(&theirs.certificate), text(&theirs.key), text(&theirs.authority));
    let options = [
        "--repl-diskless-sync-delay",
        "0",
        "--tls-port",
        &tls_port,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
    ];
    let server = Server::start(&program, &options, None);
    fill(&mut server.client(), 31, 50);
    let mut client = server.client();
    let rules = "ACL SETUSER backup on >sesame -@all +psync +sync +replconf +ping +role";
    client.run(&rules.split(' ').map(str::as_bytes).collect::<Vec<_>>());
    client.run(&[b"CONFIG", b"SET", b"requirepass", b"another"]);
    let own = (theirs.certificate.as_path(), theirs.key.as_path());
    let take_with = |port: u16, tls: Option<Tls>, password: &str| {
        let timeouts = Timeouts { connect: Duration::from_secs(2), ..Timeouts::default() };
        let (user, password) = (Some("backup".to_owned()), Some(Secret::new(password)));
        let access = Access { user, password, tls, timeouts };
        let address = Address { host: "127.0.0.1".to_owned(), port };
        let node = LiveNode::new(address, access, Taking::default(), Gate::new(1, 1));
        found(Arc::new(node)).1.error
    };
    let take = |port, tls| take_with(port, tls, "sesame");
    let tls = |authority: &Path, own, name| Some(Tls::new(Some(authority), own, name).unwrap());
    assert_eq!(take(port, tls(&theirs.authority, Some(own), None)), None);
    for (tls, at, told) in [
        (tls(&stranger, Some(own), None), port, "invalid peer certificate"),
        (tls(&theirs.authority, Some(own), Some("db.example")), port, "invalid peer certificate"),
        (tls(&theirs.authority, None, None), port, "TLS"),
        (tls(&theirs.authority, Some(own), None), server.port(), "no TLS session"),
        (None, port, "127.0.0.1"),
    ] {
        let error = take(at, tls).unwrap();
        assert!(error.contains(told), "{error}");
    }
    let error = take_with(port, tls(&theirs.authority, Some(own), None), "wrong").unwrap();
    assert!(error.contains("login refused: WRONGPASS"), "{error}");
    let error = Tls::new(Some(&theirs.key), None, None).unwrap_err().to_string();
    assert!(error.contains("key.pem: cannot be used for TLS"), "{error}");
}
