//! What happens by the clock: events get their numbers, days turn, partitions are made ahead, answers are forgotten.

use crate::auth::{ScheduleScope, SystemScope};
use crate::directory;
use crate::intake;
use crate::kernel::error::Fault;
use crate::kernel::id::VendorId;
use crate::ledger::{self, Job, JobKind};
use crate::state::State;
use chrono::NaiveDate;

/// Does everything that is due now; doing it again at once does nothing.
pub async fn tick(state: &State) -> Result<(), Fault> {
    loop {
        let tx = state.db.begin_write(SystemScope::worker()).await?;
        let stamped = ledger::stamp_events(&tx).await?;
        ledger::forget_expired(&tx).await?;
        tx.commit().await?;
        if (stamped as i64) < ledger::STAMPED {
            break;
        }
    }
    turn_days(state).await
}

/// Turns the day of each vendor whose midnight has passed: one job per partner, enqueued once. One vendor's trouble is not
/// another's.
async fn turn_days(state: &State) -> Result<(), Fault> {
    let tx = state.db.begin_read(SystemScope::worker()).await?;
    let now = tx.now();
    let vendors = directory::all_vendors(&tx).await;
    tx.rollback().await;
    let mut turned = false;
    for vendor in vendors? {
        match turn(state, vendor.id, vendor.zone.day_of(now)).await {
            Ok(done) => turned |= done,
            Err(fault) => tracing::warn!(vendor = %vendor.id, %fault, "the day could not be turned"),
        }
    }
    if turned {
        let tx = state.db.begin_write(SystemScope::worker()).await?;
        intake::keep_partitions(&tx).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Turns one vendor's day; `false` when it was turned before.
async fn turn(state: &State, vendor: VendorId, day: NaiveDate) -> Result<bool, Fault> {
    let tx = state.db.begin_write(ScheduleScope::for_vendor(vendor)).await?;
    if !ledger::turn_day_once(&tx, day).await? {
        tx.rollback().await;
        return Ok(false);
    }
    let partners = directory::all_partner_ids(&tx).await?;
    let jobs: Vec<Job> = partners.into_iter().map(|partner| Job { kind: JobKind::Daily, partner, subjects: Vec::new(), day: Some(day) }).collect();
    ledger::enqueue(&tx, &jobs).await?;
    tx.commit().await?;
    Ok(true)
}
