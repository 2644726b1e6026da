//! Passwords: hashed with argon2id at the cost that OWASP advises (19 MiB, two passes), never stored or printed.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};

/// Shorter ones are guessed.
pub const CHARS_MIN: usize = 10;
/// Longer ones only cost time.
pub const CHARS_MAX: usize = 256;

pub const SALT_BYTES: usize = 16;

/// Whether somebody may choose it; the login itself is the first thing that is guessed.
pub fn is_acceptable(password: &str, login: &str) -> bool {
    (CHARS_MIN..=CHARS_MAX).contains(&password.chars().count()) && !password.eq_ignore_ascii_case(login)
}

/// The memory that one hash takes (19 MiB), used for one after the other; each takes tens of milliseconds of a CPU.
pub struct Hasher {
    blocks: Vec<Block>,
}

impl Hasher {
    /// None: there is no memory for it.
    pub fn new() -> Option<Self> {
        let count = Params::DEFAULT.block_count();
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(count).ok()?;
        blocks.resize(count, Block::new());
        Some(Self { blocks })
    }

    /// As a PHC string.
    pub fn hash(&mut self, password: &str, salt: [u8; SALT_BYTES]) -> Option<String> {
        let params = Params::DEFAULT;
        let hash = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::default().into()),
            params: ParamsString::try_from(&params).ok()?,
            salt: Some(Salt::new(&salt).ok()?),
            hash: Some(self.output(params, Version::default(), password, &salt)?),
        };
        Some(hash.to_string())
    }

    /// Takes as long where nobody has that login, so that the time tells nothing.
    pub fn verify(&mut self, password: &str, stored: Option<&str>) -> bool {
        let parsed = stored.and_then(|stored| PasswordHash::new(stored).ok());
        match parsed {
            Some(parsed) => self.fits(password, &parsed).unwrap_or(false),
            None => {
                let _same_time = self.hash(password, [0; SALT_BYTES]);
                false
            }
        }
    }

    /// None: no hash of ours.
    fn fits(&mut self, password: &str, stored: &PasswordHash) -> Option<bool> {
        if stored.algorithm != ARGON2ID_IDENT {
            return None;
        }
        let version = Version::try_from(stored.version?).ok()?;
        let output = self.output(Params::try_from(stored).ok()?, version, password, stored.salt.as_ref()?)?;
        // Outputs are compared in constant time.
        Some(stored.hash? == output)
    }

    /// None: it would take more memory than there is here.
    fn output(&mut self, params: Params, version: Version, password: &str, salt: &[u8]) -> Option<Output> {
        let mut bytes = [0; Params::DEFAULT_OUTPUT_LEN];
        let argon2 = Argon2::new(Algorithm::Argon2id, version, params);
        argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut bytes, &mut self.blocks).ok()?;
        Output::new(&bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other_is() {
        let mut hasher = Hasher::new().unwrap();
        let stored = hasher.hash("correct horse battery", [7; SALT_BYTES]).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(hasher.verify("correct horse battery", Some(&stored)));
        assert!(!hasher.verify("correct horse batterz", Some(&stored)));
        assert!(!hasher.verify("correct horse battery", None));
        assert!(!hasher.verify("correct horse battery", Some("nonsense")));
    }

    /// Made by OpenSSL's argon2id: what is stored must stay good.
    #[test]
    fn a_hash_that_others_made_is_known() {
        let stored =
            "$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$WLRGUa13/B3MXznFse33FId4O++DaYL6ulYUMEhpRqE";
        assert!(Hasher::new().unwrap().verify("correct horse battery", Some(stored)));
    }

    #[test]
    fn a_stored_hash_can_t_ask_for_more_memory() {
        let mut hasher = Hasher::new().unwrap();
        let stored = hasher.hash("correct horse battery", [7; SALT_BYTES]).unwrap();
        assert!(!hasher.verify("correct horse battery", Some(&stored.replace("m=19456", "m=4194304"))));
    }

    #[test]
    fn short_ones_and_the_login_are_not_accepted() {
        assert!(is_acceptable("äöü4567890", "me@example.com"));
        for password in ["123456789", "", &"x".repeat(257), "ME@example.com"] {
            assert!(!is_acceptable(password, "me@example.com"), "{password}");
        }
    }
}
