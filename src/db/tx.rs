//! A transaction that carries its authority. Scope, read-only and time limits are set in the message that begins it; a
//! connection whose transaction did not end in a confirmed COMMIT or ROLLBACK never serves another request. A read is begun by
//! the message of its first statement and ended behind the caller's back: a look at one thing is one round trip.

use super::fault::fault;
use super::pool::Db;
use super::scope::{Login, Scope};
use super::sql::{Sql, sql};
use super::turn::Turn;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::TypeId;
use crate::kernel::time::{Moment, to_micros};
use diesel::pg::Pg;
use diesel::result::DatabaseErrorKind;
use diesel::sql_types::{Timestamptz, Untyped};
use diesel::{QueryResult, QueryableByName};
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::FutureExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How long a dropped transaction may take to be rolled back before its connection is thrown away.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(2);

/// How long a COMMIT may take before its outcome is called unknown.
const COMMIT_LIMIT: Duration = Duration::from_secs(10);

/// How long beginning a transaction may take beyond the wait for a connection, further tries among it.
const OPEN_LIMIT: Duration = Duration::from_secs(2);

/// What a transaction is for; decides its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Study,
    Write,
    Batch,
}

impl Kind {
    /// Reads see one snapshot, however many statements they take: figures and the day they are for belong together. What goes over many rows may hash them:
    /// a list that does not fit is searched from its beginning for each row.
    fn begin(self) -> &'static str {
        match self {
            Kind::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;SET LOCAL statement_timeout='2s';SET LOCAL lock_timeout='500ms';",
            Kind::Study => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;SET LOCAL statement_timeout='30s';SET LOCAL lock_timeout='500ms';SET LOCAL work_mem='32MB';",
            Kind::Write => "BEGIN;SET LOCAL statement_timeout='2s';SET LOCAL lock_timeout='1500ms';",
            Kind::Batch => "BEGIN;SET LOCAL statement_timeout='30s';SET LOCAL lock_timeout='5s';SET LOCAL work_mem='32MB';",
        }
    }
}

impl Kind {
    /// A second more than the server gives each statement.
    fn limit(self) -> Duration {
        match self {
            Kind::Read | Kind::Write => Duration::from_secs(3),
            Kind::Study | Kind::Batch => Duration::from_secs(31),
        }
    }

    /// What all statements may take together that are done for a caller (SECURITY c.6). Of what is written, what is older than a minute is settled (DECISIONS 5). Studies follow one upon the
    /// other and have no such end.
    fn whole(self) -> Duration {
        match self {
            Kind::Read | Kind::Write => Duration::from_secs(5),
            Kind::Batch => Duration::from_secs(30),
            Kind::Study => Duration::MAX,
        }
    }
}

#[derive(QueryableByName)]
struct Began {
    #[diesel(sql_type = Timestamptz)]
    at: Moment,
}

/// An open transaction in a scope. Dropped without [`Tx::commit`], it rolls back.
pub struct Tx<S: Scope> {
    conn: Unfinished,
    scope: S,
    opening: Mutex<Option<Opening>>,
    now: OnceLock<Moment>,
    turn: Option<Turn>,
    // PostgreSQL answers COMMIT after a failed statement with a quiet ROLLBACK; such a transaction must not be called done.
    failed: AtomicBool,
    silent: AtomicBool,
    made: AtomicU32,
    kind: Kind,
}

/// What begins a transaction, until it is sent.
struct Opening {
    prefix: String,
    set: Option<Moment>,
}

/// What a server that does not answer at all is called: its own time limit cannot end a statement.
fn silence() -> diesel::result::Error {
    diesel::result::Error::DatabaseError(DatabaseErrorKind::UnableToSendCommand, Box::new("the database does not answer".to_owned()))
}

// No async functions around it: each would hold what is done once more, and every request has one.
fn within<T>(whole: Duration, deed: impl Future<Output = Result<T, Fault>>) -> impl Future<Output = Result<T, Fault>> {
    tokio::time::timeout(whole, deed).map(|done| done.unwrap_or_else(|_| Err(Fault::unavailable(Code::Overloaded, "the transaction took too long"))))
}

