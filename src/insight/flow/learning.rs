//! Learning from outcomes: what a scorecard saw before each, and what that foretold.

use crate::auth::{AnalystScope, StaffScope, Tenant, Whole};
use crate::db::Tx;
use crate::directory;
use crate::health::{self, AsKnown, Band, Past, Sight};
use crate::insight::backtest::{Alarms, Auc, Bin, alarms, auc, calibration_table, top_decile_lift};
use crate::insight::calibration::{Case, Invalid, Settings, calibrate};
use crate::insight::channel::Tree;
use crate::insight::check::Check;
use crate::insight::lesson::Lesson;
use crate::insight::month::told_month;
use crate::insight::store::{self, Kept};
use crate::insight::verdict::Fit;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, PartnerId, ScorecardId, TypeId};
use crate::kernel::time::Moment;
use crate::ledger::{Event, record_events};
use crate::revenue::{self, Settled};
use chrono::{Duration, NaiveDate};
use serde_json::json;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use uuid::Uuid;

/// How far before an outcome a scorecard is looked for its first alarm, in days, and in which steps.
const ALARM_YEAR: i64 = 364;
const ALARM_STEP: i64 = 7;
/// The days in which a customer has one outcome.
const QUARTER: i64 = 90;

/// Outcomes with the past before them.
pub struct History {
    outcomes: Vec<Settled>,
    /// Outcomes of customers the scorecard was not for on the day it is asked; they are not among the others.
    not_applicable: usize,
    past: Past,
    lead: Duration,
}

/// Reads every outcome that had happened and was known at a point, from a day on where one is given, and the past of its customer.
pub async fn history<S: Whole>(tx: &Tx<S>, scorecard: ScorecardId, lead_days: i64, since: Option<NaiveDate>, at: AsKnown) -> Result<History, Fault> {
    let card = health::card(tx, scorecard).await?.ok_or(Fault::of(Code::NotFound))?;
    let outcomes = one_a_quarter(revenue::settled(tx, since, at).await?);
    let mut customers: Vec<(Uuid, Uuid)> = outcomes.iter().map(|o| (o.partner_id, o.customer_id)).collect();
    customers.dedup();
    let earliest = outcomes.iter().map(|o| o.occurred_on).min().unwrap_or(NaiveDate::MAX);
    let reach = Duration::days(lead_days.max(ALARM_YEAR));
    let past = health::past(tx, &card, &customers, earliest.checked_sub_signed(reach).unwrap_or(earliest)).await?;
    let lead = Duration::days(lead_days);
    let (outcomes, others): (Vec<Settled>, Vec<Settled>) = outcomes.into_iter().partition(|outcome| past.is_for(outcome.customer_id, outcome.occurred_on - lead));
    Ok(History { outcomes, not_applicable: others.len(), past, lead })
}

/// Of each customer at most one outcome in a quarter, the last: who tells more about one customer teaches no more.
fn one_a_quarter(outcomes: Vec<Settled>) -> Vec<Settled> {
    let quarter = |o: &Settled| (o.partner_id, o.customer_id, (o.occurred_on - NaiveDate::default()).num_days().div_euclid(QUARTER));
    outcomes.chunk_by(|a, b| quarter(a) == quarter(b)).filter_map(|same| same.last().cloned()).collect()
}

/// An outcome as a case is made of it: its day, what was seen before, whether it was a loss, how silent it was.
type Told = (NaiveDate, Vec<Option<f64>>, bool, Option<f64>);

/// The newest calibration by a moment that may be used for a customer, with what the calibrated scorecard sees of it at a point: what was learned is applied to
/// what it was learned from.
pub async fn seen_by_calibration(tx: &Tx<StaffScope>, partner: PartnerId, customer: CustomerId, at: AsKnown, moment: Moment) -> Result<Option<(Kept, Sight)>, Fault> {
    let usable = store::usable_calibrations(tx, moment).await?;
    let Some(kept) = health::first_fitting(tx, usable, (partner, customer), at).await? else { return Ok(None) };
    let card = health::card(tx, kept.scorecard).await?.ok_or_else(|| Fault::internal("a calibration without its scorecard"))?;
    let sight = health::sight(tx, &card, (partner, customer), at).await?;
    if sight.measures != kept.learned.measures {
        return Err(Fault::internal("a calibration of other measures than its scorecard has"));
    }
    Ok(Some((kept, sight)))
}

/// How far back a re-check looks for outcomes, in days.
const CHECKED: i64 = 90;

