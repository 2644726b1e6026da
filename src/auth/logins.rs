//! How often passwords may be tried: from one address, and for one login from wherever.

use std::collections::HashMap;
use std::time::Duration;

/// The time in which wrong tries are counted.
const WINDOW: Duration = Duration::from_secs(300);

/// Wrong tries in it. More for a login than for an address, so that nobody locks out another by trying from one place.
const PER_ADDRESS: u32 = 10;
const PER_LOGIN: u32 = 50;

/// Addresses and logins remembered; past it those whose time is over are forgotten, then the oldest.
const ENTRIES_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Window {
    since: Duration,
    wrong: u32,
}

/// Pure: `now` is any time that does not step back.
#[derive(Debug, Default)]
pub struct Logins {
    windows: HashMap<String, Window>,
}

impl Logins {
    /// Counts a try as a wrong one until it is known to be right, so that many at once don't pass; else how long to wait.
    pub fn handle_try(&mut self, address: &str, login: &str, now: Duration) -> Result<(), Duration> {
        let keys = keys(address, login);
        let wait = keys.iter().filter_map(|(key, most)| self.wait(key, *most, now)).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        for (key, _) in keys {
            self.make_room(&key, now);
            let window = self.windows.entry(key).or_insert(Window { since: now, wrong: 0 });
            if now.saturating_sub(window.since) >= WINDOW {
                *window = Window { since: now, wrong: 0 };
            }
            window.wrong += 1;
        }
        Ok(())
    }

    /// The try was right: it does not count.
    pub fn handle_right(&mut self, address: &str, login: &str) {
        for (key, _) in keys(address, login) {
            if let Some(window) = self.windows.get_mut(&key) {
                window.wrong = window.wrong.saturating_sub(1);
            }
        }
    }

    fn wait(&self, key: &str, most: u32, now: Duration) -> Option<Duration> {
        let window = self.windows.get(key)?;
        let ends = window.since + WINDOW;
        (window.wrong >= most && now < ends).then(|| ends.saturating_sub(now))
    }

    fn make_room(&mut self, key: &str, now: Duration) {
        if self.windows.len() < ENTRIES_MAX || self.windows.contains_key(key) {
            return;
        }
        self.windows.retain(|_, window| now.saturating_sub(window.since) < WINDOW);
        if self.windows.len() >= ENTRIES_MAX {
            let oldest = self.windows.iter().min_by_key(|(_, window)| window.since).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.windows.remove(&key));
        }
    }
}

fn keys(address: &str, login: &str) -> [(String, u32); 2] {
    [(format!("address {address}"), PER_ADDRESS), (format!("login {login}"), PER_LOGIN)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_address_waits_after_ten_wrong_tries_whatever_the_login() {
        let mut logins = Logins::default();
        for n in 0..10 {
            assert_eq!(logins.handle_try("192.0.2.1", &format!("user {n}"), s(n)), Ok(()));
        }
        assert_eq!(logins.handle_try("192.0.2.1", "other", s(10)), Err(s(290)));
        assert_eq!(logins.handle_try("192.0.2.2", "other", s(10)), Ok(()));
        assert_eq!(logins.handle_try("192.0.2.1", "other", s(300)), Ok(()));
    }

    #[test]
    fn a_login_that_is_tried_from_everywhere_waits_too() {
        let mut logins = Logins::default();
        for n in 0..50 {
            assert_eq!(logins.handle_try(&format!("192.0.2.{n}"), "me", s(0)), Ok(()));
        }
        assert_eq!(logins.handle_try("192.0.2.99", "me", s(1)), Err(s(299)));
        assert_eq!(logins.handle_try("192.0.2.99", "you", s(1)), Ok(()));
    }

    #[test]
    fn right_ones_don_t_count() {
        let mut logins = Logins::default();
        for _ in 0..100 {
            assert_eq!(logins.handle_try("192.0.2.1", "me", s(0)), Ok(()));
            logins.handle_right("192.0.2.1", "me");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut logins = Logins::default();
        for n in 0..12_000 {
            let _ = logins.handle_try(&format!("address {n}"), "me", s(0));
        }
        assert!(logins.windows.len() <= ENTRIES_MAX);
    }
}