impl Db {
    /// Begins a read-only transaction: a statement that writes fails in PostgreSQL. Nothing is sent before its first statement, so one whose connection
    /// died unnoticed is told to come back; and its first statement cannot bind the moment.
    pub async fn begin_read<S: Scope>(&self, scope: S) -> Result<Tx<S>, Fault> {
        let opening = self.opening(&scope, Kind::Read);
        let conn = tokio::time::timeout(OPEN_LIMIT + self.patience(), self.connection(scope.login())).await.unwrap_or_else(|_| Err(fault(silence())))?;
        Ok(Tx::over(Unfinished(Some(conn)), scope, Kind::Read, Some(opening), OnceLock::new()))
    }

    /// Begins a read-only transaction over many rows, with 30 s for each statement.
    pub async fn begin_study<S: Scope>(&self, scope: S) -> Result<Tx<S>, Fault> {
        self.begin(scope, Kind::Study).await
    }

    /// Begins a transaction of a single write.
    pub async fn begin_write<S: Scope>(&self, scope: S) -> Result<Tx<S>, Fault> {
        self.begin(scope, Kind::Write).await
    }

    /// Begins a transaction over many rows, with 30 s for each statement.
    pub async fn begin_batch<S: Scope>(&self, scope: S) -> Result<Tx<S>, Fault> {
        self.begin(scope, Kind::Batch).await
    }

    fn opening<S: Scope>(&self, scope: &S, kind: Kind) -> Opening {
        Opening { prefix: format!("{}{}", kind.begin(), scope.settings().prefix()), set: self.clock().set_time() }
    }

    /// What is written bears the moment from the first statement on, so this waits for it.
    async fn begin<S: Scope>(&self, scope: S, kind: Kind) -> Result<Tx<S>, Fault> {
        let opening = self.opening(&scope, kind);
        let begun = tokio::time::timeout(OPEN_LIMIT + self.patience(), self.try_begin(scope.login(), &opening)).await;
        let (conn, now) = begun.unwrap_or_else(|_| Err(fault(silence())))?;
        Ok(Tx::over(conn, scope, kind, None, now.into()))
    }

    async fn try_begin(&self, login: Login, opening: &Opening) -> Result<(Unfinished, Moment), Fault> {
        // A pooled connection may have died unnoticed. Until the prefix is acknowledged nothing has happened, so the rest of
        // the pool, and then a fresh connection, may be tried.
        let mut last = None;
        for _ in 0..3 {
            let conn = Unfinished(Some(self.connection(login).await?));
            match conn.open(opening).await {
                Ok(now) => return Ok((conn, now)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| Fault::of(Code::DatabaseUnavailable), fault))
    }
}

impl<S: Scope> Tx<S> {
    fn over(conn: Unfinished, scope: S, kind: Kind, opening: Option<Opening>, now: OnceLock<Moment>) -> Self {
        let (failed, silent) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { conn, scope, opening: Mutex::new(opening), now, turn: None, failed, silent, made: AtomicU32::new(0), kind }
    }

    /// Holds its caller's turn at the database until its connection is back.
    pub fn holding(mut self, turn: Turn) -> Self {
        turn.used();
        self.turn = Some(turn);
        self
    }

    /// The moment this transaction happens at: bound as a parameter, never read in SQL. A read has none before its first statement is answered.
    pub fn now(&self) -> Moment {
        debug_assert!(self.now.get().is_some(), "a read has no moment before its first statement");
        self.now.get().copied().unwrap_or_default()
    }

    /// The authority it runs with.
    pub fn scope(&self) -> &S {
        &self.scope
    }

