//! Deeds of the ledger that no request waits for.

use super::denial::Denials;
use super::store;
use crate::auth::WitnessScope;
use crate::db::Db;
use crate::kernel::error::Fault;

/// Writes down what was refused since the last time. What cannot be written is lost, and said in the log: refusals change
/// nothing, so nothing hangs on them.
pub async fn write_denials(db: &Db, denials: &Denials) {
    for tenant in denials.take() {
        let Some(first) = tenant.first() else { continue };
        let written: Result<(), Fault> = async {
            let tx = db.begin_write(WitnessScope::of(&first.caller)).await?;
            match store::record_denials(&tx, &tenant).await {
                Ok(()) => tx.commit().await,
                Err(fault) => {
                    tx.rollback().await;
                    Err(fault)
                }
            }
        }
        .await;
        if let Err(fault) = written {
            tracing::warn!(%fault, refusals = tenant.len(), "refusals could not be written down");
        }
    }
}
