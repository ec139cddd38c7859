//! Fits under calibrated weights: a penalised logistic regression with bounds, and isotonic regression. Deterministic.

use super::backtest::Ranking;
use optimization_engine::constraints::Rectangle;
use optimization_engine::panoc::{PANOCCache, PANOCOptimizer};
use optimization_engine::{Problem, SolverError};

/// The largest projected gradient of a converged fit, in standard errors of the coefficient (see `minimise`).
const TOLERANCE: f64 = 1e-5;
/// Steps of the optimiser.
const MAX_STEPS: usize = 5_000;
/// Information below which a column is flat: rounding, not variation.
const FLAT: f64 = 1e-9;

/// A coefficient to be found, and the column it goes with.
pub struct Column {
    /// Its figure per case.
    pub x: Vec<f64>,
    /// Where it is pulled to; >= 0 unless free.
    pub prior: f64,
    /// How strongly, >= 0.
    pub ridge: f64,
    /// May it be negative?
    pub free: bool,
}

/// The minimum of a penalised log-loss.
pub struct Minimum {
    /// `b0`.
    pub intercept: f64,
    /// `c`, in the order of the columns.
    pub coefficients: Vec<f64>,
    /// Where the bound of 0 holds a coefficient back.
    pub blocked: Vec<bool>,
}

/// Minimises log-loss + sum ridge/2 (c - prior)^2 over `logit p = b0 - sum c x`, c >= 0 unless free; log-loss is a sum over
/// cases. Columns are centred and each coefficient is measured in its approximate standard error, so that the problem is
/// well rounded and one tolerance fits all. `None` when the projected gradient does not vanish.
pub fn minimise(columns: &[Column], churned: &[bool]) -> Option<Minimum> {
    let n = churned.len() as f64;
    let base = churned.iter().filter(|c| **c).count() as f64 / n;
    if !(base > 0.0 && base < 1.0) {
        return None;
    }
    let spread = n * base * (1.0 - base);
    let centres: Vec<f64> = columns.iter().map(|c| c.x.iter().sum::<f64>() / n).collect();
    let variance = |(c, centre): (&Column, &f64)| c.x.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / n;
    let information: Vec<f64> = columns.iter().zip(&centres).map(|column| spread * variance(column)).collect();
    let mut scale: Vec<f64> = vec![spread.sqrt()];
    scale.extend(information.iter().zip(columns).map(|(i, c)| if i + c.ridge > FLAT { (i + c.ridge).sqrt() } else { 1.0 }));
    let width = columns.len() + 1;
    let mut rows: Vec<f64> = Vec::with_capacity(churned.len() * width);
    for i in 0..churned.len() {
        rows.push(1.0 / scale[0]);
        rows.extend(columns.iter().zip(&centres).zip(&scale[1..]).map(|((c, centre), s)| (centre - c.x[i]) / s));
    }
    let logit = |row: &[f64], u: &[f64]| row.iter().zip(u).map(|(x, u)| x * u).sum::<f64>();
    let away = |j: usize, u: &[f64]| u[j + 1] / scale[j + 1] - columns[j].prior;
    let cost = |u: &[f64], value: &mut f64| -> Result<(), SolverError> {
        // ln(1 + e^z) - y z, without overflow.
        let loss = |z: f64, y: bool| z.max(0.0) + (-z.abs()).exp().ln_1p() - if y { z } else { 0.0 };
        *value = rows.chunks_exact(width).zip(churned).map(|(row, y)| loss(logit(row, u), *y)).sum::<f64>();
        *value += (0..columns.len()).map(|j| columns[j].ridge / 2.0 * away(j, u).powi(2)).sum::<f64>();
        Ok(())
    };
    let slope = |u: &[f64], gradient: &mut [f64]| -> Result<(), SolverError> {
        gradient.fill(0.0);
        for (row, y) in rows.chunks_exact(width).zip(churned) {
            let residual = 1.0 / (1.0 + (-logit(row, u)).exp()) - f64::from(u8::from(*y));
            gradient.iter_mut().zip(row).for_each(|(g, x)| *g += residual * x);
        }
        (0..columns.len()).for_each(|j| gradient[j + 1] += columns[j].ridge * away(j, u) / scale[j + 1]);
        Ok(())
    };
    let lowest: Vec<f64> = std::iter::once(true).chain(columns.iter().map(|c| c.free)).map(|free| if free { f64::NEG_INFINITY } else { 0.0 }).collect();
    let mut u: Vec<f64> = vec![(base / (1.0 - base)).ln() * scale[0]];
    u.extend(columns.iter().zip(&scale[1..]).map(|(c, s)| c.prior * s));
    let bounds = Rectangle::new(Some(&lowest), None);
    let mut cache = PANOCCache::new(width, TOLERANCE / 1e3, 10);
    PANOCOptimizer::new(Problem::new(&bounds, slope, cost), &mut cache).with_max_iter(MAX_STEPS).solve(&mut u).ok()?;
    let mut gradient = vec![0.0; width];
    slope(&u, &mut gradient).ok()?;
    let projected = (0..width).map(|j| (u[j] - (u[j] - gradient[j]).max(lowest[j])).abs());
    if projected.fold(0.0, |worst: f64, p| if p.is_nan() { f64::INFINITY } else { worst.max(p) }) > TOLERANCE {
        return None;
    }
    let found = u[1..].iter().zip(&scale[1..]).map(|(u, s)| u / s);
    // A flat column says nothing: its coefficient stays exactly where it is pulled to.
    let coefficients: Vec<f64> = found.zip(&information).zip(columns).map(|((c, i), column)| if *i > FLAT { c } else { column.prior }).collect();
    let intercept = u[0] / scale[0] + coefficients.iter().zip(&centres).map(|(c, centre)| c * centre).sum::<f64>();
    let blocked = (1..width).map(|j| u[j] <= lowest[j] && gradient[j] > TOLERANCE && information[j - 1] > FLAT).collect();
    Some(Minimum { intercept, coefficients, blocked })
}

