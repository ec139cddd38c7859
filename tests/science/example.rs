//! The worked example of docs/health.md: its table is made here, line by line, by the product's own score.

use crate::scoring::day;
use std::collections::HashMap;
use todoku::health::{CardMeasure, Evidence, Known, Missing, Scorecard, Scorer, Sources, Weighted};
use todoku::intake::{Curve, EvidenceClass, Nature, OpenCase};
use todoku::kernel::id::{MeasureId, TypeId};

fn id(n: usize) -> MeasureId {
    MeasureId::of(uuid::Uuid::from_u128(n as u128))
}

#[test]
fn the_numbers_of_the_page_are_true() {
    let rows = [
        ("adoption", 3.0, Nature::Figure, 45, 85.0, 0, EvidenceClass::PartnerDeclared),
        ("seats_used", 3.0, Nature::Figure, 30, 35.0, 15, EvidenceClass::VendorObserved),
        ("csat", 2.0, Nature::Figure, 90, 60.0, 30, EvidenceClass::CustomerVoiced),
        ("sentiment", 2.0, Nature::Opinion, 45, 95.0, 0, EvidenceClass::PartnerDeclared),
    ];
    let key = |name: &str| name.parse().unwrap();
    let measures = rows.iter().enumerate().map(|(n, (name, weight, nature, half_life, ..))| CardMeasure {
        id: id(n),
        key: key(name),
        weight: *weight,
        nature: *nature,
        curve: Curve::identity(),
        own_curve: false,
        half_life_days: Some(*half_life),
        valid_days: 365,
        missing: Missing::Exclude,
        minimum_evidence: 0.0,
    });
    // And one of which nobody has said a word.
    let silent = CardMeasure { id: id(9), key: key("support_load"), weight: 2.0, ..measures.clone().next().unwrap() };
    let measures: Vec<CardMeasure> = measures.chain([silent]).collect();
    let card = Scorecard::with(measures.iter().map(|m| Weighted::plain(m.key.clone(), m.weight)).collect());
    let scorer = Scorer::new(card, measures, |_| None);
    let evidence: Vec<Evidence> =
        rows.iter().enumerate().map(|(n, (_, _, _, _, value, age, class))| Evidence { measure: id(n), class: *class, value: *value, day: day(100 - age) }).collect();
    let bias = HashMap::from([(id(3), 12.0)]);
    let late = OpenCase { external_id: "T-88".parse().unwrap(), severity: 1, opened_on: day(80), due_on: Some(day(95)), cause: None };
    let known = Known { evidence: &evidence, bias: Some(&bias), ..Known::default() };
    let plain = scorer.score(&known, day(100));
    let capped = scorer.score(&Known { cases: &[late], ..known }, day(100));

    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/health.md")).unwrap();
    let says = |line: String| assert!(page.contains(&line), "docs/health.md should say: {line}");
    let points = |milli: i32| format!("{:.3}", f64::from(milli) / 1000.0);
    for (part, (name, weight, ..)) in plain.parts.iter().zip(rows) {
        let contribution = part.contribution.unwrap();
        let sign = if contribution < 0 { "−" } else { "+" };
        says(format!("| {name} | {weight} | {} | {} | {sign}{} |", points(part.evidence), points(part.points.unwrap()), points(contribution.abs())));
    }
    let (low, high) = plain.interval.unwrap();
    says(format!("50 and the five lines make **{}**", points(plain.score.unwrap())));
    says(format!("an 80 % interval from {} to {}", points(low), points(high)));
    says(format!("coverage is {}", points(plain.coverage)));
    let weighed: f64 = plain.parts.iter().map(|part| part.weight * part.evidence as f64 / 1000.0).sum();
    says(format!("(points − 50) / {weighed:.3}, the sum of weight × evidence"));
    says(format!(": *{}*, with an 80 % interval", plain.band.as_str()));
    says("the sources lie more than 50 points apart".to_owned());
    let sources = Sources::of(&scorer, &evidence, day(100));
    assert!(sources.divergence() > Some(50_000) && sources.diverges_since(None, day(100)).is_some() && sources.difference_shows(), "{sources:?}");
    says(format!("the pain cap takes it to **{}**", points(capped.score.unwrap())));
}
