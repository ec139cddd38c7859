//! How rosy reporters usually are.

use crate::auth::{AnalystScope, Tenant};
use crate::db::{Tx, sql};
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId};
use crate::kernel::time::Moment;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, Date, Integer, Nullable, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

/// A partner's customers of whom the vendor observed something, or its surveys heard something, since a moment.
pub async fn observed_customers(tx: &Tx<AnalystScope>, partner: Uuid, since: Moment) -> Result<Vec<Uuid>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT DISTINCT customer_id FROM todoku.observation
                 WHERE vendor_id = {} AND partner_id = {} AND audience = 'vendor' AND evidence IN ('vendor_observed', 'customer_voiced') AND observed_at >= {}")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner)
            .bind::<Timestamptz, _>(since),
        )
        .await?;
    Ok(rows.into_iter().map(|row| row.customer_id).collect())
}

/// An estimate as kept; figures in thousandths of a point, `shrink` of one.
#[derive(QueryableByName, Debug, Clone)]
#[allow(missing_docs, reason = "the columns of reporter_bias")]
pub struct Bias {
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub measure_id: Uuid,
    #[diesel(sql_type = Date)]
    pub estimated_on: NaiveDate,
    #[diesel(sql_type = Timestamptz)]
    pub known_from: Moment,
    #[diesel(sql_type = Integer)]
    pub bias: i32,
    #[diesel(sql_type = Integer)]
    pub raw: i32,
    #[diesel(sql_type = Integer)]
    pub pairs: i32,
    #[diesel(sql_type = Integer)]
    pub reporters: i32,
    #[diesel(sql_type = Integer)]
    pub shrink: i32,
    #[diesel(sql_type = Nullable<Integer>)]
    pub low: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub high: Option<i32>,
}

/// Keeps estimates of a day.
pub async fn keep_biases(tx: &Tx<AnalystScope>, list: &[Bias]) -> Result<(), Fault> {
    if list.is_empty() {
        return Ok(());
    }
    tx.run(
        sql("INSERT INTO todoku.reporter_bias (vendor_id, partner_id, measure_id, estimated_on, known_from, bias, raw, pairs, reporters, shrink, low, high)
             SELECT {}, u.* FROM unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) AS u ON CONFLICT DO NOTHING")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Array<SqlUuid>, _>(list.iter().map(|b| b.partner_id).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(list.iter().map(|b| b.measure_id).collect::<Vec<_>>())
        .bind::<Array<Date>, _>(list.iter().map(|b| b.estimated_on).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(list.iter().map(|b| b.known_from).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(list.iter().map(|b| b.bias).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(list.iter().map(|b| b.raw).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(list.iter().map(|b| b.pairs).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(list.iter().map(|b| b.reporters).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(list.iter().map(|b| b.shrink).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(list.iter().map(|b| b.low).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(list.iter().map(|b| b.high).collect::<Vec<_>>()),
    )
    .await
    .map(drop)
}

/// The newest estimate of every partner and measure of the vendor.
pub async fn standing_biases(tx: &Tx<AnalystScope>) -> Result<Vec<Bias>, Fault> {
    tx.rows(
        sql(
            "SELECT DISTINCT ON (partner_id, measure_id) partner_id, measure_id, estimated_on, known_from, bias, raw, pairs, reporters, shrink, low, high FROM todoku.reporter_bias
             WHERE vendor_id = {} ORDER BY partner_id, measure_id, estimated_on DESC",
        )
        .bind::<SqlUuid, _>(tx.scope().vendor()),
    )
    .await
}

/// The estimate of each measure of a partner that was the newest at a moment.
pub async fn newest_biases<S: Tenant>(tx: &Tx<S>, partner: PartnerId, at: Moment) -> Result<Vec<Bias>, Fault> {
    tx.rows(
        sql("SELECT DISTINCT ON (measure_id) partner_id, measure_id, estimated_on, known_from, bias, raw, pairs, reporters, shrink, low, high FROM todoku.reporter_bias
             WHERE vendor_id = {} AND partner_id = {} AND known_from <= {} ORDER BY measure_id, estimated_on DESC")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(partner.uuid())
        .bind::<Timestamptz, _>(at),
    )
    .await
}

/// Every estimate of a partner, newest first.
pub async fn all_biases<S: Tenant>(tx: &Tx<S>, partner: PartnerId) -> Result<Vec<Bias>, Fault> {
    tx.rows(
        sql("SELECT partner_id, measure_id, estimated_on, known_from, bias, raw, pairs, reporters, shrink, low, high FROM todoku.reporter_bias
             WHERE vendor_id = {} AND partner_id = {} ORDER BY estimated_on DESC, measure_id")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(partner.uuid()),
    )
    .await
}

/// Whether a vendor's day is analysed.
pub async fn is_analysed(tx: &Tx<AnalystScope>, day: NaiveDate) -> Result<bool, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Date)]
        #[allow(dead_code, reason = "that there is one says it")]
        day: NaiveDate,
    }
    let row: Option<Row> = tx.row(sql("SELECT day FROM ops.analysed_day WHERE vendor_id = {} AND day = {}").bind::<SqlUuid, _>(tx.scope().vendor()).bind::<Date, _>(day)).await?;
    Ok(row.is_some())
}

/// Notes that a vendor's day is analysed; `false` when it was before.
pub async fn analyse_day_once(tx: &Tx<AnalystScope>, day: NaiveDate) -> Result<bool, Fault> {
    let done =
        tx.run(sql("INSERT INTO ops.analysed_day (vendor_id, day) VALUES ({}, {}) ON CONFLICT DO NOTHING").bind::<SqlUuid, _>(tx.scope().vendor()).bind::<Date, _>(day)).await?;
    Ok(done == 1)
}
