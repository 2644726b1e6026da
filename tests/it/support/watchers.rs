//! Many viewers at once, each with a log that is checked while it grows.

use super::{DEADLINE, Seen, Stream, Viewer, Weir};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// What one viewer was given.
#[derive(Default)]
pub struct Log {
    pub states: Vec<String>,
    pub chunks: usize,
    /// Each publish, and when its first picture came.
    pub by_fence: Vec<(u64, Instant)>,
    /// How old each picture was when it came, in microseconds.
    pub ages_us: Vec<i64>,
    epoch: String,
    /// Of the newest init; its first picture is still to come.
    fence: u64,
    ends: [Option<u64>; 3],
    gaps: usize,
    faults: Vec<String>,
}

impl Log {
    fn note(&mut self, seen: &Seen) {
        match seen {
            Seen::Text(text) if text["type"] == "init" => {
                let epoch = text["epoch"].as_str().unwrap().to_owned();
                if epoch < self.epoch {
                    self.faults.push(format!("epoch {epoch} after {}", self.epoch));
                }
                self.fence = epoch.split('-').next().unwrap().parse().unwrap();
                self.epoch = epoch;
            }
            Seen::Text(text) if text["type"] == "hello" || text["type"] == "state" => {
                self.states.push(text["state"].as_str().unwrap().to_owned());
            }
            Seen::Text(text) => self.gaps += usize::from(text["type"] == "gap"),
            Seen::Init => {}
            Seen::Chunk(chunk) => {
                self.chunks += 1;
                if chunk.track == 1 {
                    self.ages_us.push(now_us() - chunk.made_us);
                }
                let is_new = self.by_fence.last().is_none_or(|(fence, _)| *fence != self.fence);
                if chunk.track == 1 && is_new {
                    if !chunk.is_sync {
                        self.faults.push(format!("publish {} begins without a keyframe", self.fence));
                    }
                    self.by_fence.push((self.fence, Instant::now()));
                }
                let end = &mut self.ends[chunk.track as usize];
                if end.is_some_and(|end| chunk.start < end) {
                    self.faults.push(format!("track {} steps back from {end:?} to {}", chunk.track, chunk.start));
                }
                *end = Some(chunk.start + u64::from(chunk.duration));
            }
            Seen::Close(code) => self.faults.push(format!("closed with {code}")),
            Seen::Gone => self.faults.push("cut".to_owned()),
        }
    }
}

fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

/// Viewers of one node; all end with this.
pub struct Watchers {
    logs: Vec<Arc<Mutex<Log>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Watchers {
    pub async fn start(node: &Weir, stream: &Stream, count: usize) -> Self {
        let mut watchers = Self { logs: Vec::new(), tasks: Vec::new() };
        for _ in 0..count {
            let mut viewer = Viewer::connect(node, stream, "weir.v1").await;
            let log = Arc::new(Mutex::new(Log::default()));
            watchers.logs.push(log.clone());
            watchers.tasks.push(tokio::spawn(async move {
                loop {
                    let seen = viewer.next().await;
                    log.lock().unwrap().note(&seen);
                    if matches!(seen, Seen::Gone | Seen::Close(_)) {
                        return;
                    }
                }
            }));
        }
        watchers
    }

    /// Waits until it is so for all of them.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Log) -> bool) {
        let start = Instant::now();
        while !self.logs().all(|log| is_so(&log)) {
            if start.elapsed() > DEADLINE {
                let count = self.logs().filter(|log| is_so(log)).count();
                let other = self.logs().find(|log| !is_so(log)).unwrap();
                let Log { states, chunks, by_fence, faults, .. } = &*other;
                panic!(
                    "waited too long for {what}: {count} of {}; one has {states:?}, {chunks} chunks, {} publishes, {faults:?}",
                    self.logs.len(),
                    by_fence.len()
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// No socket was closed, no publish came after a newer one, nothing came twice, no time stepped back.
    pub fn check(&self) {
        let faults: Vec<_> = self.logs().flat_map(|log| log.faults.clone()).collect();
        assert!(faults.is_empty(), "{} faults: {:?}", faults.len(), &faults[..faults.len().min(10)]);
    }

    /// When each saw the first picture of the newest publish.
    pub fn first_of_newest(&self) -> Vec<Instant> {
        self.logs().filter_map(|log| log.by_fence.last().map(|(_, at)| *at)).collect()
    }

    /// The age that 99 of 100 pictures stayed below since this was asked last.
    pub fn age_p99(&self) -> Duration {
        let mut ages: Vec<i64> = self.logs().flat_map(|mut log| std::mem::take(&mut log.ages_us)).collect();
        ages.sort_unstable();
        let p99 = ages.get(ages.len() * 99 / 100).copied().unwrap_or(0);
        Duration::from_micros(p99.max(0).unsigned_abs())
    }

    /// Frames missing, as the node told.
    pub fn gaps(&self) -> usize {
        self.logs().map(|log| log.gaps).sum()
    }

    pub fn most_chunks(&self) -> usize {
        self.logs().map(|log| log.chunks).max().unwrap_or(0)
    }

    /// Times that a viewer was told of a state.
    pub fn most_states(&self) -> usize {
        self.logs().map(|log| log.states.len()).max().unwrap_or(0)
    }

    pub fn least_chunks(&self) -> usize {
        self.logs().map(|log| log.chunks).min().unwrap_or(0)
    }

    fn logs(&self) -> impl Iterator<Item = MutexGuard<'_, Log>> {
        self.logs.iter().map(|log| log.lock().unwrap())
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
