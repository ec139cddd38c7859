//! Jobs of health: scoring in both views, and the turn of a day.

use super::flow::{SHARED, VENDOR, rescore};
use super::store;
use crate::auth::WorkerScope;
use crate::db::Tx;
use crate::directory::calendar;
use crate::kernel::error::Fault;
use chrono::NaiveDate;
use uuid::Uuid;

/// Scores customers again in both views; all of the partner's when none is named.
pub async fn run_rescore(tx: &Tx<WorkerScope>, customers: &[Uuid]) -> Result<(), Fault> {
    let list = if customers.is_empty() { None } else { Some(customers.to_vec()) };
    rescore(tx, list, &[SHARED, VENDOR]).await
}

/// Scores customers again in the vendor's view alone: what only the vendor was told moves nothing the partner sees.
pub async fn run_rescore_full(tx: &Tx<WorkerScope>, customers: &[Uuid]) -> Result<(), Fault> {
    rescore(tx, Some(customers.to_vec()), &[VENDOR]).await
}

/// Keeps reports about the partner's customers out until the transaction ends, so that a close and the scores after it fit.
pub async fn hold_customers(tx: &Tx<WorkerScope>) -> Result<(), Fault> {
    store::lock_customers(tx, None).await.map(drop)
}

/// Moves the partner's scoring day and scores every customer for it. A day that is over by now is passed over for today.
pub async fn turn_day(tx: &Tx<WorkerScope>, day: NaiveDate) -> Result<(), Fault> {
    let today = calendar(tx).await?.zone.day_of(tx.now());
    store::move_scoring_day(tx, today.max(day)).await?;
    rescore(tx, None, &[SHARED, VENDOR]).await
}
