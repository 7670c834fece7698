//! Certificates for the servers and clients of a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

use super::process::room;

/// The names of a server of the tests.
const HERE: [&str; 3] = ["127.0.0.1", "::1", "localhost"];

/// An authority that signs certificates, and the directory where they are.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    room: TempDir,
    issued: AtomicUsize,
}

/// The files of a certificate and of its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// One that no other one trusts.
    ///
    /// # Panics
    ///
    /// When its files cannot be written.
    pub fn new() -> Self {
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = format!("cache-kit tests {}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = key();
        let certificate = must(params.self_signed(&key));
        let room = room("certificates");
        let authority = Self {
            issuer: Issuer::new(params, key),
            room,
            issued: AtomicUsize::new(0),
        };
        write(&authority.file(), &certificate.pem());
        authority
    }

    /// The file with its own certificate, which those have who trust it.
    pub fn file(&self) -> PathBuf {
        self.room.path().join("ca.pem")
    }

    /// A certificate for a server or a client on the loopback.
    ///
    /// # Panics
    ///
    /// When its files cannot be written.
    pub fn issue(&self) -> Identity {
        self.issue_for(&HERE)
    }

    /// A certificate for these names.
    ///
    /// # Panics
    ///
    /// When its files cannot be written.
    pub fn issue_for(&self, names: &[&str]) -> Identity {
        self.sign(params(names))
    }

    /// A certificate that was valid long ago.
    ///
    /// # Panics
    ///
    /// When its files cannot be written.
    pub fn issue_expired(&self) -> Identity {
        let mut params = params(&HERE);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let path = |kind: &str| self.room.path().join(format!("{number}.{kind}"));
        let identity = Identity {
            certificate: path("pem"),
            key: path("key"),
        };
        let key = key();
        let certificate = must(params.signed_by(&key, &self.issuer));
        write(&identity.certificate, &certificate.pem());
        write(&identity.key, &key.serialize_pem());
        identity
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    /// Puts another one in the place of this one: whoever reads these files gets `other`.
    ///
    /// # Panics
    ///
    /// When the files cannot be written.
    pub fn replace_with(&self, other: &Self) {
        for (from, to) in [
            (&other.certificate, &self.certificate),
            (&other.key, &self.key),
        ] {
            fs::copy(from, to).unwrap_or_else(|error| panic!("{to:?} is not replaced: {error}"));
        }
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = must(CertificateParams::new(names));
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

fn key() -> KeyPair {
    must(KeyPair::generate())
}

fn must<T>(made: Result<T, rcgen::Error>) -> T {
    made.unwrap_or_else(|error| panic!("no certificate for the test: {error}"))
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{path:?} is not written: {error}"));
}
