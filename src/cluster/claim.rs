//! The way from wanting a stream to owning it, without its surroundings: questions go out, answers come in.
//!
//! A fence is taken, the lease is tried with it, and only where the fence was then accepted the stream is owned.

use std::time::Duration;

/// Fences that are taken before giving up against others whose higher ones keep being accepted.
const TRIES: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ask {
    TakeFence,
    /// Where it is free, or held with the fence `over`.
    TakeLease {
        fence: u64,
        over: Option<u64>,
    },
    AcceptFence {
        fence: u64,
    },
    Release {
        fence: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    Fence(u64),
    Taken,
    HeldByAnother,
    Accepted,
    /// That fence or a higher one was accepted already.
    NotAccepted,
    Released,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// `asked`: just before the lease was asked for.
    Owned {
        fence: u64,
        asked: Duration,
    },
    HeldByAnother,
    Unavailable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    Ask(Ask),
    Done(Verdict),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claiming {
    over: Option<u64>,
    tries_left: u32,
    lease_asked: Duration,
}

impl Claiming {
    /// Starts with [`Ask::TakeFence`]; `over` names the fence of an owner that may be replaced.
    pub fn new(over: Option<u64>) -> Self {
        Self { over, tries_left: TRIES, lease_asked: Duration::ZERO }
    }

    /// `sent` is when this was asked.
    pub fn handle(&mut self, asked: Ask, answer: Answer, sent: Duration) -> Next {
        match (asked, answer) {
            (Ask::TakeFence, Answer::Fence(fence)) => Next::Ask(Ask::TakeLease { fence, over: self.over }),
            (Ask::TakeLease { fence, .. }, Answer::Taken) => {
                self.lease_asked = sent;
                Next::Ask(Ask::AcceptFence { fence })
            }
            (Ask::TakeLease { .. }, Answer::HeldByAnother) => Next::Done(Verdict::HeldByAnother),
            (Ask::AcceptFence { fence }, Answer::Accepted) => {
                Next::Done(Verdict::Owned { fence, asked: self.lease_asked })
            }
            (Ask::AcceptFence { fence }, Answer::NotAccepted) => {
                self.tries_left -= 1;
                Next::Ask(Ask::Release { fence })
            }
            // It may have been taken all the same.
            (Ask::TakeLease { fence, .. } | Ask::AcceptFence { fence }, _) => {
                self.tries_left = 0;
                Next::Ask(Ask::Release { fence })
            }
            (Ask::Release { .. }, _) if self.tries_left > 0 => Next::Ask(Ask::TakeFence),
            (Ask::Release { .. } | Ask::TakeFence, _) => Next::Done(Verdict::Unavailable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(over: Option<u64>, answers: &[Answer]) -> (Vec<Ask>, Option<Verdict>) {
        let (mut claiming, mut ask) = (Claiming::new(over), Ask::TakeFence);
        let mut asks = vec![ask];
        for (at, answer) in answers.iter().enumerate() {
            match claiming.handle(ask, *answer, Duration::from_secs(at as u64)) {
                Next::Ask(next) => ask = next,
                Next::Done(verdict) => return (asks, Some(verdict)),
            }
            asks.push(ask);
        }
        (asks, None)
    }

    #[test]
    fn a_stream_is_owned_when_its_fence_was_accepted_and_held_since_the_lease_was_asked_for() {
        let (asks, verdict) = steps(Some(4), &[Answer::Fence(5), Answer::Taken, Answer::Accepted]);
        let lease = Ask::TakeLease { fence: 5, over: Some(4) };
        assert_eq!(asks, [Ask::TakeFence, lease, Ask::AcceptFence { fence: 5 }]);
        assert_eq!(verdict, Some(Verdict::Owned { fence: 5, asked: Duration::from_secs(1) }));
    }

    #[test]
    fn the_loser_of_the_fence_gives_the_lease_back_and_starts_again() {
        let lost = [Answer::Fence(5), Answer::Taken, Answer::NotAccepted, Answer::Released];
        let (asks, verdict) = steps(None, &lost);
        assert_eq!((asks[3], asks[4], verdict), (Ask::Release { fence: 5 }, Ask::TakeFence, None));
        let (asks, verdict) = steps(None, &lost.repeat(3));
        assert_eq!((asks.len(), verdict), (12, Some(Verdict::Unavailable)));
    }

    #[test]
    fn what_may_have_been_taken_is_given_back() {
        for answers in [vec![Answer::Fence(5), Answer::None], vec![Answer::Fence(5), Answer::Taken, Answer::None]] {
            let (asks, _) = steps(None, &answers);
            assert_eq!(asks.last(), Some(&Ask::Release { fence: 5 }));
            let (_, verdict) = steps(None, &[answers, vec![Answer::None]].concat());
            assert_eq!(verdict, Some(Verdict::Unavailable));
        }
        assert_eq!(steps(None, &[Answer::None]).1, Some(Verdict::Unavailable));
        assert_eq!(steps(None, &[Answer::Fence(5), Answer::HeldByAnother]).1, Some(Verdict::HeldByAnother));
    }
}
