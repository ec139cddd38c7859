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
use tokio::sync::Mutex;
use uuid::Uuid;

/// A lease outlives the 30 s a statement may take; a job whose lease has run out is claimed again.
const LEASE: Duration = Duration::seconds(60);
/// A job's transaction is cut after this long, well within its lease.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
/// The schedule is looked at this often.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);
/// Whether a day is left to be analysed is looked at this often.
const ANALYSIS: std::time::Duration = std::time::Duration::from_secs(60);

/// Works until it is dropped.
pub async fn work(state: &State) {
    let poll = std::time::Duration::from_millis(state.config.worker.poll_ms);
    let gather = std::time::Duration::from_millis(state.config.worker.gather_ms);
    let schedule = async {
        loop {
            if let Err(fault) = schedule::tick(state).await {
                tracing::warn!(%fault, "the schedule could not be kept");
            }
            tokio::time::sleep(TICK).await;
        }
    };
    let analysis = async {
        loop {
            if let Err(fault) = schedule::analyse_days(state).await {
                tracing::warn!(%fault, "nothing could be analysed");
            }
            tokio::time::sleep(ANALYSIS).await;
        }
    };
    let served = Mutex::default();
    let place = || async {
        loop {
            match claim_and_run(state, &served, gather).await {
                Ok(0) => {
                    if tokio::time::timeout(poll, state.wake.notified()).await.is_ok() {
                        tokio::time::sleep(gather.min(poll)).await;
                    }
                }
                Ok(_) => {}
                Err(fault) => {
                    tracing::warn!(%fault, "jobs could not be claimed");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    };
    futures_util::future::join3(schedule, analysis, futures_util::future::join_all((0..places(state)).map(|_| place()))).await;
}

/// Runs jobs until none is due, waiting for no more to come; answers how many ran.
pub async fn run_due(state: &State) -> Result<usize, Fault> {
    let served = Mutex::default();
    let place = || async {
        let mut ran = 0;
        loop {
            match claim_and_run(state, &served, std::time::Duration::ZERO).await? {
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

/// Claims the jobs of one partner, the oldest of which has waited for `gather`, and runs them. `served` is the partner served last; it keeps the places of
/// this process apart, too.
async fn claim_and_run(state: &State, served: &Mutex<(Uuid, Uuid)>, gather: std::time::Duration) -> Result<usize, Fault> {
    let (scope, jobs) = {
        let mut served = served.lock().await;
        let after = *served;
        let claimed = state.db.begin_write(SystemScope::worker()).await?.settle(async |tx| ledger::claim_jobs(tx, after, gather, LEASE).await).await?;
        let Some(first) = claimed.first() else { return Ok(0) };
        *served = (first.vendor_id, first.partner_id);
        (WorkerScope::for_job(first.vendor_id, first.partner_id), claimed)
    };
    settle(state, scope, &jobs).await;
    Ok(jobs.len())
}

async fn settle(state: &State, scope: WorkerScope, jobs: &[Claimed]) {
    let begun = Instant::now();
    let result = run(state, scope, jobs).await;
    let kind = jobs.first().map_or("none", |job| &job.kind);
    let outcome = match &result {
        Ok(true) => "done",
        Ok(false) => "lost",
        Err(_) => "failed",
    };
    telemetry::jobs(kind, outcome, jobs.len(), begun.elapsed().as_secs_f64());
    let Err(fault) = result else { return };
    let tried = jobs.iter().map(|job| job.attempt).max().unwrap_or(0);
    tracing::warn!(kind, jobs = jobs.len(), first = jobs.first().map(|job| job.id.to_string()), tried, %fault, "jobs failed");
    // Doubling from one second to about a quarter of an hour.
    let pause = Duration::seconds(1 << tried.clamp(0, 10));
    let put_back = async {
        let tx = state.db.begin_write(SystemScope::worker()).await?;
        tx.settle(async |tx| ledger::fail_jobs(tx, jobs, &fault.to_string(), tx.now() + pause).await).await
    };
    if let Err(fault) = put_back.await {
        // Their leases will run out.
        tracing::warn!(jobs = jobs.len(), %fault, "jobs could not be put back");
    }
}

/// Runs one partner's jobs in one transaction; `false` when another worker has one of them by now.
async fn run(state: &State, scope: WorkerScope, jobs: &[Claimed]) -> Result<bool, Fault> {
    let tx = state.db.begin_batch(scope).await?;
    let performed = tokio::time::timeout(LIMIT, perform(&tx, jobs)).await;
    match performed.unwrap_or_else(|_| Err(Fault::unavailable(Code::Overloaded, "the jobs took too long"))) {
        Ok(true) => tx.commit().await.map(|()| true),
        Ok(false) => {
            tx.rollback().await;
            Ok(false)
        }
        Err(fault) => {
            tx.rollback().await;
            Err(fault)
        }
    }
}

/// Does a partner's jobs and takes them away. The turn of a day comes alone, behind the scores asked for before it.
async fn perform(tx: &Tx<WorkerScope>, jobs: &[Claimed]) -> Result<bool, Fault> {
    let mut rescoring = health::Rescoring::default();
    for job in jobs {
        match (JobKind::of(&job.kind), job.day) {
            (Some(JobKind::Rescore), _) => rescoring.both_views(&job.subjects),
            (Some(JobKind::RescoreFull), _) => rescoring.vendor_view(&job.subjects),
            (Some(JobKind::Daily), Some(day)) => {
                health::hold_customers(tx).await?;
                if health::is_ahead(tx, day).await? {
                    insight::fold(tx).await?;
                    let closing = health::closing_day(tx, day).await?;
                    insight::close_cells(tx, closing).await?;
                    insight::close_lists(tx, closing).await?;
                    health::turn_day(tx, day).await?;
                }
            }
            _ => return Err(Fault::internal(format!("a job of unknown kind {}", job.kind))),
        }
    }
    rescoring.run(tx).await?;
    insight::fold(tx).await?;
    ledger::finish_jobs(tx, jobs).await
}
