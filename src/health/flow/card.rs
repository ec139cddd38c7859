//! Adding scorecards and making one the active one.

use crate::auth::StaffScope;
use crate::db::Tx;
use crate::health::scorecard::{CardState, LAST_RANK, Purpose, Scorecard, Weighted};
use crate::health::store::{self, Card};
use crate::intake::{EFFORT, Measure};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::TypeId;
use crate::ledger::{Event, Job, JobKind, enqueue, record_events};
use serde_json::json;
use uuid::Uuid;

/// The most scorecards in force: every report is weighed by them.
const MAX_ACTIVE: usize = 100;

/// Adds a draft scorecard.
pub async fn add_scorecard(tx: &Tx<StaffScope>, caller: Uuid, name: String, purpose: Purpose, rank: i32, policy: Scorecard) -> Result<Card, Fault> {
    let card = Card { id: tx.new_id(), name, state: CardState::Draft, purpose, rank, policy, version: 1, created_at: tx.now() };
    store::insert_card(tx, &card).await?;
    let event = Event { kind: "scorecard.created", subject: card.id.uuid(), partner: None, data: json!({}) };
    record_events(tx, caller, &[event]).await?;
    Ok(card)
}

/// Makes a scorecard the active one of its purpose and rank and has every customer scored again.
pub async fn activate(tx: &Tx<StaffScope>, caller: Uuid, card: &Card) -> Result<(), Fault> {
    let beside = store::active_cards(tx).await?.into_iter().filter(|other| (other.purpose, other.rank) != (card.purpose, card.rank)).count();
    if beside >= MAX_ACTIVE {
        return Err(Fault::of(Code::StateConflict));
    }
    store::activate_card(tx, card).await?;
    tell(tx, caller, "scorecard.activated", card).await
}

/// Takes an active scorecard out of force; its customers fall to the next that fits. The one for everybody has to have a successor.
pub async fn retire(tx: &Tx<StaffScope>, caller: Uuid, card: &Card) -> Result<(), Fault> {
    let needed = card.purpose == Purpose::Churn && card.rank == LAST_RANK;
    if needed || !store::retire_card(tx, card.id).await? {
        return Err(Fault::of(Code::StateConflict));
    }
    tell(tx, caller, "scorecard.retired", card).await
}

/// News of a policy, and the jobs that bring every customer up to it.
async fn tell(tx: &Tx<StaffScope>, caller: Uuid, kind: &'static str, card: &Card) -> Result<(), Fault> {
    let event = Event { kind, subject: card.id.uuid(), partner: None, data: json!({}) };
    record_events(tx, caller, &[event]).await?;
    let partners = crate::directory::all_partner_ids(tx).await?;
    let jobs: Vec<Job> = partners.into_iter().map(|partner| Job { kind: JobKind::Rescore, partner, subjects: Vec::new(), day: None }).collect();
    enqueue(tx, &jobs).await
}

/// The scorecard a new vendor starts with: equal weights over the starter measures but effort, which caps; already active.
pub async fn starter_scorecard(tx: &Tx<StaffScope>, caller: Uuid, measures: &[Measure]) -> Result<(), Fault> {
    let weighted = measures.iter().filter(|m| m.key.as_str() != EFFORT).map(|m| Weighted::plain(m.key.clone(), 1.0)).collect();
    let card = add_scorecard(tx, caller, "starter".into(), Purpose::Churn, LAST_RANK, Scorecard::with(weighted)).await?;
    activate(tx, caller, &card).await
}
