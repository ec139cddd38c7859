//! Calibrations.

use crate::auth::{AnalystScope, StaffScope, Tenant, Whole};
use crate::db::{Tx, sql};
use crate::health::{CardState, Criteria, Purpose};
use crate::insight::check::Check;
use crate::insight::lesson::{Lesson, VerdictWord};
use crate::kernel::error::Fault;
use crate::kernel::id::{CalibrationId, ScorecardId, TypeId};
use crate::kernel::time::Moment;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Bool, Date, Double, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashSet;
use uuid::Uuid;

/// A calibration as kept.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of calibration")]
pub struct Kept {
    pub id: CalibrationId,
    pub scorecard: ScorecardId,
    pub lead_days: i32,
    pub learned: Lesson,
    pub created_at: Moment,
}

/// Keeps a calibration.
pub async fn keep_calibration(tx: &Tx<StaffScope>, kept: &Kept) -> Result<(), Fault> {
    tx.run(
        sql("INSERT INTO todoku.calibration (vendor_id, id, scorecard_id, lead_days, verdict, result, created_at) VALUES ({}, {}, {}, {}, {}, {}, {})")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(kept.id.uuid())
            .bind::<SqlUuid, _>(kept.scorecard.uuid())
            .bind::<Integer, _>(kept.lead_days)
            .bind::<Text, _>(VerdictWord::of(&kept.learned.calibration.verdict).as_str())
            .bind::<Jsonb, _>(serde_json::to_value(&kept.learned).map_err(Fault::internal)?)
            .bind::<Timestamptz, _>(kept.created_at),
    )
    .await
    .map(drop)
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    scorecard_id: Uuid,
    #[diesel(sql_type = Integer)]
    lead_days: i32,
    #[diesel(sql_type = Jsonb)]
    result: serde_json::Value,
    #[diesel(sql_type = Timestamptz)]
    created_at: Moment,
}

impl Row {
    fn read(self) -> Result<Kept, Fault> {
        let learned = serde_json::from_value(self.result).map_err(Fault::internal)?;
        Ok(Kept { id: CalibrationId::of(self.id), scorecard: ScorecardId::of(self.scorecard_id), lead_days: self.lead_days, learned, created_at: self.created_at })
    }
}

/// The calibrations of a scorecard by a moment, newest first, at most 100.
pub async fn calibrations(tx: &Tx<StaffScope>, scorecard: ScorecardId, by: Moment) -> Result<Vec<Kept>, Fault> {
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT id, scorecard_id, lead_days, result, created_at FROM todoku.calibration WHERE vendor_id = {} AND scorecard_id = {} AND created_at <= {} ORDER BY id DESC LIMIT 100")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(scorecard.uuid())
                .bind::<Timestamptz, _>(by),
        )
        .await?;
    rows.into_iter().map(Row::read).collect()
}

