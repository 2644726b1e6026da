//! Connections that have not shown yet what they are for, per address.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

/// At the limit the connection that has waited longest makes room, so that one who means it gets in.
#[derive(Debug)]
pub struct Waiting<T> {
    per_address_max: usize,
    addresses: HashMap<IpAddr, VecDeque<(u64, T)>>,
}

impl<T> Waiting<T> {
    pub fn new(per_address_max: u32) -> Self {
        let per_address_max = usize::try_from(per_address_max).unwrap_or(usize::MAX);
        Self { per_address_max, addresses: HashMap::new() }
    }

    /// Gives the one that has to go.
    pub fn enter(&mut self, address: IpAddr, id: u64, connection: T) -> Option<T> {
        let waiting = self.addresses.entry(network(address)).or_default();
        let evicted = if waiting.len() >= self.per_address_max { waiting.pop_front() } else { None };
        waiting.push_back((id, connection));
        evicted.map(|(_, connection)| connection)
    }

    /// It has shown that it is wanted, or is gone.
    pub fn leave(&mut self, address: IpAddr, id: u64) {
        let address = network(address);
        if let Some(waiting) = self.addresses.get_mut(&address) {
            waiting.retain(|(waiting, _)| *waiting != id);
            if waiting.is_empty() {
                self.addresses.remove(&address);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.addresses.values().map(VecDeque::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }
}

/// What one subscriber line has: an IPv4 address, or the first 64 bits of an IPv6 one.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_limit_the_oldest_makes_room() {
        let mut waiting = Waiting::new(200);
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for id in 0..200 {
            assert_eq!(waiting.enter(one, id, id), None);
        }
        waiting.leave(one, 0);
        assert_eq!(waiting.enter(one, 200, 200), None);
        assert_eq!(waiting.enter(one, 201, 201), Some(1));
        assert_eq!(waiting.enter(other, 202, 202), None);
    }

    #[test]
    fn an_address_without_connections_is_forgotten() {
        let mut waiting = Waiting::new(200);
        let address = IpAddr::from([192, 0, 2, 1]);
        waiting.enter(address, 1, ());
        waiting.leave(address, 7);
        waiting.leave(address, 1);
        assert!(waiting.is_empty());
    }
}
