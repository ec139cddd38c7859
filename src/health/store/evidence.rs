//! What a score is made from: the customers, locked, with their evidence, worth and reports, and the day they are scored for.

use super::broken;
use crate::auth::{Tenant, WorkerScope};
use crate::db::{Tx, sql};
use crate::directory::{CustomerState, TouchModel};
use crate::health::evidence::Evidence;
use crate::kernel::error::Fault;
use crate::kernel::id::{MeasureId, TypeId};
use crate::kernel::time::{Moment, Zone};
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Date, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// A customer as a score needs it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Whether it stands in figures.
    pub counted: bool,
    /// How closely it is looked after.
    pub touch_model: TouchModel,
}

#[derive(QueryableByName)]
struct FactsRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Text)]
    touch_model: String,
}

/// Customers of the acting partner, unlocked: for the vendor's view, which the worker alone writes, one run per partner at a
/// time. Its locks would be felt by the partner, and tell of what it must not know.
pub async fn customers<S: Tenant>(tx: &Tx<S>, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Facts>, Fault> {
    let statement = sql("SELECT id, state, touch_model FROM todoku.customer WHERE vendor_id = {} AND partner_id = {} AND id = ANY ({})")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().acts()?)
        .bind::<Array<SqlUuid>, _>(ids);
    facts(tx.rows(statement).await?)
}

fn facts(rows: Vec<FactsRow>) -> Result<HashMap<Uuid, Facts>, Fault> {
    rows.into_iter()
        .map(|row| {
            let state: CustomerState = row.state.parse().map_err(broken)?;
            Ok((row.id, Facts { counted: state.counts(), touch_model: row.touch_model.parse().map_err(broken)? }))
        })
        .collect()
}

/// Locks customers of the acting partner, in order of id so that two requests cannot deadlock; all of them when no list is
/// given. Whoever scores a customer in the shared view holds this lock, so that no evidence is overlooked between two of them.
pub async fn lock_customers<S: Tenant>(tx: &Tx<S>, customers: Option<Vec<Uuid>>) -> Result<HashMap<Uuid, Facts>, Fault> {
    let (vendor, partner) = (tx.scope().vendor(), tx.scope().acts()?);
    let statement = match customers {
        Some(ids) => sql("SELECT id, state, touch_model FROM todoku.customer WHERE vendor_id = {} AND partner_id = {} AND id = ANY ({}) ORDER BY id FOR NO KEY UPDATE")
            .bind::<SqlUuid, _>(vendor)
            .bind::<SqlUuid, _>(partner)
            .bind::<Array<SqlUuid>, _>(ids),
        None => sql("SELECT id, state, touch_model FROM todoku.customer WHERE vendor_id = {} AND partner_id = {} ORDER BY id FOR NO KEY UPDATE")
            .bind::<SqlUuid, _>(vendor)
            .bind::<SqlUuid, _>(partner),
    };
    facts(tx.rows(statement).await?)
}

#[derive(QueryableByName)]
struct EvidenceRow {
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    measure_id: Uuid,
    #[diesel(sql_type = Text)]
    evidence: String,
    #[diesel(sql_type = Text)]
    audience: String,
    #[diesel(sql_type = Double)]
    value: f64,
    #[diesel(sql_type = Date)]
    day: NaiveDate,
}