/// Which calibrations by a moment may be used, newest first: of each scorecard that is to tell of churn and had been in force by then the last that was not
/// refused, with whom the scorecard is for. What it learned of the measures outlives the weights it was learned beside, and calibrating a draft changes
/// nobody's probability.
pub async fn usable_calibrations<S: Whole>(tx: &Tx<S>, by: Moment) -> Result<Vec<(Kept, Criteria)>, Fault> {
    #[derive(QueryableByName)]
    struct Usable {
        #[diesel(embed)]
        kept: Row,
        #[diesel(sql_type = Nullable<Jsonb>)]
        criteria: Option<serde_json::Value>,
    }
    let rows: Vec<Usable> = tx
        .rows(
            sql("SELECT u.id, s.id AS scorecard_id, u.lead_days, u.result, u.created_at, s.policy -> 'criteria' AS criteria FROM todoku.scorecard s CROSS JOIN LATERAL
                   (SELECT k.id, k.lead_days, k.result, k.created_at FROM todoku.calibration k
                    WHERE k.vendor_id = s.vendor_id AND k.scorecard_id = s.id AND k.verdict <> {} AND k.created_at <= {} ORDER BY k.id DESC LIMIT 1) u
                 WHERE s.vendor_id = {} AND s.purpose = {}
                   AND EXISTS (SELECT 1 FROM todoku.scorecard_version v WHERE v.vendor_id = s.vendor_id AND v.id = s.id AND v.state = {} AND v.known_from <= {})
                 ORDER BY u.id DESC")
            .bind::<Text, _>(VerdictWord::Refused.as_str())
            .bind::<Timestamptz, _>(by)
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Text, _>(Purpose::Churn.as_str())
            .bind::<Text, _>(CardState::Active.as_str())
            .bind::<Timestamptz, _>(by),
        )
        .await?;
    let read = |row: Usable| Ok((row.kept.read()?, row.criteria.map(serde_json::from_value).transpose().map_err(Fault::internal)?.unwrap_or_default()));
    let mut usable: Vec<(Kept, Criteria)> = rows.into_iter().map(read).collect::<Result<_, Fault>>()?;
    // Behind one that is for everybody none is ever chosen.
    if let Some(last) = usable.iter().position(|(_, criteria)| criteria.is_empty()) {
        usable.truncate(last + 1);
    }
    Ok(usable)
}

#[derive(QueryableByName)]
struct CheckRow {
    #[diesel(sql_type = SqlUuid)]
    calibration_id: Uuid,
    #[diesel(sql_type = Date)]
    closed_on: NaiveDate,
    #[diesel(sql_type = Integer)]
    outcomes: i32,
    #[diesel(sql_type = Integer)]
    lost: i32,
    #[diesel(sql_type = Nullable<Double>)]
    auc: Option<f64>,
    #[diesel(sql_type = Bool)]
    is_below: bool,
}

/// The re-checks of the calibrations of a scorecard by a moment, newest first.
pub async fn checks(tx: &Tx<StaffScope>, scorecard: ScorecardId, by: Moment) -> Result<Vec<Check>, Fault> {
    let rows: Vec<CheckRow> = tx
        .rows(
            sql("SELECT c.calibration_id, c.closed_on, c.outcomes, c.lost, c.auc, c.is_below FROM todoku.calibration_check c
                 JOIN todoku.calibration k ON k.vendor_id = c.vendor_id AND k.id = c.calibration_id
                 WHERE c.vendor_id = {} AND k.scorecard_id = {} AND c.known_from <= {} ORDER BY c.closed_on DESC, c.calibration_id DESC LIMIT 1000")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(scorecard.uuid())
            .bind::<Timestamptz, _>(by),
        )
        .await?;
    let read = |row: CheckRow| Check {
        calibration: CalibrationId::of(row.calibration_id),
        closed_on: row.closed_on,
        outcomes: row.outcomes as usize,
        lost: row.lost as usize,
        auc: row.auc,
        is_below: row.is_below,
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Which calibrations were checked by the end of a month.
pub async fn checked(tx: &Tx<AnalystScope>, closed_on: NaiveDate) -> Result<HashSet<CalibrationId>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        calibration_id: Uuid,
    }
    let rows: Vec<Row> = tx
        .rows(sql("SELECT calibration_id FROM todoku.calibration_check WHERE vendor_id = {} AND closed_on = {}").bind::<SqlUuid, _>(tx.scope().vendor()).bind::<Date, _>(closed_on))
        .await?;
    Ok(rows.into_iter().map(|row| CalibrationId::of(row.calibration_id)).collect())
}

/// Keeps a re-check; `false` when there was one.
pub async fn keep_check(tx: &Tx<AnalystScope>, check: &Check) -> Result<bool, Fault> {
    let kept = tx
        .run(
            sql("INSERT INTO todoku.calibration_check (vendor_id, calibration_id, closed_on, outcomes, lost, auc, is_below, known_from)
                 VALUES ({}, {}, {}, {}, {}, {}, {}, {}) ON CONFLICT DO NOTHING")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(check.calibration.uuid())
            .bind::<Date, _>(check.closed_on)
            .bind::<Integer, _>(check.outcomes as i32)
            .bind::<Integer, _>(check.lost as i32)
            .bind::<Nullable<Double>, _>(check.auc)
            .bind::<Bool, _>(check.is_below)
            .bind::<Timestamptz, _>(tx.now()),
        )
        .await?;
    Ok(kept == 1)
}
