//! Jobs of health: scoring in both views, and the turn of a day.

use super::audience::{SHARED, VENDOR};
use super::flow::rescore;
use super::store;
use crate::auth::WorkerScope;
use crate::db::Tx;
use crate::kernel::error::Fault;
use chrono::NaiveDate;
use std::collections::BTreeSet;
use uuid::Uuid;

/// What several jobs ask to be scored again, each customer once.
#[derive(Debug, Default)]
pub struct Rescoring {
    everyone: bool,
    both: BTreeSet<Uuid>,
    vendor: BTreeSet<Uuid>,
}

impl Rescoring {
    /// Customers in both views; all of the partner's when none is named.
    pub fn both_views(&mut self, customers: &[Uuid]) {
        self.everyone |= customers.is_empty();
        self.both.extend(customers);
    }

    /// Customers in the vendor's view alone: what only the vendor was told moves nothing the partner sees.
    pub fn vendor_view(&mut self, customers: &[Uuid]) {
        self.vendor.extend(customers);
    }

    /// Scores them.
    pub async fn run(mut self, tx: &Tx<WorkerScope>) -> Result<(), Fault> {
        if self.everyone {
            return rescore(tx, None, &[SHARED, VENDOR]).await;
        }
        self.vendor.retain(|customer| !self.both.contains(customer));
        for (customers, views) in [(self.both, &[SHARED, VENDOR][..]), (self.vendor, &[VENDOR][..])] {
            if !customers.is_empty() {
                rescore(tx, Some(customers.into_iter().collect()), views).await?;
            }
        }
        Ok(())
    }
}

/// Keeps reports about the partner's customers out until the transaction ends, so that a close and the scores after it fit.
pub async fn hold_customers(tx: &Tx<WorkerScope>) -> Result<(), Fault> {
    store::lock_customers(tx, None).await.map(drop)
}

/// Whether a day is still to come for the partner: one that was overtaken by a later one is neither closed nor turned.
pub async fn is_ahead(tx: &Tx<WorkerScope>, day: NaiveDate) -> Result<bool, Fault> {
    Ok(store::scoring_day(tx).await?.is_none_or(|scored| scored < day))
}

/// The day that ends when another is turned: the one the partner's scores are for, or the day before where nothing was scored yet. After days
/// nobody worked it is not yesterday.
pub async fn closing_day(tx: &Tx<WorkerScope>, turned: NaiveDate) -> Result<NaiveDate, Fault> {
    Ok(store::scoring_day(tx).await?.unwrap_or(turned.pred_opt().unwrap_or(turned)))
}

/// Moves the partner's scoring day and scores every customer for it.
pub async fn turn_day(tx: &Tx<WorkerScope>, day: NaiveDate) -> Result<(), Fault> {
    store::close_bands(tx, closing_day(tx, day).await?).await?;
    store::move_scoring_day(tx, day).await?;
    rescore(tx, None, &[SHARED, VENDOR]).await
}