/// Whether what was learned still tells who is lost, by the outcomes of the last quarter that came after it was learned, once a month (SCIENCE 2.5): of each
/// calibration that may be used, unless that is known already or nothing came after.
pub async fn check_calibrations(tx: &Tx<AnalystScope>, day: NaiveDate) -> Result<Vec<Check>, Fault> {
    let (closed_on, vendor) = (told_month(day), directory::calendar(tx).await?);
    let checked = store::checked(tx, closed_on).await?;
    let mut checks = Vec::new();
    // Few: one of a scorecard, once a month.
    for (kept, _) in store::usable_calibrations(tx, tx.now()).await?.into_iter().filter(|(kept, _)| !checked.contains(&kept.id)) {
        let learned_on = vendor.zone.day_of(kept.created_at);
        let Some(fit) = kept.learned.calibration.fit.as_ref().filter(|_| learned_on < closed_on) else { continue };
        let since = (closed_on - Duration::days(CHECKED - 1)).max(learned_on + Duration::days(1));
        let history = history(tx, kept.scorecard, kept.lead_days.into(), Some(since), AsKnown { on: closed_on, known_at: tx.now() }).await?;
        checks.push(history.check(&kept, fit, closed_on));
    }
    Ok(checks)
}

/// Keeps re-checks, each once, and tells of those that failed.
pub async fn keep_checks(tx: &Tx<AnalystScope>, checks: Vec<Check>) -> Result<(), Fault> {
    let mut failed = Vec::new();
    for check in checks {
        if store::keep_check(tx, &check).await? && check.is_below {
            failed.push(Event { kind: "calibration.weakened", subject: check.calibration.uuid(), partner: None, data: json!({ "closed_on": check.closed_on }) });
        }
    }
    record_events(tx, tx.scope().vendor(), &failed).await
}

/// Keeps what was learned of a scorecard.
pub async fn keep(tx: &Tx<StaffScope>, caller: Uuid, scorecard: ScorecardId, lead_days: i32, learned: Lesson) -> Result<Kept, Fault> {
    let kept = Kept { id: tx.new_id(), scorecard, lead_days, learned, created_at: tx.now() };
    store::keep_calibration(tx, &kept).await?;
    let event = Event { kind: "calibration.made", subject: kept.id.uuid(), partner: None, data: json!({ "scorecard_id": scorecard }) };
    record_events(tx, caller, &[event]).await?;
    Ok(kept)
}

impl History {
    /// Whether there is no outcome at all of whom the scorecard is for.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// How well the risk that was learned went before these outcomes.
    fn check(&self, kept: &Kept, fit: &Fit, closed_on: NaiveDate) -> Check {
        let risk = |outcome: &Settled| {
            let seen = self.seen(outcome);
            fit.model.risk(&seen.values, seen.silence)
        };
        let (risks, lost): (Vec<f64>, Vec<bool>) = self.outcomes.iter().map(|outcome| (risk(outcome), outcome.lost)).unzip();
        Check::of(kept.id, closed_on, &risks, &lost, &fit.figures.auc)
    }

    fn seen(&self, outcome: &Settled) -> health::Seen {
        self.past.seen(outcome.partner_id, outcome.customer_id, outcome.occurred_on - self.lead)
    }

    /// Calibrates the weights by what was seen, and how silent it was, so many days before each outcome. Takes seconds of thinking: not for an async thread.
    pub fn calibrate(&self) -> Result<Lesson, Invalid> {
        let tell = |outcome: &Settled| -> Told {
            let seen = self.seen(outcome);
            (outcome.occurred_on, seen.values, outcome.lost, seen.silence)
        };
        let mut told: Vec<Vec<Told>> = self.outcomes.chunk_by(|a, b| a.customer_id == b.customer_id).map(|of_one| of_one.iter().map(tell).collect()).collect();
        // Customers are numbered by what is told of them, not by their ids: the same history in another house teaches the same.
        told.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
        let case = |group: usize, (day, values, churned, silence): Told| Case { group: group as u64, day, values, silence, churned };
        let cases: Vec<Case> = told.into_iter().enumerate().flat_map(|(group, of_one)| of_one.into_iter().map(move |told| case(group, told))).collect();
        let calibration = calibrate(&cases, &self.past.weights(), &Settings::default())?;
        Ok(Lesson { measures: self.past.measures(), calibration })
    }

