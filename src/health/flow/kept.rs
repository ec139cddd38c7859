//! The conclusion about a customer as it is kept, and the inputs it was made from.

use super::bias::in_force_at;
use super::replay::Asked;
use super::rulebook::{Rulebook, rulebook};
use crate::auth::Tenant;
use crate::db::Tx;
use crate::health::audience::{VENDOR, read_for};
use crate::health::evidence::{Evidence, Origin};
use crate::health::input::{Inputs, with_origins};
use crate::health::score::Known;
use crate::health::store::{self, Health};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, PartnerId, TypeId};
use crate::kernel::time::Zone;
use chrono::Duration;

/// A kept conclusion, with what it is read by.
pub struct Kept {
    /// About whom.
    customer: CustomerId,
    /// Whose customer.
    partner: PartnerId,
    /// In which view.
    asked: Asked,
    /// The conclusion, if there is one.
    pub health: Option<Health>,
    /// The policies in force, and that of the conclusion.
    pub rules: Rulebook,
}

/// A visible customer's kept conclusion; 404 when there is no such customer. `asked` is of a kind that is kept.
pub async fn kept<S: Tenant>(tx: &Tx<S>, customer: CustomerId, asked: Asked) -> Result<Kept, Fault> {
    let (found, mut rules) = futures_util::try_join!(store::health_of(tx, customer, asked.audience, asked.purpose), rulebook(tx))?;
    let (partner, health) = found.ok_or(Fault::of(Code::NotFound))?;
    // Between the activation of another scorecard and the scores by it, the one that is shown explains itself.
    if let Some(retired) = health.as_ref().map(|health| health.card).filter(|id| rules.cards.iter().all(|ruled| ruled.card.id != *id))
        && let Some(card) = store::card(tx, retired).await?
    {
        rules.add(card);
    }
    Ok(Kept { customer, partner, asked, health, rules })
}

impl Kept {
    /// What counted; `None` where it cannot be told any more.
    ///
    /// The invariant: the inputs make the very figures that are kept, for the same day and from the same evidence. A conclusion bears the moment
    /// its transaction began, so what had been received by then is read, and what came since and waits for its job is not; and evidence of a day
    /// that had begun but was not turned counts for the day scored for, as `rescore` takes it. That moment cannot tell what a writer saw
    /// that others overtook on their way, and a new release may score otherwise: so what is read is scored again and held against what is
    /// kept. Where they differ nothing is told, and the caller replays the whole conclusion instead. A revision with the very figures of the one before
    /// that overtook it makes no difference here: until the next score the report before it is named.
    ///
    /// Only what the view is made from is read: for a partner, and for the vendor in the shared view, nothing but shared evidence, and no bias.
    pub async fn inputs<S: Tenant>(&self, tx: &Tx<S>, zone: Zone) -> Result<Option<Inputs>, Fault> {
        // A conclusion that no scorecard was for has no parts to explain.
        let Some(health) = self.health.as_ref().filter(|health| !health.score.parts.is_empty()) else { return Ok(Some(Inputs::new())) };
        let Some(ruled) = self.rules.cards.iter().find(|ruled| ruled.card.id == health.card) else { return Ok(None) };
        let (id, on, whole) = (self.customer.uuid(), health.scored_for, self.asked.audience == VENDOR);
        let since = zone.start_of(on - Duration::days(ruled.scorer.horizon_days()));
        let biases = async { if whole { store::all_biases(tx, self.partner).await } else { Ok(Vec::new()) } };
        let evidence = store::evidence_known(tx, (self.partner.uuid(), id), zone, since, read_for(whole), health.known_at);
        let (told, biases) = futures_util::try_join!(evidence, biases)?;
        let told: Vec<(Evidence, Origin)> = told.into_iter().map(|(item, origin)| (Evidence { day: item.day.min(on), ..item }, origin)).collect();
        let evidence: Vec<Evidence> = told.iter().map(|(item, _)| *item).collect();
        let bias = in_force_at(&biases, health.known_at);
        let again = ruled.scorer.score(&Known { evidence: &evidence, bias: Some(&bias), ..Known::default() }, on).parts;
        let is_it = again.len() == health.score.parts.len() && again.iter().zip(&health.score.parts).all(|(again, kept)| again.tells_as(kept));
        Ok(is_it.then(|| with_origins(ruled.scorer.inputs(&evidence, Some(&bias), on), told)))
    }
}
