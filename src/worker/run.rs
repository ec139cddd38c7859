//! Claim, run, settle.

use super::schedule;
use crate::auth::{SystemScope, WorkerScope};
use crate::db::Tx;
use crate::health;
use crate::insight;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::ledger::{self, Claimed, JobKind};
use crate::state::State;
use crate::telemetry;
use chrono::Duration;
use std::time::Instant;

/// A lease outlives the 30 s a statement may take; a job whose lease has run out is claimed again.
const LEASE: Duration = Duration::seconds(60);
/// A job's transaction is cut after this long, well within its lease.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
/// The schedule is looked at this often.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// Works until it is dropped.
pub async fn work(state: &State) {
    let poll = std::time::Duration::from_millis(state.config.worker.poll_ms);
    let mut ticked: Option<Instant> = None;
    loop {
        if ticked.is_none_or(|at| at.elapsed() >= TICK) {
            ticked = Some(Instant::now());
            if let Err(fault) = schedule::tick(state).await {
                tracing::warn!(%fault, "the schedule could not be kept");
            }
        }
        match claim_and_run(state).await {
            Ok(0) => {
                let _ = tokio::time::timeout(poll, state.wake.notified()).await;
            }
            Ok(_) => {}
            Err(fault) => {
                tracing::warn!(%fault, "jobs could not be claimed");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}

/// Runs jobs until none is due; answers how many ran.
pub async fn run_due(state: &State) -> Result<usize, Fault> {
    let mut ran = 0;
    loop {
        match claim_and_run(state).await? {
            0 => return Ok(ran),
            some => ran += some,
        }
    }
}

async fn claim_and_run(state: &State) -> Result<usize, Fault> {
    // As many as can run side by side, so that no lease runs while its job waits.
    let places = state.config.database.pool_worker.saturating_sub(1).max(1);
    let tx = state.db.begin_write(SystemScope::worker()).await?;
    let claimed = ledger::claim_jobs(&tx, i32::try_from(places).unwrap_or(1), LEASE).await?;
    if claimed.is_empty() {
        tx.rollback().await;
        return Ok(0);
    }
    tx.commit().await?;
    // One per partner, so they do not wait for each other's locks.
    futures_util::future::join_all(claimed.iter().map(|job| settle(state, job))).await;
    Ok(claimed.len())
}

async fn settle(state: &State, job: &Claimed) {
    let begun = Instant::now();
    let result = run(state, job).await;
    let seconds = begun.elapsed().as_secs_f64();
    telemetry::job(&job.kind, if result.is_ok() { "done" } else { "failed" }, seconds);
    let Err(fault) = result else {
        tracing::debug!(job = %job.id, kind = job.kind, seconds, "job done");
        return;
    };
    tracing::warn!(job = %job.id, kind = job.kind, attempt = job.attempt, %fault, "job failed");
    // Doubling from one second to about a quarter of an hour.
    let pause = Duration::seconds(1 << job.attempt.clamp(0, 10));
    let put_back = async {
        let tx = state.db.begin_write(SystemScope::worker()).await?;
        let again = tx.now() + pause;
        ledger::fail_job(&tx, job, &fault.to_string(), again).await?;
        tx.commit().await
    };
    if let Err(fault) = put_back.await {
        // Its lease will run out.
        tracing::warn!(job = %job.id, %fault, "job could not be put back");
    }
}

async fn run(state: &State, job: &Claimed) -> Result<(), Fault> {
    let tx = state.db.begin_batch(WorkerScope::for_job(job.vendor_id, job.partner_id)).await?;
    let performed = tokio::time::timeout(LIMIT, perform(&tx, job)).await;
    match performed.unwrap_or_else(|_| Err(Fault::unavailable(Code::Overloaded, "the job took too long"))) {
        Ok(true) => tx.commit().await,
        Ok(false) => {
            tx.rollback().await;
            Ok(())
        }
        Err(fault) => {
            tx.rollback().await;
            Err(fault)
        }
    }
}

/// Does the job and takes it away; `false` when another worker has it by now.
async fn perform(tx: &Tx<WorkerScope>, job: &Claimed) -> Result<bool, Fault> {
    match (JobKind::of(&job.kind), job.day) {
        (Some(JobKind::Rescore), _) => health::run_rescore(tx, &job.subjects).await?,
        (Some(JobKind::RescoreFull), _) => health::run_rescore_full(tx, &job.subjects).await?,
        (Some(JobKind::Daily), Some(day)) => {
            health::hold_customers(tx).await?;
            if let Some(yesterday) = day.pred_opt() {
                insight::close_cells(tx, yesterday).await?;
            }
            health::turn_day(tx, day).await?;
        }
        _ => return Err(Fault::internal(format!("a job of unknown kind {}", job.kind))),
    }
    insight::fold(tx).await?;
    ledger::finish_job(tx, job).await
}