/// Isotonic regression by pooling adjacent violators: the ends of each level, to be joined by straight lines. Levels stay
/// one half case away from certainty, as nothing in the world is certain.
pub fn isotonic(risk: &[f64], happened: &[bool]) -> Vec<(f64, f64)> {
    // (lowest risk, highest risk, cases, events) of each level, rising.
    let mut levels: Vec<(f64, f64, f64, f64)> = Vec::new();
    for tie in Ranking::new(risk).ties() {
        let at = tie.first().map_or(0.0, |i| risk[*i]);
        let mut level = (at, at, tie.len() as f64, tie.iter().filter(|i| happened[**i]).count() as f64);
        // As products of whole numbers: exact.
        while let Some(below) = levels.pop_if(|below| below.3 * level.2 >= level.3 * below.2) {
            level = (below.0, level.1, below.2 + level.2, below.3 + level.3);
        }
        levels.push(level);
    }
    let certain = 0.5 / (risk.len() as f64 + 1.0);
    let ends = |(low, high, n, k): (f64, f64, f64, f64)| {
        let p = (k / n).clamp(certain, 1.0 - certain);
        if low < high { vec![(low, p), (high, p)] } else { vec![(low, p)] }
    };
    levels.into_iter().flat_map(ends).collect()
}

/// The value at `x` of the straight lines between `knots` (rising), level beyond both ends; `None` without knots.
pub fn interpolate(knots: &[(f64, f64)], x: f64) -> Option<f64> {
    let above = knots.partition_point(|(at, _)| *at < x);
    match (above.checked_sub(1).and_then(|below| knots.get(below)), knots.get(above)) {
        (Some((x0, y0)), Some((x1, y1))) => Some(y0 + (y1 - y0) * (x - x0) / (x1 - x0)),
        (Some((_, y)), None) | (None, Some((_, y))) => Some(*y),
        (None, None) => None,
    }
}

