//! What a score is made from: the customers, locked, with their evidence, worth and reports, and the day they are scored for.

use super::broken;
use crate::auth::{StaffScope, Tenant, WorkerScope};
use crate::db::{Tx, sql};
use crate::directory::{CustomerState, TouchModel};
use crate::health::evidence::{Evidence, Origin};
use crate::health::scorecard::{Band, Purpose};
use crate::intake::OpenCase;
use crate::kernel::error::Fault;
use crate::kernel::id::{MeasureId, ReportId, TypeId};
use crate::kernel::time::{Moment, Zone};
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Date, Double, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// A customer as a score needs it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Where it stands.
    pub stage: CustomerState,
    /// How closely it is looked after.
    pub touch_model: TouchModel,
    /// Its region.
    pub region: Option<String>,
    /// Its segment.
    pub segment: Option<String>,
    /// Its business model.
    pub business_model: Option<String>,
}

#[derive(QueryableByName)]
struct FactsRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Text)]
    touch_model: String,
    #[diesel(sql_type = Nullable<Text>)]
    region: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    segment: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    business_model: Option<String>,
}

/// Customers of the acting partner, unlocked: for the vendor's view, which the worker alone writes, one run per partner at a
/// time. Its locks would be felt by the partner, and tell of what it must not know.
pub async fn customers<S: Tenant>(tx: &Tx<S>, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Facts>, Fault> {
    let statement = sql("SELECT id, state, touch_model, region, segment, business_model FROM todoku.customer WHERE vendor_id = {} AND partner_id = {} AND id = ANY ({})")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().acts()?)
        .bind::<Array<SqlUuid>, _>(ids);
    facts(tx.rows(statement).await?)
}

fn facts(rows: Vec<FactsRow>) -> Result<HashMap<Uuid, Facts>, Fault> {
    rows.into_iter()
        .map(|row| {
            let (stage, touch_model) = (row.state.parse().map_err(broken)?, row.touch_model.parse().map_err(broken)?);
            Ok((row.id, Facts { stage, touch_model, region: row.region, segment: row.segment, business_model: row.business_model }))
        })
        .collect()
}

