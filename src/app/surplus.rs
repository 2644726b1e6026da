//! Which viewers have to go where a tenant has too many.

use crate::id::SessionId;
use crate::stream::Handle;

/// A viewer, and what is saved without it.
pub(super) struct Candidate<S = Handle> {
    pub(super) since_us: i64,
    pub(super) session: SessionId,
    pub(super) cost: u64,
    pub(super) stream: S,
}

/// Who came last, as many as make up for the surplus.
pub(super) fn newest<S>(mut found: Vec<Candidate<S>>, surplus: u64) -> Vec<Candidate<S>> {
    found.sort_by(|a, b| (b.since_us, &b.session).cmp(&(a.since_us, &a.session)));
    let mut saved = 0_u64;
    found.retain(|candidate| {
        let goes = saved < surplus && candidate.cost > 0;
        saved = saved.saturating_add(if goes { candidate.cost } else { 0 });
        goes
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(n: u8, cost: u64) -> Candidate<u8> {
        Candidate { since_us: i64::from(n), session: SessionId::from_random([n; 16]), cost, stream: n }
    }

    fn cut(costs: &[u64], surplus: u64) -> Vec<u8> {
        let found = (1_u8..).zip(costs).map(|(n, cost)| candidate(n, *cost)).collect();
        newest(found, surplus).into_iter().map(|candidate| candidate.stream).collect()
    }

    #[test]
    fn the_newest_go_until_it_is_enough() {
        assert_eq!(cut(&[10, 10, 10, 10], 15), [4, 3]);
        assert_eq!(cut(&[10, 10, 10, 10], 10), [4]);
        assert_eq!(cut(&[10, 10], 1_000), [2, 1]);
        assert_eq!(cut(&[10, 10], 0), [0; 0]);
        assert_eq!(cut(&[10, 5, 0], 1), [2], "one who costs nothing may stay");
    }
}
