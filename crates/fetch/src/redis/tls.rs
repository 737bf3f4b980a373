//! Encryption of the connection to a server.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::{Error, ErrorKind};

/// How the server's certificate is verified, and our own.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    /// Name in the certificate, where it is not the address.
    server_name: Option<String>,
}

impl Tls {
    /// Trusts the authorities in the PEM file `authorities`, or the system's; shows the
    /// certificate and key in `own`, if the server wants one.
    ///
    /// # Errors
    /// A file cannot be read or holds no such thing.
    pub fn new(
        authorities: Option<&Path>,
        own: Option<(&Path, &Path)>,
        server_name: Option<&str>,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        match authorities {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| unusable(path, &error))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| local(format!("TLS cannot be used: {error}")))?
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| unusable(key, &e))?;
                builder
                    .with_client_auth_cert(chain, secret)
                    .map_err(|error| unusable(certificate, &error))?
            }
        };
        if let Some(name) = server_name {
            name_of(name)?;
        }
        Ok(Self { config: Arc::new(config), server_name: server_name.map(str::to_owned) })
    }

    /// Begins a session with `host`.
    pub(crate) fn client(&self, host: &str) -> Result<rustls::ClientConnection, Error> {
        let name = name_of(self.server_name.as_deref().unwrap_or(host))?;
        rustls::ClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|error| local(format!("{host}: TLS cannot be used: {error}")))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, &error))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| unusable(path, &error))?;
    if found.is_empty() { Err(unusable(path, &"it holds no certificate")) } else { Ok(found) }
}

fn name_of(name: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| local(format!("not a name that a certificate can have: {name:?}")))
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Error {
    local(format!("{}: cannot be used for TLS: {why}", path.display()))
}

fn local(text: String) -> Error {
    Error::new(ErrorKind::Local, text)
}
