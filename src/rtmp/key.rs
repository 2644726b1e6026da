use std::fmt;

/// A stream key as the publisher presented it; neither `Debug` nor anything else prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamKeySecret(String);

impl StreamKeySecret {
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, to be hashed or sent; never to be logged.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StreamKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamKeySecret(..)")
    }
}

/// Tells the app from the stream key, wherever the encoder put it.
///
/// The key is the last part of the stream name; without a name, the last part of the app (`rtmp://h/live/KEY` or
/// `rtmp://h/KEY` with an empty name). Whatever follows a `?` is left out.
pub(super) fn locate(app: &str, name: &str) -> (String, StreamKeySecret) {
    let app = without_query(app);
    let name = without_query(name);
    if !name.is_empty() {
        return (app.to_owned(), StreamKeySecret::new(last_part(name).1));
    }
    let (rest, key) = last_part(app);
    (rest.to_owned(), StreamKeySecret::new(key))
}

fn without_query(path: &str) -> &str {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    path.trim_matches('/')
}

fn last_part(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_wherever_encoders_put_it() {
        let table = [
            ("live", "sk_1", "live"),
            ("live", "sk_1?token=a/b", "live"),
            ("live?x=1", "sk_1", "live"),
            ("live/", "/sk_1", "live"),
            ("live/sk_1", "", "live"),
            ("live/sk_1?x=/", "", "live"),
            ("sk_1", "", ""),
            ("", "live/sk_1", ""),
            ("a/b", "sk_1", "a/b"),
        ];
        for (app, name, want) in table {
            let (app_found, key) = locate(app, name);
            assert_eq!((app_found.as_str(), key.expose()), (want, "sk_1"), "{app} {name}");
        }
    }

    #[test]
    fn no_key_is_an_empty_key() {
        assert_eq!(locate("", "").1.expose(), "");
    }

    #[test]
    fn a_secret_does_not_print() {
        assert!(!format!("{:?}", StreamKeySecret::new("sk_marker")).contains("marker"));
    }
}
