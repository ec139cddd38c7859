//! What a scorecard would change, were it active: every customer that stands in figures scored by the policies in force and by those
//! with this one among them, from the same evidence. Nothing is written.

use super::bias::in_force_at;
use super::rulebook::{Rulebook, rulebook};
use super::scoring::profile;
use crate::auth::StaffScope;
use crate::db::Tx;
use crate::directory::{Vendor, calendar};
use crate::health::audience::read_for;
use crate::health::evidence::Evidence;
use crate::health::score::{Known, Score};
use crate::health::scorecard::Band;
use crate::health::store::{self, Card, Counted};
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, MeasureId, PartnerId, TypeId};
use chrono::{Duration, NaiveDate};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// How many partners' customers are looked at side by side: the bound of what is held at once.
const SIDE_BY_SIDE: usize = 8;
/// How many of those that move most are named.
const NAMED: usize = 20;

/// A customer whose score would move.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "named as shown")]
pub struct Moved {
    pub customer: CustomerId,
    pub partner: PartnerId,
    pub external_id: String,
    pub name: String,
    pub before: Figure,
    pub after: Figure,
}

/// A score by one of the policies compared; figures in thousandths, without its parts: very many are held.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the members of Score")]
pub struct Figure {
    pub score: Option<i32>,
    pub interval: Option<(i32, i32)>,
    pub coverage: i32,
    pub band: Band,
}

impl Figure {
    /// Of a customer no scorecard is for, that nothing is known.
    fn of(score: Option<Score>) -> Self {
        let score = score.unwrap_or_else(Score::unknown);
        Self { score: score.score, interval: score.interval, coverage: score.coverage, band: score.band }
    }
}

impl Moved {
    /// How far, in thousandths; becoming known or unknown weighs as much as the whole scale.
    fn far(&self) -> i32 {
        match (self.before.score, self.after.score) {
            (Some(before), Some(after)) => (after - before).abs(),
            (None, None) => 0,
            _ => 100_000,
        }
    }
}

/// What a scorecard would change.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// The day it was asked for.
    pub on: NaiveDate,
    /// Customers looked at.
    pub customers: i64,
    /// Those whose score or band would be another.
    pub changed: i64,
    /// Customers and their value by band now and then.
    pub bands: BTreeMap<(Band, Band), (i64, i64)>,
    /// Those that would move most, farthest first.
    pub movers: Vec<Moved>,
}

/// Simulates a scorecard.
pub async fn simulate(tx: &Tx<StaffScope>, card: Card) -> Result<Simulation, Fault> {
    let (vendor, now, customers) = futures_util::try_join!(calendar(tx), rulebook(tx), store::counted(tx, card.purpose))?;
    let mut cards: Vec<Card> = now.cards.iter().map(|ruled| ruled.card.clone()).filter(|other| (other.purpose, other.rank) != (card.purpose, card.rank)).collect();
    let purpose = card.purpose;
    cards.push(card);
    cards.sort_by_key(|card| (card.purpose, card.rank));
    let then = Rulebook::of(cards, now.catalogue.clone());
    let mut result = Simulation { on: vendor.zone.day_of(tx.now()), customers: customers.len() as i64, changed: 0, bands: BTreeMap::new(), movers: Vec::new() };
    let by_partner: Vec<&[Counted]> = customers.chunk_by(|a, b| a.partner_id == b.partner_id).collect();
    for partners in by_partner.chunks(SIDE_BY_SIDE) {
        let read = partners.iter().map(|of_one| known(tx, &vendor, result.on, now.horizon_days().max(then.horizon_days()), of_one));
        for (of_one, known) in partners.iter().zip(futures_util::future::try_join_all(read).await?) {
            for customer in *of_one {
                let (facts, said) = (customer.facts()?, known.of(customer));
                let products = known.products.get(&customer.id).map(Vec::as_slice).unwrap_or_default();
                let closed_in = customer.closed_in()?;
                let score = |rules: &Rulebook| rules.applying(purpose, &profile(&facts, products)).map(|ruled| ruled.scorer.score(&Known { closed_in, ..said.clone() }, result.on));
                result.add(customer, score(&now), score(&then));
            }
            // Others are served between two partners.
            tokio::task::yield_now().await;
        }
    }
    result.name_movers();
    Ok(result)
}

impl Simulation {
    fn add(&mut self, customer: &Counted, before: Option<Score>, after: Option<Score>) {
        let (before, after) = (Figure::of(before), Figure::of(after));
        let cell = self.bands.entry((before.band, after.band)).or_default();
        cell.0 += 1;
        cell.1 += customer.value_minor;
        if (before.score, before.band) == (after.score, after.band) {
            return;
        }
        self.changed += 1;
        let (customer_id, partner) = (CustomerId::of(customer.id), PartnerId::of(customer.partner_id));
        self.movers.push(Moved { customer: customer_id, partner, external_id: customer.external_id.clone(), name: customer.name.clone(), before, after });
        if self.movers.len() >= 50 * NAMED {
            self.name_movers();
        }
    }

    /// Keeps those that move most.
    fn name_movers(&mut self) {
        self.movers.sort_by_key(|moved| (std::cmp::Reverse(moved.far()), moved.customer));
        self.movers.truncate(NAMED);
    }
}

/// What is known about one partner's customers.
struct OfPartner {
    evidence: HashMap<Uuid, Vec<Evidence>>,
    cases: HashMap<Uuid, Vec<crate::intake::OpenCase>>,
    products: HashMap<Uuid, Vec<String>>,
    bias: HashMap<MeasureId, f64>,
}

impl OfPartner {
    fn of(&self, customer: &Counted) -> Known<'_> {
        let evidence = self.evidence.get(&customer.id).map(Vec::as_slice).unwrap_or_default();
        Known { evidence, cases: self.cases.get(&customer.id).map(Vec::as_slice).unwrap_or_default(), bias: Some(&self.bias), ..Known::default() }
    }
}

async fn known(tx: &Tx<StaffScope>, vendor: &Vendor, on: NaiveDate, horizon: i64, customers: &[Counted]) -> Result<OfPartner, Fault> {
    let Some(partner) = customers.first().map(|customer| customer.partner_id) else {
        return Ok(OfPartner { evidence: HashMap::new(), cases: HashMap::new(), products: HashMap::new(), bias: HashMap::new() });
    };
    let ids: Vec<Uuid> = customers.iter().map(|customer| customer.id).collect();
    let since = vendor.zone.start_of(on - Duration::days(horizon));
    let (evidence, cases, running, biases) = futures_util::try_join!(
        store::evidence(tx, partner, vendor.zone, ids.clone(), since, read_for(true)),
        store::open_cases(tx, partner, ids.clone(), on),
        store::running_subscriptions(tx, partner, ids, on),
        store::newest_biases(tx, PartnerId::of(partner), tx.now()),
    )?;
    let evidence = evidence.into_iter().map(|(id, all)| (id, all.into_iter().map(|(item, _)| Evidence { day: item.day.min(on), ..item }).collect())).collect();
    let mut products: HashMap<Uuid, Vec<String>> = HashMap::new();
    for row in running {
        products.entry(row.customer_id).or_default().push(row.product);
    }
    Ok(OfPartner { evidence, cases, products, bias: in_force_at(&biases, tx.now()) })
}
