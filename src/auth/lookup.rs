//! Secrets looked up for many at once: whoever asks while a look is under way shares the next one, so that sign-in costs the database by
//! the round trip and not by the token. Nothing is remembered: each answer was read after it was asked for.

use super::scope::SystemScope;
use super::store::{self, SecretRow};
use crate::db::{Db, Tx};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::time::Moment;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// The most secrets of one look.
const AT_ONCE: usize = 64;
/// The most who may wait; who comes behind them is told at once.
const WAITING: usize = 16 * AT_ONCE;
/// How long an answer is waited for. A look takes milliseconds; a database that is stuck must not hold everybody who signs in.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one look may take: the next goes over another connection.
const LOOK: Duration = Duration::from_millis(400);

/// What was found, and the moment it was read.
type Answer = Result<(Option<SecretRow>, Moment), Fault>;

/// Those who wait for a look.
#[derive(Default)]
pub struct Lookup(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    asked: Vec<(String, oneshot::Sender<Answer>)>,
    is_looking: bool,
}

impl Lookup {
    /// The secret with a public id, as it stands.
    pub async fn secret(self: &Arc<Self>, db: &Db, public_id: &str) -> Answer {
        let (tell, told) = oneshot::channel();
        let begins = {
            let mut waiting = self.waiting();
            if waiting.asked.len() >= WAITING {
                return Err(Fault::unavailable(Code::Overloaded, "too many wait for a look for secrets"));
            }
            waiting.asked.push((public_id.to_owned(), tell));
            !std::mem::replace(&mut waiting.is_looking, true)
        };
        if begins {
            // A task of its own: a caller who goes away leaves nobody waiting.
            tokio::spawn(Looking { lookup: self.clone(), is_over: false }.look(db.clone()));
        }
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(answer)) => answer,
            // It was cut off with the thread it ran on.
            Ok(Err(_)) => Err(Fault::unavailable(Code::DatabaseUnavailable, "a look for secrets ended without an answer")),
            Err(_) => Err(Fault::unavailable(Code::Overloaded, "secrets were not looked up in time")),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next to look for; when there are none the looking is over. Who went away is not looked for: a queue of the gone would keep those behind it
    /// waiting until they are gone as well.
    fn next(&self) -> Vec<(String, oneshot::Sender<Answer>)> {
        let mut waiting = self.waiting();
        waiting.asked.retain(|(_, tell)| !tell.is_closed());
        let some = waiting.asked.len().min(AT_ONCE);
        waiting.is_looking = some > 0;
        waiting.asked.drain(..some).collect()
    }
}

/// Looks for as long as somebody waits.
struct Looking {
    lookup: Arc<Lookup>,
    is_over: bool,
}

impl Looking {
    async fn look(mut self, db: Db) {
        loop {
            let some = self.lookup.next();
            if some.is_empty() {
                self.is_over = true;
                return;
            }
            let ids: Vec<String> = some.iter().map(|(id, _)| id.clone()).collect();
            let found = match found_of(&db, &ids).await {
                // The connection may have died unnoticed, and all who wait would be refused for it.
                Err(fault) if fault.code == Code::DatabaseUnavailable => found_of(&db, &ids).await,
                found => found,
            };
            for (id, tell) in some {
                let answer = found.as_ref().map(|(found, now)| (found.get(&id).cloned(), *now)).map_err(Fault::clone);
                // Who went away needs no answer.
                let _ = tell.send(answer);
            }
        }
    }
}

async fn found_of(db: &Db, ids: &[String]) -> Result<(HashMap<String, SecretRow>, Moment), Fault> {
    let look = async { db.begin_read(SystemScope::auth()).await?.look(async |tx: &Tx<SystemScope>| Ok((store::secrets(tx, ids.to_vec()).await?, tx.now()))).await };
    tokio::time::timeout(LOOK, look).await.unwrap_or_else(|_| Err(Fault::unavailable(Code::DatabaseUnavailable, "a look for secrets took too long")))
}

impl Drop for Looking {
    fn drop(&mut self) {
        // Cut off before its end: who waits is told by the end of its sender, and whoever comes next begins anew.
        if !self.is_over {
            *self.lookup.waiting() = Waiting::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts so many in the queue; their ends of it.
    fn queued(lookup: &Lookup, n: usize) -> Vec<oneshot::Receiver<Answer>> {
        let one = |i: usize| {
            let (tell, told) = oneshot::channel();
            lookup.waiting().asked.push((i.to_string(), tell));
            told
        };
        (0..n).map(one).collect()
    }

    #[test]
    fn who_went_away_is_not_looked_for() {
        let lookup = Lookup::default();
        let mut told = queued(&lookup, 3 * AT_ONCE);
        let left = told.split_off(2 * AT_ONCE + 1);
        drop(told);
        let next: Vec<String> = lookup.next().into_iter().map(|(id, _)| id).collect();
        assert_eq!((next.len(), next[0].as_str()), (AT_ONCE - 1, "129"));
        assert!(lookup.next().is_empty() && !lookup.waiting().is_looking);
        drop(left);
    }

    #[test]
    fn a_look_takes_so_many_and_leaves_the_others_in_their_order() {
        let lookup = Lookup::default();
        let told = queued(&lookup, AT_ONCE + 1);
        assert_eq!((lookup.next().len(), lookup.waiting().is_looking), (AT_ONCE, true));
        assert_eq!(lookup.next().into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [AT_ONCE.to_string()]);
        drop(told);
    }
}
