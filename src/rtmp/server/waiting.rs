//! Connections that have not published yet, per address.

use super::tries::network;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Encoders behind one address publish within a second; more than this many that don't are an attack.
const PER_ADDRESS_MAX: usize = 200;

/// At the limit the connection that has waited longest makes room, so that one who means it gets in.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    addresses: HashMap<IpAddr, VecDeque<(u64, T)>>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { addresses: HashMap::new() }
    }
}

impl<T> Waiting<T> {
    /// Gives the one that has to go.
    pub(super) fn enter(&mut self, address: IpAddr, id: u64, connection: T) -> Option<T> {
        let waiting = self.addresses.entry(network(address)).or_default();
        let evicted = if waiting.len() >= PER_ADDRESS_MAX { waiting.pop_front() } else { None };
        waiting.push_back((id, connection));
        evicted.map(|(_, connection)| connection)
    }

    /// It has published, or is gone.
    pub(super) fn leave(&mut self, address: IpAddr, id: u64) {
        let address = network(address);
        if let Some(waiting) = self.addresses.get_mut(&address) {
            waiting.retain(|(waiting, _)| *waiting != id);
            if waiting.is_empty() {
                self.addresses.remove(&address);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.addresses.values().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_limit_the_oldest_makes_room() {
        let mut waiting = Waiting::default();
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
        let mut waiting = Waiting::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        waiting.enter(address, 1, ());
        waiting.leave(address, 7);
        waiting.leave(address, 1);
        assert!(waiting.addresses.is_empty());
    }
}
