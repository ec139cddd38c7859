//! A caller's turns at the database (a partner, or a vendor's staff together): few at once, and waited for only while there is a prospect of one.

use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// How much of the running mean the newest turn makes up: one part in so many.
const MEMORY: u64 = 8;
/// Who would wait longer than so many hundredths of its patience is told at once: the mean errs, and in a flood three
/// of ten who wait would wait in vain. The first in the queue may always wait.
const HOPEFUL: u32 = 67;

/// The turns of all callers of this process.
pub struct Turns {
    queues: Mutex<HashMap<Uuid, Arc<Queue>>>,
    at_once: u32,
    patience: Duration,
}

/// One caller's.
struct Queue {
    places: Arc<Semaphore>,
    waiting: AtomicU32,
    /// For how long a turn was taken lately, in microseconds. Two that end at once may lose one of them: it is a mean.
    taken: AtomicU64,
}

/// A caller's turn at the database; given back when dropped.
pub struct Turn {
    queue: Arc<Queue>,
    since: Instant,
    patience: Duration,
    left: Duration,
    is_used: AtomicBool,
    _place: OwnedSemaphorePermit,
}

impl Turn {
    /// It came to a connection: only such turns tell the pace. One that found none took no time, and would make all who come after it hope.
    pub fn used(&self) {
        self.is_used.store(true, Ordering::Relaxed);
    }

    /// How much of its patience is left for a connection: who waited for a turn has used some of it.
    pub fn left(&self) -> Duration {
        self.left
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_used.load(Ordering::Relaxed) {
            return;
        }
        // One long batch must not make hopeless what waits behind single requests.
        let taken = self.since.elapsed().min(self.patience).as_micros() as u64;
        let mean = self.queue.taken.load(Ordering::Relaxed);
        self.queue.taken.store((mean * (MEMORY - 1) + taken) / MEMORY, Ordering::Relaxed);
    }
}

/// Somebody who waits, and no longer when dropped.
struct Waiting<'a>(&'a Queue);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn busy() -> Fault {
    Fault::unavailable(Code::Overloaded, "the caller's transactions take all its turns")
}

impl Turns {
    /// So many per caller, each waited for no longer than `patience`.
    pub fn new(at_once: u32, patience: Duration) -> Self {
        Self { queues: Mutex::default(), at_once: at_once.max(1), patience }
    }

    /// Waits for one of a caller's turns: however long its transactions wait for each other's locks, the others find connections. Who by the
    /// pace of late is likely to wait longer than anybody may is told at once: a flood's refusals cost neither time nor memory.
    pub async fn take(&self, caller: Uuid) -> Result<Turn, Fault> {
        let queue = self.queues.lock().unwrap_or_else(PoisonError::into_inner).entry(caller).or_insert_with(|| Arc::new(Queue::of(self.at_once))).clone();
        let asked = Instant::now();
        let place = match queue.places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let before = queue.waiting.fetch_add(1, Ordering::Relaxed);
                let _waiting = Waiting(&queue);
                self.prospect(&queue, before)?;
                tokio::time::timeout(self.patience, queue.places.clone().acquire_owned()).await.ok().and_then(Result::ok).ok_or_else(busy)?
            }
        };
        let (since, patience) = (Instant::now(), self.patience);
        Ok(Turn { queue, since, patience, left: patience.saturating_sub(since - asked), is_used: AtomicBool::new(false), _place: place })
    }

    /// Tells a caller at once that it would wait in vain; promises nothing to one that would not.
    pub fn hope(&self, caller: Uuid) -> Result<(), Fault> {
        let queue = self.queues.lock().unwrap_or_else(PoisonError::into_inner).get(&caller).cloned();
        queue.filter(|queue| queue.places.available_permits() == 0).map_or(Ok(()), |queue| self.prospect(&queue, queue.waiting.load(Ordering::Relaxed)))
    }

    /// Whether who comes behind so many is likely to have a turn in time.
    fn prospect(&self, queue: &Queue, before: u32) -> Result<(), Fault> {
        let wait = queue.taken.load(Ordering::Relaxed).saturating_mul(u64::from(before) + 1) / u64::from(self.at_once);
        if before > 0 && Duration::from_micros(wait) > self.patience * HOPEFUL / 100 { Err(busy()) } else { Ok(()) }
    }

    /// Forgets callers that are away.
    pub fn tidy(&self) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|_, queue| Arc::strong_count(queue) > 1);
    }
}

impl Queue {
    fn of(at_once: u32) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once as usize)), waiting: AtomicU32::new(0), taken: AtomicU64::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn who_cannot_hope_is_told_at_once_and_who_can_waits() {
        let turns = Turns::new(2, Duration::from_millis(250));
        let caller = Uuid::nil();
        let ask = || Box::pin(turns.take(caller));
        let both = (ask().await.unwrap(), ask().await.unwrap());
        let mut many: Vec<_> = (0..100).map(|_| ask()).collect();
        assert!(many.iter_mut().all(|one| one.now_or_never().is_none()), "nothing is known of the pace yet");
        drop(many);
        turns.queues.lock().unwrap()[&caller].taken.store(100_000, Ordering::Relaxed);
        // At 100 ms a turn and two at once the third has its turn after 150 ms, and the fourth after 200.
        let mut three: Vec<_> = (0..3).map(|_| ask()).collect();
        assert!(three.iter_mut().all(|one| one.now_or_never().is_none()));
        assert!(ask().now_or_never().unwrap().is_err());
        assert!(turns.hope(caller).is_err() && turns.hope(Uuid::max()).is_ok());
        assert!(turns.take(Uuid::max()).now_or_never().unwrap().is_ok(), "another caller's queue is its own");
        drop(both);
        for one in three {
            assert!(one.await.is_ok());
        }
        assert!(turns.hope(caller).is_ok());
        turns.tidy();
        assert!(turns.queues.lock().unwrap().is_empty());
    }
}
