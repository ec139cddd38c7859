//! The analysis of a day: how rosy each reporter usually is, against what the vendor observed (SCIENCE 2.4). Every measure partners
//! declare is estimated by itself.

use crate::auth::AnalystScope;
use crate::db::Tx;
use crate::directory::{Vendor, all_partner_ids, calendar};
use crate::health::audience::read_for;
use crate::health::bias::{Pair, estimate, told_of_months};
use crate::health::evidence::Evidence;
use crate::health::store::{self, Bias};
use crate::intake::{self, EvidenceClass, Measure};
use crate::kernel::error::Fault;
use crate::kernel::id::{MeasureId, TypeId};
use crate::kernel::number::round;
use crate::kernel::time::{Moment, Zone};
use crate::ledger::{Job, JobKind, enqueue};
use chrono::{Datelike, Duration, NaiveDate};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// How far back words and facts are compared, in days.
const WINDOW: i64 = 365;
/// Whose word anchors: what the vendor observed, and what its surveys heard (SCIENCE 2.4).
const ANCHORING: &[EvidenceClass] = &[EvidenceClass::VendorObserved, EvidenceClass::CustomerVoiced];
/// How many customers are read at once: the bound of what is held.
const AT_ONCE: usize = 500;

/// What a day's analysis came to, to be kept in a transaction of its own: reading takes long, and what is written must be known at once.
#[derive(Debug, Default)]
pub struct Analysis {
    found: Vec<Bias>,
}

/// Estimates the bias of every reporter; `None` when the day is analysed already. What is as it was is left out; what is
/// not estimated any more is taken off no more.
pub async fn estimate_biases(tx: &Tx<AnalystScope>, day: NaiveDate) -> Result<Option<Analysis>, Fault> {
    if store::is_analysed(tx, day).await? {
        return Ok(None);
    }
    let (vendor, measures, partners, standing) = futures_util::try_join!(calendar(tx), intake::measures(tx), all_partner_ids(tx), store::standing_biases(tx))?;
    let by_id: HashMap<MeasureId, &Measure> = measures.iter().filter(|m| m.curve.window_days().is_none()).map(|m| (m.id, m)).collect();
    let mut pairs: BTreeMap<MeasureId, Vec<Pair>> = BTreeMap::new();
    for partner in partners {
        for (measure, pair) in compared(tx, &vendor, partner, day, &by_id).await? {
            pairs.entry(measure).or_default().push(pair);
        }
    }
    let mut before: BTreeMap<(Uuid, Uuid), Bias> = standing.into_iter().map(|bias| ((bias.partner_id, bias.measure_id), bias)).collect();
    let milli = |points: f64| round(points * 1000.0) as i32;
    let mut found = Vec::new();
    for (measure, pairs) in &pairs {
        let Some(model) = estimate(pairs) else { continue };
        for e in &model.estimates {
            let now = Bias {
                partner_id: Uuid::from_u128(e.reporter),
                measure_id: measure.uuid(),
                estimated_on: day,
                known_from: tx.now(),
                bias: milli(e.bias),
                raw: milli(e.raw),
                pairs: i32::try_from(e.n).unwrap_or(i32::MAX),
                reporters: i32::try_from(model.k).unwrap_or(i32::MAX),
                shrink: milli(e.shrink),
                low: e.interval.map(|(low, _)| milli(low)),
                high: e.interval.map(|(_, high)| milli(high)),
            };
            if before.remove(&(now.partner_id, now.measure_id)).is_none_or(|then| !says_as(&then, &now)) {
                found.push(now);
            }
        }
    }
    let ended = before.into_values().filter(|then| then.pairs > 0);
    found.extend(ended.map(|then| Bias { estimated_on: day, bias: 0, raw: 0, pairs: 0, shrink: 0, low: None, high: None, ..then }));
    Ok(Some(Analysis { found }))
}

/// Whether an estimate says as much as another: within a tenth of a point, and a tenth of the customers behind it. Estimates waver from day to
/// day, and each that is kept has every customer of the partner scored again.
fn says_as(then: &Bias, now: &Bias) -> bool {
    let near = |a: i32, b: i32| (a - b).abs() < 100;
    let alike = (then.pairs - now.pairs).abs() * 10 <= then.pairs.min(now.pairs) && then.reporters == now.reporters;
    near(then.bias, now.bias) && near(then.raw, now.raw) && alike
}

