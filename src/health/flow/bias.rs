//! The analysis of a day: how rosy each reporter usually is, against what the vendor observed (SCIENCE 2.4). Every measure partners
//! declare is estimated by itself.

use super::{SHARED, VENDOR};
use crate::auth::AnalystScope;
use crate::db::Tx;
use crate::directory::{Vendor, all_partner_ids, calendar};
use crate::health::bias::{Pair, estimate};
use crate::health::evidence::Evidence;
use crate::health::store::{self, Bias};
use crate::intake::{self, EvidenceClass, Measure};
use crate::kernel::error::Fault;
use crate::kernel::id::MeasureId;
use crate::kernel::number::round;
use chrono::{Duration, NaiveDate};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// How far back words and facts are compared, in days.
const WINDOW: i64 = 365;
/// How many partners are read side by side: the bound of what is held at once.
const SIDE_BY_SIDE: usize = 8;

/// Estimates the bias of every reporter for a day, once; later estimates replace earlier ones and none is lost.
pub async fn analyse(tx: &Tx<AnalystScope>, day: NaiveDate) -> Result<(), Fault> {
    if !store::analyse_day_once(tx, day).await? {
        return Ok(());
    }
    let (vendor, measures, partners) = futures_util::try_join!(calendar(tx), intake::measures(tx), all_partner_ids(tx))?;
    let by_id: HashMap<MeasureId, &Measure> = measures.iter().filter(|m| m.curve.window_days().is_none()).map(|m| (m.id, m)).collect();
    let mut pairs: BTreeMap<MeasureId, Vec<Pair>> = BTreeMap::new();
    for some in partners.chunks(SIDE_BY_SIDE) {
        for of_one in futures_util::future::try_join_all(some.iter().map(|partner| compared(tx, &vendor, *partner, day, &by_id))).await? {
            for (measure, pair) in of_one {
                pairs.entry(measure).or_default().push(pair);
            }
        }
    }
    let milli = |points: f64| round(points * 1000.0) as i32;
    let mut found = Vec::new();
    for (measure, pairs) in &pairs {
        let Some(model) = estimate(pairs) else { continue };
        found.extend(model.estimates.iter().map(|e| Bias {
            partner_id: Uuid::from_u128(e.reporter),
            measure_id: crate::kernel::id::TypeId::uuid(*measure),
            estimated_on: day,
            known_from: tx.now(),
            bias: milli(e.bias),
            raw: milli(e.raw),
            pairs: i32::try_from(e.n).unwrap_or(i32::MAX),
            shrink: milli(e.shrink),
            low: e.interval.map(|(low, _)| milli(low)),
            high: e.interval.map(|(_, high)| milli(high)),
        }));
    }
    store::keep_biases(tx, &found).await
}

/// What a partner declared of each customer and measure, beside what the vendor observed of the customer.
async fn compared(tx: &Tx<AnalystScope>, vendor: &Vendor, partner: Uuid, day: NaiveDate, measures: &HashMap<MeasureId, &Measure>) -> Result<Vec<(MeasureId, Pair)>, Fault> {
    let since = vendor.zone.start_of(day - Duration::days(WINDOW));
    let customers = store::observed_customers(tx, partner, since).await?;
    if customers.is_empty() {
        return Ok(Vec::new());
    }
    let evidence = store::evidence(tx, partner, vendor.zone, customers, since, &[SHARED, VENDOR]).await?;
    let mut pairs = Vec::new();
    for said in evidence.values() {
        let mean = |class: EvidenceClass| means(said.iter().map(|(item, _)| item).filter(|item| item.class == class), measures);
        let observed: Vec<f64> = mean(EvidenceClass::VendorObserved).into_values().collect();
        if observed.is_empty() {
            continue;
        }
        // Each measure once, or a daily one would drown a monthly one.
        let anchor = observed.iter().sum::<f64>() / observed.len() as f64;
        pairs.extend(mean(EvidenceClass::PartnerDeclared).into_iter().map(|(measure, points)| (measure, Pair { reporter: partner.as_u128(), points, anchor })));
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
