//! Cells: as they stand, as days closed, and the fold of what changed.

use crate::auth::{Tenant, WorkerScope};
use crate::db::{Tx, sql};
use crate::health::AsKnown;
use crate::insight::cell::{Cell, Group, Points};
use crate::insight::dimension::Facet;
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId};
use crate::kernel::time::Moment;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Date, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

// The sums of a cell, said once.
macro_rules! figures {
    () => {
        "healthy, watch, at_risk, unknown, value_healthy, value_watch, value_at_risk, value_unknown, unconverted, score_sum, score_squares, coverage_sum, in_cadence, \
         value_in_cadence, heard, report_age_sum, value_scores, points"
    };
}
macro_rules! sums {
    () => {
        "sum(healthy)::bigint AS healthy, sum(watch)::bigint AS watch, sum(at_risk)::bigint AS at_risk, sum(unknown)::bigint AS unknown, \
         sum(value_healthy)::bigint AS value_healthy, sum(value_watch)::bigint AS value_watch, sum(value_at_risk)::bigint AS value_at_risk, \
         sum(value_unknown)::bigint AS value_unknown, sum(unconverted)::bigint AS unconverted, sum(score_sum)::bigint AS score_sum, \
         sum(score_squares)::bigint AS score_squares, sum(coverage_sum)::bigint AS coverage_sum, sum(in_cadence)::bigint AS in_cadence, \
         sum(value_in_cadence)::bigint AS value_in_cadence, sum(heard)::bigint AS heard, sum(report_age_sum)::bigint AS report_age_sum, \
         sum(value_scores) AS value_scores, sum(points) AS points"
    };
}
// The same as they are read: what is numeric as text.
macro_rules! shown {
    () => {
        "healthy, watch, at_risk, unknown, value_healthy, value_watch, value_at_risk, value_unknown, unconverted, score_sum, score_squares, coverage_sum, in_cadence, \
         value_in_cadence, heard, report_age_sum, value_scores::text AS value_scores, points::text AS points"
    };
}
// What a delta `d` adds to: that of all customers, or every facet of its combination of groups.
macro_rules! facets {
    () => {
        "(VALUES ('all', '', ''), ('region', d.region, ''), ('segment', d.segment, ''), ('touch_model', d.touch_model, ''), ('product', d.product, ''), ('stage', d.stage, ''), \
           ('region segment', d.region, d.segment), ('region touch_model', d.region, d.touch_model), ('region product', d.region, d.product), ('region stage', d.region, d.stage), \
           ('segment touch_model', d.segment, d.touch_model), ('segment product', d.segment, d.product), ('segment stage', d.segment, d.stage), \
           ('touch_model product', d.touch_model, d.product), ('touch_model stage', d.touch_model, d.stage), ('product stage', d.product, d.stage)) \
           AS f(facet, key_a, key_b) ON (d.facet = 'all') = (f.facet = 'all')"
    };
}

#[derive(QueryableByName)]
struct CellRow {
    #[diesel(sql_type = BigInt)]
    healthy: i64,
    #[diesel(sql_type = BigInt)]
    watch: i64,
    #[diesel(sql_type = BigInt)]
    at_risk: i64,
    #[diesel(sql_type = BigInt)]
    unknown: i64,
    #[diesel(sql_type = BigInt)]
    value_healthy: i64,
    #[diesel(sql_type = BigInt)]
    value_watch: i64,
    #[diesel(sql_type = BigInt)]
    value_at_risk: i64,
    #[diesel(sql_type = BigInt)]
    value_unknown: i64,
    #[diesel(sql_type = BigInt)]
    unconverted: i64,
    #[diesel(sql_type = BigInt)]
    score_sum: i64,
    #[diesel(sql_type = BigInt)]
    score_squares: i64,
    #[diesel(sql_type = BigInt)]
    coverage_sum: i64,
    #[diesel(sql_type = BigInt)]
    in_cadence: i64,
    #[diesel(sql_type = BigInt)]
    value_in_cadence: i64,
    #[diesel(sql_type = BigInt)]
    heard: i64,
    #[diesel(sql_type = BigInt)]
    report_age_sum: i64,
    #[diesel(sql_type = Text)]
    value_scores: String,
    #[diesel(sql_type = Text)]
    points: String,
}

