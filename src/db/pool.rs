//! One small pool per login role, and the clock every transaction takes its `now` from.

use super::scope::Login;
use crate::config;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::time::{Moment, to_micros};
use chrono::{DateTime, Utc};
use deadpool::managed::Timeouts;
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::{Object, Pool, PoolError};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(5);

/// Where "now" comes from: the database in life, a hand on the dial in tests and in the demo's past.
#[derive(Clone, Default)]
pub enum Clock {
    /// The database's time when the transaction began.
    #[default]
    Live,
    /// A moment somebody set, in microseconds since 1970.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `moment`.
    pub fn at(moment: Moment) -> Self {
        Self::Set(Arc::new(AtomicI64::new(moment.timestamp_micros())))
    }

    /// Turns a set clock; a live one cannot be turned.
    pub fn turn_to(&self, moment: Moment) {
        if let Self::Set(micros) = self {
            micros.store(moment.timestamp_micros(), Ordering::SeqCst);
        }
    }

    /// The time outside any transaction: for tokens and limits.
    pub fn now(&self) -> Moment {
        self.set_time().unwrap_or_else(|| to_micros(Utc::now()))
    }

    /// The set moment; `None` for a live clock.
    pub(super) fn set_time(&self) -> Option<Moment> {
        match self {
            Self::Live => None,
            Self::Set(micros) => DateTime::from_timestamp_micros(micros.load(Ordering::SeqCst)),
        }
    }
}

/// Where the database is: enough to connect as any of the login roles.
#[derive(Clone)]
pub struct Place {
    /// Connection parameters without user and password.
    pub base: tokio_postgres::Config,
    /// The prefix of the role names.
    pub role_prefix: String,
    /// The password of the login roles, if they need one.
    pub password: Option<config::Secret>,
}

impl Place {
    /// The parameters of one role.
    pub fn as_role(&self, role: &str) -> tokio_postgres::Config {
        let mut parameters = self.base.clone();
        parameters.user(format!("{}_{role}", self.role_prefix)).application_name("todoku").connect_timeout(CONNECTING);
        if let Some(password) = &self.password {
            parameters.password(password.reveal());
        }
        parameters
    }
}

/// The authorities of the machine (and of `SSL_CERT_FILE`), read once.
static AUTHORITIES: LazyLock<Result<MakeRustlsConnect, String>> = LazyLock::new(|| {
    let (tls, faults) = MakeRustlsConnect::with_native_certs().map_err(|faults| format!("no certificate authorities: {faults:?}"))?;
    for fault in faults {
        tracing::warn!(%fault, "a certificate authority was passed over");
    }
    Ok(tls)
});

/// Connects with the given parameters. The connection task ends when the connection is dropped. `sslmode=require` encrypts and,
/// unlike libpq's, always verifies the server's certificate; otherwise the connection is plain.
pub(super) async fn connect(parameters: &tokio_postgres::Config) -> diesel::ConnectionResult<AsyncPgConnection> {
    let bad = |cause: String| diesel::ConnectionError::BadConnection(cause);
    if parameters.get_ssl_mode() == SslMode::Require {
        let tls = AUTHORITIES.as_ref().map_err(|cause| bad(cause.clone()))?.clone();
        let (client, connection) = parameters.connect(tls).await.map_err(|e| bad(told(&e)))?;
        return AsyncPgConnection::try_from_client_and_connection(client, connection).await;
    }
    let (client, connection) = parameters.connect(tokio_postgres::NoTls).await.map_err(|e| bad(told(&e)))?;
    AsyncPgConnection::try_from_client_and_connection(client, connection).await
}

/// An error with what caused it: the client's own words end before the reason.
fn told(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

struct Inner {
    pools: [Pool<AsyncPgConnection>; Login::ALL.len()],
    queue: usize,
}

/// The database as the house sees it. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
    clock: Clock,
    patience: Duration,
}

impl Db {
    /// Makes the pools; connects to nothing yet.
    pub fn new(place: &Place, settings: &config::Database, clock: Clock) -> Result<Self, Fault> {
        let patience = Duration::from_millis(settings.pool_wait_ms);
        let pool = |login: Login, size: usize| {
            let parameters = place.as_role(login.name());
            let mut manager = ManagerConfig::<AsyncPgConnection>::default();
            manager.recycling_method = RecyclingMethod::Fast;
            manager.custom_setup = Box::new(move |_| {
                let parameters = parameters.clone();
                Box::pin(async move { connect(&parameters).await })
            });
            Pool::builder(AsyncDieselConnectionManager::new_with_config("", manager)).max_size(size).runtime(deadpool::Runtime::Tokio1).build().map_err(Fault::internal)
        };
        let pools = [
            pool(Login::Partner, settings.pool_partner)?,
            pool(Login::Staff, settings.pool_staff)?,
            pool(Login::Worker, settings.pool_worker)?,
            pool(Login::Auth, settings.pool_auth)?,
            // One vendor is analysed at a time.
            pool(Login::Analyst, 1)?,
        ];
        Ok(Self { inner: Arc::new(Inner { pools, queue: settings.pool_queue }), clock, patience })
    }

    /// The clock all transactions of this database go by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How long a caller waits for a connection.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// The same database for a caller who has waited already.
    pub fn patient_for(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    pub(super) async fn connection(&self, login: Login) -> Result<Object<AsyncPgConnection>, Fault> {
        let pool = &self.inner.pools[login as usize];
        if pool.status().waiting >= self.inner.queue {
            return Err(Fault::unavailable(Code::Overloaded, "too many requests wait for a connection"));
        }
        let limits = Timeouts { wait: Some(self.patience), create: Some(CONNECTING), recycle: None };
        pool.timeout_get(&limits).await.map_err(|error| match error {
            PoolError::Timeout(_) => Fault::unavailable(Code::Overloaded, "no connection became free in time"),
            other => Fault::unavailable(Code::DatabaseUnavailable, other),
        })
    }

    /// Closes all connections; later requests are told that the database is unavailable.
    pub fn close(&self) {
        self.inner.pools.iter().for_each(Pool::close);
    }
}
