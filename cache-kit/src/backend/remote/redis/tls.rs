//! [`RedisTls`]: whom to trust, and as whom to be trusted.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::redis::RedisError;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, ClientConfig, RootCertStore};

use super::address::Address;
use super::aside::Aside;
use super::connect::Failure;
use super::login::unreadable;
use crate::error::{Error, Result};

/// Why a connection may end between the handshake and the answer to the login: in TLS 1.3 the server
/// looks at the client's certificate then, and its word about it may be lost.
pub(super) const ENDED: &str =
    "; the server may ask for a certificate of the client (`cert` and `key`), or refuse it";

/// How a connection over TLS is made: which authorities are trusted, and the certificate of this
/// client.
///
/// By default these are the system's root certificates, and no certificate. The name of the server
/// is always verified: it is the host of the URL, or the host that a cluster or a sentinel names.
/// TLS 1.2 and 1.3 are spoken.
///
/// Files are in PEM and are read again for each connection, so that the next connection uses a
/// certificate that was replaced. The connections that exist go on.
///
/// The cryptography is that of rustls: the process's default provider, if one is installed, and
/// *ring* otherwise.
///
/// ```
/// use cache_kit::backend::{RedisConfig, RedisTls};
///
/// # fn main() -> cache_kit::Result<()> {
/// let tls = RedisTls::new()
///     .with_ca_file("/etc/cache/ca.pem")
///     .with_client_files("/etc/cache/client.pem", "/etc/cache/client.key");
/// let config = RedisConfig::from_url("rediss://cache.internal:6379")?.with_tls(tls);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct RedisTls {
    /// The system's roots by default.
    roots: Option<Pem>,
    /// A certificate with those that sign it, and its key.
    client: Option<(Pem, Pem)>,
    /// How the files are read.
    aside: Aside,
}

#[derive(Clone)]
enum Pem {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

impl RedisTls {
    /// The system's root certificates, and no certificate of this client.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the authorities in a PEM file, and no others. In a URL this is `ca=/path`.
    pub fn with_ca_file(mut self, path: impl AsRef<Path>) -> Self {
        self.roots = Some(Pem::file(path));
        self
    }

    /// Trusts the authorities in this PEM, and no others.
    pub fn with_ca_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots = Some(Pem::bytes(pem));
        self
    }

    /// The certificate of this client, followed by those that sign it, and its private key, in PEM
    /// files. In a URL this is `cert=/path&key=/path`.
    pub fn with_client_files(mut self, cert: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        self.client = Some((Pem::file(cert), Pem::file(key)));
        self
    }

    /// The same with both in memory.
    pub fn with_client_pem(mut self, cert: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.client = Some((Pem::bytes(cert), Pem::bytes(key)));
        self
    }

    /// Encrypts a socket to `server`, and verifies its name.
    pub(super) async fn handshake(
        &self,
        server: &Address,
        stream: TcpStream,
    ) -> std::result::Result<TlsStream<TcpStream>, Failure> {
        let Address::Tcp(host, _) = server else {
            return Err(config_error("there is no TLS on a unix socket").into());
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|_| config_error("the host is no name that a certificate can have"))?;
        let settings = self.clone();
        let read = move || settings.client_config();
        let config = self.aside.run("the certificates", read).await?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await;
        stream.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => said(
                "the server closed the connection instead of a TLS handshake: is it its port for TLS?",
            )
            .into(),
            _ => Failure::Redis(error.into()),
        })
    }

    fn client_config(&self) -> Result<ClientConfig> {
        // No provider is installed for the process: that is the service's choice.
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| config_error("the installed crypto provider has no TLS 1.2 or 1.3"))?
            .with_root_certificates(self.roots()?);
        let Some((certificate, key)) = &self.client else {
            return Ok(config.with_no_client_auth());
        };
        let chain = certificate.certificates("cert")?;
        let key = PrivateKeyDer::from_pem_slice(&key.read("key")?)
            .map_err(|_| said("`key` is no private key in PEM"))?;
        config.with_client_auth_cert(chain, key).map_err(|error| {
            said(match error {
                rustls::Error::InconsistentKeys(_) => "`key` does not belong to `cert`",
                _ => "`cert` or `key` is not usable",
            })
        })
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        match &self.roots {
            Some(pem) => {
                for certificate in pem.certificates("ca")? {
                    let added = roots.add(certificate);
                    added.map_err(|_| said("`ca` has a certificate that is not usable"))?;
                }
            }
            None => {
                // Some systems have a few that cannot be read.
                let system = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(system.certs);
                if roots.is_empty() {
                    return Err(said(
                        "the system has no root certificates; name a file by `ca`",
                    ));
                }
            }
        }
        Ok(roots)
    }
}

