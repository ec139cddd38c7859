//! Rows of what we conclude: scorecards, the facts and evidence a score is made from, and the scores with the deltas of
//! the cells they stand in.

use super::evidence::Evidence;
use super::score::{Part, Score};
use super::scorecard::{Band, CardState, Scorecard};
use crate::auth::{StaffScope, Tenant, WorkerScope};
use crate::db::{Tx, sql};
use crate::directory::{CustomerState, TouchModel, locate_customer};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, MeasureId, ScorecardId, TypeId};
use crate::kernel::time::{Moment, Zone};
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Date, Double, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

fn broken(e: impl std::fmt::Debug) -> Fault {
    Fault::internal(format!("a stored value is broken: {e:?}"))
}

/// A scorecard as stored.
#[derive(Debug, Clone)]
pub struct Card {
    /// Its id.
    pub id: ScorecardId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: CardState,
    /// The policy.
    pub policy: Scorecard,
    /// Raised by each change of its state.
    pub version: i64,
    /// When it was created.
    pub created_at: Moment,
}

#[derive(QueryableByName)]
struct CardRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Jsonb)]
    policy: serde_json::Value,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: Moment,
}

impl CardRow {
    fn read(self) -> Result<Card, Fault> {
        Ok(Card {
            id: ScorecardId::of(self.id),
            name: self.name,
            state: self.state.parse().map_err(broken)?,
            policy: serde_json::from_value(self.policy).map_err(Fault::internal)?,
            version: self.version,
            created_at: self.created_at,
        })
    }
}

/// The active scorecard; every vendor has one from its founding.
pub async fn active_card<S: Tenant>(tx: &Tx<S>) -> Result<Card, Fault> {
    let row: Option<CardRow> = tx
        .row(sql("SELECT id, name, state, policy, version, created_at FROM todoku.scorecard WHERE vendor_id = {} AND state = 'active'").bind::<SqlUuid, _>(tx.scope().vendor()))
        .await?;
    row.ok_or_else(|| Fault::internal("no active scorecard"))?.read()
}

/// All scorecards, newest first, at most 1,000. A partner sees the active one.
pub async fn cards<S: Tenant>(tx: &Tx<S>) -> Result<Vec<Card>, Fault> {
    let all = tx.scope().visible().is_none();
    let rows: Vec<CardRow> = tx
        .rows(
            sql("SELECT id, name, state, policy, version, created_at FROM todoku.scorecard WHERE vendor_id = {} AND ({} OR state = 'active') ORDER BY id DESC LIMIT 1000")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<Bool, _>(all),
        )
        .await?;
    rows.into_iter().map(CardRow::read).collect()
}

/// Locks a scorecard.
pub async fn lock_card(tx: &Tx<StaffScope>, id: ScorecardId) -> Result<Option<Card>, Fault> {
    let row: Option<CardRow> = tx
        .row(
            sql("SELECT id, name, state, policy, version, created_at FROM todoku.scorecard WHERE vendor_id = {} AND id = {} FOR UPDATE")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(id.uuid()),
        )
        .await?;
    row.map(CardRow::read).transpose()
}

/// Adds a scorecard.
pub async fn insert_card(tx: &Tx<StaffScope>, card: &Card) -> Result<(), Fault> {
    tx.run(
        sql("INSERT INTO todoku.scorecard (vendor_id, id, name, state, policy, version, created_at, updated_at) VALUES ({}, {}, {}, {}, {}, {}, {}, {})")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(card.id.uuid())
            .bind::<Text, _>(card.name.clone())
            .bind::<Text, _>(card.state.as_str())
            .bind::<Jsonb, _>(serde_json::to_value(&card.policy).map_err(Fault::internal)?)
            .bind::<BigInt, _>(card.version)
            .bind::<Timestamptz, _>(card.created_at)
            .bind::<Timestamptz, _>(card.created_at),
    )
    .await
    .map(drop)
}

