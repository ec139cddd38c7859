//! Calibration on generated customers, and on 2,000 accounts of a real vendor (tests/data/saas).
use chrono::{Duration, NaiveDate};
use fastrand::Rng;
use std::collections::HashMap;
use std::path::Path;
use todoku::insight::backtest::{auc, calibration_error, top_decile_lift};
use todoku::insight::calibration::*;
use todoku::insight::model::Model;

/// (train, test, hand weights).
fn saas() -> Option<(Vec<Case>, Vec<Case>, Vec<f64>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/saas");
    let lines = |name: &str| std::fs::read_to_string(folder.join(name)).ok().map(|t| t.lines().skip(1).map(String::from).collect::<Vec<_>>());
    let hand = lines("hand_weights.csv")?.iter().map(|l| l.split(',').nth(1).unwrap().parse().unwrap()).collect();
    let outcomes: HashMap<String, (bool, bool)> = lines("outcomes.csv")?
        .iter()
        .map(|l| {
            let f: Vec<&str> = l.split(',').collect();
            (f[0].into(), (f[1] == "test", f[2] == "1"))
        })
        .collect();
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for line in lines("measures.csv")? {
        let mut fields = line.split(',');
        let id = fields.next().unwrap();
        let (is_test, churned) = outcomes[id];
        let values = fields.map(|v| v.parse().ok()).collect();
        let case = Case { group: id[1..].parse().unwrap(), day: NaiveDate::default(), values, silence: None, churned };
        if is_test { test.push(case) } else { train.push(case) }
    }
    Some((train, test, hand))
}

fn churned(cases: &[Case]) -> Vec<bool> {
    cases.iter().map(|c| c.churned).collect()
}

fn by_weights(cases: &[Case], weights: &[f64]) -> Vec<f64> {
    cases.iter().map(|c| -c.values.iter().zip(weights).map(|(v, w)| v.unwrap_or(50.0) * w).sum::<f64>()).collect()
}

#[test]
fn saas_accounts() {
    let (train, test, hand) = saas().unwrap();
    let c = calibrate(&train, &hand, &Settings::default()).unwrap();
    let fit = c.fit.unwrap();
    println!("{:?}\n{:#?}\nslope {} intercept {}", c.verdict, fit.figures, fit.slope, fit.model.intercept);
    fit.measures.iter().for_each(|m| println!("{m:?}"));
    println!("{} knots", fit.model.knots.len());
    let y = churned(&test);
    let show = |name: &str, risk: &[f64]| {
        let a = auc(risk, &y).unwrap();
        let lift = top_decile_lift(risk, &y).unwrap();
        println!("{name}: AUC {:.4} se {:.4}, lift {lift:.3}", a.auc, a.standard_error.unwrap());
        (a.auc, lift)
    };
    let equal = show("equal", &by_weights(&test, &vec![1.0; hand.len()]));
    let (by_hand, hand_lift) = show("hand", &by_weights(&test, &hand));
    let risk: Vec<f64> = test.iter().map(|t| fit.model.risk(&t.values, t.silence)).collect();
    let (a, lift) = show("calibrated", &risk);
    // As docs/decisions/0008 tells them.
    for ((auc, lift), (told_auc, told_lift)) in [(equal, (0.755, 1.73)), ((by_hand, hand_lift), (0.842, 1.80)), ((a, lift), (0.877, 1.63))] {
        assert!((auc - told_auc).abs() < 5e-4 && (lift - told_lift).abs() < 5e-3, "{auc} {lift}, told {told_auc} {told_lift}");
    }
    show("scorecard", &by_weights(&test, &fit.measures.iter().map(|m| m.weight).collect::<Vec<_>>()));
    let p: Vec<f64> = test.iter().map(|t| fit.model.probability(&t.values, t.silence).unwrap()).collect();
    println!("test ECE {:.4}", calibration_error(&p, &y).unwrap());
    assert!(a >= 0.87 && a > by_hand + 0.02, "{a} {by_hand}");
}

