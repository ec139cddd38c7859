//! Held-out judgement: folds of whole customers, resamples of customers, and the shape of one measure. All randomness
//! comes from the generator given.

use super::backtest::Ranking;
use super::logistic::{Column, minimise, quantile};
use fastrand::Rng;
use std::ops::Range;

/// The AUC of a coin: the least a rival counts for, or else a shuffled history would now and then seem to teach something.
pub const CHANCE: f64 = 0.5;
/// Bins of the free fit of a measure (SCIENCE 2.5).
const SHAPE_BINS: usize = 8;
/// Keeps a straight fit finite where a figure divides the outcomes without a fault; too small to matter elsewhere.
pub const SMALL_RIDGE: f64 = 0.01;

/// How much better one risk foretells than another.
pub struct Gain {
    /// The difference of the AUCs.
    pub gain: f64,
    /// Its 5 % quantile.
    pub low: f64,
    /// Its 95 % quantile.
    pub high: f64,
}

/// Cases by customer.
pub struct Customers {
    churned: Vec<bool>,
    cases: Vec<Range<usize>>,
}

impl Customers {
    /// `groups` and `churned` per case, the cases of one customer next to each other.
    pub fn new(groups: &[u64], churned: Vec<bool>) -> Self {
        let mut cases: Vec<Range<usize>> = Vec::new();
        for (i, group) in groups.iter().enumerate() {
            match cases.last_mut() {
                Some(customer) if groups[customer.start] == *group => customer.end = i + 1,
                _ => cases.push(i..i + 1),
            }
        }
        Self { churned, cases }
    }

    /// Whether each case churned.
    pub fn churned(&self) -> &[bool] {
        &self.churned
    }

    /// Customers who left, and all, among those with a case for which `heard` holds.
    pub fn count(&self, heard: impl Fn(usize) -> bool) -> (usize, usize) {
        let of = |c: &&Range<usize>| (*c).clone().any(&heard);
        let left = self.cases.iter().filter(of).filter(|c| self.churned[(*c).clone()].contains(&true)).count();
        (left, self.cases.iter().filter(of).count())
    }

    /// The AUC gain of `risk` over `other`, which counts for `least` at the least, among the cases that count; and its quantiles over
    /// resamples of customers with replacement.
    pub fn gain(&self, other: &[f64], risk: &[f64], least: f64, counts: impl Fn(usize) -> bool, resamples: usize, rng: &mut Rng) -> Option<Gain> {
        let (other, risk) = (Ranking::new(other), Ranking::new(risk));
        let gain = |times: &[f64]| Some(risk.auc(&self.churned, |i| times[i])? - other.auc(&self.churned, |i| times[i])?.max(least));
        let once: Vec<f64> = (0..self.churned.len()).map(|i| f64::from(u8::from(counts(i)))).collect();
        let resample = |_| {
            let mut times = vec![0.0; once.len()];
            for _ in 0..self.cases.len() {
                self.cases[rng.usize(0..self.cases.len())].clone().for_each(|i| times[i] += once[i]);
            }
            gain(&times)
        };
        let gains: Vec<f64> = (0..resamples).filter_map(resample).collect();
        Some(Gain { gain: gain(&once)?, low: quantile(&gains, 0.05)?, high: quantile(&gains, 0.95)? })
    }
}

/// Customers dealt into folds.
pub struct Folds {
    customers: Customers,
    fold: Vec<usize>,
    count: usize,
}

impl Folds {
    /// Each fold gets its share of the customers who left and of those who stayed.
    pub fn new(customers: Customers, count: usize, rng: &mut Rng) -> Self {
        let (mut dealt, mut stayed): (Vec<_>, Vec<_>) = customers.cases.iter().cloned().partition(|c| customers.churned[c.clone()].contains(&true));
        rng.shuffle(&mut dealt);
        rng.shuffle(&mut stayed);
        dealt.append(&mut stayed);
        let mut fold = vec![0; customers.churned.len()];
        dealt.into_iter().enumerate().for_each(|(i, customer)| fold[customer].fill(i % count));
        Self { customers, fold, count }
    }

    /// Whose cases they are.
    pub fn customers(&self) -> &Customers {
        &self.customers
    }

    /// The outcomes of some cases.
    pub fn outcomes(&self, which: &[usize]) -> Vec<bool> {
        which.iter().map(|i| self.customers.churned[*i]).collect()
    }

    /// Foretells every case by what `learn` makes of the cases of the other folds; `None` when one of them teaches nothing.
    pub fn held_out<T, R: Clone + Default>(&self, learn: impl Fn(&[usize]) -> Option<T>, foretell: impl Fn(&T, usize) -> R) -> Option<Vec<R>> {
        let mut out = vec![R::default(); self.fold.len()];
        for fold in 0..self.count {
            let (held, seen): (Vec<usize>, Vec<usize>) = (0..self.fold.len()).partition(|i| self.fold[*i] == fold);
            let learned = learn(&seen)?;
            held.into_iter().for_each(|i| out[i] = foretell(&learned, i));
        }
        Some(out)
    }

