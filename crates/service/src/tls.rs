//! TLS, with a certificate that may be replaced while the service runs.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

use crate::config::TlsConfig;

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(2);

/// Accepts TLS connections.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
    files: TlsConfig,
    provider: Arc<CryptoProvider>,
}

/// The certificate of new connections.
#[derive(Debug)]
struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Tls {
    /// Reads the certificate; the error names the file.
    pub(crate) fn open(files: TlsConfig) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let certificate = Arc::new(Certificate(RwLock::new(load(&files, &provider)?)));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate, files, provider })
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    /// Takes a new certificate whenever the files have changed, until `stop` changes. One that
    /// cannot be used, such as one whose key is not there yet, leaves the old one in place.
    pub(crate) async fn follow(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut seen = modified(&self.files);
        loop {
            tokio::select! {
                _ = stop.changed() => return,
                () = sleep(POLL) => {}
            }
            let now = modified(&self.files);
            if now == seen {
                continue;
            }
            match load(&self.files, &self.provider) {
                Ok(certificate) => {
                    let mut current =
                        self.certificate.0.write().unwrap_or_else(PoisonError::into_inner);
                    *current = certificate;
                    tracing::info!("certificate was read again");
                }
                Err(error) => tracing::error!(%error, "certificate stays the old one"),
            }
            seen = now;
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&*self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn load(files: &TlsConfig, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, String> {
    let failed = |path: &Path, error: String| format!("TLS: {}: {error}", path.display());
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(&files.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(failed(&files.certificate, "there is no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| failed(&files.key, error.to_string()))?;
    CertifiedKey::from_der(chain, key, provider)
        .map(Arc::new)
        .map_err(|error| failed(&files.key, error.to_string()))
}

/// When each file was written, as far as that is known.
fn modified(files: &TlsConfig) -> [Option<(SystemTime, u64)>; 2] {
    [&files.certificate, &files.key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}
