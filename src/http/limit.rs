//! Rates and what is told about them: one budget per caller and kind of request, another per address before a token is shown
//! (SECURITY c.6). Never a global counter: nobody learns of another's traffic.

use super::room::{Memory, Room};
use crate::config;
use crate::db::Turns;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, MonotonicClock, StateInformationMiddleware>;

/// The kinds of requests with a budget of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// GET and HEAD.
    Read,
    /// Everything that changes something.
    Write,
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Write => "write",
        }
    }
}

/// How much of a budget is left, for the `RateLimit` headers.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    class: Class,
    per_second: u32,
    left: u32,
}

impl Budget {
    /// Writes the two headers of the IETF draft.
    pub fn write(self, headers: &mut HeaderMap) {
        let Self { class, per_second, left } = self;
        for (name, value) in [("ratelimit-policy", format!("\"{}\";q={per_second};w=1", class.name())), ("ratelimit", format!("\"{}\";r={left};t=1", class.name()))] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// All budgets of this process.
pub struct Limits {
    read: Limiter<Uuid>,
    write: Limiter<Uuid>,
    token: Limiter<(Uuid, Option<IpAddr>)>,
    address: Limiter<IpAddr>,
    read_per_second: u32,
    write_per_second: u32,
    batches: Places,
    all_batches: Places,
    coming: Memory,
    /// Something large was done since memory was given back: a batch, or the start.
    is_spent: AtomicBool,
    flights: Places,
    /// Turns at the database.
    pub turns: Turns,
}

fn limiter<K: std::hash::Hash + Eq + Clone>(per_second: u32, burst: u32) -> Limiter<K> {
    let positive = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_second(positive(per_second)).allow_burst(positive(burst));
    RateLimiter::<K, _, _>::new(quota, DashMapStateStore::default(), MonotonicClock).with_middleware()
}

fn check<K: std::hash::Hash + Eq + Clone>(limiter: &Limiter<K>, key: &K, policy: &'static str) -> Result<u32, Fault> {
    match limiter.check_key(key) {
        Ok(state) => Ok(state.remaining_burst_capacity()),
        Err(not_until) => {
            let wait = not_until.wait_time_from(MonotonicClock.now());
            Err(Fault { policy: Some(policy), ..Fault::of(Code::QuotaExceeded).after(wait.as_secs() as u32 + 1) })
        }
    }
}

/// There is room for so many times as many of the largest as batches may run.
const COMING: usize = 4;

impl Limits {
    /// Budgets as configured.
    /// A turn at the database is waited for as long as a connection is, `turn_wait`.
    pub fn new(limits: &config::Limits, turn_wait: Duration) -> Self {
        Self {
            read: limiter(limits.read_per_second, limits.read_burst),
            write: limiter(limits.write_per_second, limits.write_burst),
            token: limiter(limits.token_per_second, limits.token_burst),
            address: limiter(limits.address_per_second, limits.address_burst),
            read_per_second: limits.read_per_second,
            write_per_second: limits.write_per_second,
            batches: Places::of(limits.batches_at_once),
            all_batches: Places::of(limits.batches_of_all),
            coming: Memory::for_bodies(COMING * limits.batches_of_all as usize),
            is_spent: AtomicBool::new(true),
            flights: Places::of(2),
            turns: Turns::new(limits.transactions_at_once, turn_wait),
        }
    }

    /// Takes one request out of a caller's budget.
    pub fn request(&self, caller: Uuid, class: Class) -> Result<Budget, Fault> {
        let (limiter, per_second) = match class {
            Class::Read => (&self.read, self.read_per_second),
            Class::Write => (&self.write, self.write_per_second),
        };
        check(limiter, &caller, class.name()).map(|left| Budget { class, per_second, left })
    }

    /// Takes one token request out of a client's budget at an address.
    pub fn token(&self, client: Uuid, address: Option<IpAddr>) -> Result<(), Fault> {
        check(&self.token, &(client, address), "token").map(drop)
    }

    /// Takes one request out of an address's budget.
    pub fn address(&self, address: IpAddr) -> Result<(), Fault> {
        check(&self.address, &address, "address").map(drop)
    }

    /// Takes one of a caller's places for a batch, and room for its body; given back when dropped.
    /// Refused at once, before a body is sent in vain, while no batch more could run; and on its way when those that come fill the memory.
    pub fn batch(&self, caller: Uuid) -> Result<(Place, Room), Fault> {
        let own = self.batches.take(caller).ok_or_else(|| Fault { policy: Some("batches"), ..Fault::of(Code::QuotaExceeded).after(1) })?;
        if self.all_batches.is_full() {
            return Err(Self::too_many_batches());
        }
        Ok((own, self.coming.room()))
    }

    fn too_many_batches() -> Fault {
        Fault::unavailable(Code::Overloaded, "too many batches run")
    }

    /// Takes one of the process's places for a running batch: they hold connections for long, and others need some.
    pub fn any_batch(&self) -> Result<Place, Fault> {
        let place = self.all_batches.take(Uuid::nil()).ok_or_else(Self::too_many_batches)?;
        self.is_spent.store(true, Ordering::Relaxed);
        Ok(place)
    }

    /// Takes a place for an idempotent request: one that runs and one that waits for it. A third is told to come back, so that
    /// equal requests cannot hold all connections (SECURITY c.4).
    pub fn flight(&self, key: Uuid) -> Result<Place, Fault> {
        self.flights.take(key).ok_or_else(|| Fault::of(Code::IdempotencyInProgress).after(1))
    }

    /// Forgets callers whose budgets are full again, and gives back what the start and batches took once none runs any more; called now and then.
    pub fn tidy(&self) {
        if self.all_batches.is_empty() && self.is_spent.swap(false, Ordering::Relaxed) {
            give_back();
        }
        self.read.retain_recent();
        self.write.retain_recent();
        self.token.retain_recent();
        self.address.retain_recent();
        self.turns.tidy();
    }
}

/// Gives back to the system what large bodies took: by itself glibc's allocator keeps it for the next, in an arena of each thread that ever read one. Some milliseconds.
fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "malloc_trim has no conditions: it touches nothing that is in use")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A bounded number of places per key.
struct Places {
    taken: Arc<Mutex<HashMap<Uuid, u32>>>,
    most: u32,
}

impl Places {
    fn of(most: u32) -> Self {
        Self { taken: Arc::default(), most }
    }

    fn is_full(&self) -> bool {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).values().any(|count| *count >= self.most)
    }

    fn is_empty(&self) -> bool {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn take(&self, key: Uuid) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(key).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { key, taken: self.taken.clone() })
    }
}

/// A place that is given back when dropped.
pub struct Place {
    key: Uuid,
    taken: Arc<Mutex<HashMap<Uuid, u32>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}
