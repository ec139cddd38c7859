//! Jobs of health: scoring in both views, and the turn of a day.

use super::flow::{SHARED, VENDOR, rescore, rescore_for};
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

/// Closes yesterday's cells and scores every customer of the partner for the new day. A day that is over is scored for today.
pub async fn turn_day(tx: &Tx<WorkerScope>, day: NaiveDate) -> Result<(), Fault> {
    let today = calendar(tx).await?.zone.day_of(tx.now());
    // Locking the customers first keeps reports out until the close and the new scores stand.
    store::lock_customers(tx, None).await?;
    if let Some(yesterday) = day.pred_opt() {
        store::close_cells(tx, yesterday).await?;
    }
    rescore_for(tx, None, &[SHARED, VENDOR], today.max(day)).await
}
