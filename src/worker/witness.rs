//! Writes down what known callers were refused: in every process that serves, whether or not it runs jobs.

use crate::auth::WitnessScope;
use crate::db::Db;
use crate::kernel::error::Fault;
use crate::ledger::{self, Denial, Denials};
use crate::telemetry;
use std::time::Duration;

/// So often; equal refusals in between become one entry.
const PAUSE: Duration = Duration::from_secs(10);
/// The last ones may hold up the stop of the process for so long.
const LAST: Duration = Duration::from_secs(2);

/// Writes until it is told to stop, and once more then.
pub async fn witness(db: &Db, denials: &Denials, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    while tokio::time::timeout(PAUSE, &mut stop).await.is_err() {
        write_denials(db, denials).await;
    }
    if tokio::time::timeout(LAST, write_denials(db, denials)).await.is_err() {
        tracing::warn!("the last refusals could not be written down");
    }
}

/// Writes down what was refused since the last time; what cannot be written is kept for the next.
pub async fn write_denials(db: &Db, denials: &Denials) {
    for tenant in denials.take() {
        if let Err(fault) = record(db, &tenant).await {
            tracing::warn!(%fault, refusals = tenant.len(), "refusals could not be written down yet");
            for denial in tenant {
                let times = denial.times;
                if !denials.note(denial) {
                    telemetry::refusals_lost(times.unsigned_abs().into());
                }
            }
        }
    }
}

async fn record(db: &Db, tenant: &[Denial]) -> Result<(), Fault> {
    let Some(first) = tenant.first() else { return Ok(()) };
    db.begin_write(WitnessScope::of(&first.caller)).await?.settle(async |tx| ledger::record_denials(tx, tenant).await).await
}