    /// A new id: ordered by this transaction's moment, and within it by the order of the calls.
    pub fn new_id<I: TypeId>(&self) -> I {
        let millis = self.now().timestamp_millis().max(0) as u64;
        let mut random = [0u8; 10];
        // A machine without randomness makes ids that collide, and a collision is refused by the primary key.
        let _ = aws_lc_rs::rand::fill(&mut random);
        // Behind the moment a counter of 26 bits, so that ids of one transaction sort in the order they were made.
        let n = self.made.fetch_add(1, Ordering::Relaxed);
        random[0] = (n >> 22) as u8 & 0x0f;
        random[1] = (n >> 14) as u8;
        random[2] = (n >> 8) as u8 & 0x3f;
        random[3] = n as u8;
        I::of(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    async fn watch<T>(&self, statement: impl Future<Output = QueryResult<T>>) -> QueryResult<T> {
        let opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner).take();
        let whole = async {
            let Some(opening) = opening else { return statement.await };
            // Polled first, and so sent first: a statement never runs before its scope.
            let (begun, result) = futures_util::future::join(self.conn.open(&opening), statement).await;
            let _ = self.now.set(begun?);
            result
        };
        let result = tokio::time::timeout(self.kind.limit(), whole).await.unwrap_or_else(|_| {
            self.silent.store(true, Ordering::Relaxed);
            Err(silence())
        });
        if result.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Runs a statement for its rows. Statements that do not depend on each other may be joined: they share a round trip.
    pub async fn rows<R>(&self, statement: Sql) -> Result<Vec<R>, Fault>
    where
        R: QueryableByName<Pg> + diesel::deserialize::FromSqlRow<Untyped, Pg> + Send + 'static,
    {
        self.try_rows(statement).await.map_err(fault)
    }

    /// Runs a statement for its rows, leaving the error to a caller who expects a certain one.
    pub async fn try_rows<R>(&self, statement: Sql) -> QueryResult<Vec<R>>
    where
        R: QueryableByName<Pg> + diesel::deserialize::FromSqlRow<Untyped, Pg> + Send + 'static,
    {
        let mut conn = self.conn.get()?;
        self.watch(statement.load::<R>(&mut conn)).await
    }

    /// Runs a statement for at most one row.
    pub async fn row<R>(&self, statement: Sql) -> Result<Option<R>, Fault>
    where
        R: QueryableByName<Pg> + diesel::deserialize::FromSqlRow<Untyped, Pg> + Send + 'static,
    {
        Ok(self.rows(statement).await?.pop())
    }

    /// Runs a statement for its effect; answers how many rows it touched.
    pub async fn run(&self, statement: Sql) -> Result<usize, Fault> {
        self.try_run(statement).await.map_err(fault)
    }

    /// Runs a statement for its effect, leaving the error to a caller who expects a certain one.
    pub async fn try_run(&self, statement: Sql) -> QueryResult<usize> {
        let mut conn = self.conn.get()?;
        self.watch(statement.execute(&mut conn)).await
    }

    /// From here on locks are waited for as a single write waits.
    pub async fn wait_as_a_write(&self) -> Result<(), Fault> {
        self.run(sql("SET LOCAL lock_timeout = '1500ms'")).await.map(drop)
    }

    /// From here on locks are waited for as a batch waits.
    pub async fn wait_as_a_batch(&self) -> Result<(), Fault> {
        self.run(sql("SET LOCAL lock_timeout = '5s'")).await.map(drop)
    }

    /// Makes it last. Runs in a task of its own, so that a caller who goes away cannot cut it between COMMIT and the
    /// answer. A connection lost on the way leaves the outcome unknown, and says so.
    pub async fn commit(mut self) -> Result<(), Fault> {
        if AtomicBool::load(&self.failed, Ordering::Relaxed) {
            return Err(Fault::internal("commit after a failed statement"));
        }
        let mut guard = self.conn.hand_over();
        let ended = tokio::spawn(async move {
            let mut conn = guard.get()?;
            let result = tokio::time::timeout(COMMIT_LIMIT, conn.batch_execute("COMMIT")).await.unwrap_or_else(|_| Err(silence()));
            if result.is_ok() {
                guard.release();
            }
            result
        })
        .await;
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let fault = fault(error);
                match fault.code {
                    // A log that is full may hold this COMMIT, and not the next.
                    Code::DatabaseUnavailable | Code::StorageExhausted => Err(Fault::unavailable(Code::OutcomeUnknown, fault)),
                    _ => Err(fault),
                }
            }
            Err(error) => Err(Fault::unavailable(Code::OutcomeUnknown, error)),
        }
    }