/// Locks customers of the acting partner, in order of id so that two requests cannot deadlock; all of them when no list is
/// given. Whoever scores a customer in the shared view holds this lock, so that no evidence is overlooked between two of them.
pub async fn lock_customers<S: Tenant>(tx: &Tx<S>, customers: Option<Vec<Uuid>>) -> Result<HashMap<Uuid, Facts>, Fault> {
    let (vendor, partner) = (tx.scope().vendor(), tx.scope().acts()?);
    let statement = match customers {
        Some(ids) => sql(
            "SELECT id, state, touch_model, region, segment, business_model FROM todoku.customer WHERE vendor_id = {} AND partner_id = {} AND id = ANY ({}) ORDER BY id FOR NO KEY UPDATE",
        )
        .bind::<SqlUuid, _>(vendor)
        .bind::<SqlUuid, _>(partner)
        .bind::<Array<SqlUuid>, _>(ids),
        None => sql("SELECT id, state, touch_model, region, segment, business_model FROM todoku.customer WHERE vendor_id = {} AND partner_id = {} ORDER BY id FOR NO KEY UPDATE")
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

impl EvidenceRow {
    fn read(&self) -> Result<Evidence, Fault> {
        Ok(Evidence { measure: MeasureId::of(self.measure_id), class: self.evidence.parse().map_err(broken)?, value: self.value, day: self.day })
    }
}

/// The evidence in force about customers of a partner since a moment: of reports the revision in force, of one day of
/// one measure the last word of each class, so that saying a thing often makes it no weightier. With each, whether its partner
/// may see it. Only what has one of these `audiences` is read: what the vendor knows takes none of a partner's time.
pub async fn evidence<S: Tenant>(
    tx: &Tx<S>,
    partner: Uuid,
    zone: Zone,
    customers: Vec<Uuid>,
    since: Moment,
    audiences: &[&'static str],
) -> Result<HashMap<Uuid, Vec<(Evidence, bool)>>, Fault> {
    let vendor = tx.scope().vendor();
    let rows: Vec<EvidenceRow> = tx
        .rows(
            // The reports in force are looked up in a table of their own: one by one, and without statistics, each would be sought among all of the partner's.
            sql("WITH heads AS MATERIALIZED (SELECT report_id FROM todoku.status_report_head WHERE vendor_id = {} AND partner_id = {} AND customer_id = ANY ({}))
                 SELECT DISTINCT ON (customer_id, measure_id, evidence, audience, day) customer_id, measure_id, evidence, audience, value, day FROM (
                   SELECT o.customer_id, o.measure_id, o.evidence, o.audience, o.value, (o.observed_at AT TIME ZONE {})::date AS day, o.observed_at, o.arrival
                   FROM todoku.observation o
                   WHERE o.vendor_id = {} AND o.partner_id = {} AND o.customer_id = ANY ({}) AND o.audience = ANY ({}) AND o.observed_at >= {} AND o.observed_at < {}
                     AND (o.report_id IS NULL OR o.report_id IN (SELECT report_id FROM heads))) said
                 ORDER BY customer_id, measure_id, evidence, audience, day, observed_at DESC, arrival DESC")
            .bind::<SqlUuid, _>(vendor)
            .bind::<SqlUuid, _>(partner)
            .bind::<Array<SqlUuid>, _>(customers.clone())
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
        found.entry(row.customer_id).or_default().push((row.read()?, row.audience == "shared"));
    }
    Ok(found)
}

/// The same about one customer as it was known at a moment: of reports the revision that was in force then. Each with where it comes from.
pub async fn evidence_known<S: Tenant>(
    tx: &Tx<S>,
    (partner, customer): (Uuid, Uuid),
    zone: Zone,
    since: Moment,
    audiences: &[&'static str],
    known_at: Moment,
) -> Result<Vec<(Evidence, Origin)>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(embed)]
        said: EvidenceRow,
        #[diesel(sql_type = Nullable<SqlUuid>)]
        report_id: Option<Uuid>,
        #[diesel(sql_type = Timestamptz)]
        received_at: Moment,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT DISTINCT ON (measure_id, evidence, audience, day) customer_id, measure_id, evidence, audience, value, day, report_id, received_at FROM (
                   SELECT o.customer_id, o.measure_id, o.evidence, o.audience, o.value, (o.observed_at AT TIME ZONE {})::date AS day, o.observed_at, o.arrival, o.report_id, o.received_at
                   FROM todoku.observation o LEFT JOIN todoku.status_report n ON n.vendor_id = o.vendor_id AND n.partner_id = o.partner_id AND n.replaces_id = o.report_id
                   WHERE o.vendor_id = {} AND o.partner_id = {} AND o.customer_id = {} AND o.audience = ANY ({}) AND o.observed_at >= {} AND o.observed_at < {}
                     AND o.received_at <= {} AND (n.received_at IS NULL OR n.received_at > {})) said
                 ORDER BY measure_id, evidence, audience, day, observed_at DESC, arrival DESC")
            .bind::<Text, _>(zone.name())
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner)
            .bind::<SqlUuid, _>(customer)
            .bind::<Array<Text>, _>(audiences.to_vec())
            .bind::<Timestamptz, _>(since)
            .bind::<Timestamptz, _>(tx.now() + chrono::Duration::days(1))
            .bind::<Timestamptz, _>(known_at)
            .bind::<Timestamptz, _>(known_at),
        )
        .await?;
    rows.iter().map(|row| Ok((row.said.read()?, Origin { report: row.report_id.map(ReportId::of), received_at: row.received_at }))).collect()
}

/// A subscription as its value needs it.
#[derive(QueryableByName)]
#[allow(missing_docs, reason = "the columns of subscription")]
pub struct Priced {
    #[diesel(sql_type = SqlUuid)]
    pub customer_id: Uuid,
    #[diesel(sql_type = Text)]
    pub product: String,
    #[diesel(sql_type = BigInt)]
    pub amount_minor: i64,
    #[diesel(sql_type = Integer)]
    pub period_months: i32,
    #[diesel(sql_type = Text)]
    pub currency: String,
    #[diesel(sql_type = Nullable<Date>)]
    pub renews_on: Option<NaiveDate>,
}

/// The subscriptions of customers of a partner that run on a day.
pub async fn running_subscriptions<S: Tenant>(tx: &Tx<S>, partner: Uuid, customers: Vec<Uuid>, on: NaiveDate) -> Result<Vec<Priced>, Fault> {
    tx.rows(
        sql("SELECT customer_id, product, amount_minor, period_months, currency, renews_on FROM todoku.subscription
             WHERE vendor_id = {} AND partner_id = {} AND customer_id = ANY ({}) AND starts_on <= {} AND (ends_on IS NULL OR ends_on >= {})")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(partner)
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

/// The cases said to be open about customers of a partner: as the last statement in force says, up to a day.
pub async fn open_cases<S: Tenant>(tx: &Tx<S>, partner: Uuid, customers: Vec<Uuid>, on: NaiveDate) -> Result<HashMap<Uuid, Vec<OpenCase>>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = Jsonb)]
        open_cases: serde_json::Value,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT DISTINCT ON (r.customer_id) r.customer_id, r.open_cases FROM todoku.status_report r
                 WHERE r.vendor_id = {} AND r.partner_id = {} AND r.customer_id = ANY ({}) AND r.open_cases IS NOT NULL AND r.period_end <= {}
                   AND NOT EXISTS (SELECT 1 FROM todoku.status_report n WHERE n.vendor_id = r.vendor_id AND n.partner_id = r.partner_id AND n.replaces_id = r.id)
                 ORDER BY r.customer_id, r.period_end DESC, r.received_at DESC, r.id DESC")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner)
            .bind::<Array<SqlUuid>, _>(customers)
            .bind::<Date, _>(on),
        )
        .await?;
    rows.into_iter().map(|row| Ok((row.customer_id, serde_json::from_value(row.open_cases).map_err(Fault::internal)?))).collect()
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

/// A customer that stands in figures, as a simulation needs it.
#[derive(QueryableByName, Debug, Clone)]
#[allow(missing_docs, reason = "the columns of customer and health_score")]
pub struct Counted {
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub external_id: String,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Text)]
    touch_model: String,
    #[diesel(sql_type = Nullable<Text>)]
    region: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    segment: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    business_model: Option<String>,
    #[diesel(sql_type = BigInt)]
    pub value_minor: i64,
    #[diesel(sql_type = Nullable<Text>)]
    closed_in: Option<String>,
}