impl CellRow {
    fn read(self) -> Result<Cell, Fault> {
        Ok(Cell {
            healthy: self.healthy,
            watch: self.watch,
            at_risk: self.at_risk,
            unknown: self.unknown,
            value_healthy: self.value_healthy,
            value_watch: self.value_watch,
            value_at_risk: self.value_at_risk,
            value_unknown: self.value_unknown,
            unconverted: self.unconverted,
            score_sum: self.score_sum,
            score_squares: self.score_squares,
            coverage_sum: self.coverage_sum,
            in_cadence: self.in_cadence,
            value_in_cadence: self.value_in_cadence,
            heard: self.heard,
            report_age_sum: self.report_age_sum,
            value_scores: self.value_scores.parse().map_err(Fault::internal)?,
            points: Points::of_number(&self.points).ok_or_else(|| Fault::internal("a histogram is broken"))?,
        })
    }
}

#[derive(QueryableByName)]
struct GroupRow {
    #[diesel(sql_type = Nullable<SqlUuid>)]
    partner_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    key_a: String,
    #[diesel(sql_type = Text)]
    key_b: String,
    #[diesel(embed)]
    cell: CellRow,
}

impl GroupRow {
    fn read(self) -> Result<Group, Fault> {
        Ok(Group { partner: self.partner_id.map(PartnerId::of), keys: [self.key_a, self.key_b], cell: self.cell.read()? })
    }
}

/// The groups of visible partners as they stand, each partner's by themselves or together: what is folded and what is not yet, in one look.
pub async fn groups<S: Tenant>(tx: &Tx<S>, audience: &'static str, facet: Facet, by_partner: bool) -> Result<Vec<Group>, Fault> {
    let partners = tx.scope().visible();
    let rows: Vec<GroupRow> = tx
        .rows(
            sql(concat!(
                "SELECT partner_id, key_a, key_b, ",
                shown!(),
                " FROM (SELECT CASE WHEN {} THEN partner_id END AS partner_id, key_a, key_b, ",
                sums!(),
                " FROM (SELECT vendor_id, partner_id, audience, facet, key_a, key_b, ",
                figures!(),
                " FROM todoku.cell UNION ALL SELECT d.vendor_id, d.partner_id, d.audience, f.facet, f.key_a, f.key_b, ",
                figures!(),
                " FROM todoku.cell_delta d JOIN LATERAL ",
                facets!(),
                ") x WHERE vendor_id = {} AND audience = {} AND facet = {} AND ({}::uuid[] IS NULL OR partner_id = ANY ({})) GROUP BY 1, key_a, key_b) s WHERE healthy + watch + at_risk + unknown > 0"
            ))
            .bind::<Bool, _>(by_partner)
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Text, _>(audience)
            .bind::<Text, _>(facet.as_str())
            .bind::<Nullable<Array<SqlUuid>>, _>(partners.clone())
            .bind::<Nullable<Array<SqlUuid>>, _>(partners),
        )
        .await?;
    rows.into_iter().map(GroupRow::read).collect()
}

#[derive(QueryableByName)]
struct DayRow {
    #[diesel(sql_type = SqlUuid)]
    partner_id: Uuid,
    #[diesel(sql_type = Date)]
    day: NaiveDate,
}

/// How far back the newest close of a day may lie, in days: a partner whose day was not turned shows the last that was.
const REACHES_BACK: i64 = 31;

/// Which day of each partner is looked at.
pub type Days = HashMap<PartnerId, NaiveDate>;

/// The same as two columns.
pub(super) fn columns(days: &Days) -> (Vec<Uuid>, Vec<NaiveDate>) {
    days.iter().map(|(partner, day)| (partner.uuid(), *day)).unzip()
}

