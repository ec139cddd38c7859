//! Scorecards.

use super::broken;
use crate::auth::{StaffScope, Tenant};
use crate::db::{Tx, sql};
use crate::health::scorecard::{CardState, Purpose, Scorecard};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{ScorecardId, TypeId};
use crate::kernel::time::Moment;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Integer, Jsonb, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

/// A scorecard as stored.
#[derive(Debug, Clone)]
pub struct Card {
    /// Its id.
    pub id: ScorecardId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: CardState,
    /// What its figure is to tell.
    pub purpose: Purpose,
    /// Its place among the scorecards of the purpose; the lowest that fits a customer applies.
    pub rank: i32,
    /// The policy.
    pub policy: Scorecard,
    /// Raised by each change of its state.
    pub version: i64,
    /// When it was created.
    pub created_at: Moment,
}

/// A scorecard's row.
#[derive(QueryableByName)]
pub(super) struct CardRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Text)]
    purpose: String,
    #[diesel(sql_type = Integer)]
    rank: i32,
    #[diesel(sql_type = Jsonb)]
    policy: serde_json::Value,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: Moment,
}

impl CardRow {
    pub(super) fn read(self) -> Result<Card, Fault> {
        Ok(Card {
            id: ScorecardId::of(self.id),
            name: self.name,
            state: self.state.parse().map_err(broken)?,
            purpose: self.purpose.parse().map_err(broken)?,
            rank: self.rank,
            policy: serde_json::from_value(self.policy).map_err(Fault::internal)?,
            version: self.version,
            created_at: self.created_at,
        })
    }
}

/// The active scorecards, by purpose and rank; every vendor has one for everybody from its founding.
pub async fn active_cards<S: Tenant>(tx: &Tx<S>) -> Result<Vec<Card>, Fault> {
    let rows: Vec<CardRow> = tx
        .rows(
            sql("SELECT id, name, state, purpose, rank, policy, version, created_at FROM todoku.scorecard WHERE vendor_id = {} AND state = 'active' ORDER BY purpose, rank")
                .bind::<SqlUuid, _>(tx.scope().vendor()),
        )
        .await?;
    rows.into_iter().map(CardRow::read).collect()
}

/// All scorecards, newest first, at most 1,000. A partner sees the active ones.
pub async fn cards<S: Tenant>(tx: &Tx<S>) -> Result<Vec<Card>, Fault> {
    let all = tx.scope().visible().is_none();
    let rows: Vec<CardRow> = tx
        .rows(
            sql("SELECT id, name, state, purpose, rank, policy, version, created_at FROM todoku.scorecard WHERE vendor_id = {} AND ({} OR state = 'active') ORDER BY id DESC LIMIT 1000")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<Bool, _>(all),
        )
        .await?;
    rows.into_iter().map(CardRow::read).collect()
}

/// A scorecard.
pub async fn card<S: Tenant>(tx: &Tx<S>, id: ScorecardId) -> Result<Option<Card>, Fault> {
    let row: Option<CardRow> = tx
        .row(
            sql("SELECT id, name, state, purpose, rank, policy, version, created_at FROM todoku.scorecard WHERE vendor_id = {} AND id = {}")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(id.uuid()),
        )
        .await?;
    row.map(CardRow::read).transpose()
}

/// Locks a scorecard.
pub async fn lock_card(tx: &Tx<StaffScope>, id: ScorecardId) -> Result<Option<Card>, Fault> {
    let row: Option<CardRow> = tx
        .row(
            sql("SELECT id, name, state, purpose, rank, policy, version, created_at FROM todoku.scorecard WHERE vendor_id = {} AND id = {} FOR UPDATE")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(id.uuid()),
        )
        .await?;
    row.map(CardRow::read).transpose()
}

/// Adds a scorecard.
pub async fn insert_card(tx: &Tx<StaffScope>, card: &Card) -> Result<(), Fault> {
    tx.run(
        sql("INSERT INTO todoku.scorecard (vendor_id, id, name, state, purpose, rank, policy, version, created_at, updated_at) VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {})")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(card.id.uuid())
            .bind::<Text, _>(card.name.clone())
            .bind::<Text, _>(card.state.as_str())
            .bind::<Text, _>(card.purpose.as_str())
            .bind::<Integer, _>(card.rank)
            .bind::<Jsonb, _>(serde_json::to_value(&card.policy).map_err(Fault::internal)?)
            .bind::<BigInt, _>(card.version)
            .bind::<Timestamptz, _>(card.created_at)
            .bind::<Timestamptz, _>(card.created_at),
    )
    .await
    .map(drop)
}

/// Retires an active scorecard; `false` when it is not active.
pub async fn retire_card(tx: &Tx<StaffScope>, id: ScorecardId) -> Result<bool, Fault> {
    let retired = tx
        .run(
            sql("UPDATE todoku.scorecard SET state = 'retired', version = version + 1, updated_at = greatest({}, updated_at + interval '1 microsecond')
                 WHERE vendor_id = {} AND id = {} AND state = 'active'")
            .bind::<Timestamptz, _>(tx.now())
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(id.uuid()),
        )
        .await?;
    Ok(retired == 1)
}

/// Retires the active scorecard of the same purpose and rank and activates this one.
pub async fn activate_card(tx: &Tx<StaffScope>, card: &Card) -> Result<(), Fault> {
    tx.run(
        sql("UPDATE todoku.scorecard SET state = 'retired', version = version + 1, updated_at = greatest({}, updated_at + interval '1 microsecond')
             WHERE vendor_id = {} AND state = 'active' AND purpose = {} AND rank = {}")
        .bind::<Timestamptz, _>(tx.now())
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Text, _>(card.purpose.as_str())
        .bind::<Integer, _>(card.rank),
    )
    .await?;
    let activated = tx
        .try_run(
            sql("UPDATE todoku.scorecard SET state = 'active', version = version + 1, updated_at = greatest({}, updated_at + interval '1 microsecond') WHERE vendor_id = {} AND id = {}")
                .bind::<Timestamptz, _>(tx.now())
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(card.id.uuid()),
        )
        .await;
    activated.map(drop).map_err(|error| match crate::db::fault::violated(&error) {
        // Another activation came first.
        Some("scorecard_one_active") => Code::StateConflict.into(),
        _ => crate::db::fault::fault(error),
    })
}
