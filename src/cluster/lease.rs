//! A lease as its owner sees it, without its surroundings: questions go out, answers and the time come in.

use std::time::Duration;

/// A lease that is not renewed for this long is anybody's.
pub const TTL: Duration = Duration::from_secs(5);
pub const RENEW_EVERY: Duration = Duration::from_secs(1);
/// Before the lease can be another's, with the time that a write under way may take.
const SUSPENDED_AFTER: Duration = Duration::from_secs(4);

/// What the owner of a stream may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// All of it.
    Held,
    /// Media for those who are attached; no write, event, or new follower.
    Suspended,
    /// Nothing before the lease was read again: the process stood still, and anything can have happened.
    Unread,
    /// Nothing any more.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ask {
    Renew,
    /// The accepted fence, before the lease is registered again.
    ReadToRegister,
    /// The lease again where it is not there any more, or with a lower fence.
    Register,
    /// The accepted fence, where the leases can't be asked.
    ReadAlone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The lease is ours, for another [`TTL`] from when this was asked.
    Kept,
    /// By another's fence, or by nobody.
    HeldBy(Option<u64>),
    /// The fence that was accepted last.
    Accepted(u64),
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    Granted,
    Lost,
    /// To be asked again in a second.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    Ask(Ask),
    Done(Verdict),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    fence: u64,
    /// When the newest renewal that was granted was asked for.
    granted: Duration,
    /// When the process was last seen to run.
    awake: Duration,
    unread_since: Option<Duration>,
    is_lost: bool,
}

impl Lease {
    /// `asked`: just before the lease was asked for.
    pub fn new(fence: u64, asked: Duration) -> Self {
        Self { fence, granted: asked, awake: asked, unread_since: None, is_lost: false }
    }

    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// To be asked right before anything is done in the owner's name, and at least once a second.
    pub fn standing(&mut self, now: Duration) -> Standing {
        if now.saturating_sub(self.awake) > TTL {
            self.unread_since = Some(now);
        }
        self.awake = self.awake.max(now);
        match self.unread_since {
            _ if self.is_lost => Standing::Lost,
            Some(_) => Standing::Unread,
            None if now.saturating_sub(self.granted) >= SUSPENDED_AFTER => Standing::Suspended,
            None => Standing::Held,
        }
    }

    /// A renewal starts with [`Ask::Renew`]; `sent` is when this was asked.
    pub fn handle(&mut self, asked: Ask, answer: Answer, sent: Duration, now: Duration) -> Next {
        let standing = self.standing(now);
        match (asked, answer) {
            (_, Answer::HeldBy(Some(fence)) | Answer::Accepted(fence)) if fence > self.fence => {
                self.is_lost = true;
                Next::Done(Verdict::Lost)
            }
            (_, Answer::Kept) => {
                self.granted = self.granted.max(sent);
                self.note_read(sent);
                Next::Done(Verdict::Granted)
            }
            (Ask::Renew, Answer::HeldBy(_)) => Next::Ask(Ask::ReadToRegister),
            (Ask::Renew, Answer::None) if standing != Standing::Held => Next::Ask(Ask::ReadAlone),
            (Ask::ReadToRegister, Answer::Accepted(_)) => {
                self.note_read(sent);
                Next::Ask(Ask::Register)
            }
            (Ask::ReadAlone, Answer::Accepted(_)) => {
                self.note_read(sent);
                Next::Done(Verdict::Unknown)
            }
            _ => Next::Done(Verdict::Unknown),
        }
    }