    /// Does a deed in it: made to last if it succeeds, undone if not.
    pub async fn settle<T>(self, deed: impl AsyncFnOnce(&Self) -> Result<T, Fault>) -> Result<T, Fault> {
        match deed(&self).await {
            Ok(done) => self.commit().await.map(|()| done),
            Err(fault) => {
                self.rollback().await;
                Err(fault)
            }
        }
    }

    /// Looks at something in it. What was seen stands; the end of it is not waited for.
    pub async fn look<T>(self, look: impl AsyncFnOnce(&Self) -> Result<T, Fault>) -> Result<T, Fault> {
        look(&self).await
    }

    /// Does what is done for a caller in the time a transaction of its kind has; what takes longer is left where it is, for the caller to undo.
    pub fn in_time<T>(&self, deed: impl Future<Output = Result<T, Fault>>) -> impl Future<Output = Result<T, Fault>> {
        within(self.kind.whole(), deed)
    }

    /// Undoes it, and hands the connection back once PostgreSQL has confirmed.
    pub async fn rollback(mut self) {
        if let Some(guard) = self.left_to_undo() {
            roll_back(guard, self.turn.take()).await;
        }
    }

    /// The connection, if there is something to undo on it. One that nothing was sent on goes back to the pool; a server that did not answer is not
    /// asked again, and loses it.
    fn left_to_undo(&mut self) -> Option<Unfinished> {
        let mut guard = self.conn.hand_over();
        let unsent = self.opening.get_mut().unwrap_or_else(PoisonError::into_inner).is_some();
        if unsent {
            guard.release();
        }
        let silent = AtomicBool::load(&self.silent, Ordering::Relaxed);
        (guard.0.is_some() && !silent).then_some(guard)
    }
}

impl<S: Scope> Drop for Tx<S> {
    fn drop(&mut self) {
        // Whatever is in flight comes first, then the ROLLBACK, then the pool.
        if let (Some(guard), Ok(runtime)) = (self.left_to_undo(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(roll_back(guard, self.turn.take()));
        }
    }
}

async fn roll_back(mut guard: Unfinished, _turn: Option<Turn>) {
    let Ok(mut conn) = guard.get() else { return };
    let confirmed = tokio::time::timeout(ROLLBACK_LIMIT, conn.batch_execute("ROLLBACK")).await;
    if matches!(confirmed, Ok(Ok(()))) {
        guard.release();
    }
}

/// A connection inside a transaction: dropped, it leaves the pool for good and PostgreSQL undoes its work.
struct Unfinished(Option<Object<AsyncPgConnection>>);

impl Unfinished {
    fn get(&self) -> QueryResult<&AsyncPgConnection> {
        self.0.as_deref().ok_or(diesel::result::Error::NotInTransaction)
    }

    /// Begins the transaction; answers its moment.
    async fn open(&self, opening: &Opening) -> QueryResult<Moment> {
        let conn = self.get()?;
        let (mut for_prefix, mut for_now) = (conn, conn);
        let prefix = for_prefix.batch_execute(&opening.prefix);
        match opening.set {
            Some(now) => prefix.await.map(|()| now),
            None => {
                // One round trip: the clock is read behind the prefix in the same pipeline.
                let now = sql("SELECT pg_catalog.transaction_timestamp() AS at").get_result::<Began>(&mut for_now);
                let (prefix, now) = futures_util::future::join(prefix, now).await;
                prefix?;
                now.map(|row| to_micros(row.at))
            }
        }
    }

    fn hand_over(&mut self) -> Self {
        Self(self.0.take())
    }

    /// Back to the pool: PostgreSQL has confirmed the end.
    fn release(&mut self) {
        drop(self.0.take());
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(conn) = self.0.take() {
            drop(Object::take(conn));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_takes_too_long_is_told_to_come_back_and_a_study_goes_on() {
        let never = std::future::pending::<Result<(), Fault>>;
        assert_eq!(within(Duration::ZERO, never()).await.unwrap_err().code, Code::Overloaded);
        assert!(within(Duration::ZERO, async { Ok(()) }).await.is_ok(), "what is done is done");
        assert!(within(Kind::Study.whole(), async { Ok(()) }).await.is_ok());
    }
}