/// The chance to leave that each shape of the world gives to five measures.
fn logit(shape: &str, v: &[f64]) -> f64 {
    match shape {
        "weights" => 2.2 - 6.0 * v[0] - 3.0 * v[1] - 1.0 * v[2] + 2.0 * v[4],
        "hump" => -3.0 + 8.0 * (v[0] - 0.5).abs() - 2.0 * v[1],
        "certain" => {
            if v[0] < 0.4 {
                1e9
            } else {
                -1e9
            }
        }
        "early" => 2.0 - 7.0 * v[0],
        "late" => 1.5 - 1.5 * (v[1] + v[2] + v[3] + v[4]),
        _ => -1.2,
    }
}

/// Generated customers with `each` cases; one value in seven is missing, and bad ones of the first measure more often.
fn world(shape: &str, customers: u64, each: usize, seed: u64) -> Vec<Case> {
    let mut rng = Rng::with_seed(seed);
    let mut cases = Vec::new();
    for group in 0..customers {
        let v: Vec<f64> = (0..5).map(|_| rng.f64()).collect();
        let churned = rng.f64() < 1.0 / (1.0 + (-logit(shape, &v)).exp());
        for _ in 0..each {
            let values = v.iter().enumerate().map(|(m, v)| (rng.f64() > if m == 0 && *v < 0.3 { 0.5 } else { 0.14 }).then_some(v * 100.0)).collect();
            cases.push(Case { group, day: NaiveDate::default(), values, silence: (rng.f64() > 0.3).then(|| rng.f64()), churned });
        }
    }
    cases
}

/// All cases of a customer end on one day, of each a day after the one before.
fn one_a_day(mut cases: Vec<Case>) -> Vec<Case> {
    cases.iter_mut().for_each(|c| c.day = day(c.group));
    cases
}

fn day(number: u64) -> NaiveDate {
    NaiveDate::default() + Duration::days(number as i64)
}

fn shuffled(mut cases: Vec<Case>, seed: u64) -> Vec<Case> {
    let mut labels = churned(&cases);
    Rng::with_seed(seed).shuffle(&mut labels);
    cases.iter_mut().zip(labels).for_each(|(c, l)| c.churned = l);
    cases
}

const EQUAL: [f64; 5] = [20.0; 5];

#[test]
fn learns_what_the_world_is_made_of() {
    let c = calibrate(&world("weights", 1_200, 1, 7), &EQUAL, &Settings::default()).unwrap();
    assert_eq!((c.cases, c.customers, c.verdict), (1_200, 1_200, Verdict::Accepted));
    let fit = c.fit.unwrap();
    let w: Vec<f64> = fit.measures.iter().map(|m| m.weight).collect();
    assert!((w.iter().sum::<f64>() - 100.0).abs() < 1e-9);
    assert!(w[0] > w[1] && w[1] > w[2]);
    assert!(fit.measures[4].blocked && w[4] == 0.0);
    assert!(fit.measures.iter().all(|m| !m.not_monotone && !m.too_few));
    assert!(fit.figures.gain_quantile > 0.0 && fit.figures.auc.auc > fit.figures.auc_hand.auc);
    // What is gained is gained by the weights.
    assert!(fit.figures.weights_gain_quantile.unwrap() > 0.0 && !fit.weights_kept, "{:?}", fit.figures);
    // Not reported is a bad sign here, so that reported is a good one.
    assert!(fit.model.flags[0] > 0.2);
    // On customers never seen.
    let later = world("weights", 1_000, 1, 8);
    let risk: Vec<f64> = later.iter().map(|c| fit.model.risk(&c.values, c.silence)).collect();
    let p: Vec<f64> = later.iter().map(|c| fit.model.probability(&c.values, c.silence).unwrap()).collect();
    let hand = auc(&by_weights(&later, &EQUAL), &churned(&later)).unwrap().auc;
    assert!(auc(&risk, &churned(&later)).unwrap().auc > hand + 0.02);
    assert!(calibration_error(&p, &churned(&later)).unwrap() < 0.06);
}

#[test]
fn flags_find_what_is_withheld() {
    let cases = world("weights", 1_200, 1, 7);
    let with = calibrate(&cases, &EQUAL, &Settings::default()).unwrap().fit.unwrap();
    let without = calibrate(&cases, &EQUAL, &Settings { flags: false, ..Settings::default() }).unwrap().fit.unwrap();
    assert_eq!(without.model.flags, [0.0; 5]);
    assert!(with.figures.auc.auc > without.figures.auc.auc);
}

