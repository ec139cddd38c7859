//! What happens by the clock: events get their numbers, days turn, partitions are made ahead, answers are forgotten.

use crate::auth::{ScheduleScope, SystemScope};
use crate::directory;
use crate::intake;
use crate::kernel::error::Fault;
use crate::ledger::{self, Job, JobKind};
use crate::state::State;

/// Does everything that is due now; doing it again at once does nothing.
pub async fn tick(state: &State) -> Result<(), Fault> {
    let tx = state.db.begin_write(SystemScope::worker()).await?;
    ledger::stamp_events(&tx).await?;
    tx.commit().await?;
    turn_days(state).await
}

/// Turns the day of each vendor whose midnight has passed: one job per partner, enqueued once.
async fn turn_days(state: &State) -> Result<(), Fault> {
    let tx = state.db.begin_read(SystemScope::worker()).await?;
    let now = tx.now();
    let vendors = directory::all_vendors(&tx).await;
    tx.rollback().await;
    for vendor in vendors? {
        let day = vendor.zone.day_of(now);
        let tx = state.db.begin_write(ScheduleScope::for_vendor(vendor.id)).await?;
        if !ledger::turn_day_once(&tx, day).await? {
            tx.rollback().await;
            continue;
        }
        let partners = directory::all_partner_ids(&tx).await?;
        let jobs: Vec<Job> = partners.into_iter().map(|partner| Job { kind: JobKind::Daily, partner, subjects: Vec::new(), day: Some(day) }).collect();
        ledger::enqueue(&tx, &jobs).await?;
        tx.commit().await?;
        tidy(state).await?;
    }
    Ok(())
}

/// What is done once a day: partitions for the months ahead, answers past their time.
async fn tidy(state: &State) -> Result<(), Fault> {
    let tx = state.db.begin_write(SystemScope::worker()).await?;
    ledger::forget_expired(&tx).await?;
    intake::keep_partitions(&tx).await?;
    tx.commit().await
}
