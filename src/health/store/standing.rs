//! What we conclude: scores in both views, kept together with what they change in the cells.

use super::broken;
use crate::auth::{Tenant, WorkerScope};
use crate::db::{Tx, sql};
use crate::directory::{CustomerState, TouchModel, locate_customer};
use crate::health::score::Score;
use crate::health::scorecard::{Band, Purpose};
use crate::health::source::Sources;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, PartnerId, ScorecardId, TypeId};
use crate::kernel::time::Moment;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Date, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// A conclusion to be kept.
#[derive(Debug, Clone)]
pub struct Standing {
    /// About whom.
    pub customer: Uuid,
    /// For whose eyes: `shared` or `vendor`.
    pub audience: &'static str,
    /// What it is to tell.
    pub purpose: Purpose,
    /// By which policy.
    pub card: ScorecardId,
    /// The score.
    pub score: Score,
    /// What each source says by itself; in the vendor's view alone.
    pub sources: Option<Sources>,
    /// Since when the sources lie far apart.
    pub diverges_since: Option<NaiveDate>,
    /// Whether the conclusion stands in figures: of the purpose `churn`, about a customer that counts.
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
    /// Under which groups it stands in figures.
    pub groups: Groups,
}

/// The groups a customer belongs to; the empty text where nobody said. Of its products it is that of the largest subscription, so that
/// every customer stands in one group of each dimension and the groups sum to the whole.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the dimensions")]
pub struct Groups {
    pub region: String,
    pub segment: String,
    pub touch_model: TouchModel,
    pub product: String,
    pub stage: CustomerState,
}

impl Standing {
    fn divergence(&self) -> Option<i32> {
        self.sources.as_ref().and_then(Sources::divergence)
    }
}

/// As text, which the database reads as JSON: a tree of values in between would cost more than the score itself.
fn json<T: serde::Serialize>(value: T) -> Result<String, Fault> {
    serde_json::to_string(&value).map_err(Fault::internal)
}

/// So many are kept by one statement: what is held at once.
const AT_ONCE: usize = 1_000;

/// Keeps conclusions about customers of the acting partner, whose rows are locked, and adds what changed to the cells. What is there is looked up row by row
/// by its key (`OFFSET 0` leaves no choice) and rewritten where it lies: whatever the planner believes of the arrays, the cost goes by their length.
pub async fn keep_standings<S: Tenant>(tx: &Tx<S>, on: NaiveDate, list: &[Standing]) -> Result<(), Fault> {
    for some in list.chunks(AT_ONCE) {
        keep(tx, on, some).await?;
    }
    Ok(())
}