/// Where nothing is reported the input is not there: nothing is told of it, and whoever asks with one gets the same.
#[test]
fn silence_never_known_drops_out() {
    let (train, test, hand) = saas().unwrap();
    let fit = calibrate(&train, &hand, &Settings::default()).unwrap().fit.unwrap();
    assert_eq!((fit.silence, fit.model.silence), (None, 0.0));
    for case in &test {
        let risk = |silence| fit.model.risk(&case.values, silence).to_bits();
        assert!([Some(0.0), Some(0.7), Some(1.0)].into_iter().all(|silence| risk(silence) == risk(None)));
    }
}

/// A world in which only silence tells who leaves: logit -3 + 5 silence, 0.5 where it is not known.
#[test]
fn silence_is_learned_where_it_tells() {
    let mut rng = Rng::with_seed(11);
    let mut cases = world("chance", 1_200, 1, 7);
    cases.iter_mut().for_each(|c| c.churned = rng.f64() < 1.0 / (1.0 + (3.0 - 5.0 * c.silence.unwrap_or(0.5)).exp()));
    let learned = calibrate(&cases, &EQUAL, &Settings::default()).unwrap();
    assert!(!matches!(learned.verdict, Verdict::Refused(_)), "{:?}", learned.verdict);
    let fit = learned.fit.unwrap();
    let told = fit.silence.unwrap();
    println!("{told:?} {:?}", fit.figures);
    assert!(told.coefficient > 2.0 && told.coefficient == fit.model.silence && !told.blocked && !told.too_few);
    assert_eq!(told.known, cases.iter().filter(|c| c.silence.is_some()).count());
    // It is no part of the weights: the measures tell nothing, so that those stay as they are.
    assert!(fit.figures.weights_gain_quantile.unwrap() <= 0.0 && fit.weights_kept, "{:?}", fit.figures);
    assert_eq!(fit.measures.iter().map(|m| m.weight).collect::<Vec<_>>(), EQUAL);
    assert!(fit.model.coefficients.iter().any(|w| *w != fit.model.coefficients[0]));
    let values = [Some(50.0); 5];
    assert!(fit.model.risk(&values, Some(1.0)) > fit.model.risk(&values, None) && fit.model.risk(&values, None) > fit.model.risk(&values, Some(0.0)));
    // Without it there is next to nothing to learn; turned round it is held at 0, and of few customers it is near 0.
    let changed = |change: fn(usize, f64) -> Option<f64>| {
        let mut cases = cases.clone();
        cases.iter_mut().enumerate().for_each(|(n, c)| c.silence = c.silence.and_then(|s| change(n, s)));
        calibrate(&cases, &EQUAL, &Settings::default()).unwrap().fit.unwrap()
    };
    let without = changed(|_, _| None);
    assert!(without.silence.is_none() && fit.figures.auc.auc > without.figures.auc.auc + 0.1);
    let turned = changed(|_, s| Some(1.0 - s)).silence.unwrap();
    assert_eq!((turned.coefficient, turned.blocked), (0.0, true));
    let few = changed(|n, s| (n < 50).then_some(s)).silence.unwrap();
    assert!(few.too_few && few.coefficient < told.coefficient, "{few:?}");
}

/// A world in which only what is withheld tells who leaves: the first measure is not reported, logit 0.5 against -2.
#[test]
fn what_the_flags_gain_is_not_credited_to_the_weights() {
    let mut rng = Rng::with_seed(12);
    let mut cases = world("chance", 1_200, 1, 7);
    for case in &mut cases {
        case.values[0] = (rng.f64() > 0.4).then(|| rng.f64() * 100.0);
        let logit: f64 = if case.values[0].is_some() { -2.0 } else { 0.5 };
        case.churned = rng.f64() < 1.0 / (1.0 + (-logit).exp());
    }
    let learned = calibrate(&cases, &EQUAL, &Settings::default()).unwrap();
    assert!(!matches!(learned.verdict, Verdict::Refused(_)), "{:?}", learned.verdict);
    let fit = learned.fit.unwrap();
    assert!(fit.weights_kept && fit.model.flags[0] > 1.0, "{:?}", fit.figures);
    assert_eq!(fit.measures.iter().map(|m| m.weight).collect::<Vec<_>>(), EQUAL);
}

