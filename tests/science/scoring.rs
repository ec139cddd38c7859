//! The product's own score on the panel, and what a plain list would show instead.

use crate::world::{Class, Evidence, MEASURES, OPINIONS};
use chrono::{Days, NaiveDate};
use std::collections::HashMap;
use std::sync::LazyLock;
use todoku::health::{self, CardMeasure, Known, Missing, Scorecard, Scorer, Weighted};
use todoku::intake::{Curve, EvidenceClass, Nature};
use todoku::kernel::id::{MeasureId, TypeId};

/// What is taken off the partner's points, per measure.
pub type Bias = [f64; MEASURES];

/// Half-lives in days: usage, tickets, onboarding, delivery, sentiment, adoption.
const HALF_LIFE: [i32; MEASURES] = [30, 30, 45, 30, 45, 45];

fn id(measure: usize) -> MeasureId {
    MeasureId::of(uuid::Uuid::from_u128(measure as u128))
}

/// Equal weights and the defaults of a scorecard.
static SCORER: LazyLock<Scorer> = LazyLock::new(|| {
    let key = |measure: usize| format!("m{measure}").parse().unwrap();
    let measure = |m: usize| CardMeasure {
        id: id(m),
        key: key(m),
        weight: 1.0,
        nature: if OPINIONS.contains(&m) { Nature::Opinion } else { Nature::Figure },
        curve: Curve::identity(),
        own_curve: false,
        half_life_days: Some(HALF_LIFE[m]),
        valid_days: 365,
        missing: Missing::Exclude,
        minimum_evidence: 0.0,
    };
    let card = Scorecard::with((0..MEASURES).map(|m| Weighted::plain(key(m), 1.0)).collect());
    Scorer::new(card, (0..MEASURES).map(measure).collect(), |_| None)
});

/// A day by its number.
pub fn day(number: i32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + Days::new(u64::from(number.unsigned_abs()))
}

/// Score, lower and upper end of the 80 % interval, coverage; `None` below the coverage floor.
pub fn score(evidence_of_one_customer: &[Evidence], bias: &Bias, as_of: i32) -> Option<(f64, f64, f64, f64)> {
    let evidence = |e: &Evidence| health::Evidence {
        measure: id(e.measure),
        class: if e.class == Class::PartnerDeclared { EvidenceClass::PartnerDeclared } else { EvidenceClass::VendorObserved },
        value: e.value,
        day: day(e.day),
    };
    let evidence: Vec<health::Evidence> = evidence_of_one_customer.iter().filter(|e| e.day <= as_of).map(evidence).collect();
    let bias: HashMap<MeasureId, f64> = bias.iter().enumerate().map(|(m, off)| (id(m), *off)).collect();
    let s = SCORER.score(&Known { evidence: &evidence, bias: Some(&bias), ..Known::default() }, day(as_of));
    let points = |milli: i32| f64::from(milli) / 1000.0;
    let ((low, high), score) = (s.interval?, s.score?);
    Some((points(score), points(low), points(high), points(s.coverage)))
}

/// What a plain list would show: the last value per measure whatever its age, and the plain mean of those known.
pub fn last_values(evidence_of_one_customer: &[Evidence]) -> Option<f64> {
    let mut last = [None; MEASURES];
    for item in evidence_of_one_customer {
        // The evidence is in the order of days.
        last[item.measure] = Some(item.value);
    }
    let known: Vec<f64> = last.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}
