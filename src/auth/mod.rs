//! Who may do what: the root secret and what is derived from it, keys of publishers and programs, tokens of viewers.
//!
//! All pure: random bytes and `now` come in as arguments. Nothing here prints what it guards.

pub mod key;
pub mod key_set;
pub mod node;
pub mod rate;
pub mod secret;
pub mod token;
pub mod tries;

/// Why a secret, a key or a signing key can't be used. No variant holds the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a root secret has at least {} characters, this one has {got}", secret::ROOT_CHARS_MIN)]
    ShortRoot { got: usize },
    #[error("a {kind} key starts with `{prefix}` and goes on with {digits} letters and digits")]
    MalformedKey { kind: &'static str, prefix: &'static str, digits: usize },
    #[error("an administrator's key has {} to {} visible ASCII characters", key::ADMIN_CHARS_MIN, key::API_CHARS_MAX)]
    MalformedAdminKey,
    #[error("a stored secret does not open: it was sealed under another root secret, or for another key")]
    Sealed,
    #[error("signing key: {0}")]
    SigningKey(&'static str),
    #[error("key set: {0}")]
    KeySet(&'static str),
}