/// A refused fit proposes nothing but what there is.
#[test]
fn the_refused_keep_their_weights() {
    let fit = calibrate(&shuffled(world("weights", 1_200, 1, 7), 0), &EQUAL, &Settings::default()).unwrap().fit.unwrap();
    assert!(fit.weights_kept && fit.measures.iter().all(|m| m.weight == m.hand));
}

/// What was kept before a figure was asked can be read, and does not claim it.
#[test]
fn older_answers_can_be_read() {
    let settings = Settings { resamples: 20, ..Settings::default() };
    let mut kept = serde_json::to_value(calibrate(&world("weights", 300, 1, 7), &EQUAL, &settings).unwrap()).unwrap();
    let fit = kept["fit"].as_object_mut().unwrap();
    assert!(fit.remove("weights_kept").is_some() && fit.remove("later").is_some() && fit["figures"].as_object_mut().unwrap().remove("weights_gain_quantile").is_some());
    let read: Calibration = serde_json::from_value(kept).unwrap();
    let fit = read.fit.unwrap();
    assert!(!fit.weights_kept && fit.figures.weights_gain_quantile.is_none() && fit.later.is_none());
}

/// 1,200 customers, one a day: the first 800 are learned from, and what they teach holds for the others.
#[test]
fn what_holds_later_is_told() {
    let cases = world("weights", 1_200, 1, 7);
    let at_once = calibrate(&cases, &EQUAL, &Settings::default()).unwrap().fit.unwrap();
    let c = calibrate(&one_a_day(cases), &EQUAL, &Settings::default()).unwrap();
    assert_eq!(c.verdict, Verdict::Accepted);
    let fit = c.fit.unwrap();
    let later = fit.later.unwrap();
    println!("{later:?}");
    assert_eq!((later.until, later.customers), (day(799), 400));
    assert!((30..=370).contains(&later.churned) && later.auc.auc > later.auc_hand.auc && later.gain_low > 0.0 && later.gain_low < later.gain_high);
    // That it is asked changes nothing else.
    assert_eq!(fit, Fit { later: Some(later), ..at_once });
}

/// Of the first 800 customers the first measure tells, of the last 400 all others: seen together the earlier lesson gains, but it is past.
#[test]
fn what_no_longer_holds_is_refused() {
    let mut cases = world("early", 800, 1, 7);
    cases.extend(world("late", 400, 1, 8).into_iter().map(|c| Case { group: c.group + 800, ..c }));
    let mut cases = one_a_day(cases);
    let c = calibrate(&cases, &EQUAL, &Settings::default()).unwrap();
    let fit = c.fit.clone().unwrap();
    let later = fit.later.unwrap();
    println!("{:?} {later:?}", c.verdict);
    assert!(fit.figures.gain_quantile > 0.0, "{:?}", fit.figures);
    assert_eq!(c.verdict, Verdict::Refused(Refusal::WorseLater { low: later.gain_low, high: later.gain_high }));
    assert!(later.gain_high < 0.0 && later.auc.auc < later.auc_hand.auc);
    assert!(fit.weights_kept && fit.model.knots.is_empty());
    Rng::with_seed(1).shuffle(&mut cases);
    assert_eq!(calibrate(&cases, &EQUAL, &Settings::default()).unwrap(), c);
}

/// The same, and silence tells all along: the risk is good later as well, but weights that lose there are not proposed.
#[test]
fn weights_that_lose_later_are_not_proposed() {
    let mut cases = world("early", 800, 1, 7);
    cases.extend(world("late", 400, 1, 8).into_iter().map(|c| Case { group: c.group + 800, ..c }));
    let mut rng = Rng::with_seed(3);
    cases.iter_mut().for_each(|c| c.silence = Some(if c.churned == (rng.f64() < 0.85) { 1.0 } else { 0.0 }));
    let c = calibrate(&one_a_day(cases), &EQUAL, &Settings::default()).unwrap();
    let fit = c.fit.unwrap();
    let later = fit.later.unwrap();
    println!("{:?} {later:?} {:?}", c.verdict, fit.figures);
    assert!(later.gain_low > 0.0 && !matches!(c.verdict, Verdict::Refused(_)));
    assert!(fit.figures.weights_gain_quantile.unwrap() > 0.0 && later.weights_gain_high.unwrap() < 0.0);
    assert!(fit.weights_kept && fit.measures.iter().all(|m| m.weight == m.hand));
}

