//! Snapshots: what one tells of a point in time, and its publication.

use super::figures::{moment_of, see_at};
use crate::auth::{StaffScope, Tenant};
use crate::db::Tx;
use crate::directory::Vendor;
use crate::health::{self, AsKnown, Card};
use crate::insight::cell::Cell;
use crate::insight::channel::{Channel, Tree};
use crate::insight::dimension::{Dimension, Facet};
use crate::insight::rollup::{ALL, RollUp, roll_up};
use crate::insight::store::{self, Snapshot};
use crate::kernel::error::Fault;
use crate::kernel::id::TypeId;
use crate::ledger::{Event, record_events};
use serde_json::json;
use std::collections::HashMap;
use uuid::Uuid;

/// What a snapshot groups by, each dimension by itself.
const GROUPED_BY: [Dimension; 5] = [Dimension::Region, Dimension::Segment, Dimension::TouchModel, Dimension::Product, Dimension::Stage];

/// Everything a snapshot tells.
pub struct Survey {
    /// The scorecards in force, by purpose and rank.
    pub cards: Vec<Card>,
    /// Over all customers, each once.
    pub total: Cell,
    /// By partner, in order of id.
    pub channels: Vec<Channel>,
    /// By group of each dimension.
    pub groups: Vec<(Dimension, RollUp)>,
}

/// Reads what a snapshot tells of a point in time; `None` when no day had closed by then.
pub async fn survey(tx: &Tx<StaffScope>, vendor: &Vendor, point: AsKnown) -> Result<Option<Survey>, Fault> {
    let seen = see_at(tx, vendor, point, Facet::ALL, true).await?;
    if seen.days.is_empty() {
        return Ok(None);
    }
    let by_dimension = GROUPED_BY.iter().map(async |by| {
        let groups = store::groups_of_days(tx, tx.scope().audience(), Facet::by(*by), false, &seen.days).await?;
        Ok::<_, Fault>((*by, roll_up(&[*by], groups, &Tree::default(), &ALL)))
    });
    let (groups, cards) = futures_util::try_join!(futures_util::future::try_join_all(by_dimension), health::cards_at(tx, moment_of(vendor, point)))?;
    let channels = seen.channels(&HashMap::new());
    Ok(Some(Survey { cards, total: channels.iter().map(|channel| channel.own).sum(), channels, groups }))
}

/// Keeps a snapshot for ever, with the very text that is published.
pub async fn publish(tx: &Tx<StaffScope>, caller: Uuid, author: Uuid, snapshot: &Snapshot, report: &str) -> Result<(), Fault> {
    store::keep_snapshot(tx, author, snapshot, report).await?;
    let event = Event { kind: "snapshot.published", subject: snapshot.id.uuid(), partner: None, data: json!({ "number": snapshot.number }) };
    record_events(tx, caller, &[event]).await
}
