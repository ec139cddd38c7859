//! Replay: a customer's health of any day as it was known at any moment, from its chronicle (DECISIONS 4 and 5). What has versions
//! (the customer, its purchases, the scorecards, overrides) is taken as it stood when the day ended, or at the moment known if that is earlier.

use super::bias::in_force_at;
use super::rulebook::{Rulebook, Ruled, ready};
use crate::auth::Tenant;
use crate::db::Tx;
use crate::directory::{TouchModel, calendar};
use crate::health::audience::{SHARED, VENDOR};
use crate::health::change::{self, Cause, Change};
use crate::health::chronicle::{AsKnown, CaseStatement, Sighting, Stay, end_of, in_force, open_cases, told};
use crate::health::circumstances::Circumstances;
use crate::health::evidence::Evidence;
use crate::health::input::{Inputs, with_origins};
use crate::health::score::{Known, Scorer};
use crate::health::scorecard::{Band, Purpose, Scorecard, due_on};
use crate::health::source::Sources;
use crate::health::store::{self, Bias, Health, SetByHand};
use crate::intake::{self, Measure, OpenCase};
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, MeasureId, OverrideId, PartnerId, TypeId};
use crate::kernel::time::{Moment, Zone};
use chrono::{Duration, NaiveDate};
use std::collections::HashMap;

/// Everything a customer's health was ever made from, in one view and for one purpose.
pub struct Dossier {
    zone: Zone,
    whole: bool,
    rules: Vec<(Ruled, Stay)>,
    catalogue: Vec<Measure>,
    sightings: Vec<Sighting>,
    reports: Vec<(NaiveDate, Stay)>,
    cases: Vec<CaseStatement>,
    circumstances: Circumstances,
    closes: Vec<(NaiveDate, Moment, Band)>,
    set: Vec<SetByHand>,
    biases: Vec<Bias>,
}

/// What is known at a point: by which policy it is scored, and from what.
pub struct Standpoint<'a> {
    /// The policy that applied.
    pub ruled: &'a Ruled,
    evidence: Vec<Evidence>,
    cases: &'a [OpenCase],
    bias: HashMap<MeasureId, f64>,
    closed_in: Option<Band>,
    set: Option<(OverrideId, i32)>,
    touch_model: TouchModel,
}

impl Standpoint<'_> {
    /// As the score takes it.
    pub fn known(&self) -> Known<'_> {
        Known { evidence: &self.evidence, cases: self.cases, bias: Some(&self.bias), closed_in: self.closed_in, set: self.set }
    }
}

/// Which health is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// From which evidence: `shared` or `vendor`.
    pub audience: &'static str,
    /// What it is to tell.
    pub purpose: Purpose,
    /// Whether the reporters' usual rosiness is taken off; never in the shared view.
    pub calibrated: bool,
}

impl Asked {
    /// Whether conclusions of this kind are kept: raw in the shared view, calibrated in the vendor's.
    pub fn is_kept(self) -> bool {
        self.calibrated == (self.audience == VENDOR)
    }
}

/// Reads a customer's dossier; enough of it to score days from `from` on.
pub async fn dossier<S: Tenant>(tx: &Tx<S>, partner: PartnerId, customer: CustomerId, asked: Asked, from: NaiveDate) -> Result<Dossier, Fault> {
    let Asked { audience, purpose, calibrated } = asked;
    let whole = audience == VENDOR;
    let (vendor, catalogue, cards) = futures_util::try_join!(calendar(tx), intake::measures(tx), store::cards_in_time(tx))?;
    let rules: Vec<(Ruled, Stay)> =
        cards.into_iter().filter(|(card, _)| card.purpose == purpose).map(|(card, stay)| (Ruled { scorer: ready(&card.policy, &catalogue), card }, stay)).collect();
    let horizon = rules.iter().map(|(ruled, _)| ruled.scorer.horizon_days()).max().unwrap_or(0);
    let since = vendor.zone.start_of(from - Duration::days(horizon));
    let (id, audience) = (customer.uuid(), if whole { VENDOR } else { SHARED });
    // The vendor's overrides and its estimates move nothing in the view a partner sees, even when the vendor looks at it.
    let set = async { if whole { store::set_by_hand(tx, id, purpose).await } else { Ok(Vec::new()) } };
    let biases = async { if whole && calibrated { store::all_biases(tx, partner).await } else { Ok(Vec::new()) } };
    let (mut sightings, mut statements, mut circumstances, closes, set, biases) = futures_util::try_join!(
        store::sightings(tx, partner, vec![id], vendor.zone, since, whole),
        store::statements(tx, partner, vec![id]),
        store::circumstances(tx, partner, vec![id]),
        store::closes(tx, partner, id, audience, purpose),
        set,
        biases,
    )?;
    let (sightings, statements) = (sightings.remove(&id).unwrap_or_default(), statements.remove(&id).unwrap_or_default());
    let circumstances = circumstances.remove(&id).unwrap_or_default();
    let reports = statements.iter().map(|(day, stay, _)| (*day, *stay)).collect();
    let cases = statements.into_iter().filter_map(|(_, _, cases)| cases).collect();
    Ok(Dossier { zone: vendor.zone, whole, rules, catalogue, sightings, reports, cases, circumstances, closes, set, biases })
}

