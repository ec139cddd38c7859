//! Cells: what is folded, what is not yet, and how each day closed.

use crate::auth::{Tenant, WorkerScope};
use crate::db::{Tx, sql};
use crate::insight::cell::Cell;
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId};
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Date, Nullable, Text, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// The sums of a cell over some rows.
macro_rules! sums {
    () => {
        "sum(healthy)::bigint AS healthy, sum(watch)::bigint AS watch, sum(at_risk)::bigint AS at_risk, sum(unknown)::bigint AS unknown, \
         sum(value_healthy)::bigint AS value_healthy, sum(value_watch)::bigint AS value_watch, sum(value_at_risk)::bigint AS value_at_risk, \
         sum(value_unknown)::bigint AS value_unknown, sum(unconverted)::bigint AS unconverted, sum(score_sum)::bigint AS score_sum, \
         sum(score_squares)::bigint AS score_squares, sum(coverage_sum)::bigint AS coverage_sum, sum(in_cadence)::bigint AS in_cadence, \
         sum(value_in_cadence)::bigint AS value_in_cadence, sum(heard)::bigint AS heard, sum(report_age_sum)::bigint AS report_age_sum"
    };
}

#[derive(QueryableByName)]
struct CellRow {
    #[diesel(sql_type = SqlUuid)]
    partner_id: Uuid,
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
}

fn cell(r: CellRow) -> Cell {
    Cell {
        healthy: r.healthy,
        watch: r.watch,
        at_risk: r.at_risk,
        unknown: r.unknown,
        value_healthy: r.value_healthy,
        value_watch: r.value_watch,
        value_at_risk: r.value_at_risk,
        value_unknown: r.value_unknown,
        unconverted: r.unconverted,
        score_sum: r.score_sum,
        score_squares: r.score_squares,
        coverage_sum: r.coverage_sum,
        in_cadence: r.in_cadence,
        value_in_cadence: r.value_in_cadence,
        heard: r.heard,
        report_age_sum: r.report_age_sum,
    }
}

fn read(rows: Vec<CellRow>) -> HashMap<PartnerId, Cell> {
    rows.into_iter().map(|row| (PartnerId::of(row.partner_id), cell(row))).collect()
}

/// The cells of visible partners as they stand: what is folded and what is not yet, in one look.
pub async fn cells<S: Tenant>(tx: &Tx<S>, audience: &'static str) -> Result<HashMap<PartnerId, Cell>, Fault> {
    let rows = tx
        .rows(
            sql(concat!(
                "SELECT partner_id, ",
                sums!(),
                "
                 FROM (SELECT vendor_id, partner_id, audience, healthy, watch, at_risk, unknown, value_healthy, value_watch, value_at_risk, value_unknown, unconverted,
                         score_sum, score_squares, coverage_sum, in_cadence, value_in_cadence, heard, report_age_sum FROM todoku.cell
                       UNION ALL
                       SELECT vendor_id, partner_id, audience, healthy, watch, at_risk, unknown, value_healthy, value_watch, value_at_risk, value_unknown, unconverted,
                         score_sum, score_squares, coverage_sum, in_cadence, value_in_cadence, heard, report_age_sum FROM todoku.cell_delta) x
                 WHERE vendor_id = {} AND audience = {} AND ({}::uuid[] IS NULL OR partner_id = ANY ({})) GROUP BY partner_id"
            ))
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Text, _>(audience)
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().totals())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().totals()),
        )
        .await?;
    Ok(read(rows))
}

/// The day each visible partner is scored for; one whose day was never turned is absent.
pub async fn scoring_days<S: Tenant>(tx: &Tx<S>) -> Result<HashMap<PartnerId, NaiveDate>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        partner_id: Uuid,
        #[diesel(sql_type = Date)]
        day: NaiveDate,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT partner_id, day FROM todoku.scoring_day WHERE vendor_id = {} AND ({}::uuid[] IS NULL OR partner_id = ANY ({}))")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().totals())
                .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().totals()),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (PartnerId::of(row.partner_id), row.day)).collect())
}

/// The close of each visible partner of a day.
pub async fn closes<S: Tenant>(tx: &Tx<S>, audience: &'static str, day: NaiveDate) -> Result<HashMap<PartnerId, Cell>, Fault> {
    let rows = tx
        .rows(
            sql("SELECT p.id AS partner_id, c.healthy, c.watch, c.at_risk, c.unknown, c.value_healthy, c.value_watch, c.value_at_risk, c.value_unknown, c.unconverted,
                   c.score_sum, c.score_squares, c.coverage_sum, c.in_cadence, c.value_in_cadence, c.heard, c.report_age_sum
                 FROM todoku.partner p JOIN LATERAL (SELECT * FROM todoku.cell_close c WHERE c.vendor_id = p.vendor_id AND c.partner_id = p.id AND c.audience = {}
                   AND c.closed_on = {}) c ON true
                 WHERE p.vendor_id = {} AND ({}::uuid[] IS NULL OR p.id = ANY ({}))")
            .bind::<Text, _>(audience)
            .bind::<Date, _>(day)
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().totals())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().totals()),
        )
        .await?;
    Ok(read(rows))
}