/// The day what is known of each of these partners is of at a point in time, of all when none are named: the newest up to `point.on` that was closed by
/// `point.known_at`. One without such a close is absent.
pub async fn days_at<S: Tenant>(tx: &Tx<S>, audience: &'static str, partners: Option<Vec<Uuid>>, point: AsKnown) -> Result<Days, Fault> {
    let rows: Vec<DayRow> = tx
        .rows(
            sql("SELECT partner_id, max(closed_on) AS day FROM todoku.cell_close WHERE vendor_id = {} AND audience = {} AND facet = 'all' AND closed_on BETWEEN {} AND {}
                   AND closed_at <= {} AND ({}::uuid[] IS NULL OR partner_id = ANY ({})) GROUP BY partner_id")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Text, _>(audience)
            .bind::<Date, _>(point.on - chrono::Duration::days(REACHES_BACK))
            .bind::<Date, _>(point.on)
            .bind::<Timestamptz, _>(point.known_at)
            .bind::<Nullable<Array<SqlUuid>>, _>(partners.clone())
            .bind::<Nullable<Array<SqlUuid>>, _>(partners),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (PartnerId::of(row.partner_id), row.day)).collect())
}

/// The groups as each partner's day closed.
pub async fn groups_of_days<S: Tenant>(tx: &Tx<S>, audience: &'static str, facet: Facet, by_partner: bool, days: &Days) -> Result<Vec<Group>, Fault> {
    let (partners, days) = columns(days);
    let rows: Vec<GroupRow> = tx
        .rows(
            sql(concat!(
                "SELECT partner_id, key_a, key_b, ",
                shown!(),
                " FROM (SELECT CASE WHEN {} THEN partner_id END AS partner_id, key_a, key_b, ",
                sums!(),
                " FROM todoku.cell_close JOIN unnest({}, {}) AS d(partner_id, closed_on) USING (partner_id, closed_on)
                   WHERE vendor_id = {} AND audience = {} AND facet = {} GROUP BY 1, key_a, key_b) s"
            ))
            .bind::<Bool, _>(by_partner)
            .bind::<Array<SqlUuid>, _>(partners)
            .bind::<Array<Date>, _>(days)
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Text, _>(audience)
            .bind::<Text, _>(facet.as_str()),
        )
        .await?;
    rows.into_iter().map(GroupRow::read).collect()
}

/// The day each visible partner is scored for; one whose day was never turned is absent.
pub async fn scoring_days<S: Tenant>(tx: &Tx<S>) -> Result<Days, Fault> {
    let partners = tx.scope().visible();
    let rows: Vec<DayRow> = tx
        .rows(
            sql("SELECT partner_id, day FROM todoku.scoring_day WHERE vendor_id = {} AND ({}::uuid[] IS NULL OR partner_id = ANY ({}))")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<Nullable<Array<SqlUuid>>, _>(partners.clone())
                .bind::<Nullable<Array<SqlUuid>>, _>(partners),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (PartnerId::of(row.partner_id), row.day)).collect())
}

/// The close of each of these partners of just that day, of all when none are named, as known at a moment.
pub async fn closes<S: Tenant>(tx: &Tx<S>, audience: &'static str, partners: Option<Vec<Uuid>>, day: NaiveDate, known_at: Moment) -> Result<HashMap<PartnerId, Cell>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        partner_id: Uuid,
        #[diesel(embed)]
        cell: CellRow,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql(concat!(
                "SELECT partner_id, ",
                shown!(),
                " FROM todoku.cell_close WHERE vendor_id = {} AND audience = {} AND facet = 'all' AND closed_on = {} AND closed_at <= {}
                   AND ({}::uuid[] IS NULL OR partner_id = ANY ({}))"
            ))
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Text, _>(audience)
            .bind::<Date, _>(day)
            .bind::<Timestamptz, _>(known_at)
            .bind::<Nullable<Array<SqlUuid>>, _>(partners.clone())
            .bind::<Nullable<Array<SqlUuid>>, _>(partners),
        )
        .await?;
    rows.into_iter().map(|row| Ok((PartnerId::of(row.partner_id), row.cell.read()?))).collect()
}

/// A day, of how many partners it closed, and the sum of these closes.
pub type ClosedDay = (NaiveDate, i64, Cell);

