//! Calibrations.

use crate::auth::{StaffScope, Tenant};
use crate::db::{Tx, sql};
use crate::insight::calibration::Verdict;
use crate::insight::flow::Learned;
use crate::kernel::error::Fault;
use crate::kernel::id::{CalibrationId, ScorecardId, TypeId};
use crate::kernel::time::Moment;
use diesel::QueryableByName;
use diesel::sql_types::{Bool, Integer, Jsonb, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

crate::word_list! {
    /// What the gate said of a calibration.
    VerdictWord {
        /// Order and probabilities may be used.
        Accepted = "accepted",
        /// The order alone may be used.
        RankingOnly = "ranking_only",
        /// The hand weights stay.
        Refused = "refused",
    }
}

impl VerdictWord {
    /// In a word.
    pub fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Accepted => Self::Accepted,
            Verdict::RankingOnly { .. } => Self::RankingOnly,
            Verdict::Refused(_) => Self::Refused,
        }
    }
}

/// A calibration as kept.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of calibration")]
pub struct Kept {
    pub id: CalibrationId,
    pub scorecard: ScorecardId,
    pub lead_days: i32,
    pub learned: Learned,
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

/// The last calibration of a scorecard; of those that may be used, if asked so.
pub async fn last_calibration(tx: &Tx<StaffScope>, scorecard: ScorecardId, usable: bool) -> Result<Option<Kept>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
        #[diesel(sql_type = Integer)]
        lead_days: i32,
        #[diesel(sql_type = Jsonb)]
        result: serde_json::Value,
        #[diesel(sql_type = Timestamptz)]
        created_at: Moment,
    }
    let row: Option<Row> = tx
        .row(
            sql("SELECT id, lead_days, result, created_at FROM todoku.calibration
                 WHERE vendor_id = {} AND scorecard_id = {} AND (NOT {} OR verdict <> 'refused') ORDER BY id DESC LIMIT 1")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(scorecard.uuid())
            .bind::<Bool, _>(usable),
        )
        .await?;
    let read = |row: Row| {
        let learned = serde_json::from_value(row.result).map_err(Fault::internal)?;
        Ok(Kept { id: CalibrationId::of(row.id), scorecard, lead_days: row.lead_days, learned, created_at: row.created_at })
    };
    row.map(read).transpose()
}
