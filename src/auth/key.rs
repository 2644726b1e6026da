//! Keys of publishers (`sk_...`), of programs that administer (`wk_...`), of browsers that are signed in (`ws_...`), and
//! of links that are good once (`wl_...`): made, parsed, never printed.

use std::fmt;

use super::Error;

/// Random bytes in a key: 192 bits, of which the prefix for lists shows 40.
pub const RANDOM_BYTES: usize = 24;

/// Characters after `sk_` or `wk_` that lists show, so that a person can tell keys apart.
const SHOWN_DIGITS: usize = 8;

/// 192 bits at 5 bits a digit.
const DIGITS: usize = 39;

/// An administrator's own key (`WEIR_ADMIN_KEY`) is chosen by a person: shorter ones could be guessed.
pub const ADMIN_CHARS_MIN: usize = 32;

/// Longer credentials are refused before they are hashed.
pub const API_CHARS_MAX: usize = 256;

/// Lower-case Crockford base32: no `i`, `l`, `o`, `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Box<str>);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            pub fn from_random(random: [u8; RANDOM_BYTES]) -> Self {
                Self(format!("{}{}", $prefix, encode(random)).into())
            }

            /// The key itself, to be shown once or hashed.
            pub fn reveal(&self) -> &str {
                &self.0
            }

            /// What lists show of it.
            pub fn prefix(&self) -> &str {
                shown(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, ".."))
            }
        }
    };
}

key!(
    /// Lets an encoder publish one stream.
    StreamKey,
    "sk_"
);
key!(
    /// Lets a program administer a tenant, or the platform.
    ApiKey,
    "wk_"
);

key!(
    /// Stands in the cookie of a browser in which somebody is signed in.
    BrowserKey,
    "ws_"
);
key!(
    /// Lets who opens a link sign in, once.
    LinkKey,
    "wl_"
);

impl StreamKey {
    pub fn parse(text: &str) -> Result<Self, Error> {
        made(text, Self::PREFIX, "stream").map(Self)
    }
}

impl BrowserKey {
    pub fn parse(text: &str) -> Result<Self, Error> {
        made(text, Self::PREFIX, "browser").map(Self)
    }
}

impl LinkKey {
    pub fn parse(text: &str) -> Result<Self, Error> {
        made(text, Self::PREFIX, "link").map(Self)
    }
}

/// A key as we make them.
fn made(text: &str, prefix: &'static str, kind: &'static str) -> Result<Box<str>, Error> {
    let malformed = Error::MalformedKey { kind, prefix, digits: DIGITS };
    let digits = text.strip_prefix(prefix).ok_or_else(|| malformed.clone())?;
    let right = digits.len() == DIGITS && digits.bytes().all(|b| ALPHABET.contains(&b));
    if right { Ok(text.into()) } else { Err(malformed) }
}

impl ApiKey {
    /// Takes an administrator's own key too, which need not start with `wk_`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let long_enough = (ADMIN_CHARS_MIN..=API_CHARS_MAX).contains(&text.len());
        let visible = text.bytes().all(|b| b.is_ascii_graphic());
        if long_enough && visible { Ok(Self(text.into())) } else { Err(Error::MalformedAdminKey) }
    }
}

fn shown(key: &str) -> &str {
    let digits =
        if key.starts_with(StreamKey::PREFIX) || key.starts_with(ApiKey::PREFIX) { 3 + SHOWN_DIGITS } else { 4 };
    key.get(..digits).unwrap_or_default()
}

fn encode(random: [u8; RANDOM_BYTES]) -> String {
    let mut text = String::with_capacity(DIGITS);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in random {
        bits = (bits << 8 | u32::from(byte)) & 0xfff;
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(digit(bits >> held));
        }
    }
    text.push(digit(bits << (5 - held)));
    text
}

fn digit(bits: u32) -> char {
    char::from(ALPHABET[(bits & 31) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_parses_back() {
        let key = StreamKey::from_random([255; RANDOM_BYTES]);
        assert_eq!(key.reveal(), "sk_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzr");
        assert_eq!(StreamKey::parse(key.reveal()).unwrap().reveal(), key.reveal());
        assert_eq!(ApiKey::parse(ApiKey::from_random([1; RANDOM_BYTES]).reveal()).unwrap().prefix(), "wk_040g2081");
    }

    #[test]
    fn every_random_bit_reaches_the_key() {
        let zero = StreamKey::from_random([0; RANDOM_BYTES]);
        let mut seen = std::collections::HashSet::from([zero.reveal().to_owned()]);
        for bit in 0..RANDOM_BYTES * 8 {
            let mut random = [0; RANDOM_BYTES];
            random[bit / 8] = 1 << (bit % 8);
            assert!(seen.insert(StreamKey::from_random(random).reveal().to_owned()), "bit {bit}");
        }
    }

    #[test]
    fn what_is_no_stream_key_is_refused() {
        let right = StreamKey::from_random([9; RANDOM_BYTES]);
        let right = right.reveal();
        for text in
            ["", "sk_", "live", &right[1..], &right[..right.len() - 1], &format!("{right}0"), &right.to_uppercase()]
        {
            assert!(StreamKey::parse(text).is_err(), "{text}");
        }
        assert!(StreamKey::parse(&right.replacen("sk_", "wk_", 1)).is_err());
    }

    #[test]
    fn an_administrators_key_is_long_and_visible() {
        assert!(ApiKey::parse(&"a".repeat(31)).is_err());
        assert!(ApiKey::parse(&"a".repeat(32)).is_ok());
        assert!(ApiKey::parse(&"a".repeat(257)).is_err());
        assert!(ApiKey::parse(&format!("{} b", "a".repeat(40))).is_err());
        assert_eq!(ApiKey::parse(&"a".repeat(32)).unwrap().prefix(), "aaaa");
    }

    #[test]
    fn keys_do_not_print() {
        assert_eq!(format!("{:?}", StreamKey::from_random([3; RANDOM_BYTES])), "sk_..");
        assert_eq!(format!("{:?}", ApiKey::from_random([3; RANDOM_BYTES])), "wk_..");
    }
}