/// Retires the active scorecard and activates another.
pub async fn activate_card(tx: &Tx<StaffScope>, id: ScorecardId) -> Result<(), Fault> {
    tx.run(
        sql("UPDATE todoku.scorecard SET state = 'retired', version = version + 1, updated_at = greatest({}, updated_at + interval '1 microsecond') WHERE vendor_id = {} AND state = 'active'")
            .bind::<Timestamptz, _>(tx.now())
            .bind::<SqlUuid, _>(tx.scope().vendor()),
    )
    .await?;
    let activated = tx
        .try_run(
            sql("UPDATE todoku.scorecard SET state = 'active', version = version + 1, updated_at = greatest({}, updated_at + interval '1 microsecond') WHERE vendor_id = {} AND id = {}")
                .bind::<Timestamptz, _>(tx.now())
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(id.uuid()),
        )
        .await;
    activated.map(drop).map_err(|error| match crate::db::fault::violated(&error) {
        // Another activation came first.
        Some("scorecard_one_active") => Code::StateConflict.into(),
        _ => crate::db::fault::fault(error),
    })
}

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

/// Locks customers of the acting partner, in order of id so that two requests cannot deadlock; all of them when no list is
/// given. Whoever scores a customer holds this lock, so that no evidence is overlooked between two of them.
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
    let rows: Vec<FactsRow> = tx.rows(statement).await?;
    rows.into_iter()
        .map(|row| {
            let state: CustomerState = row.state.parse().map_err(broken)?;
            Ok((row.id, Facts { counted: state.counts(), touch_model: row.touch_model.parse().map_err(broken)? }))
        })
        .collect()
}

/// A customer's two ids.
#[derive(QueryableByName)]
pub struct Named {
    /// Our id.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// The partner's own.
    #[diesel(sql_type = Text)]
    pub external_id: String,
}

/// Locks the acting partner's customers by either id.
pub async fn lock_named<S: Tenant>(tx: &Tx<S>, ids: Vec<Uuid>, external_ids: Vec<String>) -> Result<Vec<Named>, Fault> {
    tx.rows(
        sql("SELECT id, external_id FROM todoku.customer WHERE vendor_id = {} AND partner_id = {} AND (id = ANY ({}) OR external_id = ANY ({})) ORDER BY id FOR NO KEY UPDATE")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(tx.scope().acts()?)
            .bind::<Array<SqlUuid>, _>(ids)
            .bind::<Array<Text>, _>(external_ids),
    )
    .await
}

