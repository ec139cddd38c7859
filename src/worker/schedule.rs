//! What happens by the clock: events get their numbers, days turn, partitions are made ahead, answers are forgotten.

use crate::auth::{AnalystScope, ScheduleScope, SystemScope};
use crate::db::Tx;
use crate::directory;
use crate::health;
use crate::insight;
use crate::intake;
use crate::kernel::error::Fault;
use crate::kernel::id::VendorId;
use crate::ledger::{self, Job, JobKind};
use crate::state::State;
use chrono::NaiveDate;

/// Does everything that is due now; doing it again at once does nothing. Each step for itself: one that fails holds up no other.
pub async fn tick(state: &State) -> Result<(), Fault> {
    let (turned, stamped, forgotten) = (turn_days(state).await, stamp(state).await, forget(state).await);
    turned.and(stamped).and(forgotten)
}

async fn stamp(state: &State) -> Result<(), Fault> {
    while step(state, ledger::stamp_events).await? as i64 >= ledger::STAMPED {}
    Ok(())
}

async fn forget(state: &State) -> Result<(), Fault> {
    step(state, ledger::forget_expired).await.map(drop)
}

async fn step(state: &State, deed: impl AsyncFnOnce(&Tx<SystemScope>) -> Result<usize, Fault>) -> Result<usize, Fault> {
    state.db.begin_write(SystemScope::worker()).await?.settle(deed).await
}

/// Turns the day of each vendor whose midnight has passed: one job per partner, enqueued once. One vendor's trouble is not
/// another's.
async fn turn_days(state: &State) -> Result<(), Fault> {
    let (now, vendors) = state.db.begin_read(SystemScope::worker()).await?.look(async |tx| directory::all_vendors(tx).await.map(|vendors| (tx.now(), vendors))).await?;
    for vendor in vendors {
        let day = vendor.zone.day_of(now);
        if let Err(fault) = turn(state, vendor.id, day).await {
            tracing::warn!(vendor = %vendor.id, %fault, "the day could not be turned");
        }
    }
    step(state, intake::keep_partitions).await.map(drop)
}

/// Analyses the day of each vendor, once; beside the schedule, because it takes its time. What it changes is scored again.
pub async fn analyse_days(state: &State) -> Result<(), Fault> {
    let (now, vendors) = state.db.begin_read(SystemScope::worker()).await?.look(async |tx| directory::all_vendors(tx).await.map(|vendors| (tx.now(), vendors))).await?;
    for vendor in vendors {
        if let Err(fault) = analyse(state, vendor.id, vendor.zone.day_of(now)).await {
            tracing::warn!(vendor = %vendor.id, %fault, "the day could not be analysed");
        }
    }
    Ok(())
}

/// Reads for as long as it takes, and writes in a moment: what is written bears the moment at which it is known (DECISIONS 5).
async fn analyse(state: &State, vendor: VendorId, day: NaiveDate) -> Result<(), Fault> {
    let study = async || state.db.begin_study(AnalystScope::for_vendor(vendor)).await;
    let keep = async || state.db.begin_write(AnalystScope::for_vendor(vendor)).await;
    if let Some(analysis) = study().await?.look(async |tx| health::estimate_biases(tx, day).await).await? {
        keep().await?.settle(async |tx| health::keep_analysis(tx, day, analysis).await).await?;
        let habits = async {
            let flags = study().await?.look(async |tx| health::quality_flags(tx, day).await).await?;
            keep().await?.settle(async |tx| health::keep_flags(tx, flags).await).await
        };
        // Once a day: what fails is counted with the next day, and holds up nothing else.
        if let Err(fault) = habits.await {
            tracing::warn!(%vendor, %fault, "how partners report could not be counted");
        }
    }
    if let Some(comparison) = study().await?.look(async |tx| insight::compare_peers(tx, day).await).await? {
        keep().await?.settle(async |tx| insight::keep_comparison(tx, comparison).await).await?;
    }
    let checks = study().await?.look(async |tx| insight::check_calibrations(tx, day).await).await?;
    if checks.is_empty() {
        return Ok(());
    }
    keep().await?.settle(async |tx| insight::keep_checks(tx, checks).await).await
}

/// Turns one vendor's day, once.
async fn turn(state: &State, vendor: VendorId, day: NaiveDate) -> Result<(), Fault> {
    let enqueue = async |tx: &Tx<ScheduleScope>| {
        if !ledger::turn_day_once(tx, day).await? {
            return Ok(());
        }
        let partners = directory::all_partner_ids(tx).await?;
        let jobs: Vec<Job> = partners.into_iter().map(|partner| Job { kind: JobKind::Daily, partner, subjects: Vec::new(), day: Some(day) }).collect();
        ledger::enqueue(tx, &jobs).await
    };
    state.db.begin_write(ScheduleScope::for_vendor(vendor)).await?.settle(enqueue).await
}
