//! The scorecards in force, made ready to score by, and which of them applies to whom.

use crate::auth::Tenant;
use crate::db::Tx;
use crate::health::score::Scorer;
use crate::health::scorecard::{CardMeasure, LAST_RANK, Profile, Purpose, Scorecard};
use crate::health::store::{self, Card};
use crate::intake::{self, Measure};
use crate::kernel::error::Fault;
use crate::kernel::id::MeasureId;
use crate::kernel::text::Key;
use crate::kernel::time::Moment;
use std::collections::HashMap;

/// A scorecard made ready to score by.
#[derive(Debug, Clone)]
pub struct Ruled {
    /// Which one.
    pub card: Card,
    /// Its policy over the catalogue.
    pub scorer: Scorer,
}

/// The scorecards in force over the catalogue they name.
#[derive(Debug, Clone)]
pub struct Rulebook {
    /// By purpose and rank.
    pub cards: Vec<Ruled>,
    /// What may be observed.
    pub catalogue: Vec<Measure>,
}

/// Makes a policy ready over a catalogue. A measure the catalogue does not have is left out: none is ever taken from it.
pub fn ready(policy: &Scorecard, catalogue: &[Measure]) -> Scorer {
    let by_key: HashMap<&Key, &Measure> = catalogue.iter().map(|m| (&m.key, m)).collect();
    let entry = |item: &crate::health::scorecard::Weighted, weight: f64| {
        let m = by_key.get(&item.measure)?;
        Some(CardMeasure {
            id: m.id,
            key: m.key.clone(),
            weight,
            nature: m.nature,
            curve: item.curve.clone().unwrap_or_else(|| m.curve.clone()),
            own_curve: item.curve.is_some(),
            half_life_days: item.half_life_days.or(m.half_life_days),
            valid_days: item.valid_days.unwrap_or(m.valid_days),
            missing: item.missing,
            minimum_evidence: item.minimum_evidence,
        })
    };
    let measures = policy.measures.iter().zip(policy.shared_out()).filter_map(|(item, weight)| entry(item, weight)).collect();
    Scorer::new(policy.clone(), measures, |key| by_key.get(key).map(|m| m.id))
}

impl Rulebook {
    /// Makes scorecards ready over a catalogue.
    pub fn of(cards: Vec<Card>, catalogue: Vec<Measure>) -> Self {
        let cards = cards.into_iter().map(|card| Ruled { scorer: ready(&card.policy, &catalogue), card }).collect();
        Self { cards, catalogue }
    }

    /// Adds a scorecard that is in force no more, behind all that are.
    pub fn add(&mut self, card: Card) {
        self.cards.push(Ruled { scorer: ready(&card.policy, &self.catalogue), card });
    }

    /// The scorecard that applies to a customer for a purpose.
    pub fn applying(&self, purpose: Purpose, customer: &Profile<'_>) -> Option<&Ruled> {
        self.cards.iter().find(|ruled| ruled.card.purpose == purpose && ruled.card.policy.criteria.fit(customer))
    }

    /// The scorecard for everybody of a purpose.
    pub fn last(&self, purpose: Purpose) -> Option<&Ruled> {
        self.cards.iter().find(|ruled| ruled.card.purpose == purpose && ruled.card.rank == LAST_RANK)
    }

    /// How many days back evidence may matter to any of them.
    pub fn horizon_days(&self) -> i64 {
        self.cards.iter().map(|ruled| ruled.scorer.horizon_days()).max().unwrap_or(0)
    }

    /// The catalogue's entry of a measure.
    pub fn measure(&self, id: MeasureId) -> Option<&Measure> {
        self.catalogue.iter().find(|measure| measure.id == id)
    }
}

/// The scorecards in force.
pub async fn rulebook<S: Tenant>(tx: &Tx<S>) -> Result<Rulebook, Fault> {
    let (cards, catalogue) = futures_util::try_join!(store::active_cards(tx), intake::measures(tx))?;
    Ok(Rulebook::of(cards, catalogue))
}

/// The scorecards that were in force at a moment, by purpose and rank.
pub async fn cards_at<S: Tenant>(tx: &Tx<S>, moment: Moment) -> Result<Vec<Card>, Fault> {
    let cards = store::cards_in_time(tx).await?;
    Ok(cards.into_iter().filter(|(_, stay)| stay.at(moment)).map(|(card, _)| card).collect())
}