#[test]
fn too_little_later_says_nothing() {
    let later = |cases: Vec<Case>| calibrate(&cases, &EQUAL, &Settings { resamples: 20, ..Settings::default() }).unwrap().fit.unwrap().later;
    assert_eq!(later(world("weights", 1_200, 1, 7)), None, "all of one day");
    assert_eq!(later(one_a_day(world("weights", 240, 1, 7))), None, "of 80 customers fewer than 30 left");
    // Each customer a second time 1,000 days after the first: by the time two thirds are past, all were learned from.
    let mut twice = one_a_day(world("weights", 1_200, 2, 7));
    twice.iter_mut().skip(1).step_by(2).for_each(|c| c.day += Duration::days(1_000));
    assert_eq!(later(twice), None, "nobody is judged on who was learned from");
}

#[test]
fn a_hump_is_seen() {
    let fit = calibrate(&world("hump", 1_200, 1, 3), &EQUAL, &Settings::default()).unwrap().fit.unwrap();
    assert_eq!(fit.measures.iter().map(|m| m.not_monotone).collect::<Vec<_>>(), [true, false, false, false, false]);
}

#[test]
fn chance_is_refused() {
    let is_refused = |c: &Calibration| matches!(c.verdict, Verdict::Refused(Refusal::NoGain { quantile }) if quantile <= 0.0);
    for seed in 0..3 {
        let mut sets = vec![(shuffled(world("weights", 1_200, 1, 7), seed), EQUAL.to_vec())];
        sets.extend(saas().map(|(train, _, hand)| (shuffled(train, seed), hand)));
        for (cases, hand) in sets {
            let c = calibrate(&cases, &hand, &Settings::default()).unwrap();
            println!("{:?}", c.verdict);
            assert!(is_refused(&c), "{:?}", c.verdict);
            assert!(c.fit.unwrap().model.knots.is_empty());
        }
    }
}

/// Forty cases of each customer that all end alike look like a sure thing and are not.
#[test]
fn probabilities_that_do_not_hold_are_not_offered() {
    let c = calibrate(&world("weights", 150, 40, 5), &[1.0, 1.0, 1.0, 1.0, 6.0], &Settings::default()).unwrap();
    assert!(matches!(c.verdict, Verdict::RankingOnly { error, limit } if error > limit), "{:?}", c.verdict);
    assert_eq!(c.fit.unwrap().model.probability(&[None; 5], None), None);
}

#[test]
fn too_few_and_too_good() {
    let few = |customers, each| calibrate(&world("weights", customers, each, 7), &EQUAL, &Settings::default()).unwrap();
    assert!(matches!(few(99, 1).verdict, Verdict::Refused(Refusal::TooFew { outcomes: 99, .. })));
    // Many cases of few customers are few.
    assert!(matches!(few(50, 10).verdict, Verdict::Refused(Refusal::TooFew { outcomes: 50, .. })));
    let none = calibrate(&[], &EQUAL, &Settings::default()).unwrap();
    assert_eq!((none.verdict, none.fit), (Verdict::Refused(Refusal::TooFew { churned: 0, outcomes: 0 }), None));
    // So is an outcome before which nothing was known: a year of reports loaded after the fact teaches nothing, and that is said.
    let mut late = world("weights", 400, 1, 7);
    late.iter_mut().skip(99).for_each(|c| c.values = vec![None; c.values.len()]);
    let late = calibrate(&late, &EQUAL, &Settings::default()).unwrap();
    assert!(matches!(late.verdict, Verdict::Refused(Refusal::NothingKnown { outcomes: ..=99, .. })), "{:?}", late.verdict);
    assert!(late.unknown.unwrap() >= 301 && late.fit.is_none());
    let mut full = world("certain", 400, 1, 7);
    full.iter_mut().for_each(|c| c.values = c.values.iter().map(|v| Some(v.unwrap_or(if c.churned { 10.0 } else { 90.0 }))).collect());
    // The pull keeps it finite where outcomes divide without a fault.
    for lambda in [1e-3, 2.0] {
        let fit = calibrate(&full, &EQUAL, &Settings { lambda, ..Settings::default() }).unwrap().fit.unwrap();
        assert!(fit.model.coefficients.iter().all(|w| w.is_finite()) && fit.figures.auc.auc > 0.9);
    }
}

