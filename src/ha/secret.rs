//! The secret that the processes of a pair share, and how they prove that they know it.
//!
//! The secret itself never travels and is never shown. What travels are codes (HMAC-SHA256) over
//! chances drawn by both sides, so that a recorded proof is worth nothing later.

use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;
use std::fmt;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

/// Fewer bytes could be guessed from one recorded proof.
const SECRET_BYTES_MIN: usize = 16;
const SECRET_BYTES_MAX: usize = 4096;

/// A code that only who knows the secret can make.
pub type Proof = [u8; 32];

/// What both sides draw anew for each connection.
pub type Nonce = [u8; 32];

/// A secret, or a key made from one. Shows nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// A secret that cannot be used. Says nothing of what it is.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It can be guessed.
    #[error(
        "a secret needs at least {SECRET_BYTES_MIN} bytes, this one has {0}; \
         `openssl rand -hex 32` makes a good one"
    )]
    Short(usize),
    /// Somebody named the wrong file.
    #[error("a secret has at most {SECRET_BYTES_MAX} bytes")]
    Long,
    /// The file cannot be read.
    #[error("the secret's file `{}` cannot be read: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl Secret {
    /// Takes a secret; white space around it does not count.
    ///
    /// # Errors
    /// It is too short or too long.
    pub fn new(text: &str) -> Result<Secret, SecretError> {
        let bytes = text.trim().as_bytes();
        match bytes.len() {
            length if length < SECRET_BYTES_MIN => Err(SecretError::Short(length)),
            length if length > SECRET_BYTES_MAX => Err(SecretError::Long),
            _ => Ok(Secret(bytes.to_vec())),
        }
    }

    /// Reads a secret from a file that holds nothing else.
    ///
    /// # Errors
    /// The file cannot be read, or the secret is too short or too long.
    pub fn read(path: &Path) -> Result<Secret, SecretError> {
        let mut text = String::new();
        let most = SECRET_BYTES_MAX as u64 + 64;
        File::open(path)
            .and_then(|file| file.take(most).read_to_string(&mut text))
            .map_err(|error| SecretError::File { path: path.to_owned(), error })?;
        Secret::new(&text)
    }

    /// A code over the parts; the label says what it is for, so that none can stand for another.
    pub fn prove(&self, label: &str, parts: &[&[u8]]) -> Proof {
        self.code(label, parts).finalize().into_bytes().into()
    }

    /// Whether the proof is right; takes equally long wherever it is wrong.
    pub fn proves(&self, label: &str, parts: &[&[u8]], proof: &[u8]) -> bool {
        self.code(label, parts).verify_slice(proof).is_ok()
    }

    /// A key that nobody without the secret can make.
    pub fn derive(&self, label: &str, parts: &[&[u8]]) -> Secret {
        Secret(self.prove(label, parts).to_vec())
    }

    fn code(&self, label: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut code = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key may have any length");
        // Each part after its length, so that no two lists of parts are the same bytes.
        for part in [label.as_bytes()].iter().chain(parts) {
            code.update(&(part.len() as u64).to_le_bytes());
            code.update(part);
        }
        code
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// Draws a chance from the system.
///
/// # Errors
/// The system has none to give.
pub fn nonce() -> io::Result<Nonce> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::new(" correct horse battery staple\n").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret, Secret::new("correct horse battery staple").unwrap());
        let short = Secret::new("tiny").unwrap_err().to_string();
        assert!(short.contains("at least 16 bytes, this one has 4"), "{short}");
        assert!(!short.contains("tiny"), "{short}");
    }

    #[test]
    fn a_proof_is_bound_to_secret_label_and_parts() {
        let secret = Secret::new("correct horse battery staple").unwrap();
        let other = Secret::new("correct horse battery stable").unwrap();
        let proof = secret.prove("hello", &[b"ab", b"c"]);
        assert!(secret.proves("hello", &[b"ab", b"c"], &proof));
        assert!(!secret.proves("hello", &[b"a", b"bc"], &proof));
        assert!(!secret.proves("hallo", &[b"ab", b"c"], &proof));
        assert!(!other.proves("hello", &[b"ab", b"c"], &proof));
        assert!(!secret.proves("hello", &[b"ab", b"c"], &proof[..31]));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Secret::read(Path::new("/nowhere/secret")).unwrap_err().to_string();
        assert!(error.contains("`/nowhere/secret` cannot be read"), "{error}");
    }
}
