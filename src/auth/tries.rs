//! How often an address may show wrong keys before it is answered without asking the store.

use super::secret::Hash;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// The time in which tries are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// A key that was right within this time is asked for even from an address that has shown too many wrong ones.
const TRUSTED_FOR: Duration = Duration::from_secs(24 * 3_600);

/// Addresses and keys remembered, each at most this many: the oldest are forgotten, whatever somebody sends.
const ENTRIES_MAX: usize = 20_000;

#[derive(Debug, Clone, Copy)]
struct Window {
    since: Duration,
    wrong: u32,
}

/// Pure: `now` is any time that does not step back.
#[derive(Debug, Default)]
pub struct Tries {
    addresses: HashMap<IpAddr, Window>,
    accepted: HashMap<[u8; 32], Duration>,
}

impl Tries {
    /// How long the address must wait before this key is worth a look-up, where it may show `wrong_max` wrong ones; None:
    /// not at all.
    pub fn wait(&self, address: IpAddr, key: &Hash, wrong_max: u32, now: Duration) -> Option<Duration> {
        let window = self.addresses.get(&address.to_canonical())?;
        let ends = window.since + WINDOW;
        let known = self.accepted.get(key.as_bytes()).is_some_and(|at| now.saturating_sub(*at) < TRUSTED_FOR);
        let closed = window.wrong >= wrong_max && now < ends && !known;
        closed.then(|| ends.saturating_sub(now))
    }

    pub fn handle_wrong(&mut self, address: IpAddr, now: Duration) {
        let address = address.to_canonical();
        if self.addresses.len() >= ENTRIES_MAX && !self.addresses.contains_key(&address) {
            make_room(&mut self.addresses, |window| window.since);
        }
        let window = self.addresses.entry(address).or_insert(Window { since: now, wrong: 0 });
        if now.saturating_sub(window.since) >= WINDOW {
            *window = Window { since: now, wrong: 0 };
        }
        window.wrong = window.wrong.saturating_add(1);
    }

    pub fn handle_right(&mut self, key: &Hash, now: Duration) {
        if self.accepted.len() >= ENTRIES_MAX && !self.accepted.contains_key(key.as_bytes()) {
            make_room(&mut self.accepted, |at| *at);
        }
        self.accepted.insert(*key.as_bytes(), now);
    }
}

/// Forgets the older half.
fn make_room<K, V>(entries: &mut HashMap<K, V>, age: impl Fn(&V) -> Duration) {
    let mut ages: Vec<_> = entries.values().map(&age).collect();
    let (_, median, _) = ages.select_nth_unstable(ENTRIES_MAX / 2);
    let median = *median;
    entries.retain(|_, value| age(value) > median);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn key(n: u8) -> Hash {
        Hash::from_bytes([n; 32])
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn after_ten_wrong() -> Tries {
        let mut tries = Tries::default();
        for n in 0..10 {
            assert_eq!(tries.wait(HERE, &key(1), 10, s(n)), None);
            tries.handle_wrong(HERE, s(n));
        }
        tries
    }

    #[test]
    fn past_the_limit_an_address_waits_until_its_minute_is_over() {
        let tries = after_ten_wrong();
        assert_eq!(tries.wait(HERE, &key(1), 10, s(10)), Some(s(50)));
        assert_eq!(tries.wait(THERE, &key(1), 10, s(10)), None);
        assert_eq!(tries.wait(HERE, &key(1), 10, s(60)), None);
    }

    #[test]
    fn a_new_minute_counts_anew() {
        let mut tries = after_ten_wrong();
        tries.handle_wrong(HERE, s(60));
        assert_eq!(tries.wait(HERE, &key(1), 10, s(61)), None);
    }

    #[test]
    fn a_key_that_was_right_today_always_passes() {
        let mut tries = after_ten_wrong();
        tries.handle_right(&key(7), s(0));
        assert_eq!(tries.wait(HERE, &key(7), 10, s(10)), None);
        for _ in 0..10 {
            tries.handle_wrong(HERE, s(25 * 3_600));
        }
        assert!(tries.wait(HERE, &key(7), 10, s(25 * 3_600)).is_some(), "a day later it is like any other");
    }

    #[test]
    fn an_address_is_the_same_in_either_notation() {
        let tries = after_ten_wrong();
        assert!(tries.wait("::ffff:192.0.2.1".parse().unwrap(), &key(1), 10, s(10)).is_some());
    }

    #[test]
    fn memory_is_bounded_and_the_newest_are_kept() {
        let mut tries = Tries::default();
        for n in 0..100_000_u32 {
            tries.handle_wrong(IpAddr::V4(n.into()), s(u64::from(n)));
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            tries.handle_right(&Hash::from_bytes(hash), s(u64::from(n)));
        }
        assert!(tries.addresses.len() <= ENTRIES_MAX && tries.accepted.len() <= ENTRIES_MAX);
        assert!(tries.wait(IpAddr::V4(99_999.into()), &key(1), 1, s(99_999)).is_some());
    }

    #[test]
    fn many_at_one_instant_don_t_grow_past_the_bound() {
        let mut tries = Tries::default();
        for n in 0..100_000_u32 {
            tries.handle_wrong(IpAddr::V4(n.into()), s(5));
        }
        assert!(tries.addresses.len() <= ENTRIES_MAX);
    }
}
