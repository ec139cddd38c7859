//! What is told of totals, month by month.

use crate::auth::{AnalystScope, Tenant};
use crate::db::{Tx, sql};
use crate::health::AsKnown;
use crate::insight::totals::{Part, Total};
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId};
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, Date, Integer, Jsonb, Nullable, Timestamptz, Uuid as SqlUuid};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Keeps the parts that are told to each partner.
pub async fn keep_totals(tx: &Tx<AnalystScope>, closed_on: NaiveDate, told: &BTreeMap<PartnerId, Vec<Part>>) -> Result<(), Fault> {
    let rows: Vec<(&PartnerId, i32, &Part)> = told.iter().flat_map(|(viewer, parts)| (0..).zip(parts).map(move |(n, part)| (viewer, n, part))).collect();
    let members = |part: &Part| serde_json::Value::from(part.members.iter().map(|id| id.uuid().to_string()).collect::<Vec<_>>());
    let figure = |of: fn(&Total) -> Option<i64>| rows.iter().map(|(.., part)| of(&part.total).map(|value| value as i32)).collect::<Vec<_>>();
    tx.run(
        sql("INSERT INTO todoku.month_total (vendor_id, partner_id, closed_on, part, members, customers, known_share, mean_health, share_at_risk, report_rate, known_from)
             SELECT {}, viewer, {}, part, ARRAY(SELECT jsonb_array_elements_text(members)::uuid), customers, known_share, mean_health, share_at_risk, report_rate, {}
             FROM unnest({}, {}, {}, {}, {}, {}, {}, {}) AS u(viewer, part, members, customers, known_share, mean_health, share_at_risk, report_rate)")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Date, _>(closed_on)
        .bind::<Timestamptz, _>(tx.now())
        .bind::<Array<SqlUuid>, _>(rows.iter().map(|(viewer, ..)| viewer.uuid()).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(rows.iter().map(|(_, n, _)| *n).collect::<Vec<_>>())
        .bind::<Array<Jsonb>, _>(rows.iter().map(|(.., part)| members(part)).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(figure(|total| Some(total.customers)))
        .bind::<Array<Nullable<Integer>>, _>(figure(|total| total.known_share))
        .bind::<Array<Nullable<Integer>>, _>(figure(|total| total.mean_health))
        .bind::<Array<Nullable<Integer>>, _>(figure(|total| total.share_at_risk))
        .bind::<Array<Nullable<Integer>>, _>(figure(|total| total.report_rate)),
    )
    .await
    .map(drop)
}

/// What is told to a partner as the newest month up to a day, as known at a moment.
pub async fn month_totals<S: Tenant>(tx: &Tx<S>, viewer: Uuid, point: AsKnown) -> Result<Option<(NaiveDate, Vec<Part>)>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Date)]
        closed_on: NaiveDate,
        #[diesel(sql_type = Array<SqlUuid>)]
        members: Vec<Uuid>,
        #[diesel(sql_type = Integer)]
        customers: i32,
        #[diesel(sql_type = Nullable<Integer>)]
        known_share: Option<i32>,
        #[diesel(sql_type = Nullable<Integer>)]
        mean_health: Option<i32>,
        #[diesel(sql_type = Nullable<Integer>)]
        share_at_risk: Option<i32>,
        #[diesel(sql_type = Nullable<Integer>)]
        report_rate: Option<i32>,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT closed_on, members, customers, known_share, mean_health, share_at_risk, report_rate FROM todoku.month_total
                 WHERE vendor_id = {} AND partner_id = {} AND closed_on =
                   (SELECT max(closed_on) FROM todoku.month_total WHERE vendor_id = {} AND partner_id = {} AND closed_on <= {} AND known_from <= {}) ORDER BY part")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(viewer)
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(viewer)
            .bind::<Date, _>(point.on)
            .bind::<Timestamptz, _>(point.known_at),
        )
        .await?;
    let Some(closed_on) = rows.first().map(|row| row.closed_on) else { return Ok(None) };
    let read = |row: Row| Part {
        members: row.members.into_iter().map(PartnerId::of).collect(),
        total: Total {
            customers: row.customers.into(),
            known_share: row.known_share.map(i64::from),
            mean_health: row.mean_health.map(i64::from),
            share_at_risk: row.share_at_risk.map(i64::from),
            report_rate: row.report_rate.map(i64::from),
        },
    };
    Ok(Some((closed_on, rows.into_iter().map(read).collect())))
}
