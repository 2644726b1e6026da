//! Failed tries with stream keys, so that guessing costs no look-up.

use crate::net::waiting::network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// In which failures of an address are counted; an encoder with an old key tries less often than the limit.
const WINDOW: Duration = Duration::from_secs(60);
/// A key that was right this recently is looked up whatever its address did.
const ACCEPTED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Past these the oldest knowledge is let go, all of it where nothing is old.
const ADDRESSES_MAX: usize = 10_000;
const ACCEPTED_MAX: usize = 100_000;

/// The keyed hash of a key.
type Fingerprint = [u8; 32];

/// `now` is monotonic throughout.
#[derive(Debug, Default)]
pub(super) struct Tries {
    failed: HashMap<IpAddr, Failed>,
    accepted: HashMap<Fingerprint, Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    since: Duration,
    count: u32,
    /// Look-ups that may fail yet.
    in_flight: u32,
}

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ends with [`Tries::note_accepted`], [`Tries::note_failed`] or [`Tries::note_unknown`].
    LookUp,
    /// Enough look-ups of this address are on their way.
    Wait,
    Refuse,
}

impl Tries {
    /// `failed_max` are those of an address within [`WINDOW`].
    pub(super) fn begin(&mut self, address: IpAddr, key: &Fingerprint, failed_max: u32, now: Duration) -> Verdict {
        let is_known = self.accepted.get(key).is_some_and(|&at| now.saturating_sub(at) < ACCEPTED_FOR);
        let failed = self.entry(address, now);
        if !is_known && failed.count >= failed_max {
            return Verdict::Refuse;
        }
        if !is_known && failed.count + failed.in_flight >= failed_max {
            return Verdict::Wait;
        }
        failed.in_flight += 1;
        Verdict::LookUp
    }

    /// The key is wrong; if it was right once, it is forgotten.
    pub(super) fn note_failed(&mut self, address: IpAddr, key: &Fingerprint, now: Duration) {
        self.accepted.remove(key);
        let failed = self.entry(address, now);
        failed.in_flight = failed.in_flight.saturating_sub(1);
        failed.count = failed.count.saturating_add(1);
    }

    /// The look-up gave no answer.
    pub(super) fn note_unknown(&mut self, address: IpAddr, now: Duration) {
        let failed = self.entry(address, now);
        failed.in_flight = failed.in_flight.saturating_sub(1);
    }

    pub(super) fn note_accepted(&mut self, address: IpAddr, key: Fingerprint, now: Duration) {
        self.note_unknown(address, now);
        self.expect(key, now);
    }

    /// Counts a key as right from now on.
    pub(super) fn expect(&mut self, key: Fingerprint, now: Duration) {
        if self.accepted.len() >= ACCEPTED_MAX {
            self.accepted.retain(|_, at| now.saturating_sub(*at) < ACCEPTED_FOR);
            if self.accepted.len() >= ACCEPTED_MAX {
                self.accepted.clear();
            }
        }
        self.accepted.insert(key, now);
    }

    fn entry(&mut self, address: IpAddr, now: Duration) -> &mut Failed {
        let address = network(address);
        if self.failed.len() >= ADDRESSES_MAX && !self.failed.contains_key(&address) {
            self.failed.retain(|_, failed| failed.is_recent(now));
            if self.failed.len() >= ADDRESSES_MAX {
                self.failed.clear();
            }
        }
        let failed = self.failed.entry(address).or_insert(Failed { since: now, count: 0, in_flight: 0 });
        if !failed.is_recent(now) {
            (failed.since, failed.count) = (now, 0);
        }
        failed
    }
}

impl Failed {
    fn is_recent(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) < WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn fail(tries: &mut Tries, from: IpAddr, times: u32, now: Duration) {
        for _ in 0..times {
            assert_eq!(tries.begin(from, &[0; 32], 10, now), Verdict::LookUp);
            tries.note_failed(from, &[0; 32], now);
        }
    }

    #[test]
    fn after_ten_failures_a_minute_nothing_is_looked_up() {
        let mut tries = Tries::default();
        let (guesser, other) = (address("192.0.2.1"), address("192.0.2.2"));
        fail(&mut tries, guesser, 10, SECOND);
        assert_eq!(tries.begin(guesser, &[0; 32], 10, SECOND), Verdict::Refuse);
        assert_eq!(tries.begin(address("::ffff:192.0.2.1"), &[0; 32], 10, SECOND), Verdict::Refuse);
        assert_eq!(tries.begin(other, &[0; 32], 10, SECOND), Verdict::LookUp);
        assert_eq!(tries.begin(guesser, &[0; 32], 10, 60 * SECOND), Verdict::Refuse);
        fail(&mut tries, guesser, 10, 61 * SECOND);
        assert_eq!(tries.begin(guesser, &[0; 32], 10, 61 * SECOND), Verdict::Refuse);
    }

    #[test]
    fn look_ups_on_their_way_count_until_they_are_answered() {
        let mut tries = Tries::default();
        let from = address("192.0.2.1");
        for _ in 0..10 {
            assert_eq!(tries.begin(from, &[0; 32], 10, SECOND), Verdict::LookUp);
        }
        assert_eq!(tries.begin(from, &[0; 32], 10, SECOND), Verdict::Wait);
        tries.note_accepted(from, [1; 32], SECOND);
        assert_eq!(tries.begin(from, &[0; 32], 10, SECOND), Verdict::LookUp);
        tries.note_unknown(from, SECOND);
        assert_eq!(tries.begin(from, &[0; 32], 10, SECOND), Verdict::LookUp);
        tries.note_failed(from, &[0; 32], SECOND);
        assert_eq!(tries.begin(from, &[0; 32], 10, SECOND), Verdict::Wait);
    }

    #[test]
    fn a_key_accepted_within_a_day_always_passes() {
        let mut tries = Tries::default();
        let from = address("192.0.2.1");
        fail(&mut tries, from, 10, 86_399 * SECOND);
        tries.note_accepted(from, [1; 32], Duration::ZERO);
        assert_eq!(tries.begin(from, &[1; 32], 10, 86_399 * SECOND), Verdict::LookUp);
        assert_eq!(tries.begin(from, &[1; 32], 10, 86_400 * SECOND), Verdict::Refuse);
        tries.expect([1; 32], 86_400 * SECOND);
        assert_eq!(tries.begin(from, &[1; 32], 10, 86_401 * SECOND), Verdict::LookUp);
        tries.note_failed(from, &[1; 32], 86_400 * SECOND);
        assert_eq!(tries.begin(from, &[1; 32], 10, 86_400 * SECOND), Verdict::Refuse);
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let mut tries = Tries::default();
        for host in 1..=10 {
            fail(&mut tries, address(&format!("2001:db8::{host}")), 1, SECOND);
        }
        assert_eq!(tries.begin(address("2001:db8::ffff"), &[0; 32], 10, SECOND), Verdict::Refuse);
        assert_eq!(tries.begin(address("2001:db8:0:1::1"), &[0; 32], 10, SECOND), Verdict::LookUp);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut tries = Tries::default();
        for n in 0..25_000_u32 {
            fail(&mut tries, IpAddr::from(n.to_be_bytes()), 1, SECOND);
        }
        assert!(tries.failed.len() <= ADDRESSES_MAX);
    }
}
