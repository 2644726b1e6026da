//! Connections that have not shown yet what they are for, per address.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

/// At the limit the connection that has waited longest makes room, so that one who means it gets in.
#[derive(Debug)]
pub struct Waiting<T> {
    addresses: HashMap<IpAddr, VecDeque<(u64, T)>>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { addresses: HashMap::new() }
    }
}

impl<T> Waiting<T> {
    /// Gives those that have to go so that, with this one, there are at most `max` of the address.
    pub fn enter(&mut self, address: IpAddr, id: u64, connection: T, max: u32) -> Vec<T> {
        let waiting = self.addresses.entry(network(address)).or_default();
        waiting.push_back((id, connection));
        let over = waiting.len().saturating_sub(usize::try_from(max).unwrap_or(usize::MAX));
        waiting.drain(..over).map(|(_, connection)| connection).collect()
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
        const NOBODY: [u64; 0] = [];
        let mut waiting = Waiting::default();
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for id in 0..200 {
            assert_eq!(waiting.enter(one, id, id, 200), NOBODY);
        }
        waiting.leave(one, 0);
        assert_eq!(waiting.enter(one, 200, 200, 200), NOBODY);
        assert_eq!(waiting.enter(one, 201, 201, 200), [1]);
        assert_eq!(waiting.enter(other, 202, 202, 200), NOBODY);
    }

    #[test]
    fn a_limit_that_was_lowered_holds_from_the_next_connection_on() {
        let mut waiting = Waiting::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        for id in 0..10 {
            assert!(waiting.enter(address, id, id, 10).is_empty());
        }
        assert_eq!(waiting.enter(address, 10, 10, 3), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(waiting.len(), 3);
    }

    #[test]
    fn an_address_without_connections_is_forgotten() {
        let mut waiting = Waiting::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        waiting.enter(address, 1, (), 200);
        waiting.leave(address, 7);
        waiting.leave(address, 1);
        assert!(waiting.is_empty());
    }
}