impl Dossier {
    /// The policies in force at a point, over the catalogue.
    pub fn rulebook(&self, at: AsKnown) -> Rulebook {
        let moment = at.moment(self.zone);
        Rulebook { cards: self.rules.iter().filter(|(_, stay)| stay.at(moment)).map(|(ruled, _)| ruled.clone()).collect(), catalogue: self.catalogue.clone() }
    }

    /// The end of a day: the last moment whose knowledge belongs to it.
    pub fn end_of(&self, day: NaiveDate) -> Moment {
        end_of(self.zone, day)
    }

    /// What was known at a point; `None` where no policy applied.
    pub fn standpoint(&self, at: AsKnown) -> Option<Standpoint<'_>> {
        let moment = at.moment(self.zone);
        let then = self.circumstances.on(at.on, moment)?;
        let profile = then.profile();
        let (ruled, _) = self.rules.iter().find(|(ruled, stay)| stay.at(moment) && ruled.card.policy.criteria.fit(&profile))?;
        let closed_in = self.closes.iter().rev().find(|(day, closed_at, _)| *day < at.on && *closed_at <= at.known_at).map(|(_, _, band)| *band);
        let set = self.set.iter().rev().find(|set| set.stay.at(moment) && at.on <= set.expires_on).map(|set| (set.id, set.score));
        let bias = in_force_at(&self.biases, moment);
        Some(Standpoint {
            ruled,
            bias,
            evidence: in_force(&self.sightings, at, self.whole),
            cases: open_cases(&self.cases, at),
            closed_in,
            set,
            touch_model: then.version.touch_model,
        })
    }

    /// Why the score moved from one point to another; `None` where there was none at either. Of a customer that was not there nothing was known; where no policy
    /// applied, nothing was asked.
    pub fn change(&self, from: AsKnown, to: AsKnown) -> Option<Change> {
        let nothing_asked = Scorer::new(Scorecard::with(Vec::new()), Vec::new(), |_| None);
        let points = [(self.standpoint(from), from), (self.standpoint(to), to)];
        let [then, now] = points.each_ref().map(|(point, at)| match point {
            Some(point) => change::Moment { scorer: &point.ruled.scorer, known: point.known(), on: at.on },
            None => change::Moment { scorer: &nothing_asked, known: Known::default(), on: at.on },
        });
        let mut change = change::split(&then, &now)?;
        let was_there = |at: AsKnown| self.circumstances.on(at.on, at.moment(self.zone)).is_some();
        let whole = if was_there(from) { (!was_there(to)).then_some(Cause::NoLongerKnown) } else { Some(Cause::NewlyKnown) };
        change.lines.iter_mut().for_each(|line| line.1 = whole.unwrap_or(line.1));
        Some(change)
    }

    /// What counted at a point; nothing where no policy applied.
    pub fn inputs(&self, at: AsKnown) -> Inputs {
        let Some(point) = self.standpoint(at) else { return Inputs::new() };
        with_origins(point.ruled.scorer.inputs(&point.evidence, Some(&point.bias), at.on), told(&self.sightings, at, self.whole).collect())
    }

    /// The conclusion at a point; `None` where no policy applied.
    pub fn health(&self, at: AsKnown) -> Option<Health> {
        let point = self.standpoint(at)?;
        let reported_on = self.reports.iter().filter(|(day, stay)| *day <= at.on && stay.at(at.known_at)).map(|(day, _)| *day).max();
        let sources = self.whole.then(|| Sources::of(&point.ruled.scorer, &point.evidence, at.on));
        Some(Health {
            card: point.ruled.card.id,
            scored_for: at.on,
            known_at: at.known_at,
            score: point.ruled.scorer.score(&point.known(), at.on),
            sources,
            reported_on,
            due_on: due_on(reported_on, point.touch_model),
        })
    }
}
