//! Where outgoing calls may go: public addresses, on the ports of the web.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const PORTS: [u16; 3] = [80, 443, 8443];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the address is no http:// or https:// URL with a host and nothing secret")]
    Url,
    #[error("the port {0} is not one of 80, 443 and 8443")]
    Port(u16),
    #[error("the host has no public address")]
    Private,
    #[error("keys come over https://, except for networks that the operator allows")]
    Plain,
}

/// Networks that the operator allows besides, on any port.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    pub allowed: Vec<IpNet>,
}

/// A URL taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub is_tls: bool,
    /// Without brackets.
    pub host: String,
    pub port: u16,
    pub path: String,
}

impl Target {
    pub fn parse(url: &str) -> Result<Self, Refused> {
        let (is_tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(Refused::Url),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = path.split('#').next().unwrap_or_default();
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(Refused::Url)?;
                host.parse::<Ipv6Addr>().map_err(|_| Refused::Url)?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        if host.is_empty()
            || host.len() > 253
            || !host.chars().all(plain)
            || !rest.chars().all(|c| c.is_ascii_graphic())
        {
            return Err(Refused::Url);
        }
        let port = match port {
            None => {
                if is_tls {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(Refused::Url)?,
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { is_tls, host: host.to_ascii_lowercase(), port, path })
    }

    /// For the header `Host`.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.is_tls { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

impl Guard {
    /// Those of a host's addresses that may be connected to.
    pub fn check(&self, addresses: impl IntoIterator<Item = IpAddr>, port: u16) -> Result<Vec<IpAddr>, Refused> {
        let (mut right, mut public) = (Vec::new(), false);
        for address in addresses {
            if self.is_allowed(&address) {
                right.push(address);
            } else if is_public(address) {
                public = true;
                right.extend(PORTS.contains(&port).then_some(address));
            }
        }
        match (right.is_empty(), public) {
            (false, _) => Ok(right),
            (true, true) => Err(Refused::Port(port)),
            (true, false) => Err(Refused::Private),
        }
    }
}

impl Guard {
    /// As [`Guard::check`], for what nobody on the way may change: without TLS, only the operator's networks.
    pub fn check_trusted(&self, addresses: &[IpAddr], target: &Target) -> Result<Vec<IpAddr>, Refused> {
        let mut right = self.check(addresses.iter().copied(), target.port)?;
        if !target.is_tls {
            right.retain(|address| self.is_allowed(address));
        }
        if right.is_empty() { Err(Refused::Plain) } else { Ok(right) }
    }

    fn is_allowed(&self, address: &IpAddr) -> bool {
        let bare = address.to_canonical();
        self.allowed.iter().any(|network| network.contains(&bare))
    }
}

/// Reachable from everywhere, by IANA's registries of special addresses.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        // Forms that hold an IPv4 address have no business here, whatever they hold.
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

/// Global unicast is 2000::/3; parts of it are not for hosts.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let teredo_and_kin = a == 0x2001 && b < 0x0200;
    let documentation = (a == 0x2001 && b == 0x0db8) || (a == 0x3fff && b < 0x1000);
    let six_to_four = a == 0x2002;
    (a & 0xe000) == 0x2000 && !teredo_and_kin && !documentation && !six_to_four
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, port: u16) -> Result<Vec<IpAddr>, Refused> {
        Guard::default().check([address.parse().unwrap()], port)
    }

    #[test]
    fn only_public_addresses_are_called() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.5",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2002:7f00:1::",
            "2001:0:1::",
            "2001:db8::1",
            "::7f00:1",
        ] {
            assert_eq!(check(address, 443), Err(Refused::Private), "{address}");
        }
        for address in ["8.8.8.8", "100.63.0.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(check(address, 443).is_ok(), "{address}");
        }
    }

    #[test]
    fn only_the_ports_of_the_web_are_called() {
        assert_eq!(check("8.8.8.8", 22), Err(Refused::Port(22)));
        assert!(check("8.8.8.8", 8443).is_ok());
    }

    #[test]
    fn of_mixed_answers_only_the_public_ones_are_used_and_the_operator_may_allow_more() {
        let mixed: Vec<IpAddr> = vec!["127.0.0.1".parse().unwrap(), "8.8.8.8".parse().unwrap()];
        assert_eq!(Guard::default().check(mixed.clone(), 443), Ok(vec![mixed[1]]));
        let guard = Guard { allowed: vec!["127.0.0.0/8".parse().unwrap()] };
        assert_eq!(guard.check([mixed[0]], 5000), Ok(vec![mixed[0]]));
        assert_eq!(guard.check(["10.0.0.1".parse().unwrap()], 443), Err(Refused::Private));
    }

    #[test]
    fn keys_come_over_tls_except_from_networks_that_the_operator_allows() {
        let guard = Guard { allowed: vec!["127.0.0.0/8".parse().unwrap()] };
        let check = |address: &str, url: &str| {
            guard.check_trusted(&[address.parse().unwrap()], &Target::parse(url).unwrap()).map(|right| right.len())
        };
        assert_eq!(check("8.8.8.8", "https://a.example/"), Ok(1));
        assert_eq!(check("8.8.8.8", "http://a.example/"), Err(Refused::Plain));
        assert_eq!(check("127.0.0.1", "http://a.example:5000/"), Ok(1));
        assert_eq!(check("10.0.0.1", "https://a.example/"), Err(Refused::Private));
    }

    #[test]
    fn a_url_is_taken_apart_or_refused() {
        let target = |url: &str| Target::parse(url).map(|t| (t.is_tls, t.authority(), t.port, t.path));
        assert_eq!(target("https://A.example/x?y=1#z"), Ok((true, "a.example".into(), 443, "/x?y=1".into())));
        assert_eq!(target("http://[::1]:8443"), Ok((false, "[::1]:8443".into(), 8443, "/".into())));
        for url in [
            "ftp://a",
            "https://",
            "https://user:pass@a.example/",
            "https://a b/",
            "http://a:0/",
            "http://a:99999/",
            "https://[x]/",
            "//a",
            "https://a/\r\nHost: b",
            "https://a.example\\@b/",
        ] {
            assert_eq!(Target::parse(url), Err(Refused::Url), "{url}");
        }
    }
}
