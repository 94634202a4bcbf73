//! Certificates that are good, and all the ways in which they are not.

use crate::config::TlsFiles;
use crate::ha::tls::SETTINGS;
use crate::ha::tls::Tls;
use crate::ha::tls::host;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// Who signs, with a folder for what is signed.
pub(crate) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let folder = TempDir::new().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("authority.pem"), certificate.pem()).unwrap();
        Authority { folder, issuer: Issuer::new(params, key) }
    }

    /// The files of a process at this host.
    pub(crate) fn files(
        &self,
        host: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsFiles {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        change(&mut params);
        let pair = KeyPair::generate().unwrap();
        let signed = params.signed_by(&pair, &self.issuer).unwrap();
        let path = |name: &str| self.folder.path().join(name);
        let number = fs::read_dir(self.folder.path()).unwrap().count();
        let (certificate, key) = (path(&format!("{number}.pem")), path(&format!("{number}.key")));
        fs::write(&certificate, signed.pem()).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        TlsFiles { certificate, key, authority: path("authority.pem") }
    }

    /// A process at this host.
    pub(crate) fn tls(&self, host: &str) -> Tls {
        Tls::read(&self.files(host, |_| ()), SETTINGS).unwrap()
    }

    /// A process here whose certificate ran out long ago.
    pub(crate) fn expired(&self) -> Tls {
        let long_ago = |params: &mut CertificateParams| {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        };
        Tls::read(&self.files("127.0.0.1", long_ago), SETTINGS).unwrap()
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_the_setting_that_names_it() {
    let authority = Authority::new();
    let good = authority.files("127.0.0.1", |_| ());
    Tls::read(&good, SETTINGS).unwrap();
    let other = authority.files("127.0.0.1", |_| ());
    let text = authority.folder.path().join("text");
    fs::write(&text, "no certificate").unwrap();
    let nowhere = PathBuf::from("/nowhere/x.pem");
    let wrong = |change: &dyn Fn(&mut TlsFiles)| {
        let mut files = good.clone();
        change(&mut files);
        Tls::read(&files, SETTINGS).unwrap_err().to_string()
    };
    let cases = [
        (wrong(&|files| files.certificate = nowhere.clone()), "`ha.tls_certificate`: `/nowhere/"),
        (wrong(&|files| files.certificate = text.clone()), "there is no certificate in PEM form"),
        (wrong(&|files| files.certificate = good.key.clone()), "there is no certificate in PEM"),
        (wrong(&|files| files.key = nowhere.clone()), "`ha.tls_key`: `/nowhere/x.pem` cannot"),
        (wrong(&|files| files.key = good.certificate.clone()), "there is no private key in PEM"),
        (wrong(&|files| files.key = other.key.clone()), "it is not the key of the certificate"),
        (wrong(&|files| files.authority = text.clone()), "`ha.tls_authority`: `"),
    ];
    for (said, expected) in cases {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_certificate_that_nobody_will_take_is_doubted() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    assert_eq!(authority.tls("node-a.example").doubt, None);
    assert_eq!(authority.expired().doubt.unwrap(), "it has expired");
    let mut foreign = stranger.files("node-a.example", |_| ());
    foreign.authority = authority.files("x", |_| ()).authority;
    let foreign = Tls::read(&foreign, SETTINGS).unwrap();
    assert_eq!(foreign.doubt.unwrap(), "the authority here has not signed it");
}

#[test]
fn the_host_is_that_of_the_peer() {
    for (at, expected) in [
        ("node-b.example:7420", "node-b.example"),
        ("127.0.0.1:7420", "127.0.0.1"),
        ("[::1]:7420", "::1"),
    ] {
        assert_eq!(host(at).unwrap().to_str(), expected);
    }
    let error = host("node b:7420").unwrap_err().to_string();
    assert!(error.starts_with("`ha.peer`") && error.contains("`node b`"), "{error}");
}