/// Which of these ids may be seen though they belong to another partner.
pub async fn seen_elsewhere<S: Tenant>(tx: &Tx<S>, ids: &[Uuid]) -> Result<Vec<Uuid>, Fault> {
    #[derive(QueryableByName)]
    struct Id {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let statement = match tx.scope().visible() {
        Some(partners) => sql("SELECT id FROM todoku.customer WHERE vendor_id = {} AND partner_id = ANY ({}) AND id = ANY ({})")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Array<SqlUuid>, _>(partners)
            .bind::<Array<SqlUuid>, _>(ids.to_vec()),
        None => sql("SELECT customer_id AS id FROM todoku.customer_locator WHERE vendor_id = {} AND customer_id = ANY ({})")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Array<SqlUuid>, _>(ids.to_vec()),
    };
    Ok(tx.rows::<Id>(statement).await?.into_iter().map(|row| row.id).collect())
}

/// The acting partner's subscriptions by its own ids: `(external id, customer) -> id`.
pub async fn subscriptions_named<S: Tenant>(tx: &Tx<S>, external_ids: Vec<String>) -> Result<HashMap<(String, Uuid), Uuid>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        external_id: String,
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT external_id, customer_id, id FROM todoku.subscription WHERE vendor_id = {} AND partner_id = {} AND external_id = ANY ({})")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(tx.scope().acts()?)
                .bind::<Array<Text>, _>(external_ids),
        )
        .await?;
    Ok(rows.into_iter().map(|row| ((row.external_id, row.customer_id), row.id)).collect())
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
/// may see it.
pub async fn evidence<S: Tenant>(tx: &Tx<S>, zone: Zone, customers: Vec<Uuid>, since: Moment) -> Result<HashMap<Uuid, Vec<(Evidence, bool)>>, Fault> {
    let (vendor, partner) = (tx.scope().vendor(), tx.scope().acts()?);
    let rows: Vec<EvidenceRow> = tx
        .rows(
            sql("SELECT DISTINCT ON (customer_id, measure_id, evidence, audience, day) customer_id, measure_id, evidence, audience, value, day FROM (
                   SELECT o.customer_id, o.measure_id, o.evidence, o.audience, o.value, (o.observed_at AT TIME ZONE {})::date AS day, o.observed_at, o.arrival
                   FROM todoku.observation o
                   WHERE o.vendor_id = {} AND o.partner_id = {} AND o.customer_id = ANY ({}) AND o.observed_at >= {}
                     AND (o.report_id IS NULL OR EXISTS (SELECT 1 FROM todoku.status_report_head h
                       WHERE h.vendor_id = o.vendor_id AND h.partner_id = o.partner_id AND h.customer_id = o.customer_id AND h.report_id = o.report_id))) said
                 ORDER BY customer_id, measure_id, evidence, audience, day, observed_at DESC, arrival DESC")
            .bind::<Text, _>(zone.name())
            .bind::<SqlUuid, _>(vendor)
            .bind::<SqlUuid, _>(partner)
            .bind::<Array<SqlUuid>, _>(customers)
            .bind::<Timestamptz, _>(since),
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

/// A conclusion to be kept.
#[derive(Debug, Clone)]
pub struct Standing {
    /// About whom.
    pub customer: Uuid,
    /// For whose eyes: `shared` or `vendor`.
    pub audience: &'static str,
    /// The score.
    pub score: Score,
    /// Whether the customer stands in figures.
    pub counted: bool,
    /// Its value per year, in minor units of the reporting currency.
    pub value_minor: i64,
    /// Whether a part of its value could not be converted.
    pub unconverted: bool,
    /// The last day it was reported on.
    pub reported_on: Option<NaiveDate>,
    /// When it must be heard again.
    pub due_on: Option<NaiveDate>,
    /// Whether that day has not passed.
    pub in_cadence: bool,
    /// The next renewal.
    pub renews_on: Option<NaiveDate>,
}

/// Keeps conclusions about customers of the acting partner, whose rows are locked, and adds what changed to the cells.
pub async fn keep_standings<S: Tenant>(tx: &Tx<S>, card: ScorecardId, on: NaiveDate, list: &[Standing]) -> Result<(), Fault> {
    if list.is_empty() {
        return Ok(());
    }
    let parts: Vec<serde_json::Value> = list.iter().map(|s| serde_json::to_value(&s.score.parts)).collect::<Result<_, _>>().map_err(Fault::internal)?;
    tx.run(
        sql("WITH n AS (SELECT * FROM unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
               AS u(customer_id, audience, score, low, high, band, coverage, parts, counted, value_minor, unconverted, reported_on, due_on, in_cadence, renews_on)),
             w AS (SELECT {} AS vendor_id, {} AS partner_id, {} AS scorecard_id, {} AS scored_for, {} AS scored_at),
             o AS (SELECT h.* FROM todoku.health_score h, n, w
                   WHERE h.vendor_id = w.vendor_id AND h.partner_id = w.partner_id AND h.customer_id = n.customer_id AND h.audience = n.audience),
             put AS (INSERT INTO todoku.health_score AS t (vendor_id, partner_id, customer_id, audience, scorecard_id, scored_for, scored_at, score, low, high, band, coverage,
                       parts, counted, value_minor, unconverted, reported_on, due_on, in_cadence, renews_on)
                     SELECT w.vendor_id, w.partner_id, n.customer_id, n.audience, w.scorecard_id, w.scored_for, w.scored_at, n.score, n.low, n.high, n.band, n.coverage,
                       n.parts, n.counted, n.value_minor, n.unconverted, n.reported_on, n.due_on, n.in_cadence, n.renews_on FROM n, w
                     ON CONFLICT (vendor_id, partner_id, customer_id, audience) DO UPDATE SET scorecard_id = excluded.scorecard_id, scored_for = excluded.scored_for,
                       scored_at = excluded.scored_at, score = excluded.score, low = excluded.low, high = excluded.high, band = excluded.band, coverage = excluded.coverage,
                       parts = excluded.parts, counted = excluded.counted, value_minor = excluded.value_minor, unconverted = excluded.unconverted,
                       reported_on = excluded.reported_on, due_on = excluded.due_on, in_cadence = excluded.in_cadence, renews_on = excluded.renews_on),
             x AS (SELECT 1 AS s, n.audience, n.score, n.band, n.coverage, n.value_minor, n.unconverted, n.in_cadence, w.scored_for - n.reported_on AS age FROM n, w WHERE n.counted
                   UNION ALL SELECT -1, o.audience, o.score, o.band, o.coverage, o.value_minor, o.unconverted, o.in_cadence, o.scored_for - o.reported_on FROM o WHERE o.counted),
             d AS (SELECT audience,
                     coalesce(sum(s) FILTER (WHERE band = 'healthy'), 0) AS healthy, coalesce(sum(s) FILTER (WHERE band = 'watch'), 0) AS watch,
                     coalesce(sum(s) FILTER (WHERE band = 'at_risk'), 0) AS at_risk, coalesce(sum(s) FILTER (WHERE band = 'unknown'), 0) AS unknown,
                     coalesce(sum(s * value_minor) FILTER (WHERE band = 'healthy'), 0)::bigint AS value_healthy, coalesce(sum(s * value_minor) FILTER (WHERE band = 'watch'), 0)::bigint AS value_watch,
                     coalesce(sum(s * value_minor) FILTER (WHERE band = 'at_risk'), 0)::bigint AS value_at_risk, coalesce(sum(s * value_minor) FILTER (WHERE band = 'unknown'), 0)::bigint AS value_unknown,
                     coalesce(sum(s) FILTER (WHERE unconverted), 0) AS unconverted,
                     coalesce(sum(s * score::bigint), 0)::bigint AS score_sum, coalesce(sum(s * score::bigint * score), 0)::bigint AS score_squares, sum(s * coverage) AS coverage_sum,
                     coalesce(sum(s) FILTER (WHERE in_cadence), 0) AS in_cadence, coalesce(sum(s * value_minor) FILTER (WHERE in_cadence), 0)::bigint AS value_in_cadence,
                     coalesce(sum(s) FILTER (WHERE age IS NOT NULL), 0) AS heard, coalesce(sum(s * age), 0) AS report_age_sum
                   FROM x GROUP BY audience)
             INSERT INTO todoku.cell_delta (vendor_id, partner_id, audience, healthy, watch, at_risk, unknown, value_healthy, value_watch, value_at_risk, value_unknown,
               unconverted, score_sum, score_squares, coverage_sum, in_cadence, value_in_cadence, heard, report_age_sum, id)
             SELECT w.vendor_id, w.partner_id, d.audience, d.healthy, d.watch, d.at_risk, d.unknown, d.value_healthy, d.value_watch, d.value_at_risk, d.value_unknown,
               d.unconverted, d.score_sum, d.score_squares, d.coverage_sum, d.in_cadence, d.value_in_cadence, d.heard, d.report_age_sum, {} FROM d, w
             WHERE (d.healthy, d.watch, d.at_risk, d.unknown, d.value_healthy, d.value_watch, d.value_at_risk, d.value_unknown, d.unconverted, d.score_sum, d.score_squares,
               d.coverage_sum, d.in_cadence, d.value_in_cadence, d.heard, d.report_age_sum) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)")
        .bind::<Array<SqlUuid>, _>(list.iter().map(|s| s.customer).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|s| s.audience).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(list.iter().map(|s| s.score.score).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(list.iter().map(|s| s.score.interval.map(|i| i.0)).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(list.iter().map(|s| s.score.interval.map(|i| i.1)).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|s| s.score.band.as_str()).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(list.iter().map(|s| s.score.coverage).collect::<Vec<_>>())
        .bind::<Array<Jsonb>, _>(parts)
        .bind::<Array<Bool>, _>(list.iter().map(|s| s.counted).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(list.iter().map(|s| s.value_minor).collect::<Vec<_>>())
        .bind::<Array<Bool>, _>(list.iter().map(|s| s.unconverted).collect::<Vec<_>>())
        .bind::<Array<Nullable<Date>>, _>(list.iter().map(|s| s.reported_on).collect::<Vec<_>>())
        .bind::<Array<Nullable<Date>>, _>(list.iter().map(|s| s.due_on).collect::<Vec<_>>())
        .bind::<Array<Bool>, _>(list.iter().map(|s| s.in_cadence).collect::<Vec<_>>())
        .bind::<Array<Nullable<Date>>, _>(list.iter().map(|s| s.renews_on).collect::<Vec<_>>())
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().acts()?)
        .bind::<SqlUuid, _>(card.uuid())
        .bind::<Date, _>(on)
        .bind::<Timestamptz, _>(tx.now())
        .bind::<SqlUuid, _>(tx.new_id::<crate::kernel::id::JobId>().uuid()),
    )
    .await
    .map(drop)
}

/// A kept conclusion.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of health_score")]
pub struct Health {
    pub scorecard: ScorecardId,
    pub scored_for: NaiveDate,
    pub score: Option<i32>,
    pub interval: Option<(i32, i32)>,
    pub band: Band,
    pub coverage: i32,
    pub parts: Vec<Part>,
    pub reported_on: Option<NaiveDate>,
    pub due_on: Option<NaiveDate>,
}

#[derive(QueryableByName)]
struct HealthRow {
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    scorecard_id: Uuid,
    #[diesel(sql_type = Date)]
    scored_for: NaiveDate,
    #[diesel(sql_type = Nullable<Integer>)]
    score: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    low: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    high: Option<i32>,
    #[diesel(sql_type = Text)]
    band: String,
    #[diesel(sql_type = Integer)]
    coverage: i32,
    #[diesel(sql_type = Jsonb)]
    parts: serde_json::Value,
    #[diesel(sql_type = Nullable<Date>)]
    reported_on: Option<NaiveDate>,
    #[diesel(sql_type = Nullable<Date>)]
    due_on: Option<NaiveDate>,
}

/// The kept conclusions about visible customers, in one view. A customer of whom none is kept is absent.
pub async fn healths<S: Tenant>(tx: &Tx<S>, partner: Uuid, customers: Vec<Uuid>, audience: &'static str) -> Result<HashMap<Uuid, Health>, Fault> {
    let rows: Vec<HealthRow> = tx
        .rows(
            sql("SELECT customer_id, scorecard_id, scored_for, score, low, high, band, coverage, parts, reported_on, due_on
                 FROM todoku.health_score WHERE vendor_id = {} AND partner_id = {} AND customer_id = ANY ({}) AND audience = {}")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner)
            .bind::<Array<SqlUuid>, _>(customers)
            .bind::<Text, _>(audience),
        )
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok((
                row.customer_id,
                Health {
                    scorecard: ScorecardId::of(row.scorecard_id),
                    scored_for: row.scored_for,
                    score: row.score,
                    interval: row.low.zip(row.high),
                    band: row.band.parse().map_err(broken)?,
                    coverage: row.coverage,
                    parts: serde_json::from_value(row.parts).map_err(Fault::internal)?,
                    reported_on: row.reported_on,
                    due_on: row.due_on,
                },
            ))
        })
        .collect()
}

/// One visible customer's conclusion in one view, with its partner; `None` when there is no such customer.
pub async fn health_of<S: Tenant>(tx: &Tx<S>, id: CustomerId, audience: &'static str) -> Result<Option<(Uuid, Option<Health>)>, Fault> {
    let Some(partner) = locate_customer(tx, id).await? else { return Ok(None) };
    let mut found = healths(tx, partner.uuid(), vec![id.uuid()], audience).await?;
    Ok(Some((partner.uuid(), found.remove(&id.uuid()))))
}

#[derive(QueryableByName)]
struct OwnedRow {
    #[diesel(sql_type = SqlUuid)]
    partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    external_id: String,
}

/// The partners of customers, for the vendor.
pub async fn partners_of<S: Tenant>(tx: &Tx<S>, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Uuid>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = SqlUuid)]
        partner_id: Uuid,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT customer_id, partner_id FROM todoku.customer_locator WHERE vendor_id = {} AND customer_id = ANY ({})")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<Array<SqlUuid>, _>(ids),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.customer_id, row.partner_id)).collect())
}

