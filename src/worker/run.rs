//! Claim, run, settle.

use super::schedule;
use crate::auth::{SystemScope, WorkerScope};
use crate::db::Tx;
use crate::directory;
use crate::health;
use crate::insight;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::ledger::{self, Claimed, JobKind};
use crate::state::State;
use crate::telemetry;
use chrono::{Duration, NaiveDate};
use std::time::Instant;
use tokio::sync::Mutex;

/// A lease outlives the 30 s a statement may take; a job whose lease has run out is claimed again.
const LEASE: Duration = Duration::seconds(60);
/// A job's transaction is cut after this long, well within its lease.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
/// The schedule is looked at this often.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// Works until it is dropped.
pub async fn work(state: &State) {
    let poll = std::time::Duration::from_millis(state.config.worker.poll_ms);
    let schedule = async {
        loop {
            if let Err(fault) = schedule::tick(state).await {
                tracing::warn!(%fault, "the schedule could not be kept");
            }
            tokio::time::sleep(TICK).await;
        }
    };
    let turn = Mutex::new(());
    let place = || async {
        loop {
            match claim_and_run(state, &turn).await {
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
    };
    futures_util::future::join(schedule, futures_util::future::join_all((0..places(state)).map(|_| place()))).await;
}

/// Runs jobs until none is due; answers how many ran.
pub async fn run_due(state: &State) -> Result<usize, Fault> {
    let turn = Mutex::new(());
    let place = || async {
        let mut ran = 0;
        loop {
            match claim_and_run(state, &turn).await? {
                0 => return Ok::<usize, Fault>(ran),
                some => ran += some,
            }
        }
    };
    Ok(futures_util::future::try_join_all((0..places(state)).map(|_| place())).await?.into_iter().sum())
}

/// How many partners are worked for side by side; one connection is left to the schedule.
fn places(state: &State) -> usize {
    state.config.database.pool_worker.saturating_sub(1).max(1)
}

/// Claims one partner's jobs and runs them. `turn` keeps the places of this process from claiming over each other.
async fn claim_and_run(state: &State, turn: &Mutex<()>) -> Result<usize, Fault> {
    let mut jobs = {
        let _turn = turn.lock().await;
        let tx = state.db.begin_write(SystemScope::worker()).await?;
        let claimed = ledger::claim_jobs(&tx, LEASE).await?;
        if claimed.is_empty() {
            tx.rollback().await;
            return Ok(0);
        }
        tx.commit().await?;
        claimed
    };
    jobs.sort_by_key(|job| (job.run_at, job.id));
    if let Some(job) = jobs.first() {
        settle(state, WorkerScope::for_job(job.vendor_id, job.partner_id), &jobs).await;
    }
    Ok(jobs.len())
}

async fn settle(state: &State, scope: WorkerScope, jobs: &[Claimed]) {
    let begun = Instant::now();
    let result = run(state, scope, jobs).await;
    let seconds = begun.elapsed().as_secs_f64();
    for job in jobs {
        telemetry::job(&job.kind, if result.is_ok() { "done" } else { "failed" }, seconds);
    }
    let Err(fault) = result else { return };
    let tried = jobs.iter().map(|job| job.attempt).max().unwrap_or(0);
    for job in jobs {
        tracing::warn!(job = %job.id, kind = job.kind, attempt = job.attempt, %fault, "job failed");
    }
    // Doubling from one second to about a quarter of an hour.
    let pause = Duration::seconds(1 << tried.clamp(0, 10));
    let put_back = async {
        let tx = state.db.begin_write(SystemScope::worker()).await?;
        let again = tx.now() + pause;
        ledger::fail_jobs(&tx, jobs, &fault.to_string(), again).await?;
        tx.commit().await
    };
    if let Err(fault) = put_back.await {
        // Their leases will run out.
        tracing::warn!(jobs = jobs.len(), %fault, "jobs could not be put back");
    }
}

async fn run(state: &State, scope: WorkerScope, jobs: &[Claimed]) -> Result<(), Fault> {
    let tx = state.db.begin_batch(scope).await?;
    let performed = tokio::time::timeout(LIMIT, perform(&tx, jobs)).await;
    match performed.unwrap_or_else(|_| Err(Fault::unavailable(Code::Overloaded, "the jobs took too long"))) {
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

/// Does a partner's jobs and takes them away; `false` when another worker has one of them by now. A score asked for before a
/// day began belongs into the close of the day before; one asked for later is made by the turn of the day, with all others.
async fn perform(tx: &Tx<WorkerScope>, jobs: &[Claimed]) -> Result<bool, Fault> {
    let days: Vec<NaiveDate> = jobs.iter().filter_map(|job| job.day).collect();
    let turns = match days.iter().min() {
        Some(first) => Some(directory::calendar(tx).await?.zone.start_of(*first)),
        None => None,
    };
    let mut rescoring = health::Rescoring::default();
    for job in jobs {
        let covered = turns.is_some_and(|turn| job.run_at >= turn);
        match JobKind::of(&job.kind) {
            Some(JobKind::Daily) => {}
            Some(JobKind::Rescore | JobKind::RescoreFull) if covered => {}
            Some(JobKind::Rescore) => rescoring.both_views(&job.subjects),
            Some(JobKind::RescoreFull) => rescoring.vendor_view(&job.subjects),
            None => return Err(Fault::internal(format!("a job of unknown kind {}", job.kind))),
        }
    }
    rescoring.run(tx).await?;
    for day in days {
        health::hold_customers(tx).await?;
        if let Some(yesterday) = day.pred_opt() {
            insight::close_cells(tx, yesterday).await?;
        }
        health::turn_day(tx, day).await?;
    }
    insight::fold(tx).await?;
    ledger::finish_jobs(tx, jobs).await
}