/// The closes of each day between two, summed over visible partners; days without any are left out.
pub async fn closes_by_day<S: Tenant>(tx: &Tx<S>, audience: &'static str, from: NaiveDate, to: NaiveDate) -> Result<Vec<(NaiveDate, Cell)>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Date)]
        closed_on: NaiveDate,
        #[diesel(embed)]
        cell: CellRow,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql(concat!(
                "SELECT closed_on, vendor_id AS partner_id, ",
                sums!(),
                "
                 FROM todoku.cell_close WHERE vendor_id = {} AND audience = {} AND closed_on BETWEEN {} AND {} AND ({}::uuid[] IS NULL OR partner_id = ANY ({}))
                 GROUP BY closed_on, vendor_id ORDER BY closed_on"
            ))
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Text, _>(audience)
            .bind::<Date, _>(from)
            .bind::<Date, _>(to)
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().totals())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().totals()),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.closed_on, cell(row.cell))).collect())
}

/// Folds the partner's deltas into its cells.
pub async fn fold(tx: &Tx<WorkerScope>) -> Result<(), Fault> {
    tx.run(
        sql("WITH gone AS (DELETE FROM todoku.cell_delta WHERE vendor_id = {} AND partner_id = {} RETURNING *)
             INSERT INTO todoku.cell AS c (vendor_id, partner_id, audience, healthy, watch, at_risk, unknown, value_healthy, value_watch, value_at_risk, value_unknown, unconverted,
               score_sum, score_squares, coverage_sum, in_cadence, value_in_cadence, heard, report_age_sum)
             SELECT vendor_id, partner_id, audience, sum(healthy), sum(watch), sum(at_risk), sum(unknown), sum(value_healthy), sum(value_watch), sum(value_at_risk), sum(value_unknown),
               sum(unconverted), sum(score_sum), sum(score_squares), sum(coverage_sum), sum(in_cadence), sum(value_in_cadence), sum(heard), sum(report_age_sum)
             FROM gone GROUP BY vendor_id, partner_id, audience
             ON CONFLICT (vendor_id, partner_id, audience) DO UPDATE SET healthy = c.healthy + excluded.healthy, watch = c.watch + excluded.watch,
               at_risk = c.at_risk + excluded.at_risk, unknown = c.unknown + excluded.unknown, value_healthy = c.value_healthy + excluded.value_healthy,
               value_watch = c.value_watch + excluded.value_watch, value_at_risk = c.value_at_risk + excluded.value_at_risk,
               value_unknown = c.value_unknown + excluded.value_unknown, unconverted = c.unconverted + excluded.unconverted, score_sum = c.score_sum + excluded.score_sum,
               score_squares = c.score_squares + excluded.score_squares, coverage_sum = c.coverage_sum + excluded.coverage_sum, in_cadence = c.in_cadence + excluded.in_cadence,
               value_in_cadence = c.value_in_cadence + excluded.value_in_cadence, heard = c.heard + excluded.heard, report_age_sum = c.report_age_sum + excluded.report_age_sum")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().partner()),
    )
    .await
    .map(drop)
}

/// Publishes a partner's cells as the close of a day; a close is written once.
pub async fn close_cells(tx: &Tx<WorkerScope>, day: NaiveDate) -> Result<(), Fault> {
    tx.run(
        sql("INSERT INTO todoku.cell_close (vendor_id, partner_id, audience, healthy, watch, at_risk, unknown, value_healthy, value_watch, value_at_risk, value_unknown,
               unconverted, score_sum, score_squares, coverage_sum, in_cadence, value_in_cadence, heard, report_age_sum, closed_on)
             SELECT vendor_id, partner_id, audience, sum(healthy), sum(watch), sum(at_risk), sum(unknown), sum(value_healthy), sum(value_watch), sum(value_at_risk), sum(value_unknown),
               sum(unconverted), sum(score_sum), sum(score_squares), sum(coverage_sum), sum(in_cadence), sum(value_in_cadence), sum(heard), sum(report_age_sum), {}
             FROM (SELECT vendor_id, partner_id, audience, healthy, watch, at_risk, unknown, value_healthy, value_watch, value_at_risk, value_unknown,
                     unconverted, score_sum, score_squares, coverage_sum, in_cadence, value_in_cadence, heard, report_age_sum FROM todoku.cell WHERE vendor_id = {} AND partner_id = {}
                   UNION ALL
                   SELECT vendor_id, partner_id, audience, healthy, watch, at_risk, unknown, value_healthy, value_watch, value_at_risk, value_unknown,
                     unconverted, score_sum, score_squares, coverage_sum, in_cadence, value_in_cadence, heard, report_age_sum FROM todoku.cell_delta WHERE vendor_id = {} AND partner_id = {}) x
             GROUP BY vendor_id, partner_id, audience ON CONFLICT DO NOTHING")
        .bind::<Date, _>(day)
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().partner())
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().partner()),
    )
    .await
    .map(drop)
}
