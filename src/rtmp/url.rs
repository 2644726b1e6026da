//! Where to publish: `rtmp://host[:port]/app/key`.

use crate::rtmp::{Error, StreamKeySecret};

const PORT_DEFAULT: u16 = 1935;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// A name or an address, IPv6 without its brackets.
    pub host: String,
    pub port: u16,
    pub app: String,
    /// The stream name, query included; empty where the address has one part only.
    pub name: StreamKeySecret,
}

impl Url {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix("rtmp://").ok_or(Error::Url("it does not begin with rtmp://"))?;
        let (authority, path) = rest.split_once('/').ok_or(Error::Url("there is no app and no key"))?;
        let (host, port) = parse_authority(authority)?;
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let (app, name) = path.rsplit_once('/').unwrap_or((path, ""));
        if app.is_empty() && name.is_empty() {
            return Err(Error::Url("there is no app and no key"));
        }
        let name = query.map_or_else(|| name.to_owned(), |query| format!("{name}?{query}"));
        Ok(Self { host, port, app: app.to_owned(), name: StreamKeySecret::new(name) })
    }

    /// What `connect` sends as `tcUrl`.
    pub fn tc_url(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("rtmp://{host}:{}/{}", self.port, self.app)
    }
}

fn parse_authority(authority: &str) -> Result<(String, u16), Error> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or(Error::Url("`[` without `]`"))?;
            (host, after.strip_prefix(':'))
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(Error::Url("there is no host"));
    }
    let port = port.map_or(Ok(PORT_DEFAULT), |port| port.parse().map_err(|_| Error::Url("the port is no number")))?;
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let table = [
            ("rtmp://127.0.0.1:1936/live/sk_1", "127.0.0.1", 1936, "live", "sk_1"),
            ("rtmp://h/live/sk_1?a=b/c", "h", 1935, "live", "sk_1?a=b/c"),
            ("rtmp://h/a/b/sk_1", "h", 1935, "a/b", "sk_1"),
            ("rtmp://h/sk_1", "h", 1935, "sk_1", ""),
            ("rtmp://[::1]:99/live/k", "::1", 99, "live", "k"),
            ("rtmp://[::1]/live/k", "::1", 1935, "live", "k"),
        ];
        for (text, host, port, app, name) in table {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.host.as_str(), url.port, url.app.as_str(), url.name.expose()), (host, port, app, name));
        }
        assert_eq!(Url::parse("rtmp://[::1]:99/live/k").unwrap().tc_url(), "rtmp://[::1]:99/live");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", "http://h/live/k", "rtmp://h", "rtmp://h/", "rtmp:///live/k", "rtmp://h:x/live/k", "rtmp://[::1/a/b"]
        {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}
