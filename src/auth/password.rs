//! Passwords: hashed with argon2id at the cost that OWASP advises (19 MiB, two passes), never stored or printed.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

/// Shorter ones are guessed.
pub const CHARS_MIN: usize = 10;
/// Longer ones only cost time.
pub const CHARS_MAX: usize = 256;

pub const SALT_BYTES: usize = 16;

/// Whether somebody may choose it; the login itself is the first thing that is guessed.
pub fn is_acceptable(password: &str, login: &str) -> bool {
    (CHARS_MIN..=CHARS_MAX).contains(&password.chars().count()) && !password.eq_ignore_ascii_case(login)
}

/// As a PHC string; takes tens of milliseconds of a CPU. None: argon2 can't (no memory).
pub fn hash(password: &str, salt: [u8; SALT_BYTES]) -> Option<String> {
    Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).ok().map(|hash| hash.to_string())
}

/// Takes as long where nobody has that login, so that the time tells nothing.
pub fn verify(password: &str, stored: Option<&str>) -> bool {
    let parsed = stored.and_then(|stored| PasswordHash::new(stored).ok());
    match parsed {
        Some(parsed) => Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok(),
        None => {
            let _same_time = hash(password, [0; SALT_BYTES]);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other_is() {
        let stored = hash("correct horse battery", [7; SALT_BYTES]).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify("correct horse battery", Some(&stored)));
        assert!(!verify("correct horse batterz", Some(&stored)));
        assert!(!verify("correct horse battery", None));
        assert!(!verify("correct horse battery", Some("nonsense")));
    }

    #[test]
    fn short_ones_and_the_login_are_not_accepted() {
        assert!(is_acceptable("äöü4567890", "me@example.com"));
        for password in ["123456789", "", &"x".repeat(257), "ME@example.com"] {
            assert!(!is_acceptable(password, "me@example.com"), "{password}");
        }
    }
}
