//! The past of many customers by one scorecard: what it would have seen of each on a day, from what was known when that day ended. For
//! whoever learns from outcomes.

use super::bias::in_force_at;
use super::rulebook::ready;
use crate::auth::{StaffScope, Whole};
use crate::db::Tx;
use crate::directory::calendar;
use crate::health::audience::read_for;
use crate::health::chronicle::{AsKnown, CaseStatement, Sighting, Stay, end_of, in_force, open_cases};
use crate::health::circumstances::{Circumstances, fits};
use crate::health::evidence::Evidence;
use crate::health::score::{Known, Scorer};
use crate::health::scorecard::{Band, Criteria};
use crate::health::silence::silence_at;
use crate::health::store::{self, Bias, Card};
use crate::intake;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, PartnerId, TypeId};
use crate::kernel::text::Key;
use crate::kernel::time::Zone;
use chrono::{Duration, NaiveDate};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// How many partners are read side by side.
const SIDE_BY_SIDE: usize = 8;

/// What is known of one customer over time.
struct Chronicle {
    sightings: Vec<Sighting>,
    reports: Vec<(NaiveDate, Stay)>,
    cases: Vec<CaseStatement>,
    circumstances: Circumstances,
}

/// The past of many customers.
pub struct Past {
    scorer: Scorer,
    zone: Zone,
    customers: HashMap<Uuid, Chronicle>,
    biases: HashMap<Uuid, Vec<Bias>>,
}

/// What a scorecard saw of a customer on a day.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The points of each measure (`V_m`), in the order of the scorecard; `None` of those nothing was known of.
    pub values: Vec<Option<f64>>,
    /// The score, in thousandths.
    pub score: Option<i32>,
    /// Where it lay, with 80 %, in thousandths.
    pub interval: Option<(i32, i32)>,
    /// How much of what the scorecard asks was known, 0-1000.
    pub coverage: i32,
    /// What it amounted to.
    pub band: Band,
    /// How long nothing was reported, 0-1 (SCIENCE 2.8); `None` while nobody knew what is usual.
    pub silence: Option<f64>,
}

/// Reads the past of customers, given with their partners, enough of it for days from `from` on.
pub async fn past<S: Whole>(tx: &Tx<S>, card: &Card, customers: &[(Uuid, Uuid)], from: NaiveDate) -> Result<Past, Fault> {
    let (vendor, catalogue) = futures_util::try_join!(calendar(tx), intake::measures(tx))?;
    let scorer = ready(&card.policy, &catalogue);
    let since = vendor.zone.start_of(from - Duration::days(scorer.horizon_days()));
    let mut by_partner: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
    for (partner, customer) in customers {
        by_partner.entry(*partner).or_default().push(*customer);
    }
    let mut past = Past { scorer, zone: vendor.zone, customers: HashMap::new(), biases: HashMap::new() };
    let by_partner: Vec<(Uuid, Vec<Uuid>)> = by_partner.into_iter().collect();
    for some in by_partner.chunks(SIDE_BY_SIDE) {
        let read = some.iter().map(async |(partner, ids)| {
            let partner = PartnerId::of(*partner);
            // What criteria look at; nothing where there are none.
            let circumstances = async { if card.policy.criteria.is_empty() { Ok(HashMap::new()) } else { store::circumstances(tx, partner, ids.clone()).await } };
            futures_util::try_join!(
                store::sightings(tx, partner, ids.clone(), vendor.zone, since, true),
                store::statements(tx, partner, ids.clone()),
                store::all_biases(tx, partner),
                circumstances,
            )
        });
        for ((partner, ids), (mut sightings, mut statements, biases, mut circumstances)) in some.iter().zip(futures_util::future::try_join_all(read).await?) {
            past.biases.insert(*partner, biases);
            for id in ids {
                let statements = statements.remove(id).unwrap_or_default();
                let reports = statements.iter().map(|(day, stay, _)| (*day, *stay)).collect();
                let cases = statements.into_iter().filter_map(|(_, _, cases)| cases).collect();
                let (sightings, circumstances) = (sightings.remove(id).unwrap_or_default(), circumstances.remove(id).unwrap_or_default());
                past.customers.insert(*id, Chronicle { sightings, reports, cases, circumstances });
            }
        }
    }
    Ok(past)
}