    /// What was asked before the process stood still tells nothing of now.
    fn note_read(&mut self, sent: Duration) {
        self.unread_since.take_if(|since| *since <= sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Renewed at each second but those of `away`.
    fn renewed(until: u64, away: std::ops::Range<u64>) -> Lease {
        let mut lease = Lease::new(7, s(0.0));
        for second in (1..=until).map(|n| s(n as f64)) {
            let is_away = away.contains(&second.as_secs());
            let answer = if is_away { Answer::None } else { Answer::Kept };
            let next = lease.handle(Ask::Renew, answer, second, second + s(0.01));
            assert_eq!(next == Next::Done(Verdict::Granted), !is_away);
        }
        lease
    }

    #[test]
    fn four_seconds_after_the_last_renewal_was_sent_it_is_suspended_and_held_again_with_the_next() {
        let mut lease = renewed(9, 6..20);
        assert_eq!(lease.standing(s(8.99)), Standing::Held);
        assert_eq!(lease.standing(s(9.0)), Standing::Suspended);
        assert_eq!(lease.handle(Ask::Renew, Answer::Kept, s(9.5), s(9.8)), Next::Done(Verdict::Granted));
        assert_eq!(lease.standing(s(13.49)), Standing::Held);
        assert_eq!(lease.standing(s(13.5)), Standing::Suspended);
    }

    #[test]
    fn a_suspended_owner_hears_of_a_higher_fence_from_the_database() {
        let mut lease = renewed(9, 5..20);
        assert_eq!(lease.handle(Ask::Renew, Answer::None, s(9.2), s(9.9)), Next::Ask(Ask::ReadAlone));
        let mut replaced = lease.clone();
        let unknown = Next::Done(Verdict::Unknown);
        assert_eq!(lease.handle(Ask::ReadAlone, Answer::Accepted(7), s(9.9), s(9.95)), unknown);
        assert_eq!(lease.standing(s(10.0)), Standing::Suspended);
        let lost = Next::Done(Verdict::Lost);
        assert_eq!(replaced.handle(Ask::ReadAlone, Answer::Accepted(8), s(9.9), s(9.95)), lost);
        assert_eq!(replaced.standing(s(10.0)), Standing::Lost);
    }

    #[test]
    fn a_lease_that_is_gone_is_registered_again_unless_a_higher_fence_was_accepted() {
        let lease = renewed(3, 0..0);
        for (accepted, next) in [(7, Next::Ask(Ask::Register)), (8, Next::Done(Verdict::Lost))] {
            for held in [None, Some(6)] {
                let mut lease = lease.clone();
                let read = lease.handle(Ask::Renew, Answer::HeldBy(held), s(4.0), s(4.1));
                assert_eq!(read, Next::Ask(Ask::ReadToRegister));
                assert_eq!(lease.handle(Ask::ReadToRegister, Answer::Accepted(accepted), s(4.1), s(4.2)), next);
            }
        }
    }

    #[test]
    fn a_higher_fence_ends_it_for_good() {
        let mut lease = renewed(3, 0..0);
        assert_eq!(lease.handle(Ask::Renew, Answer::HeldBy(Some(8)), s(4.0), s(4.1)), Next::Done(Verdict::Lost));
        lease.handle(Ask::Renew, Answer::Kept, s(4.2), s(4.3));
        assert_eq!(lease.standing(s(4.3)), Standing::Lost);
    }

    #[test]
    fn after_the_process_stood_still_only_what_is_read_anew_counts() {
        let mut lease = renewed(3, 0..0);
        assert_eq!(lease.standing(s(18.0)), Standing::Unread);
        lease.handle(Ask::Renew, Answer::Kept, s(3.9), s(18.1));
        assert_eq!(lease.standing(s(18.1)), Standing::Unread, "that was asked before");
        assert_eq!(lease.handle(Ask::Renew, Answer::None, s(18.1), s(18.6)), Next::Ask(Ask::ReadAlone));
        lease.handle(Ask::ReadAlone, Answer::None, s(18.6), s(18.9));
        assert_eq!(lease.standing(s(18.9)), Standing::Unread);
        lease.handle(Ask::ReadAlone, Answer::Accepted(7), s(18.9), s(19.0));
        assert_eq!(lease.standing(s(19.0)), Standing::Suspended);
        lease.handle(Ask::Renew, Answer::Kept, s(19.1), s(19.2));
        assert_eq!(lease.standing(s(19.2)), Standing::Held);
    }
}
