//! Identifiers: opaque strings with a prefix that tells the kind (`str_...`), made from 16 random bytes.

use std::fmt;
use std::sync::Arc;

/// Lower-case base32 (Crockford), so that an id survives being read aloud, e-mailed and put in a URL.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The longest id that is parsed; everything longer is refused before it is looked at.
const LENGTH_MAX: usize = 64;

/// Why a string is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id of this kind starts with `{prefix}` and goes on with letters and digits")]
pub struct Malformed {
    pub prefix: &'static str,
}

fn encode(random: [u8; 16]) -> String {
    let mut value = u128::from_be_bytes(random);
    let mut digits = [0_u8; 26];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(value & 31) as usize];
        value >>= 5;
    }
    digits.iter().map(|&b| char::from(b)).collect()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "node", derive(utoipa::ToSchema), schema(value_type = String))]
        pub struct $name(Arc<str>);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            pub fn from_random(random: [u8; 16]) -> Self {
                Self(format!("{}{}", $prefix, encode(random)).into())
            }

            pub fn parse(text: &str) -> Result<Self, Malformed> {
                let rest = text.strip_prefix($prefix).ok_or(Malformed { prefix: $prefix })?;
                let plain = !rest.is_empty() && text.len() <= LENGTH_MAX && rest.bytes().all(|b| b.is_ascii_alphanumeric());
                if plain { Ok(Self(text.into())) } else { Err(Malformed { prefix: $prefix }) }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A customer of the platform.
    TenantId,
    "ten_"
);
id!(
    /// A stream as its tenant administers it.
    StreamId,
    "str_"
);
id!(
    /// A stream as its viewers know it.
    PlaybackId,
    "play_"
);
id!(
    /// A stream key, an API key or a signing key.
    KeyId,
    "key_"
);
id!(
    /// One viewer's connection.
    SessionId,
    "ses_"
);

id!(
    /// Where a tenant's events are sent to.
    WebhookId,
    "whk_"
);
id!(
    /// One event on its way to one webhook.
    DeliveryId,
    "dlv_"
);
id!(
    /// Something that happened to a stream or a quota.
    EventId,
    "evt_"
);
id!(
    /// One request of the API, in answers and logs.
    RequestId,
    "req_"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_are_26_digits() {
        let id = StreamId::from_random([255; 16]);
        assert_eq!(id.as_str(), "str_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(StreamId::parse(id.as_str()).unwrap(), id);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "str_", "ten_abc", "str_a b", "str_é", &format!("str_{}", "a".repeat(80))] {
            assert!(StreamId::parse(text).is_err(), "{text}");
        }
    }
}