impl Past {
    /// Whether the scorecard was for a customer when a day ended; by its criteria, whether it was in force or not.
    pub fn is_for(&self, customer: Uuid, on: NaiveDate) -> bool {
        let then = self.customers.get(&customer).and_then(|chronicle| chronicle.circumstances.on(on, end_of(self.zone, on)));
        fits(&self.scorer.card.criteria, then.as_ref())
    }

    /// The keys of the measures, in the order of the values.
    pub fn measures(&self) -> Vec<Key> {
        self.scorer.measures.iter().map(|measure| measure.key.clone()).collect()
    }

    /// The weights, in the order of the values.
    pub fn weights(&self) -> Vec<f64> {
        self.scorer.measures.iter().map(|measure| measure.weight).collect()
    }

    /// What the scorecard saw of a customer when a day ended.
    pub fn seen(&self, partner: Uuid, customer: Uuid, on: NaiveDate) -> Seen {
        let at = AsKnown { on, known_at: end_of(self.zone, on) };
        let Some(chronicle) = self.customers.get(&customer) else {
            return Seen { values: vec![None; self.scorer.measures.len()], score: None, interval: None, coverage: 0, band: Band::Unknown, silence: None };
        };
        let evidence = in_force(&chronicle.sightings, at, true);
        let bias = in_force_at(self.biases.get(&partner).map(Vec::as_slice).unwrap_or_default(), at.moment(self.zone));
        let known = Known { evidence: &evidence, cases: open_cases(&chronicle.cases, at), bias: Some(&bias), ..Known::default() };
        let score = self.scorer.score(&known, on);
        Seen {
            values: self.scorer.values(&evidence, Some(&bias), on),
            score: score.score,
            interval: score.interval,
            coverage: score.coverage,
            band: score.band,
            silence: silence_at(&chronicle.reports, at),
        }
    }
}

/// What a scorecard sees of one customer at a point.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    /// The keys of the measures.
    pub measures: Vec<Key>,
    /// The points of each (`V_m`); `None` of those nothing is known of.
    pub values: Vec<Option<f64>>,
    /// How much of what it asks is known, 0-1000.
    pub coverage: i32,
    /// How long nothing was reported, 0-1 (SCIENCE 2.8); `None` while nobody knows what is usual.
    pub silence: Option<f64>,
}

/// The first whose criteria a customer fits at a point, if any.
pub async fn first_fitting<T>(tx: &Tx<StaffScope>, all: Vec<(T, Criteria)>, (partner, customer): (PartnerId, CustomerId), at: AsKnown) -> Result<Option<T>, Fault> {
    if all.first().is_none_or(|(_, criteria)| criteria.is_empty()) {
        return Ok(all.into_iter().next().map(|(first, _)| first));
    }
    let (vendor, mut found) = futures_util::try_join!(calendar(tx), store::circumstances(tx, partner, vec![customer.uuid()]))?;
    let circumstances = found.remove(&customer.uuid()).unwrap_or_default();
    let then = circumstances.on(at.on, at.moment(vendor.zone));
    Ok(all.into_iter().find(|(_, criteria)| fits(criteria, then.as_ref())).map(|(first, _)| first))
}

/// Reads it: of a day and a class one word, however often that was corrected.
pub async fn sight(tx: &Tx<StaffScope>, card: &Card, (partner, customer): (PartnerId, CustomerId), at: AsKnown) -> Result<Sight, Fault> {
    let (vendor, catalogue) = futures_util::try_join!(calendar(tx), intake::measures(tx))?;
    let scorer = ready(&card.policy, &catalogue);
    let since = vendor.zone.start_of(at.on - Duration::days(scorer.horizon_days()));
    let moment = at.moment(vendor.zone);
    let (evidence, statements, biases) = futures_util::try_join!(
        store::evidence_known(tx, (partner.uuid(), customer.uuid()), vendor.zone, since, read_for(true), at.known_at),
        store::statements(tx, partner, vec![customer.uuid()]),
        store::newest_biases(tx, partner, moment),
    )?;
    let evidence: Vec<Evidence> = evidence.into_iter().map(|(said, _)| said).collect();
    let reports: Vec<(NaiveDate, Stay)> = statements.into_values().flatten().map(|(day, stay, _)| (day, stay)).collect();
    let bias = in_force_at(&biases, moment);
    let values = scorer.values(&evidence, Some(&bias), at.on);
    let (_, _, coverage) = scorer.figure(&evidence, Some(&bias), at.on);
    Ok(Sight { measures: scorer.measures.into_iter().map(|measure| measure.key).collect(), values, coverage, silence: silence_at(&reports, at) })
}