#[test]
fn a_measure_hardly_reported_keeps_its_hand_weight() {
    let mut cases = world("weights", 1_200, 1, 7);
    cases.iter_mut().skip(40).for_each(|c| c.values[1] = None);
    let fit = calibrate(&cases, &EQUAL, &Settings::default()).unwrap().fit.unwrap();
    assert_eq!(fit.measures.iter().map(|m| m.too_few).collect::<Vec<_>>(), [false, true, false, false, false]);
    cases.iter_mut().for_each(|c| c.values[1] = None);
    let fit = calibrate(&cases, &EQUAL, &Settings::default()).unwrap().fit.unwrap();
    assert!((fit.measures[1].coefficient - fit.slope / 5.0).abs() < 1e-6 && fit.measures[1].too_few);
}

#[test]
fn the_order_of_cases_says_nothing() {
    let mut cases = world("weights", 300, 3, 7);
    let settings = Settings { resamples: 50, ..Settings::default() };
    let first = format!("{:?}", calibrate(&cases, &EQUAL, &settings).unwrap());
    assert_eq!(first, format!("{:?}", calibrate(&cases, &EQUAL, &settings).unwrap()));
    Rng::with_seed(1).shuffle(&mut cases);
    assert_eq!(first, format!("{:?}", calibrate(&cases, &EQUAL, &settings).unwrap()));
    assert_ne!(first, format!("{:?}", calibrate(&cases, &EQUAL, &Settings { seed: 1, ..settings }).unwrap()));
}

#[test]
fn bad_input_is_named() {
    let good = world("weights", 200, 1, 7);
    let with = |change: fn(&mut Case)| {
        let mut cases = good.clone();
        change(&mut cases[3]);
        calibrate(&cases, &EQUAL, &Settings::default()).unwrap_err()
    };
    assert_eq!(with(|c| c.values[0] = Some(f64::NAN)), Invalid::Range(3));
    assert_eq!(with(|c| c.values[0] = Some(100.1)), Invalid::Range(3));
    assert_eq!(with(|c| c.silence = Some(f64::INFINITY)), Invalid::Range(3));
    assert_eq!(with(|c| c.values.truncate(4)), Invalid::Shape(3));
    for hand in [&[][..], &[0.0; 5], &[1.0, -1.0, 1.0, 1.0, 1.0], &[f64::NAN; 5], &[f64::MAX; 5]] {
        assert_eq!(calibrate(&good, hand, &Settings::default()), Err(Invalid::HandWeights));
    }
    for lambda in [-1.0, 0.0, f64::NAN] {
        assert_eq!(calibrate(&good, &EQUAL, &Settings { lambda, ..Settings::default() }), Err(Invalid::Settings));
    }
    for folds in [0, 1, 31] {
        assert_eq!(calibrate(&good, &EQUAL, &Settings { folds, ..Settings::default() }), Err(Invalid::Settings));
    }
}

#[test]
fn a_model_reads_what_is_not_there() {
    let model = Model {
        intercept: 1.0,
        coefficients: vec![2.0, 4.0],
        silence: 3.0,
        flags: vec![0.5, 0.0],
        means: vec![50.0, 25.0],
        mean_silence: 0.2,
        knots: vec![(-9.0, 0.1), (9.0, 0.9)],
    };
    // 1 - (2 * 0.8 + 0.5) - 4 * 0.25 - 3 * (1 - 0.2) = -4.5; probability 0.1 + 0.8 * 4.5 / 18 = 0.3.
    for values in [vec![Some(80.0), None], vec![Some(80.0)], vec![Some(80.0), Some(f64::NAN)]] {
        assert!((model.risk(&values, None) + 4.5).abs() < 1e-12);
        assert!((model.probability(&values, None).unwrap() - 0.3).abs() < 1e-12);
        // Wholly silent: 1 - 2.1 - 1 - 0 = -2.1; not at all: 1 - 2.1 - 1 - 3 = -5.1.
        assert!((model.risk(&values, Some(1.0)) + 2.1).abs() < 1e-12 && (model.risk(&values, Some(0.0)) + 5.1).abs() < 1e-12);
    }
}