/// Keeps an analysis, once a day, and has the customers of everybody whose bias changed scored again in the vendor's view.
pub async fn keep_analysis(tx: &Tx<AnalystScope>, day: NaiveDate, analysis: Analysis) -> Result<(), Fault> {
    if !store::analyse_day_once(tx, day).await? {
        return Ok(());
    }
    let found: Vec<Bias> = analysis.found.into_iter().map(|bias| Bias { known_from: tx.now(), ..bias }).collect();
    store::keep_biases(tx, &found).await?;
    let partners: BTreeSet<Uuid> = found.iter().map(|bias| bias.partner_id).collect();
    let jobs: Vec<Job> = partners.into_iter().map(|partner| Job { kind: JobKind::Rescore, partner, subjects: Vec::new(), day: None }).collect();
    enqueue(tx, &jobs).await
}

/// What is taken from the points of a partner's word, per measure, as estimates stood at a moment. `newest_first`, as they are read.
pub fn in_force_at(newest_first: &[Bias], moment: Moment) -> HashMap<MeasureId, f64> {
    let mut found = HashMap::new();
    for bias in newest_first.iter().filter(|bias| bias.known_from <= moment) {
        found.entry(MeasureId::of(bias.measure_id)).or_insert(f64::from(bias.bias) / 1000.0);
    }
    found
}

/// What a partner is told of its estimates on a day: how they stood when the month began. `newest_first`, as they are read.
pub fn told_to_partner(newest_first: &[Bias], zone: Zone, day: NaiveDate) -> Vec<Bias> {
    let month = |day: NaiveDate| (day.year(), day.month());
    let mut measures: BTreeMap<Uuid, BTreeMap<(i32, u32), &Bias>> = BTreeMap::new();
    for bias in newest_first {
        let known_in = month(zone.day_of(bias.known_from));
        if known_in < month(day) {
            measures.entry(bias.measure_id).or_default().entry(known_in).or_insert(bias);
        }
    }
    let told = |months: BTreeMap<_, &Bias>| {
        let months: Vec<&Bias> = months.into_values().collect();
        told_of_months(months.iter().map(|bias| (bias.pairs, bias.reporters))).map(|nth| months[nth].clone())
    };
    measures.into_values().filter_map(told).collect()
}

/// What a partner declared of each customer and measure, beside what the vendor observed of the customer.
async fn compared(tx: &Tx<AnalystScope>, vendor: &Vendor, partner: Uuid, day: NaiveDate, measures: &HashMap<MeasureId, &Measure>) -> Result<Vec<(MeasureId, Pair)>, Fault> {
    let since = vendor.zone.start_of(day - Duration::days(WINDOW));
    let customers = store::observed_customers(tx, partner, since).await?;
    let mut pairs = Vec::new();
    for some in customers.chunks(AT_ONCE) {
        let evidence = store::evidence(tx, partner, vendor.zone, some.to_vec(), since, read_for(true)).await?;
        for said in evidence.values() {
            let mean = |classes: &[EvidenceClass]| means(said.iter().map(|(item, _)| item).filter(|item| classes.contains(&item.class)), measures);
            let observed: Vec<f64> = mean(ANCHORING).into_values().collect();
            if observed.is_empty() {
                continue;
            }
            // Each measure once, or a daily one would drown a monthly one.
            let anchor = observed.iter().sum::<f64>() / observed.len() as f64;
            pairs.extend(mean(&[EvidenceClass::PartnerDeclared]).into_iter().map(|(measure, points)| (measure, Pair { reporter: partner.as_u128(), points, anchor })));
        }
    }
    Ok(pairs)
}

/// The mean points of each measure.
fn means<'a>(evidence: impl Iterator<Item = &'a Evidence>, measures: &HashMap<MeasureId, &Measure>) -> BTreeMap<MeasureId, f64> {
    let mut sums: BTreeMap<MeasureId, (f64, f64)> = BTreeMap::new();
    let mut sorted: Vec<&Evidence> = evidence.collect();
    sorted.sort_by(|a, b| Evidence::order(a, b));
    for item in sorted {
        if let Some(measure) = measures.get(&item.measure) {
            let sum = sums.entry(item.measure).or_default();
            *sum = (sum.0 + measure.curve.points(item.value), sum.1 + 1.0);
        }
    }
    sums.into_iter().map(|(measure, (sum, n))| (measure, sum / n)).collect()
}
