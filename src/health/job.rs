//! Jobs of health: scoring in both views, and the turn of a day.

use super::flow::{SHARED, VENDOR, rescore};
use super::store;
use crate::auth::WorkerScope;
use crate::db::Tx;
use crate::directory::calendar;
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
        // All locks at once, in order of id: two sets after each other could deadlock with a request.
        let all: Vec<Uuid> = self.both.union(&self.vendor).copied().collect();
        store::lock_customers(tx, Some(all)).await?;
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

/// Moves the partner's scoring day and scores every customer for it. A day that is over by now is passed over for today.
pub async fn turn_day(tx: &Tx<WorkerScope>, day: NaiveDate) -> Result<(), Fault> {
    let today = calendar(tx).await?.zone.day_of(tx.now());
    store::move_scoring_day(tx, today.max(day)).await?;
    rescore(tx, None, &[SHARED, VENDOR]).await
}