    /// The held-out gain of a free eight-bin fit of one measure (0-100 per case) over a straight one of either direction.
    pub fn shape_gain(&self, values: &[Option<f64>], resamples: usize, rng: &mut Rng) -> Option<Gain> {
        let known = |seen: &[usize]| -> (Vec<f64>, Vec<bool>) { seen.iter().filter_map(|i| Some((values[*i]?, self.customers.churned[*i]))).unzip() };
        let straight = |seen: &[usize]| {
            let (x, churned) = known(seen);
            minimise(&[Column { x: x.iter().map(|v| v / 100.0).collect(), prior: 0.0, ridge: SMALL_RIDGE, free: true }], &churned)
        };
        let binned = |seen: &[usize]| {
            let (x, churned) = known(seen);
            let edges: Vec<f64> = (1..SHAPE_BINS).filter_map(|b| quantile(&x, b as f64 / SHAPE_BINS as f64)).collect();
            let base = churned.iter().filter(|c| **c).count() as f64 / churned.len() as f64;
            // Each bin's rate with one average case added: an empty bin is average.
            let mut bins = [(1.0, base); SHAPE_BINS];
            for (value, churned) in x.iter().zip(churned) {
                let (n, k) = &mut bins[edges.partition_point(|edge| edge <= value)];
                *n += 1.0;
                *k += f64::from(u8::from(churned));
            }
            Some((edges, bins.map(|(n, k)| k / n)))
        };
        let value = |i: usize| values[i].unwrap_or(0.0);
        let straight = self.held_out(straight, |line, i| line.intercept - line.coefficients[0] * value(i) / 100.0)?;
        let binned = self.held_out(binned, |(edges, rates), i| rates[edges.partition_point(|edge| *edge <= value(i))])?;
        self.customers.gain(&straight, &binned, CHANCE, |i| values[i].is_some(), resamples, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty customers with one to three cases; every fourth leaves, at the last of its cases.
    fn folds() -> (Vec<u64>, Folds) {
        let groups: Vec<u64> = (0..40u64).flat_map(|g| vec![g; 1 + g as usize % 3]).collect();
        let last = |i: usize| groups.get(i + 1) != Some(&groups[i]);
        let churned = groups.iter().enumerate().map(|(i, g)| g % 4 == 0 && last(i)).collect();
        (groups.clone(), Folds::new(Customers::new(&groups, churned), 5, &mut Rng::with_seed(9)))
    }

    #[test]
    fn customers_stay_whole_and_folds_alike() {
        let (groups, folds) = folds();
        assert_eq!(folds.customers.count(|_| true), (10, 40));
        assert_eq!(folds.customers.count(|i| groups[i] < 10), (3, 10));
        for i in 1..groups.len() {
            assert!(groups[i] != groups[i - 1] || folds.fold[i] == folds.fold[i - 1]);
        }
        for fold in 0..5 {
            assert_eq!(folds.fold.iter().zip(&folds.customers.churned).filter(|(f, churned)| **f == fold && **churned).count(), 2);
        }
        // Nobody is foretold by himself.
        let seen = folds.held_out(|seen| Some(seen.to_vec()), |seen, i| f64::from(u8::from(seen.iter().any(|j| groups[*j] == groups[i])))).unwrap();
        assert!(seen.iter().all(|s| *s == 0.0));
        assert_eq!(folds.held_out(|_| None::<()>, |(), _| 0.0), None);
    }

    #[test]
    fn gain_over_itself_is_nothing_and_over_the_wrong_way_round_is_chance() {
        let (_, folds) = folds();
        let truth: Vec<f64> = folds.customers.churned.iter().map(|c| f64::from(u8::from(*c))).collect();
        let wrong: Vec<f64> = truth.iter().map(|t| -t).collect();
        let gain = |other: &[f64], risk: &[f64]| folds.customers.gain(other, risk, CHANCE, |_| true, 50, &mut Rng::with_seed(1)).map(|g| (g.gain, g.low));
        assert_eq!(gain(&truth, &truth), Some((0.0, 0.0)));
        assert_eq!(gain(&wrong, &truth), Some((0.5, 0.5)));
        // Against the rival as it is, all of it; and the same the other way round.
        let plain = |other: &[f64], risk: &[f64]| folds.customers.gain(other, risk, 0.0, |_| true, 50, &mut Rng::with_seed(1)).map(|g| (g.gain, g.low, g.high));
        assert_eq!((plain(&wrong, &truth), plain(&truth, &wrong)), (Some((1.0, 1.0, 1.0)), Some((-1.0, -1.0, -1.0))));
        assert!(folds.customers.gain(&wrong, &truth, CHANCE, |_| false, 50, &mut Rng::with_seed(1)).is_none());
    }
}