/// The customers of a partner by its own ids, for the vendor: `external id -> (partner, customer)`.
pub async fn customers_named<S: Tenant>(tx: &Tx<S>, partner: Uuid, external_ids: Vec<String>) -> Result<HashMap<String, (Uuid, Uuid)>, Fault> {
    let rows: Vec<OwnedRow> = tx
        .rows(
            sql("SELECT partner_id, id, external_id FROM todoku.customer WHERE vendor_id = {} AND partner_id = {} AND external_id = ANY ({})")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(partner)
                .bind::<Array<Text>, _>(external_ids),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.external_id, (row.partner_id, row.id))).collect())
}

/// The scores and bands of customers of the acting partner in the shared view.
pub async fn bands<S: Tenant>(tx: &Tx<S>, customers: Vec<Uuid>) -> Result<HashMap<Uuid, (Option<i32>, Band)>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = Nullable<Integer>)]
        score: Option<i32>,
        #[diesel(sql_type = Text)]
        band: String,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT customer_id, score, band FROM todoku.health_score WHERE vendor_id = {} AND partner_id = {} AND customer_id = ANY ({}) AND audience = 'shared'")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(tx.scope().acts()?)
                .bind::<Array<SqlUuid>, _>(customers),
        )
        .await?;
    rows.into_iter().map(|row| Ok((row.customer_id, (row.score, row.band.parse().map_err(broken)?)))).collect()
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
