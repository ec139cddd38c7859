//! Calibrations.

use crate::auth::{StaffScope, Tenant};
use crate::db::{Tx, sql};
use crate::insight::lesson::{Lesson, VerdictWord};
use crate::kernel::error::Fault;
use crate::kernel::id::{CalibrationId, ScorecardId, TypeId};
use crate::kernel::time::Moment;
use diesel::QueryableByName;
use diesel::sql_types::{Integer, Jsonb, Text, Timestamptz, Uuid as SqlUuid};
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

/// The calibrations of a scorecard, newest first, at most 100.
pub async fn calibrations(tx: &Tx<StaffScope>, scorecard: ScorecardId) -> Result<Vec<Kept>, Fault> {
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT id, scorecard_id, lead_days, result, created_at FROM todoku.calibration WHERE vendor_id = {} AND scorecard_id = {} ORDER BY id DESC LIMIT 100")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(scorecard.uuid()),
        )
        .await?;
    rows.into_iter().map(Row::read).collect()
}

/// The last calibration by a moment that was not refused, of whichever scorecard that is to tell of churn: what it learned of the measures outlives
/// the weights it was learned beside.
pub async fn usable_calibration(tx: &Tx<StaffScope>, by: Moment) -> Result<Option<Kept>, Fault> {
    let row: Option<Row> = tx
        .row(
            sql("SELECT k.id, k.scorecard_id, k.lead_days, k.result, k.created_at FROM todoku.calibration k JOIN todoku.scorecard s ON s.vendor_id = k.vendor_id AND s.id = k.scorecard_id
                 WHERE k.vendor_id = {} AND k.verdict <> 'refused' AND k.created_at <= {} AND s.purpose = 'churn' ORDER BY k.id DESC LIMIT 1")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Timestamptz, _>(by),
        )
        .await?;
    row.map(Row::read).transpose()
}
