//! Passwords are hashed a few at once, in memory that is kept and used again, however many try and however soon they go.

use super::Error;
use crate::auth::password::Hasher;
use actix_web::web;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// At once: each takes 19 MiB and tens of milliseconds of a CPU.
const RUNNING_MAX: usize = 2;

/// Who comes while so many wait is told to come back.
const WAITING_MAX: usize = 64;

/// And who waits for longer.
const WAIT: Duration = Duration::from_secs(5);

pub(super) struct Hashing {
    running: Arc<Semaphore>,
    waiting: Semaphore,
    /// Those that no one uses just now.
    hashers: Arc<Mutex<Vec<Hasher>>>,
}

impl Default for Hashing {
    fn default() -> Self {
        let (running, waiting) = (Arc::new(Semaphore::new(RUNNING_MAX)), Semaphore::new(WAITING_MAX));
        Self { running, waiting, hashers: Arc::default() }
    }
}

impl Hashing {
    /// Not on a thread that serves others. Work that has begun goes on where its client leaves, and counts until it ends.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Hasher) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let place = self.waiting.try_acquire().map_err(|_| Error::Busy)?;
        let permit = actix_web::rt::time::timeout(WAIT, self.running.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| Error::Busy)?.map_err(|_| Error::Internal)?;
        drop(place);
        let hashers = self.hashers.clone();
        let working = web::block(move || {
            let _permit = permit;
            let kept = lock(&hashers).pop();
            let mut hasher = kept.or_else(Hasher::new)?;
            let done = work(&mut hasher);
            lock(&hashers).push(hasher);
            Some(done)
        });
        working.await.map_err(|_| Error::Internal)?.ok_or(Error::Busy)
    }
}

fn lock(hashers: &Mutex<Vec<Hasher>>) -> std::sync::MutexGuard<'_, Vec<Hasher>> {
    hashers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::watch;

    #[derive(Default)]
    struct Seen {
        now: AtomicUsize,
        most: AtomicUsize,
        begun: AtomicUsize,
    }

    impl Seen {
        fn enter(&self) {
            self.begun.fetch_add(1, Ordering::SeqCst);
            self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        }
    }

    /// Work that ends when it is told to, or with the test.
    fn held(seen: &Arc<Seen>, end: &watch::Receiver<bool>) -> impl FnOnce(&mut Hasher) + Send + 'static {
        let (seen, end) = (seen.clone(), end.clone());
        move |_| {
            seen.enter();
            while !*end.borrow() && end.has_changed().is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
            seen.now.fetch_sub(1, Ordering::SeqCst);
        }
    }

    async fn until(what: &str, is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                actix_web::rt::time::sleep(Duration::from_millis(2)).await;
            }
        };
        actix_web::rt::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("never {what}"));
    }

    #[actix_web::test]
    async fn clients_that_leave_do_not_make_room_for_more_at_once() {
        let (hashing, seen, (end, ended)) = (Hashing::default(), Arc::new(Seen::default()), watch::channel(false));
        for _ in 0..20 {
            let asked = hashing.run(held(&seen, &ended));
            let left = actix_web::rt::time::timeout(Duration::from_millis(20), asked).await;
            assert!(left.is_err(), "it waits until its client leaves");
        }
        assert_eq!(seen.begun.load(Ordering::SeqCst), RUNNING_MAX);
        end.send_replace(true);
        until("over", || seen.now.load(Ordering::SeqCst) == 0).await;
        hashing.run(|_| ()).await.unwrap();
        assert_eq!(seen.most.load(Ordering::SeqCst), RUNNING_MAX);
        assert!(lock(&hashing.hashers).len() <= RUNNING_MAX, "memory is used again");
    }

    #[actix_web::test]
    async fn who_comes_while_many_wait_is_sent_away() {
        let (hashing, seen) = (Arc::new(Hashing::default()), Arc::new(Seen::default()));
        let (end, ended) = watch::channel(false);
        let asked: Vec<_> = (0..RUNNING_MAX + WAITING_MAX)
            .map(|_| {
                let (hashing, work) = (hashing.clone(), held(&seen, &ended));
                actix_web::rt::spawn(async move { hashing.run(work).await })
            })
            .collect();
        until("so many wait", || hashing.waiting.available_permits() == 0).await;
        until("two are at it", || seen.now.load(Ordering::SeqCst) == RUNNING_MAX).await;
        assert_eq!(hashing.run(|_| ()).await, Err(Error::Busy));
        assert_eq!(Error::Busy.problem().retry_after_s, Some(1));
        end.send_replace(true);
        for asked in asked {
            asked.await.unwrap().unwrap();
        }
        assert_eq!(seen.most.load(Ordering::SeqCst), RUNNING_MAX);
    }
}
