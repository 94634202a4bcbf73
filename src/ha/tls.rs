//! TLS between the processes of a pair: each shows a certificate that the pair's authority signed.
//!
//! TLS 1.3 alone, since both ends are of one build. Who dials also looks whether the certificate is
//! for the host that was dialled; who is dialled takes any that the authority signed, for a caller
//! has no name. Nothing is resumed, so each connection looks at the certificates anew.

#[cfg(test)]
pub(crate) mod tests;

use crate::config::TlsFiles;
use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::rustls;
use tokio_rustls::rustls::AlertDescription;
use tokio_rustls::rustls::CertificateError;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::pki_types::pem;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tracing::warn;

/// Opens a record of a handshake; nothing that is said without TLS begins so.
const RECORD: [u8; 2] = [0x16, 3];

/// What a file is called where its user named it: a setting or an option.
pub const SETTINGS: [&str; 3] = ["ha.tls_certificate", "ha.tls_key", "ha.tls_authority"];

/// How this process speaks TLS, as who dials and as who is dialled. Shows nothing of its key.
#[derive(Clone)]
pub struct Tls {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    doubt: Option<String>,
}

/// Files by which no TLS can be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read, or is no PEM file of that kind.
    #[error("`{name}`: `{}` cannot be used: {reason}", path.display())]
    File {
        /// What names it: a setting or an option.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No certificate could be for it.
    #[error("`ha.peer`: no certificate can be for the host `{0}`; name it, or give its address")]
    Host(String),
}

/// Why a connection with TLS came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The other's certificate is not good, and why.
    Theirs(String),
    /// The other does not take this process's certificate, and why, as far as it says.
    Mine(String),
    /// The other does not speak TLS.
    Plain,
}

impl Tls {
    /// Reads the files; `names` are those by which the user named certificate, key and authority.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn read(files: &TlsFiles, names: [&'static str; 3]) -> Result<Tls, TlsError> {
        let paths = [&files.certificate, &files.key, &files.authority];
        let fault = |index: usize, reason: &dyn fmt::Display| TlsError::File {
            name: names[index],
            path: paths[index].clone(),
            reason: reason.to_string(),
        };
        let chain = certificates(paths[0]).map_err(|reason| fault(0, &reason))?;
        let key = PrivateKeyDer::from_pem_file(paths[1])
            .map_err(|error| fault(1, &pem_words(&error, "private key")))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(paths[2]).map_err(|reason| fault(2, &reason))? {
            roots.add(certificate).map_err(|error| fault(2, &error))?;
        }
        let (roots, provider) =
            (Arc::new(roots), Arc::new(rustls::crypto::ring::default_provider()));
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(|error| fault(2, &error))?;
        let doubt = doubt(verifier.as_ref(), &chain);
        // Where certificate and key do not belong together, the key is the one to look at.
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| fault(1, &error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key());
        let mut server = server.map_err(|error| fault(1, &key_words(&error)))?;
        server.send_tls13_tickets = 0;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| fault(1, &error))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key);
        let mut client = client.map_err(|error| fault(1, &key_words(&error)))?;
        client.resumption = Resumption::disabled();
        Ok(Tls { client: Arc::new(client), server: Arc::new(server), doubt })
    }

    /// As who dials.
    pub(super) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// As who is dialled.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// Says in the log if the others will not take this process's own certificate: it may run out
    /// while the process runs, so that is no reason not to start.
    pub fn warn_of_doubt(&self) {
        if let Some(reason) = &self.doubt {
            warn!("the certificate of this process will not be taken by the others: {reason}");
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Tls(…)")
    }
}

/// The host of `host:port`, as a certificate names it.
///
/// # Errors
/// It is neither a name nor an address.
pub fn host(at: &str) -> Result<ServerName<'static>, TlsError> {
    let host = at.rsplit_once(':').map_or(at, |(host, _)| host);
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::Host(host.to_owned()))
}

/// Whether somebody who begins so wants to speak TLS.
pub(super) fn is_tls(beginning: &[u8]) -> bool {
    !beginning.is_empty() && beginning.iter().zip(RECORD).all(|(byte, of_tls)| *byte == of_tls)
}

/// What an error of a connection with TLS means; `None` where TLS has nothing to do with it.
pub(super) fn fault(error: &io::Error) -> Option<Fault> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(why) => Fault::Theirs(certificate_words(why)),
        rustls::Error::NoCertificatesPresented => Fault::Theirs("it shows none".to_owned()),
        rustls::Error::InvalidMessage(_) => Fault::Plain,
        rustls::Error::AlertReceived(alert) => Fault::Mine(match alert {
            AlertDescription::UnknownCA | AlertDescription::DecryptError => {
                "the authority there has not signed it".to_owned()
            }
            AlertDescription::CertificateExpired => "it is not valid at this time".to_owned(),
            AlertDescription::BadCertificate => {
                "it is malformed, or not for the host that was dialled".to_owned()
            }
            other => format!("{other:?}"),
        }),
        _ => return None,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let words = |error| pem_words(&error, "certificate");
    let all = CertificateDer::pem_file_iter(path).map_err(words)?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(words)?;
    if all.is_empty() { Err(words(pem::Error::NoItemsFound)) } else { Ok(all) }
}

fn pem_words(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("there is no {wanted} in PEM form in it"),
        other => format!("it is no PEM file: {other}"),
    }
}

fn key_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => "it is not the key of the certificate".to_owned(),
        other => other.to_string(),
    }
}

fn certificate_words(error: &CertificateError) -> String {
    use CertificateError as E;
    match error {
        E::UnknownIssuer | E::BadSignature => "the authority here has not signed it".to_owned(),
        E::Expired | E::ExpiredContext { .. } => "it has expired".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "it is not for the host that was dialled".to_owned()
        }
        other => other.to_string(),
    }
}

/// What who is dialled would say of this certificate.
fn doubt(verifier: &dyn ClientCertVerifier, chain: &[CertificateDer<'_>]) -> Option<String> {
    let (own, between) = chain.split_first()?;
    match verifier.verify_client_cert(own, between, UnixTime::now()) {
        Ok(_) => None,
        Err(rustls::Error::InvalidCertificate(why)) => Some(certificate_words(&why)),
        Err(error) => Some(error.to_string()),
    }
}