async fn keep<S: Tenant>(tx: &Tx<S>, on: NaiveDate, list: &[Standing]) -> Result<(), Fault> {
    let parts: Vec<String> = list.iter().map(|s| json(&s.score.parts)).collect::<Result<_, _>>()?;
    let adjustments: Vec<String> = list.iter().map(|s| json(&s.score.adjustments)).collect::<Result<_, _>>()?;
    let sources: Vec<Option<String>> = list.iter().map(|s| s.sources.as_ref().map(json).transpose()).collect::<Result<_, _>>()?;
    // In float: the product of the two may pass what an integer holds, and it only orders a list.
    let weight = |s: &Standing| s.diverges_since.and(s.divergence()).map(|gap| f64::from(gap) * s.value_minor as f64);
    tx.run(
        sql("WITH n AS (SELECT * FROM unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
               AS u(customer_id, audience, score, low, high, band, coverage, parts, counted, value_minor, unconverted, reported_on, due_on, in_cadence, renews_on,
                 purpose, scorecard_id, adjustments, sources, divergence, diverges_since, divergence_weight, region, segment, touch_model, product, stage)),
             w AS (SELECT {} AS vendor_id, {} AS partner_id, {} AS scored_for, {} AS scored_at),
             o AS (SELECT n.*, h.* FROM n CROSS JOIN w CROSS JOIN LATERAL (SELECT h.ctid AS place, h.counted AS was_counted, h.score AS was_score, h.band AS was_band,
                     h.coverage AS was_coverage, h.value_minor AS was_value_minor, h.unconverted AS was_unconverted, h.in_cadence AS was_in_cadence, h.scored_for - h.reported_on AS was_age,
                     h.region AS was_region, h.segment AS was_segment, h.touch_model AS was_touch_model, h.product AS was_product, h.stage AS was_stage FROM todoku.health_score h
                     WHERE h.vendor_id = w.vendor_id AND h.partner_id = w.partner_id AND h.customer_id = n.customer_id AND h.audience = n.audience AND h.purpose = n.purpose OFFSET 0) h),
             kept AS (UPDATE todoku.health_score h SET scorecard_id = o.scorecard_id, scored_for = w.scored_for, scored_at = w.scored_at, score = o.score, low = o.low, high = o.high,
                        band = o.band, coverage = o.coverage, parts = o.parts::json, counted = o.counted, value_minor = o.value_minor, unconverted = o.unconverted,
                        reported_on = o.reported_on, due_on = o.due_on, in_cadence = o.in_cadence, renews_on = o.renews_on, adjustments = o.adjustments::jsonb,
                        sources = o.sources::jsonb, divergence = o.divergence, diverges_since = o.diverges_since, divergence_weight = o.divergence_weight,
                        region = o.region, segment = o.segment, touch_model = o.touch_model, product = o.product, stage = o.stage FROM o, w
                      WHERE h.ctid = o.place AND h.vendor_id = w.vendor_id AND h.partner_id = w.partner_id RETURNING h.customer_id, h.audience, h.purpose),
             first AS (INSERT INTO todoku.health_score (vendor_id, partner_id, customer_id, audience, scorecard_id, scored_for, scored_at, score, low, high, band, coverage,
                       parts, counted, value_minor, unconverted, reported_on, due_on, in_cadence, renews_on, purpose, adjustments, sources, divergence, diverges_since,
                       divergence_weight, region, segment, touch_model, product, stage)
                     SELECT w.vendor_id, w.partner_id, n.customer_id, n.audience, n.scorecard_id, w.scored_for, w.scored_at, n.score, n.low, n.high, n.band, n.coverage,
                       n.parts::json, n.counted, n.value_minor, n.unconverted, n.reported_on, n.due_on, n.in_cadence, n.renews_on, n.purpose, n.adjustments::jsonb, n.sources::jsonb, n.divergence,
                       n.diverges_since, n.divergence_weight, n.region, n.segment, n.touch_model, n.product, n.stage FROM n, w
                     WHERE (n.customer_id, n.audience, n.purpose) NOT IN (SELECT k.customer_id, k.audience, k.purpose FROM kept k)),
             x AS (SELECT 1 AS s, n.audience, n.score, n.band, n.coverage, n.value_minor, n.unconverted, n.in_cadence, w.scored_for - n.reported_on AS age,
                     n.region, n.segment, n.touch_model, n.product, n.stage FROM n, w WHERE n.counted
                   UNION ALL SELECT -1, o.audience, o.was_score, o.was_band, o.was_coverage, o.was_value_minor, o.was_unconverted, o.was_in_cadence, o.was_age,
                     o.was_region, o.was_segment, o.was_touch_model, o.was_product, o.was_stage FROM o WHERE o.was_counted),
             d AS (SELECT audience, CASE grouping(region) WHEN 1 THEN 'all' ELSE 'grain' END AS facet, coalesce(region, '') AS region, coalesce(segment, '') AS segment,
                     coalesce(touch_model, '') AS touch_model, coalesce(product, '') AS product, coalesce(stage, '') AS stage,
                     coalesce(sum(s) FILTER (WHERE band = 'healthy'), 0) AS healthy, coalesce(sum(s) FILTER (WHERE band = 'watch'), 0) AS watch,
                     coalesce(sum(s) FILTER (WHERE band = 'at_risk'), 0) AS at_risk, coalesce(sum(s) FILTER (WHERE band = 'unknown'), 0) AS unknown,
                     coalesce(sum(s * value_minor) FILTER (WHERE band = 'healthy'), 0)::bigint AS value_healthy, coalesce(sum(s * value_minor) FILTER (WHERE band = 'watch'), 0)::bigint AS value_watch,
                     coalesce(sum(s * value_minor) FILTER (WHERE band = 'at_risk'), 0)::bigint AS value_at_risk, coalesce(sum(s * value_minor) FILTER (WHERE band = 'unknown'), 0)::bigint AS value_unknown,
                     coalesce(sum(s) FILTER (WHERE unconverted), 0) AS unconverted,
                     coalesce(sum(s * score::bigint), 0)::bigint AS score_sum, coalesce(sum(s * score::bigint * score), 0)::bigint AS score_squares, sum(s * coverage) AS coverage_sum,
                     coalesce(sum(s) FILTER (WHERE in_cadence), 0) AS in_cadence, coalesce(sum(s * value_minor) FILTER (WHERE in_cadence), 0)::bigint AS value_in_cadence,
                     coalesce(sum(s) FILTER (WHERE age IS NOT NULL), 0) AS heard, coalesce(sum(s * age), 0) AS report_age_sum,
                     coalesce(sum(s * value_minor::numeric * score), 0) AS value_scores, coalesce(sum(s * ('1e' || score / 1000 * 8)::numeric), 0) AS points
                   FROM x GROUP BY GROUPING SETS ((audience), (audience, region, segment, touch_model, product, stage)))
             INSERT INTO todoku.cell_delta (vendor_id, partner_id, audience, facet, region, segment, touch_model, product, stage, healthy, watch, at_risk, unknown, value_healthy, value_watch, value_at_risk, value_unknown,
               unconverted, score_sum, score_squares, coverage_sum, in_cadence, value_in_cadence, heard, report_age_sum, value_scores, points, id)
             SELECT w.vendor_id, w.partner_id, d.audience, d.facet, d.region, d.segment, d.touch_model, d.product, d.stage, d.healthy, d.watch, d.at_risk, d.unknown, d.value_healthy, d.value_watch, d.value_at_risk, d.value_unknown,
               d.unconverted, d.score_sum, d.score_squares, d.coverage_sum, d.in_cadence, d.value_in_cadence, d.heard, d.report_age_sum, d.value_scores, d.points, {} FROM d, w
             WHERE (d.healthy, d.watch, d.at_risk, d.unknown, d.value_healthy, d.value_watch, d.value_at_risk, d.value_unknown, d.unconverted, d.score_sum, d.score_squares,
               d.coverage_sum, d.in_cadence, d.value_in_cadence, d.heard, d.report_age_sum, d.value_scores, d.points) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)")
        .bind::<Array<SqlUuid>, _>(list.iter().map(|s| s.customer).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|s| s.audience).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(list.iter().map(|s| s.score.score).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(list.iter().map(|s| s.score.interval.map(|i| i.0)).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(list.iter().map(|s| s.score.interval.map(|i| i.1)).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|s| s.score.band.as_str()).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(list.iter().map(|s| s.score.coverage).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(parts)
        .bind::<Array<Bool>, _>(list.iter().map(|s| s.counted).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(list.iter().map(|s| s.value_minor).collect::<Vec<_>>())
        .bind::<Array<Bool>, _>(list.iter().map(|s| s.unconverted).collect::<Vec<_>>())
        .bind::<Array<Nullable<Date>>, _>(list.iter().map(|s| s.reported_on).collect::<Vec<_>>())
        .bind::<Array<Nullable<Date>>, _>(list.iter().map(|s| s.due_on).collect::<Vec<_>>())
        .bind::<Array<Bool>, _>(list.iter().map(|s| s.in_cadence).collect::<Vec<_>>())
        .bind::<Array<Nullable<Date>>, _>(list.iter().map(|s| s.renews_on).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|s| s.purpose.as_str()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(list.iter().map(|s| s.card.uuid()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(adjustments)
        .bind::<Array<Nullable<Text>>, _>(sources)
        .bind::<Array<Nullable<Integer>>, _>(list.iter().map(Standing::divergence).collect::<Vec<_>>())
        .bind::<Array<Nullable<Date>>, _>(list.iter().map(|s| s.diverges_since).collect::<Vec<_>>())
        .bind::<Array<Nullable<Double>>, _>(list.iter().map(weight).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|s| s.groups.region.clone()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|s| s.groups.segment.clone()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|s| s.groups.touch_model.as_str()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|s| s.groups.product.clone()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|s| s.groups.stage.as_str()).collect::<Vec<_>>())
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().acts()?)
        .bind::<Date, _>(on)
        .bind::<Timestamptz, _>(tx.now())
        .bind::<SqlUuid, _>(tx.new_id::<crate::kernel::id::JobId>().uuid()),
    )
    .await
    .map(drop)
}

/// A conclusion, kept or replayed.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of health_score")]
pub struct Health {
    pub card: ScorecardId,
    pub scored_for: NaiveDate,
    /// Nothing received later is in it; of a kept one, when its transaction began.
    pub known_at: Moment,
    pub score: Score,
    pub sources: Option<Sources>,
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
    #[diesel(sql_type = Timestamptz)]
    scored_at: Moment,
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
    #[diesel(sql_type = Text)]
    parts: String,
    #[diesel(sql_type = Text)]
    adjustments: String,
    #[diesel(sql_type = Nullable<Text>)]
    sources: Option<String>,
    #[diesel(sql_type = Nullable<Date>)]
    reported_on: Option<NaiveDate>,
    #[diesel(sql_type = Nullable<Date>)]
    due_on: Option<NaiveDate>,
}

impl HealthRow {
    fn read(self) -> Result<(Uuid, Health), Fault> {
        let score = Score {
            score: self.score,
            interval: self.low.zip(self.high),
            band: self.band.parse().map_err(broken)?,
            coverage: self.coverage,
            parts: serde_json::from_str(&self.parts).map_err(Fault::internal)?,
            adjustments: serde_json::from_str(&self.adjustments).map_err(Fault::internal)?,
        };
        let health = Health {
            card: ScorecardId::of(self.scorecard_id),
            scored_for: self.scored_for,
            known_at: self.scored_at,
            score,
            sources: self.sources.map(|said| serde_json::from_str(&said)).transpose().map_err(Fault::internal)?,
            reported_on: self.reported_on,
            due_on: self.due_on,
        };
        Ok((self.customer_id, health))
    }
}

/// The kept conclusions about visible customers of some partners, in one view. A customer of whom none is kept is absent.
pub async fn healths<S: Tenant>(tx: &Tx<S>, partners: Vec<Uuid>, customers: Vec<Uuid>, audience: &'static str, purpose: Purpose) -> Result<HashMap<Uuid, Health>, Fault> {
    let rows: Vec<HealthRow> = tx
        .rows(
            sql("SELECT customer_id, scorecard_id, scored_for, scored_at, score, low, high, band, coverage, parts::text AS parts, adjustments::text AS adjustments,
                   sources::text AS sources, reported_on, due_on FROM todoku.health_score WHERE vendor_id = {} AND partner_id = ANY ({}) AND customer_id = ANY ({}) AND audience = {} AND purpose = {}")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Array<SqlUuid>, _>(partners)
            .bind::<Array<SqlUuid>, _>(customers)
            .bind::<Text, _>(audience)
            .bind::<Text, _>(purpose.as_str()),
        )
        .await?;
    rows.into_iter().map(HealthRow::read).collect()
}

/// One visible customer's partner, and its conclusion in one view if there is one; `None` when there is no such customer. A caller whose
/// partners are known looks for both at once.
pub async fn health_of<S: Tenant>(tx: &Tx<S>, id: CustomerId, audience: &'static str, purpose: Purpose) -> Result<Option<(PartnerId, Option<Health>)>, Fault> {
    let (partner, mut found) = match tx.scope().visible() {
        Some(partners) => futures_util::try_join!(locate_customer(tx, id), healths(tx, partners, vec![id.uuid()], audience, purpose))?,
        None => match locate_customer(tx, id).await? {
            Some(partner) => (Some(partner), healths(tx, vec![partner.uuid()], vec![id.uuid()], audience, purpose).await?),
            None => (None, HashMap::new()),
        },
    };
    Ok(partner.map(|partner| (partner, found.remove(&id.uuid()))))
}

/// What a new conclusion must know of the one before.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    /// By which policy it was made.
    pub card: ScorecardId,
    /// The band of the last daily close.
    pub closed_in: Option<Band>,
    /// Since when the sources lie far apart.
    pub diverges_since: Option<NaiveDate>,
}

/// What the kept conclusions about customers of the acting partner leave to the next, by customer, audience and purpose.
pub async fn before<S: Tenant>(tx: &Tx<S>, customers: Vec<Uuid>, audiences: &[&'static str]) -> Result<HashMap<(Uuid, String, String), Before>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = Text)]
        audience: String,
        #[diesel(sql_type = Text)]
        purpose: String,
        #[diesel(sql_type = SqlUuid)]
        scorecard_id: Uuid,
        #[diesel(sql_type = Nullable<Text>)]
        closed_in: Option<String>,
        #[diesel(sql_type = Nullable<Date>)]
        diverges_since: Option<NaiveDate>,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT customer_id, audience, purpose, scorecard_id, closed_in, diverges_since FROM todoku.health_score
                 WHERE vendor_id = {} AND partner_id = {} AND customer_id = ANY ({}) AND audience = ANY ({})")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(tx.scope().acts()?)
            .bind::<Array<SqlUuid>, _>(customers)
            .bind::<Array<Text>, _>(audiences.to_vec()),
        )
        .await?;
    let read = |row: Row| {
        let closed_in = row.closed_in.map(|band| band.parse().map_err(broken)).transpose()?;
        Ok(((row.customer_id, row.audience, row.purpose), Before { card: ScorecardId::of(row.scorecard_id), closed_in, diverges_since: row.diverges_since }))
    };
    rows.into_iter().map(read).collect()
}

/// Closes the bands of the partner's customers for a day: from here on a better band begins later than a worse one ended. What became
/// another band is written down. Under a score set by hand it is the band of the evidence.
pub async fn close_bands(tx: &Tx<WorkerScope>, day: NaiveDate) -> Result<(), Fault> {
    tx.run(
        sql("WITH closed AS (UPDATE todoku.health_score SET closed_in = coalesce(adjustments -> -1 ->> 'band', band)
               WHERE vendor_id = {} AND partner_id = {} AND closed_in IS DISTINCT FROM coalesce(adjustments -> -1 ->> 'band', band)
               RETURNING vendor_id, partner_id, customer_id, audience, purpose, closed_in AS band)
             INSERT INTO todoku.band_change (vendor_id, partner_id, customer_id, audience, purpose, closed_on, band, closed_at)
             SELECT vendor_id, partner_id, customer_id, audience, purpose, {}, band, {} FROM closed ON CONFLICT DO NOTHING")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().partner())
        .bind::<Date, _>(day)
        .bind::<Timestamptz, _>(tx.now()),
    )
    .await
    .map(drop)
}

/// A customer's health in brief; figures in thousandths.
#[derive(Debug, Clone, Copy)]
pub struct Brief {
    /// `None` while too little is known.
    pub score: Option<i32>,
    /// Where it lies, with 80 %.
    pub interval: Option<(i32, i32)>,
    /// How much of what the scorecard asks is known.
    pub coverage: i32,
    /// What it amounts to.
    pub band: Band,
    /// The day it was scored for.
    pub scored_for: NaiveDate,
}

/// The health of customers of the acting partner in the shared view, in brief.
pub async fn briefs<S: Tenant>(tx: &Tx<S>, customers: Vec<Uuid>) -> Result<HashMap<Uuid, Brief>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = Nullable<Integer>)]
        score: Option<i32>,
        #[diesel(sql_type = Nullable<Integer>)]
        low: Option<i32>,
        #[diesel(sql_type = Nullable<Integer>)]
        high: Option<i32>,
        #[diesel(sql_type = Integer)]
        coverage: i32,
        #[diesel(sql_type = Text)]
        band: String,
        #[diesel(sql_type = Date)]
        scored_for: NaiveDate,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT customer_id, score, low, high, coverage, band, scored_for FROM todoku.health_score WHERE vendor_id = {} AND partner_id = {} AND customer_id = ANY ({}) AND audience = 'shared' AND purpose = 'churn'")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(tx.scope().acts()?)
                .bind::<Array<SqlUuid>, _>(customers),
        )
        .await?;
    let brief = |row: Row| {
        let band = row.band.parse().map_err(broken)?;
        Ok((row.customer_id, Brief { score: row.score, interval: row.low.zip(row.high), coverage: row.coverage, band, scored_for: row.scored_for }))
    };
    rows.into_iter().map(brief).collect()
}