impl Counted {
    /// As a score needs it.
    pub fn facts(&self) -> Result<Facts, Fault> {
        let (stage, touch_model) = (self.state.parse().map_err(broken)?, self.touch_model.parse().map_err(broken)?);
        Ok(Facts { stage, touch_model, region: self.region.clone(), segment: self.segment.clone(), business_model: self.business_model.clone() })
    }

    /// The band it closed in last.
    pub fn closed_in(&self) -> Result<Option<Band>, Fault> {
        self.closed_in.as_ref().map(|band| band.parse().map_err(broken)).transpose()
    }
}

/// Every customer of the vendor that stands in figures, by partner.
pub async fn counted(tx: &Tx<StaffScope>, purpose: Purpose) -> Result<Vec<Counted>, Fault> {
    tx.rows(
        sql("SELECT c.partner_id, c.id, c.external_id, c.name, c.state, c.touch_model, c.region, c.segment, c.business_model, coalesce(v.value_minor, 0) AS value_minor, h.closed_in
             FROM todoku.customer c LEFT JOIN todoku.health_score v ON v.vendor_id = c.vendor_id AND v.partner_id = c.partner_id AND v.customer_id = c.id
               AND v.audience = 'vendor' AND v.purpose = 'churn' LEFT JOIN todoku.health_score h ON h.vendor_id = c.vendor_id AND h.partner_id = c.partner_id AND h.customer_id = c.id
               AND h.audience = 'vendor' AND h.purpose = {}
             WHERE c.vendor_id = {} AND c.state IN ('onboarding', 'active') ORDER BY c.partner_id, c.id")
        .bind::<Text, _>(purpose.as_str())
        .bind::<SqlUuid, _>(tx.scope().vendor()),
    )
    .await
}