/// The evidence in force about customers of the acting partner since a moment: of reports the revision in force, of one day of
/// one measure the last word of each class, so that saying a thing often makes it no weightier. With each, whether its partner
/// may see it. Only what has one of these `audiences` is read: what the vendor knows takes none of a partner's time.
pub async fn evidence<S: Tenant>(tx: &Tx<S>, zone: Zone, customers: Vec<Uuid>, since: Moment, audiences: &[&'static str]) -> Result<HashMap<Uuid, Vec<(Evidence, bool)>>, Fault> {
    let (vendor, partner) = (tx.scope().vendor(), tx.scope().acts()?);
    let rows: Vec<EvidenceRow> = tx
        .rows(
            sql("SELECT DISTINCT ON (customer_id, measure_id, evidence, audience, day) customer_id, measure_id, evidence, audience, value, day FROM (
                   SELECT o.customer_id, o.measure_id, o.evidence, o.audience, o.value, (o.observed_at AT TIME ZONE {})::date AS day, o.observed_at, o.arrival
                   FROM todoku.observation o
                   WHERE o.vendor_id = {} AND o.partner_id = {} AND o.customer_id = ANY ({}) AND o.audience = ANY ({}) AND o.observed_at >= {} AND o.observed_at < {}
                     AND (o.report_id IS NULL OR EXISTS (SELECT 1 FROM todoku.status_report_head h
                       WHERE h.vendor_id = o.vendor_id AND h.partner_id = o.partner_id AND h.customer_id = o.customer_id AND h.report_id = o.report_id))) said
                 ORDER BY customer_id, measure_id, evidence, audience, day, observed_at DESC, arrival DESC")
            .bind::<Text, _>(zone.name())
            .bind::<SqlUuid, _>(vendor)
            .bind::<SqlUuid, _>(partner)
            .bind::<Array<SqlUuid>, _>(customers)
            .bind::<Array<Text>, _>(audiences.to_vec())
            .bind::<Timestamptz, _>(since)
            // Nothing is dated this far ahead; the months made ahead are not looked at.
            .bind::<Timestamptz, _>(tx.now() + chrono::Duration::days(1)),
        )
        .await?;
    let mut found: HashMap<Uuid, Vec<(Evidence, bool)>> = HashMap::new();
    for row in rows {
        let item = Evidence { measure: MeasureId::of(row.measure_id), class: row.evidence.parse().map_err(broken)?, value: row.value, day: row.day };
        found.entry(row.customer_id).or_default().push((item, row.audience == "shared"));
    }
    Ok(found)
}

/// A subscription as its value needs it.
#[derive(QueryableByName)]
#[allow(missing_docs, reason = "the columns of subscription")]
pub struct Priced {
    #[diesel(sql_type = SqlUuid)]
    pub customer_id: Uuid,
    #[diesel(sql_type = BigInt)]
    pub amount_minor: i64,
    #[diesel(sql_type = Integer)]
    pub period_months: i32,
    #[diesel(sql_type = Text)]
    pub currency: String,
    #[diesel(sql_type = Nullable<Date>)]
    pub renews_on: Option<NaiveDate>,
}

/// The subscriptions of customers of the acting partner that run on a day.
pub async fn running_subscriptions<S: Tenant>(tx: &Tx<S>, customers: Vec<Uuid>, on: NaiveDate) -> Result<Vec<Priced>, Fault> {
    tx.rows(
        sql("SELECT customer_id, amount_minor, period_months, currency, renews_on FROM todoku.subscription
             WHERE vendor_id = {} AND partner_id = {} AND customer_id = ANY ({}) AND starts_on <= {} AND (ends_on IS NULL OR ends_on >= {})")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().acts()?)
        .bind::<Array<SqlUuid>, _>(customers)
        .bind::<Date, _>(on)
        .bind::<Date, _>(on),
    )
    .await
}

/// The rates in force on a day: billionths of the reporting currency for one unit.
pub async fn rates<S: Tenant>(tx: &Tx<S>, on: NaiveDate) -> Result<HashMap<String, i64>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        currency: String,
        #[diesel(sql_type = BigInt)]
        rate_nano: i64,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT DISTINCT ON (currency) currency, rate_nano FROM todoku.currency_rate WHERE vendor_id = {} AND valid_from <= {} ORDER BY currency, valid_from DESC")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<Date, _>(on),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.currency, row.rate_nano)).collect())
}

/// The last day each customer of the acting partner was reported on.
pub async fn last_reports<S: Tenant>(tx: &Tx<S>, customers: Vec<Uuid>) -> Result<HashMap<Uuid, NaiveDate>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = Date)]
        last: NaiveDate,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT customer_id, max(period_end) AS last FROM todoku.status_report_head WHERE vendor_id = {} AND partner_id = {} AND customer_id = ANY ({}) GROUP BY customer_id")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(tx.scope().acts()?)
                .bind::<Array<SqlUuid>, _>(customers),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.customer_id, row.last)).collect())
}

/// The day the acting partner's customers are scored for; none before its first day was turned.
pub async fn scoring_day<S: Tenant>(tx: &Tx<S>) -> Result<Option<NaiveDate>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Date)]
        day: NaiveDate,
    }
    let row: Option<Row> = tx
        .row(sql("SELECT day FROM todoku.scoring_day WHERE vendor_id = {} AND partner_id = {}").bind::<SqlUuid, _>(tx.scope().vendor()).bind::<SqlUuid, _>(tx.scope().acts()?))
        .await?;
    Ok(row.map(|row| row.day))
}

/// Moves the scoring day on.
pub async fn move_scoring_day(tx: &Tx<WorkerScope>, day: NaiveDate) -> Result<(), Fault> {
    tx.run(
        sql("INSERT INTO todoku.scoring_day (vendor_id, partner_id, day) VALUES ({}, {}, {})
             ON CONFLICT (vendor_id, partner_id) DO UPDATE SET day = greatest(scoring_day.day, excluded.day)")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().partner())
        .bind::<Date, _>(day),
    )
    .await
    .map(drop)
}
