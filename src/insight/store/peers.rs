//! How partners stand among their peers, as it was found month by month.

use crate::auth::{AnalystScope, Tenant};
use crate::db::{Tx, sql};
use crate::health::AsKnown;
use crate::insight::dimension::Dimension;
use crate::insight::place::Place;
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId};
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, Bool, Date, Jsonb, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

/// Where a partner stood in a group at the end of a month.
#[derive(Debug, Clone, PartialEq)]
pub struct Stood {
    /// Who.
    pub partner: PartnerId,
    /// The last day of the month.
    pub closed_on: NaiveDate,
    /// By what is grouped; `None` for all customers.
    pub dimension: Option<Dimension>,
    /// Which group, empty where nobody said; `None` for the small ones together.
    pub group: Option<String>,
    /// By each figure.
    pub places: Vec<Place>,
}

fn word(dimension: Option<Dimension>) -> &'static str {
    dimension.map_or("all", Dimension::as_str)
}

/// Whether partners have been compared by the end of a month.
pub async fn is_compared(tx: &Tx<AnalystScope>, closed_on: NaiveDate) -> Result<bool, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        done: bool,
    }
    let row: Option<Row> = tx
        .row(
            sql("SELECT EXISTS (SELECT 1 FROM ops.compared_month WHERE vendor_id = {} AND closed_on = {}) AS done")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<Date, _>(closed_on),
        )
        .await?;
    Ok(row.is_some_and(|row| row.done))
}

/// Notes that partners are compared by the end of a month; `false` when they were before.
pub async fn compare_once(tx: &Tx<AnalystScope>, closed_on: NaiveDate) -> Result<bool, Fault> {
    let done = tx
        .run(sql("INSERT INTO ops.compared_month (vendor_id, closed_on) VALUES ({}, {}) ON CONFLICT DO NOTHING").bind::<SqlUuid, _>(tx.scope().vendor()).bind::<Date, _>(closed_on))
        .await?;
    Ok(done == 1)
}

/// Keeps where partners stood.
pub async fn keep_stood(tx: &Tx<AnalystScope>, found: &[Stood]) -> Result<(), Fault> {
    let places: Vec<serde_json::Value> = found.iter().map(|stood| serde_json::to_value(&stood.places).map_err(Fault::internal)).collect::<Result<_, _>>()?;
    tx.run(
        sql("INSERT INTO todoku.peer_standing (vendor_id, partner_id, closed_on, dimension, others, group_key, known_from, places)
             SELECT {}, p, closed_on, dimension, others, group_key, {}, places FROM unnest({}, {}, {}, {}, {}, {}) AS u(p, closed_on, dimension, others, group_key, places)")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Timestamptz, _>(tx.now())
        .bind::<Array<SqlUuid>, _>(found.iter().map(|stood| stood.partner.uuid()).collect::<Vec<_>>())
        .bind::<Array<Date>, _>(found.iter().map(|stood| stood.closed_on).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(found.iter().map(|stood| word(stood.dimension)).collect::<Vec<_>>())
        .bind::<Array<Bool>, _>(found.iter().map(|stood| stood.group.is_none()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(found.iter().map(|stood| stood.group.clone().unwrap_or_default()).collect::<Vec<_>>())
        .bind::<Array<Jsonb>, _>(places),
    )
    .await
    .map(drop)
}

/// Where a partner stood at the end of the newest month up to a day, as known at a moment; empty when nothing could be told.
pub async fn stood<S: Tenant>(tx: &Tx<S>, partner: PartnerId, point: AsKnown) -> Result<Vec<Stood>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        partner_id: Uuid,
        #[diesel(sql_type = Date)]
        closed_on: NaiveDate,
        #[diesel(sql_type = Text)]
        dimension: String,
        #[diesel(sql_type = Bool)]
        others: bool,
        #[diesel(sql_type = Text)]
        group_key: String,
        #[diesel(sql_type = Jsonb)]
        places: serde_json::Value,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT partner_id, closed_on, dimension, others, group_key, places FROM todoku.peer_standing WHERE vendor_id = {} AND partner_id = {} AND closed_on =
                   (SELECT max(closed_on) FROM todoku.peer_standing WHERE vendor_id = {} AND partner_id = {} AND closed_on <= {} AND known_from <= {})
                 ORDER BY dimension, others, group_key")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner.uuid())
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner.uuid())
            .bind::<Date, _>(point.on)
            .bind::<Timestamptz, _>(point.known_at),
        )
        .await?;
    let read = |row: Row| {
        Ok(Stood {
            partner: PartnerId::of(row.partner_id),
            closed_on: row.closed_on,
            dimension: row.dimension.parse().ok(),
            group: (!row.others).then_some(row.group_key),
            places: serde_json::from_value(row.places).map_err(Fault::internal)?,
        })
    };
    rows.into_iter().map(read).collect()
}
