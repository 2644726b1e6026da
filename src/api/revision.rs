//! Changes of what others may be changing: `If-Match` names the revision that is meant; who names none is tried again.

use super::Error;
use actix_web::HttpRequest;
use actix_web::http::header::IF_MATCH;

/// Tries of a change that others keep overtaking. Each time one of them got through, so that this many at once all do.
const TRIES_MAX: usize = 64;

/// The revision that a change is meant for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meant {
    Any,
    /// None of ours where it is empty.
    OneOf(Vec<i64>),
}

impl Meant {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let mut lines = request.headers().get_all(IF_MATCH).peekable();
        if lines.peek().is_none() {
            return Self::Any;
        }
        let tags = lines.flat_map(|line| line.to_str().unwrap_or_default().split(',')).map(str::trim);
        let tags: Vec<_> = tags.collect();
        if tags == ["*"] {
            return Self::Any;
        }
        let strong = |tag: &str| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
        Self::OneOf(tags.into_iter().filter_map(strong).collect())
    }

    pub(super) fn check(&self, revision: i64) -> Result<(), Error> {
        match self {
            Self::OneOf(meant) if !meant.contains(&revision) => Err(Error::Stale),
            _ => Ok(()),
        }
    }

    /// Does `change`, which reads and then writes what it read; again where another was faster, unless a revision is meant.
    pub(super) async fn apply<T>(&self, mut change: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
        for _ in 0..TRIES_MAX {
            match change().await {
                Err(Error::Stale) if *self == Self::Any => {}
                done => return done,
            }
        }
        Err(Error::Overtaken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn meant(lines: &[&str]) -> Meant {
        let request =
            lines.iter().fold(TestRequest::default(), |request, line| request.append_header((IF_MATCH, *line)));
        Meant::of(&request.to_http_request())
    }

    #[test]
    fn a_revision_is_meant_by_its_strong_tag() {
        assert_eq!(meant(&[]), Meant::Any);
        assert_eq!(meant(&["*"]), Meant::Any);
        assert_eq!(meant(&["\"3\""]), Meant::OneOf(vec![3]));
        assert_eq!(meant(&["\"3\", \"5\"", "\"x\", \"7\""]), Meant::OneOf(vec![3, 5, 7]));
        for none in ["", "3", "W/\"3\"", "\"", "\"*\"", "\"99999999999999999999\""] {
            assert_eq!(meant(&[none]), Meant::OneOf(Vec::new()), "{none}");
        }
        assert_eq!(Meant::OneOf(vec![3, 5]).check(5), Ok(()));
        assert_eq!(Meant::OneOf(vec![3, 5]).check(4), Err(Error::Stale));
    }

    #[actix_web::test]
    async fn who_means_any_revision_is_tried_again_and_not_for_ever() {
        let mut left = 10;
        let overtaken = async || {
            left -= 1;
            if left > 0 { Err(Error::Stale) } else { Ok(()) }
        };
        assert_eq!(Meant::Any.apply(overtaken).await, Ok(()));
        assert_eq!(Meant::Any.apply(async || Err::<(), _>(Error::Stale)).await, Err(Error::Overtaken));
        let mut tries = 0;
        let counted = async || {
            tries += 1;
            Err::<(), _>(Error::Stale)
        };
        assert_eq!(Meant::OneOf(vec![1]).apply(counted).await, Err(Error::Stale));
        assert_eq!(tries, 1);
    }
}