/// The quantile `q` (0-1) of the figures, straight between neighbours (type 7); `None` of nothing.
pub fn quantile(figures: &[f64], q: f64) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let knots: Vec<(f64, f64)> = sorted.into_iter().enumerate().map(|(i, figure)| (i as f64, figure)).collect();
    interpolate(&knots, q * knots.len().saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn column(x: &[f64], prior: f64, ridge: f64) -> Column {
        Column { x: x.to_vec(), prior, ridge, free: false }
    }

    /// Of 40 cases with the mark 10 happened (odds 1/3), of 60 without it 30 (odds 1): b0 = 0, c = ln 3 = 1.0986123.
    #[test]
    fn a_table_of_two_by_two() {
        let x: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i < 40))).collect();
        let happened: Vec<bool> = (0..100).map(|i| !(10..70).contains(&i)).collect();
        let m = minimise(&[column(&x, 0.0, 0.0)], &happened).unwrap();
        assert!(m.intercept.abs() < 1e-6 && (m.coefficients[0] - 3f64.ln()).abs() < 1e-6 && !m.blocked[0]);
        // The other way round the weight would be negative: 0, and b0 = ln(40/60) = -0.4054651.
        let turned: Vec<f64> = x.iter().map(|x| 1.0 - x).collect();
        let m = minimise(&[column(&turned, 0.0, 0.0)], &happened).unwrap();
        assert!((m.intercept - (40f64 / 60.0).ln()).abs() < 1e-6);
        assert_eq!((m.coefficients[0], m.blocked[0]), (0.0, true));
        let m = minimise(&[Column { free: true, ..column(&turned, 0.0, 0.0) }], &happened).unwrap();
        assert!((m.coefficients[0] + 3f64.ln()).abs() < 1e-6);
        // A flat column stays where it is pulled to; an endless pull leaves nothing else.
        assert_eq!(minimise(&[column(&[0.3; 100], 2.0, 0.0)], &happened).unwrap().coefficients, [2.0]);
        assert!((minimise(&[column(&x, 5.0, 1e9)], &happened).unwrap().coefficients[0] - 5.0).abs() < 1e-4);
    }

    #[test]
    fn no_minimum_is_no_answer() {
        let x: Vec<f64> = (0..100).map(f64::from).collect();
        let happened: Vec<bool> = (0..100).map(|i| i < 50).collect();
        // Divided without a fault, but the pull keeps it finite.
        assert!(minimise(&[column(&x, 0.0, 0.01)], &happened).is_some());
        assert!(minimise(&[column(&x, 0.0, 1.0)], &[true; 100]).is_none());
        assert!(minimise(&[], &[]).is_none());
        assert!(minimise(&[column(&[f64::NAN; 100], 0.0, 1.0)], &happened).is_none());
    }

    /// 0,1,0,1,1 pools the middle pair to 1/2 and the last to 1, kept 0.5/6 from certainty.
    #[test]
    fn violators_are_pooled() {
        let knots = isotonic(&[5.0, 1.0, 2.0, 3.0, 4.0], &[true, false, true, false, true]);
        assert_eq!(knots, [(1.0, 0.5 / 6.0), (2.0, 0.5), (3.0, 0.5), (4.0, 1.0 - 0.5 / 6.0), (5.0, 1.0 - 0.5 / 6.0)]);
        assert_eq!(interpolate(&knots, 2.5), Some(0.5));
        assert_eq!(interpolate(&knots, 9.0), interpolate(&knots, 4.0));
        assert!((interpolate(&knots, 3.5).unwrap() - (0.5 + 5.5 / 6.0) / 2.0).abs() < 1e-12);
        assert_eq!((interpolate(&[], 1.0), quantile(&[], 0.5)), (None, None));
        assert_eq!((quantile(&[3.0, 1.0, 2.0], 0.25), quantile(&[3.0, 1.0, 2.0], 1.0)), (Some(1.5), Some(3.0)));
    }

    fn loss(columns: &[Column], happened: &[bool], b0: f64, c: &[f64]) -> f64 {
        let z = |i: usize| b0 - columns.iter().zip(c).map(|(column, c)| column.x[i] * c).sum::<f64>();
        let cases: f64 = happened.iter().enumerate().map(|(i, y)| if *y { (1.0 + (-z(i)).exp()).ln() } else { (1.0 + z(i).exp()).ln() }).sum();
        cases + columns.iter().zip(c).map(|(column, c)| column.ridge / 2.0 * (c - column.prior).powi(2)).sum::<f64>()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_neighbour_is_better(
            rows in prop::collection::vec((prop::array::uniform3(0.0f64..1.0), any::<bool>()), 5..60),
            prior in prop::array::uniform3(0.0f64..5.0),
            ridge in 0.1f64..5.0,
        ) {
            let happened: Vec<bool> = rows.iter().map(|(_, h)| *h).collect();
            prop_assume!(happened.contains(&true) && happened.contains(&false));
            let columns: Vec<Column> = (0..3).map(|j| column(&rows.iter().map(|(x, _)| x[j]).collect::<Vec<_>>(), prior[j], ridge)).collect();
            let m = minimise(&columns, &happened).unwrap();
            let best = loss(&columns, &happened, m.intercept, &m.coefficients);
            prop_assert!(m.coefficients.iter().all(|c| *c >= 0.0));
            for step in [-1e-3, 1e-3] {
                prop_assert!(loss(&columns, &happened, m.intercept + step, &m.coefficients) > best);
                for j in 0..3 {
                    let mut c = m.coefficients.clone();
                    c[j] += step;
                    prop_assert!(c[j] < 0.0 || loss(&columns, &happened, m.intercept, &c) > best);
                }
            }
        }

        #[test]
        fn isotonic_rises_and_keeps_the_rate(cases in prop::collection::vec((-20i32..20, any::<bool>()), 1..80)) {
            let (risk, happened): (Vec<f64>, Vec<bool>) = cases.into_iter().map(|(r, h)| (f64::from(r), h)).unzip();
            let knots = isotonic(&risk, &happened);
            prop_assert!(knots.windows(2).all(|k| k[0].0 < k[1].0 && k[0].1 <= k[1].1));
            let sum: f64 = risk.iter().filter_map(|r| interpolate(&knots, *r)).sum();
            let events = happened.iter().filter(|h| **h).count() as f64;
            prop_assert!((sum - events).abs() <= 0.5);
        }
    }
}
