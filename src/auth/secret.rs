//! The root secret and the keys derived from it (HKDF-SHA256, RFC 5869), one label for each use.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::Error;

/// Below this a root secret could be guessed.
pub const ROOT_CHARS_MIN: usize = 32;

const NONCE_BYTES: usize = 24;

/// A keyed hash of a key, as the store holds it; compared in constant time.
#[derive(Clone, Copy)]
pub struct Hash([u8; 32]);

impl Hash {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Hash {}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(..)")
    }
}

/// A secret as the store holds it: nonce, then ciphertext and tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

/// The keys of one installation, all derived from its root secret.
#[derive(Clone)]
pub struct Secrets {
    hashing: [u8; 32],
    sealing: [u8; 32],
    node: [u8; 32],
    check: [u8; 32],
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Surrounding white space is not part of the secret: files end in a newline.
    pub fn derive(root: &str) -> Result<Self, Error> {
        let root = root.trim();
        let got = root.chars().count();
        if got < ROOT_CHARS_MIN {
            return Err(Error::ShortRoot { got });
        }
        let hkdf = Hkdf::<Sha256>::new(None, root.as_bytes());
        let key = |label: &str| {
            let mut key = [0_u8; 32];
            hkdf.expand(label.as_bytes(), &mut key).expect("32 bytes are less than HKDF's limit of 8160");
            key
        };
        Ok(Self {
            hashing: key("weir key hash v1"),
            sealing: key("weir sealed v1"),
            node: key("weir node v1"),
            check: key("weir check v1"),
        })
    }

    /// What is stored in place of a key.
    pub fn hash(&self, key: &str) -> Hash {
        let mut mac =
            <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&self.hashing).expect("HMAC takes any key length");
        mac.update(key.as_bytes());
        Hash(mac.finalize().into_bytes().into())
    }

    /// Encrypts a secret for the row named `owner`; it opens for that name only.
    pub fn seal(&self, plain: &[u8], owner: &str, nonce: [u8; NONCE_BYTES]) -> Sealed {
        let payload = Payload { msg: plain, aad: owner.as_bytes() };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).expect("a secret is shorter than 256 GiB");
        Sealed([&nonce[..], &sealed].concat())
    }

    pub fn open(&self, sealed: &Sealed, owner: &str) -> Result<Vec<u8>, Error> {
        let (nonce, ciphertext) = sealed.0.split_first_chunk::<NONCE_BYTES>().ok_or(Error::Sealed)?;
        let payload = Payload { msg: ciphertext, aad: owner.as_bytes() };
        self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| Error::Sealed)
    }

    /// Tells one root secret from another, and nothing of it.
    pub fn check(&self) -> Hash {
        Hash(self.check)
    }

    /// Signs what nodes show each other.
    pub fn node(&self) -> &[u8; 32] {
        &self.node
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(self.sealing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "0123456789abcdef0123456789abcdef";

    fn secrets() -> Secrets {
        Secrets::derive(ROOT).unwrap()
    }

    #[test]
    fn a_short_root_secret_is_refused() {
        assert_eq!(Secrets::derive(&ROOT[1..]).unwrap_err(), Error::ShortRoot { got: 31 });
        assert_eq!(Secrets::derive(&format!("  {}  ", &ROOT[1..])).unwrap_err(), Error::ShortRoot { got: 31 });
    }

    #[test]
    fn a_newline_at_the_end_of_the_file_changes_nothing() {
        assert_eq!(Secrets::derive(&format!("{ROOT}\n")).unwrap().hash("k"), secrets().hash("k"));
    }

    #[test]
    fn each_use_has_its_own_key() {
        let secrets = secrets();
        assert_ne!(secrets.hashing, secrets.sealing);
        assert_ne!(secrets.hashing, secrets.node);
        assert_ne!(secrets.sealing, secrets.node);
        for other in [secrets.hashing, secrets.sealing, secrets.node] {
            assert_ne!(secrets.check, other);
        }
    }

    #[test]
    fn hashes_depend_on_key_and_root() {
        let other = Secrets::derive("another root secret of 32 characters").unwrap();
        assert_ne!(secrets().hash("sk_a"), secrets().hash("sk_b"));
        assert_ne!(secrets().hash("sk_a"), other.hash("sk_a"));
    }

    /// Values computed once with Python's `hmac` and `hashlib`: a change here would lock out every stored key.
    #[test]
    fn the_hash_of_a_key_never_changes() {
        let hex: String = secrets().hash("sk_example").as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "5adfca760071184a9532204e2bf9ac2b665b7c773c9d195b9bfb73f295113718");
    }

    /// By the same means: a change here would refuse every database.
    #[test]
    fn the_check_of_a_root_never_changes() {
        let hex: String = secrets().check().as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "2868c55b0bdd7772dc5b43b30e67cacd9c5ea73cee42e4beb5c323cb590cc7e6");
    }

    #[test]
    fn a_sealed_secret_opens_for_its_owner_only() {
        let sealed = secrets().seal(b"signing secret", "key_1", [7; 24]);
        assert_eq!(secrets().open(&sealed, "key_1").unwrap(), b"signing secret");
        assert_eq!(secrets().open(&sealed, "key_2"), Err(Error::Sealed));
        let other = Secrets::derive("another root secret of 32 characters").unwrap();
        assert_eq!(other.open(&sealed, "key_1"), Err(Error::Sealed));
    }

    #[test]
    fn a_changed_or_cut_secret_does_not_open() {
        let sealed = secrets().seal(b"signing secret", "key_1", [7; 24]);
        for at in 0..sealed.0.len() {
            let mut changed = sealed.0.clone();
            changed[at] ^= 1;
            assert_eq!(secrets().open(&Sealed(changed), "key_1"), Err(Error::Sealed));
            assert_eq!(secrets().open(&Sealed(sealed.0[..at].to_vec()), "key_1"), Err(Error::Sealed));
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let shown = format!("{:?} {:?} {:?}", secrets(), secrets().hash("k"), secrets().seal(b"s", "o", [1; 24]));
        assert_eq!(shown, "Secrets(..) Hash(..) Sealed(..)");
    }
}
