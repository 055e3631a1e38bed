//! Whom TLS trusts.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The system's roots, and those that the application states. Nothing here can turn a check off.
pub(super) struct Trust {
    system: bool,
    stated: RootCertStore,
}

impl Default for Trust {
    fn default() -> Self {
        Self { system: true, ..Self::none() }
    }
}

impl Trust {
    pub(super) fn none() -> Self {
        Self { system: false, stated: RootCertStore::empty() }
    }

    pub(super) fn add(mut self, pem: &[u8]) -> Result<Self, InvalidRootCertificates> {
        let before = self.stated.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| InvalidRootCertificates(error.to_string()))?;
            self.stated.add(certificate).map_err(|error| InvalidRootCertificates(error.to_string()))?;
        }
        if self.stated.len() == before {
            return Err(InvalidRootCertificates("there is no `-----BEGIN CERTIFICATE-----` in them".into()));
        }
        Ok(self)
    }

    pub(super) fn tls(&self) -> Result<ClientConfig, rustls::Error> {
        let mut roots = self.stated.clone();
        if self.system {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Root certificates that cannot be used.
#[derive(Debug)]
pub struct InvalidRootCertificates(String);

impl fmt::Display for InvalidRootCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the root certificates cannot be used: {}; state certificates of authorities, in PEM", self.0)
    }
}

impl std::error::Error for InvalidRootCertificates {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_root_certificate_is_refused() {
        let cases = [
            ("nothing", "", "no `-----BEGIN CERTIFICATE-----`"),
            ("no PEM", "MIIB", "no `-----BEGIN CERTIFICATE-----`"),
            ("a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no `-----BEGIN CERTIFICATE"),
            ("cut off", "-----BEGIN CERTIFICATE-----\nAAAA\n", "section end"),
            ("no certificate inside", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "BadEncoding"),
        ];
        for (name, pem, expected) in cases {
            let error = Trust::none().add(pem.as_bytes()).err().expect(name).to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
