//! Pure scoring: a customer of ten measures with one value each, with and without the explanation. Run by `bin/bench` and `cargo bench --bench score`.

use chrono::NaiveDate;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use todoku::health::{CardMeasure, Evidence, Known, Missing, Scorecard, Scorer, Weighted};
use todoku::intake::{Curve, EvidenceClass, Nature};
use todoku::kernel::id::{MeasureId, TypeId};

const MEASURES: u32 = 10;

fn id(n: u32) -> MeasureId {
    MeasureId::of(uuid::Uuid::from_u128(u128::from(n)))
}

fn scorer() -> Scorer {
    let measure = |n: u32| CardMeasure {
        id: id(n),
        key: format!("m{n}").parse().unwrap(),
        weight: f64::from(n + 1),
        nature: Nature::Figure,
        curve: Curve::identity(),
        own_curve: false,
        half_life_days: Some(30),
        valid_days: 365,
        missing: Missing::Exclude,
        minimum_evidence: 0.0,
    };
    let measures: Vec<CardMeasure> = (0..MEASURES).map(measure).collect();
    let card = Scorecard::with(measures.iter().map(|m| Weighted::plain(m.key.clone(), m.weight)).collect());
    Scorer::new(card, measures, |_| None)
}

fn score(c: &mut Criterion) {
    let scorer = scorer();
    let today = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
    let said = |n: u32| Evidence {
        measure: id(n),
        class: if n.is_multiple_of(3) { EvidenceClass::VendorObserved } else { EvidenceClass::PartnerDeclared },
        value: f64::from(n * 9),
        day: today - chrono::Days::new(u64::from(n * 7)),
    };
    let evidence: Vec<Evidence> = (0..MEASURES).map(said).collect();
    let mut group = c.benchmark_group("a customer of ten measures");
    group.throughput(Throughput::Elements(1));
    group.bench_function("score, interval and coverage", |b| b.iter(|| scorer.figure(black_box(&evidence), None, today)));
    group.bench_function("with interval, band and explanation", |b| b.iter(|| scorer.score(&Known { evidence: black_box(&evidence), ..Known::default() }, today)));
    group.finish();
}

criterion_group!(benches, score);
criterion_main!(benches);