/// The closes of each day between two, as known at a moment, summed over visible partners; days without any are left out.
pub async fn closes_by_day<S: Tenant>(tx: &Tx<S>, audience: &'static str, days: (NaiveDate, NaiveDate), known_at: Moment) -> Result<Vec<ClosedDay>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Date)]
        closed_on: NaiveDate,
        #[diesel(sql_type = BigInt)]
        partners: i64,
        #[diesel(embed)]
        cell: CellRow,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql(concat!(
                "SELECT closed_on, partners, ",
                shown!(),
                " FROM (SELECT closed_on, count(*) FILTER (WHERE healthy + watch + at_risk + unknown > 0) AS partners, ",
                sums!(),
                " FROM todoku.cell_close WHERE vendor_id = {} AND audience = {} AND facet = 'all' AND closed_on BETWEEN {} AND {} AND closed_at <= {}
                   AND ({}::uuid[] IS NULL OR partner_id = ANY ({})) GROUP BY closed_on) s ORDER BY closed_on"
            ))
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Text, _>(audience)
            .bind::<Date, _>(days.0)
            .bind::<Date, _>(days.1)
            .bind::<Timestamptz, _>(known_at)
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible()),
        )
        .await?;
    rows.into_iter().map(|row| Ok((row.closed_on, row.partners, row.cell.read()?))).collect()
}

/// Folds the partner's deltas into its cells. Those of one combination of groups are added up before they are spread over the facets.
pub async fn fold(tx: &Tx<WorkerScope>) -> Result<(), Fault> {
    tx.run(
        sql(concat!(
            "WITH gone AS (DELETE FROM todoku.cell_delta WHERE vendor_id = {} AND partner_id = {} RETURNING *),
             d AS (SELECT vendor_id, partner_id, audience, facet, region, segment, touch_model, product, stage, ",
            sums!(),
            " FROM gone GROUP BY vendor_id, partner_id, audience, facet, region, segment, touch_model, product, stage)
             INSERT INTO todoku.cell AS c (vendor_id, partner_id, audience, facet, key_a, key_b, ",
            figures!(),
            ") SELECT d.vendor_id, d.partner_id, d.audience, f.facet, f.key_a, f.key_b, ",
            sums!(),
            " FROM d JOIN LATERAL ",
            facets!(),
            " GROUP BY d.vendor_id, d.partner_id, d.audience, f.facet, f.key_a, f.key_b
             ON CONFLICT (vendor_id, partner_id, audience, facet, key_a, key_b) DO UPDATE SET healthy = c.healthy + excluded.healthy, watch = c.watch + excluded.watch,
               at_risk = c.at_risk + excluded.at_risk, unknown = c.unknown + excluded.unknown, value_healthy = c.value_healthy + excluded.value_healthy,
               value_watch = c.value_watch + excluded.value_watch, value_at_risk = c.value_at_risk + excluded.value_at_risk,
               value_unknown = c.value_unknown + excluded.value_unknown, unconverted = c.unconverted + excluded.unconverted, score_sum = c.score_sum + excluded.score_sum,
               score_squares = c.score_squares + excluded.score_squares, coverage_sum = c.coverage_sum + excluded.coverage_sum, in_cadence = c.in_cadence + excluded.in_cadence,
               value_in_cadence = c.value_in_cadence + excluded.value_in_cadence, heard = c.heard + excluded.heard, report_age_sum = c.report_age_sum + excluded.report_age_sum,
               value_scores = c.value_scores + excluded.value_scores, points = c.points + excluded.points"
        ))
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().partner()),
    )
    .await
    .map(drop)
}

/// Publishes a partner's cells, which are folded, as the close of a day; a close is written once. Groups nobody is in any more are taken away
/// first, or words that came and went would stay for ever.
pub async fn close_cells(tx: &Tx<WorkerScope>, day: NaiveDate) -> Result<(), Fault> {
    tx.run(
        sql("DELETE FROM todoku.cell WHERE vendor_id = {} AND partner_id = {} AND facet <> 'all' AND healthy + watch + at_risk + unknown = 0")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(tx.scope().partner()),
    )
    .await?;
    tx.run(
        sql(concat!(
            "INSERT INTO todoku.cell_close (closed_on, closed_at, vendor_id, partner_id, audience, facet, key_a, key_b, ",
            figures!(),
            ") SELECT {}, {}, vendor_id, partner_id, audience, facet, key_a, key_b, ",
            figures!(),
            " FROM todoku.cell WHERE vendor_id = {} AND partner_id = {} ON CONFLICT DO NOTHING"
        ))
        .bind::<Date, _>(day)
        .bind::<Timestamptz, _>(tx.now())
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().partner()),
    )
    .await
    .map(drop)
}