impl Pem {
    fn file(path: impl AsRef<Path>) -> Self {
        Self::File(path.as_ref().to_owned())
    }

    fn bytes(pem: impl AsRef<[u8]>) -> Self {
        Self::Bytes(pem.as_ref().into())
    }

    fn read(&self, parameter: &str) -> Result<Arc<[u8]>> {
        match self {
            Self::File(path) => std::fs::read(path)
                .map(Into::into)
                .map_err(|error| unreadable(parameter, &error)),
            Self::Bytes(pem) => Ok(Arc::clone(pem)),
        }
    }

    fn certificates(&self, parameter: &str) -> Result<Vec<CertificateDer<'static>>> {
        let pem = self.read(parameter)?;
        let certificates: std::result::Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&pem).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            _ => Err(said(&format!("`{parameter}` has no certificate in PEM"))),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(_) => "a file",
            Self::Bytes(_) => "bytes",
        })
    }
}

/// What an error of TLS means, in our own words. It may also come after the handshake: a server
/// that refuses the client's certificate says so then.
pub(super) fn said_of(error: &RedisError) -> Option<Error> {
    let source = std::error::Error::source(error)?;
    // The client wraps it in an `Arc`.
    let inner = source
        .downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()
        .map(|inner| &**inner as &(dyn std::error::Error + 'static));
    let io: &io::Error = inner.unwrap_or(source).downcast_ref()?;
    let error: &rustls::Error = io.get_ref()?.downcast_ref()?;
    Some(said(meaning(error)))
}

fn meaning(error: &rustls::Error) -> &'static str {
    use AlertDescription as Alert;
    use CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer => {
                "the server's certificate is signed by no authority that is trusted here; name it by \
                 `ca`"
            }
            Bad::Expired | Bad::ExpiredContext { .. } => "the server's certificate has expired",
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet"
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "the server's certificate is for another name than this host"
            }
            Bad::Revoked => "the server's certificate is revoked",
            _ => "the server's certificate is not acceptable",
        },
        rustls::Error::AlertReceived(alert) => match alert {
            Alert::CertificateRequired => {
                "the server asks for a certificate of the client; name it by `cert` and `key`"
            }
            Alert::UnknownCA => "the server trusts no authority of the client's certificate",
            Alert::CertificateExpired => {
                "the server says that the client's certificate has expired"
            }
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateUnknown
            | Alert::CertificateRevoked
            | Alert::AccessDenied => "the server refuses the client's certificate",
            Alert::HandshakeFailure => {
                "the server refuses the TLS handshake; does it ask for a certificate of the client?"
            }
            Alert::ProtocolVersion => "the server speaks neither TLS 1.2 nor 1.3",
            Alert::UnrecognisedName => "the server has no certificate for this host",
            _ => "the server ended TLS with an alert",
        },
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port; a URL without TLS begins with redis"
        }
        rustls::Error::PeerIncompatible(_) => "the server speaks neither TLS 1.2 nor 1.3",
        _ => "the TLS handshake failed",
    }
}

fn said(what: &str) -> Error {
    Error::BackendError(format!("redis: {what}"))
}

fn config_error(what: &str) -> Error {
    Error::ConfigError(format!("redis: {what}"))
}