    /// How well the scorecard foretold what happened: over all, by partner, and by partner with everybody below it.
    pub fn backtest(&self, tree: &Tree) -> Backtest {
        let seen: Vec<(&Settled, health::Seen)> = self.outcomes.iter().map(|outcome| (outcome, self.seen(outcome))).collect();
        let flagged: Vec<Option<NaiveDate>> = self.outcomes.iter().map(|outcome| self.first_flagged(outcome)).collect();
        // What is its own of each partner, and what of all below it as well.
        let (mut own, mut below): (BTreeMap<PartnerId, Vec<usize>>, BTreeMap<PartnerId, Vec<usize>>) = Default::default();
        for (i, outcome) in self.outcomes.iter().enumerate() {
            own.entry(PartnerId::of(outcome.partner_id)).or_default().push(i);
        }
        for (partner, outcomes) in &own {
            // One that was not in the tree yet stands by itself.
            let way = tree.upwards(*partner);
            for above in if way.is_empty() { vec![*partner] } else { way } {
                below.entry(above).or_default().extend(outcomes);
            }
        }
        below.values_mut().for_each(|outcomes| outcomes.sort_unstable());
        let all: Vec<usize> = (0..seen.len()).collect();
        let foretold = |which: Option<&Vec<usize>>| Foretold::of(&seen, &flagged, which.map_or(&[], Vec::as_slice));
        let channels =
            below.iter().map(|(partner, rolled_up)| ChannelForetold { partner: *partner, own: foretold(own.get(partner)), rolled_up: foretold(Some(rolled_up)) }).collect();
        let told = seen.iter().zip(&flagged).filter(|((outcome, _), _)| outcome.lost);
        let loss = |((outcome, seen), first_flagged): (&(&Settled, health::Seen), &Option<NaiveDate>)| Loss {
            customer: CustomerId::of(outcome.customer_id),
            partner: PartnerId::of(outcome.partner_id),
            occurred_on: outcome.occurred_on,
            score: seen.score,
            interval: seen.interval,
            coverage: seen.coverage,
            first_flagged: *first_flagged,
        };
        let mut losses: Vec<Loss> = told.map(loss).collect();
        losses.sort_by_key(|loss| (Reverse(loss.occurred_on), loss.customer));
        Backtest { total: Foretold::of(&seen, &flagged, &all), losses, channels, not_applicable: self.not_applicable }
    }

    /// The first day within a year before an outcome on which the scorecard said `at_risk`, in steps of a week, and on each of the last six days.
    fn first_flagged(&self, outcome: &Settled) -> Option<NaiveDate> {
        let weeks = (ALARM_STEP..=ALARM_YEAR).rev().step_by(ALARM_STEP as usize);
        let mut days = weeks.chain((1..ALARM_STEP).rev()).map(|before| outcome.occurred_on - Duration::days(before));
        days.find(|on| self.past.seen(outcome.partner_id, outcome.customer_id, *on).band == Band::AtRisk)
    }
}

/// How well a scorecard foretold what happened.
pub struct Backtest {
    /// Over everything.
    pub total: Foretold,
    /// Each loss, the newest first.
    pub losses: Vec<Loss>,
    /// By partner with outcomes of its own or below it.
    pub channels: Vec<ChannelForetold>,
    /// Outcomes of customers the scorecard was not for; they are in nothing above.
    pub not_applicable: usize,
}

/// A loss, and what the scorecard said before it.
pub struct Loss {
    /// Whom.
    pub customer: CustomerId,
    /// Whose customer.
    pub partner: PartnerId,
    /// The day it was lost.
    pub occurred_on: NaiveDate,
    /// The score on the day the scorecard is asked, in thousandths; `None` while too little was known.
    pub score: Option<i32>,
    /// Where it lay, with 80 %, in thousandths.
    pub interval: Option<(i32, i32)>,
    /// How much of what the scorecard asks was known, 0-1000.
    pub coverage: i32,
    /// The first day of alarm within the year before; `None` where there was none.
    pub first_flagged: Option<NaiveDate>,
}

/// The same of a channel.
pub struct ChannelForetold {
    /// Whose.
    pub partner: PartnerId,
    /// Of its own customers.
    pub own: Foretold,
    /// Of its own and those of everybody below it.
    pub rolled_up: Foretold,
}

/// The same over some outcomes.
pub struct Foretold {
    /// Outcomes.
    pub outcomes: usize,
    /// Losses among them.
    pub lost: usize,
    /// Those whose health was unknown at the time; they are in no figure below but the alarms.
    pub unknown: usize,
    /// How well low health went before loss; `None` when all ended alike.
    pub auc: Option<Auc>,
    /// How many times more losses the lowest tenth held than all.
    pub lift: Option<f64>,
    /// Loss by tenths of the scale of risk, from health 100 to 0.
    pub table: Vec<Bin>,
    /// Alarms raised in the year before.
    pub alarms: Option<Alarms>,
}

impl Foretold {
    fn of(seen: &[(&Settled, health::Seen)], flagged: &[Option<NaiveDate>], which: &[usize]) -> Self {
        let known: Vec<(f64, bool)> = which.iter().filter_map(|i| Some((1.0 - f64::from(seen[*i].1.score?) / 100_000.0, seen[*i].0.lost))).collect();
        let (risk, lost): (Vec<f64>, Vec<bool>) = known.into_iter().unzip();
        let number = |day: NaiveDate| (day - NaiveDate::default()).num_days();
        let first: Vec<Option<i64>> = which.iter().map(|i| flagged[*i].map(number)).collect();
        let days: Vec<i64> = which.iter().map(|i| number(seen[*i].0.occurred_on)).collect();
        let left: Vec<bool> = which.iter().map(|i| seen[*i].0.lost).collect();
        Self {
            outcomes: which.len(),
            lost: left.iter().filter(|lost| **lost).count(),
            unknown: which.len() - risk.len(),
            auc: auc(&risk, &lost).ok(),
            lift: top_decile_lift(&risk, &lost).ok(),
            table: calibration_table(&risk, &lost).unwrap_or_default(),
            alarms: alarms(&first, &days, &left).ok(),
        }
    }
}
