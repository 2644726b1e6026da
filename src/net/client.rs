//! Who a request comes from, past the proxies that are configured.

use crate::net::io::Connection;
use actix_web::HttpRequest;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError, RwLock};

/// The proxies whose word about their clients is taken; all copies are one list.
#[derive(Debug, Clone, Default)]
pub struct Trusted(Arc<RwLock<Vec<IpNet>>>);

impl Trusted {
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(Arc::new(RwLock::new(networks.into_iter().collect())))
    }

    pub fn set(&self, networks: &[IpNet]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = networks.to_vec();
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().any(|network| network.contains(&address))
    }

    /// The client's address: the last one that no trusted proxy vouches for.
    fn client<'a>(&self, peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
        let mut client = peer;
        for hop in forwarded.rev() {
            if !self.contains(client) {
                break;
            }
            match hop.trim().parse() {
                Ok(address) => client = address,
                Err(_) => break,
            }
        }
        client.to_canonical()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub address: IpAddr,
    /// `http` or `https`, as the client's browser sees it.
    pub scheme: &'static str,
    /// As the client asked for it, with the port where it has one.
    pub host: String,
}

impl Client {
    pub fn of(request: &HttpRequest, trusted: &Trusted) -> Self {
        let connection = request.conn_data::<Connection>();
        let peer = connection.map(|c| c.peer).or(request.peer_addr());
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |p| p.ip());
        let is_trusted = trusted.contains(peer);
        let header = |name: &str| request.headers().get_all(name).filter_map(|v| v.to_str().ok()).collect::<Vec<_>>();
        let forwarded = header("x-forwarded-for").join(",");
        let is_tls = match header("x-forwarded-proto").first() {
            Some(proto) if is_trusted => proto.trim().eq_ignore_ascii_case("https"),
            _ => connection.is_some_and(|c| c.is_tls),
        };
        let asked = header("host").first().map(|h| (*h).to_owned());
        let host = asked.or_else(|| request.uri().authority().map(ToString::to_string)).unwrap_or_default();
        let hops = forwarded.split(',').filter(|hop| !hop.trim().is_empty());
        Self { address: trusted.client(peer, hops), scheme: if is_tls { "https" } else { "http" }, host }
    }

    /// As a browser writes it in `Origin`.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(networks: &[&str]) -> Trusted {
        Trusted::new(networks.iter().map(|n| n.parse().unwrap()))
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let peer = "10.0.0.1".parse().unwrap();
        let from =
            |networks: &[&str], forwarded: &str| trusted(networks).client(peer, forwarded.split(',')).to_string();
        assert_eq!(from(&[], "192.0.2.1"), "10.0.0.1");
        assert_eq!(from(&["10.0.0.0/8"], "192.0.2.1"), "192.0.2.1");
        assert_eq!(from(&["10.0.0.0/8"], "192.0.2.9, 192.0.2.1, 10.0.0.2"), "192.0.2.1");
        assert_eq!(from(&["10.0.0.0/8"], "192.0.2.1, nonsense"), "10.0.0.1");
    }

    #[test]
    fn all_copies_learn_of_new_proxies() {
        let trusted = trusted(&["10.0.0.0/8"]);
        let copy = trusted.clone();
        trusted.set(&["192.0.2.0/24".parse().unwrap()]);
        let contains = |address: &str| copy.contains(address.parse().unwrap());
        assert_eq!((contains("10.0.0.1"), contains("::ffff:192.0.2.1")), (false, true));
    }
}
