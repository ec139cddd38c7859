//! What stands at the door of a process: limits, signing keys and the knowledge of tenants, kept fresh.

use super::keys::{Keyring, make_first_key};
use super::lookup::Lookup;
use super::principal::Caller;
use super::scope::{Grant, TenantScope};
use super::tenancy::Tenancy;
use crate::http::limit::Limits;
use crate::kernel::error::Fault;
use crate::kernel::id::PartnerId;
use crate::state::State;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How often tenants are looked at again; a revocation bites within two seconds.
const REFRESH: Duration = Duration::from_secs(1);

/// The door.
pub struct Gate {
    /// What all share.
    pub state: Arc<State>,
    /// Who may call.
    pub tenancy: Tenancy,
    /// How often.
    pub limits: Limits,
    /// Whose secrets are looked for.
    pub lookup: Arc<Lookup>,
    /// Assertions are looked at one at a time: nothing is proved before, and who makes them up must leave a connection to those who refresh what is known of
    /// tenants.
    pub assertions: Semaphore,
    keyring: RwLock<Arc<Keyring>>,
    // One reads at a time, so that an older reading never overtakes a newer one.
    reading_keys: tokio::sync::Mutex<()>,
}

impl Gate {
    /// The partner whose external ids a body uses. A partner uses its own: another is read-only to it, or does not exist.
    pub fn named_by(&self, caller: &Caller, asked: Option<PartnerId>) -> Result<Option<PartnerId>, Fault> {
        if caller.partner().is_some() {
            TenantScope::grant(caller, &self.tenancy, asked)?;
        }
        Ok(asked)
    }

    /// Opens the door: makes the first signing key if there is none, reads keys and tenants.
    pub async fn open(state: Arc<State>) -> Result<Self, Fault> {
        let tenancy = Tenancy::default();
        let keyring = async {
            make_first_key(&state.db, &state.keys).await?;
            Keyring::load(&state.db, &state.keys).await
        };
        let (keyring, ()) = tokio::try_join!(keyring, tenancy.refresh(&state.db))?;
        let limits = Limits::new(&state.config.limits, std::time::Duration::from_millis(state.config.database.pool_wait_ms));
        Ok(Self {
            state,
            tenancy,
            limits,
            lookup: Arc::default(),
            assertions: Semaphore::new(1),
            keyring: RwLock::new(Arc::new(keyring)),
            reading_keys: tokio::sync::Mutex::default(),
        })
    }

    /// The keys in use.
    pub fn keyring(&self) -> Arc<Keyring> {
        self.keyring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// 503 when tenants or keys were read too long ago: what was revoked since is not known here.
    pub fn check_fresh(&self) -> Result<(), Fault> {
        self.tenancy.check_fresh()?;
        self.keyring().check_fresh()
    }

    /// Our own name: issuer and audience of our tokens.
    pub fn issuer(&self) -> &str {
        &self.state.config.server.public_url
    }

    /// Looks at tenants at once after a change made here. The change is committed: failing to look only means a second's wait.
    pub async fn look_again(&self) {
        if let Err(fault) = self.tenancy.refresh(&self.state.db).await {
            tracing::warn!(%fault, "tenants could not be refreshed");
        }
    }

    /// Reads the signing keys again.
    pub async fn refresh_keys(&self) -> Result<(), Fault> {
        let _one = self.reading_keys.lock().await;
        let fresh = Arc::new(Keyring::load(&self.state.db, &self.state.keys).await?);
        *self.keyring.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Keeps the door's knowledge fresh for as long as it is polled.
    pub async fn keep_fresh(&self) {
        loop {
            tokio::time::sleep(REFRESH).await;
            if let Err(fault) = self.tenancy.refresh(&self.state.db).await {
                tracing::warn!(%fault, "tenants could not be refreshed");
            }
            if let Err(fault) = self.refresh_keys().await {
                tracing::warn!(%fault, "signing keys could not be refreshed");
            }
            self.limits.tidy();
        }
    }
}
