//! How well a score foretold what happened: discrimination (AUC, top-decile lift), calibration (table, expected error),
//! false alarms and lead time. Plain slices in, figures out; risk is high where the event is expected.

use crate::kernel::share::{Z95, wilson};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;

/// The calibration table's bins over 0-1 (SCIENCE 2.5).
const BINS: usize = 10;

/// Why there is no figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// No case at all.
    #[error("there are no cases")]
    Empty,
    /// Two columns of different length.
    #[error("the columns differ in length")]
    Lengths,
    /// A figure that is infinite or no number.
    #[error("a figure is not finite")]
    NotFinite,
    /// A probability outside 0-1.
    #[error("a probability lies outside 0 to 1")]
    NotProbability,
    /// It happened to all or to none: nothing can be told apart.
    #[error("every case ended the same way")]
    OneOutcome,
}

fn check(figures: &[f64], happened: &[bool]) -> Result<(), Fault> {
    if figures.len() != happened.len() {
        return Err(Fault::Lengths);
    }
    if figures.is_empty() {
        return Err(Fault::Empty);
    }
    if figures.iter().any(|figure| !figure.is_finite()) {
        return Err(Fault::NotFinite);
    }
    Ok(())
}

fn check_probabilities(predicted: &[f64], happened: &[bool]) -> Result<(), Fault> {
    check(predicted, happened)?;
    if predicted.iter().any(|p| !(0.0..=1.0).contains(p)) { Err(Fault::NotProbability) } else { Ok(()) }
}

/// Cases in order of rising risk, equal ones together. Sorted once, in O(n log n), and judged as often as needed.
#[derive(Debug, Clone)]
pub struct Ranking {
    order: Vec<usize>,
    ties: Vec<Range<usize>>,
}

impl Ranking {
    /// Ranks the cases. A risk that is no number stands above all others; `check` the input first.
    pub fn new(risk: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..risk.len()).collect();
        order.sort_by(|a, b| risk[*a].total_cmp(&risk[*b]).then(a.cmp(b)));
        let mut ties: Vec<Range<usize>> = Vec::new();
        for (at, case) in order.iter().enumerate() {
            match ties.last_mut() {
                Some(tie) if risk[order[tie.start]] == risk[*case] => tie.end = at + 1,
                _ => ties.push(at..at + 1),
            }
        }
        Self { order, ties }
    }

    /// The cases of each tie, from the lowest risk to the highest.
    pub fn ties(&self) -> impl DoubleEndedIterator<Item = &[usize]> {
        self.ties.iter().map(|tie| &self.order[tie.clone()])
    }

    /// The AUC where case `i` counts `times[i]`: the share of pairs (happened, not happened) in the right order, a tie
    /// counting half. `None` when one side is empty.
    pub fn auc(&self, happened: &[bool], times: impl Fn(usize) -> f64) -> Option<f64> {
        let (mut pairs, mut yes, mut no) = (0.0, 0.0, 0.0);
        for tie in self.ties() {
            let sum = |side: bool| tie.iter().filter(|i| happened[**i] == side).map(|i| times(*i)).sum::<f64>();
            let (tie_yes, tie_no) = (sum(true), sum(false));
            pairs += tie_yes * (no + tie_no / 2.0);
            yes += tie_yes;
            no += tie_no;
        }
        (yes > 0.0 && no > 0.0).then(|| pairs / (yes * no))
    }
}

/// An AUC with its doubt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Auc {
    /// 0-1; 0.5 is chance.
    pub auc: f64,
    /// By DeLong (1988), ties by mid-ranks; `None` with fewer than two cases on a side.
    pub standard_error: Option<f64>,
    /// `auc` -/+ 1.96 standard errors, clipped to 0-1. It has no width where the order is perfect: the method's limit.
    pub interval: Option<(f64, f64)>,
}

/// The area under the ROC curve of `risk` against what `happened`. Cases count as independent.
pub fn auc(risk: &[f64], happened: &[bool]) -> Result<Auc, Fault> {
    check(risk, happened)?;
    let ranking = Ranking::new(risk);
    let auc = ranking.auc(happened, |_| 1.0).ok_or(Fault::OneOutcome)?;
    let yes = happened.iter().filter(|h| **h).count() as f64;
    let no = happened.len() as f64 - yes;
    // DeLong's components are the same for all of one side within a tie: the share of the other side it is right about.
    let (mut yes_below, mut no_below, mut yes_squares, mut no_squares) = (0.0, 0.0, 0.0, 0.0);
    for tie in ranking.ties() {
        let tie_yes = tie.iter().filter(|i| happened[**i]).count() as f64;
        let tie_no = tie.len() as f64 - tie_yes;
        yes_squares += tie_yes * ((no_below + tie_no / 2.0) / no - auc).powi(2);
        no_squares += tie_no * ((yes - yes_below - tie_yes / 2.0) / yes - auc).powi(2);
        yes_below += tie_yes;
        no_below += tie_no;
    }
    let standard_error = (yes > 1.0 && no > 1.0).then(|| (yes_squares / (yes - 1.0) / yes + no_squares / (no - 1.0) / no).sqrt());
    let interval = standard_error.map(|se| ((auc - Z95 * se).max(0.0), (auc + Z95 * se).min(1.0)));
    Ok(Auc { auc, standard_error, interval })
}

/// How many times more often it happened among the tenth with the highest risk (rounded up) than among all. Cases tied at
/// the border count in part, so that the order of the input says nothing.
pub fn top_decile_lift(risk: &[f64], happened: &[bool]) -> Result<f64, Fault> {
    check(risk, happened)?;
    let all = happened.iter().filter(|h| **h).count();
    if all == 0 {
        return Err(Fault::OneOutcome);
    }
    let tenth = risk.len().div_ceil(10);
    let (mut left, mut hits) = (tenth, 0.0);
    for tie in Ranking::new(risk).ties().rev() {
        let taken = left.min(tie.len());
        hits += tie.iter().filter(|i| happened[**i]).count() as f64 * taken as f64 / tie.len() as f64;
        left -= taken;
        if left == 0 {
            break;
        }
    }
    Ok((hits / tenth as f64) / (all as f64 / risk.len() as f64))
}

/// One line of the calibration table: cases whose predicted probability lies in one tenth of 0-1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// From this probability on.
    pub from: f64,
    /// Below this one; the last bin takes in 1.
    pub to: f64,
    /// Cases.
    pub n: usize,
    /// To how many of them it happened.
    pub happened: usize,
    /// The mean predicted probability; `None` without cases, as the two below.
    pub predicted: Option<f64>,
    /// The share to which it happened.
    pub observed: Option<f64>,
    /// Its 95 % Wilson interval.
    pub interval: Option<(f64, f64)>,
}

/// The calibration table: ten bins of equal width.
pub fn calibration_table(predicted: &[f64], happened: &[bool]) -> Result<Vec<Bin>, Fault> {
    check_probabilities(predicted, happened)?;
    let mut sums = [(0usize, 0usize, 0.0f64); BINS];
    for (p, h) in predicted.iter().zip(happened) {
        let (n, k, sum) = &mut sums[((p * BINS as f64) as usize).min(BINS - 1)];
        *n += 1;
        *k += usize::from(*h);
        *sum += p;
    }
    let line = |(b, (n, k, sum)): (usize, &(usize, usize, f64))| Bin {
        from: b as f64 / BINS as f64,
        to: (b + 1) as f64 / BINS as f64,
        n: *n,
        happened: *k,
        predicted: (*n > 0).then(|| sum / *n as f64),
        observed: (*n > 0).then(|| *k as f64 / *n as f64),
        interval: wilson(*k, *n),
    };
    Ok(sums.iter().enumerate().map(line).collect())
}

/// The expected calibration error, 0-1: the mean distance of predicted and observed over the bins, weighted by cases.
pub fn calibration_error(predicted: &[f64], happened: &[bool]) -> Result<f64, Fault> {
    let table = calibration_table(predicted, happened)?;
    let distance = |bin: &Bin| bin.n as f64 * (bin.predicted.unwrap_or(0.0) - bin.observed.unwrap_or(0.0)).abs();
    Ok(table.iter().map(distance).sum::<f64>() / predicted.len() as f64)
}

/// What being flagged as at risk was worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarms {
    /// Customers flagged before their outcome.
    pub flagged: usize,
    /// Of these, how many renewed: the false alarms.
    pub false_alarms: usize,
    /// `false_alarms / flagged`, 0-1; `None` when nobody was flagged.
    pub false_share: Option<f64>,
    /// Its 95 % Wilson interval.
    pub false_interval: Option<(f64, f64)>,
    /// Customers who left without a flag before.
    pub missed: usize,
    /// Days from the first flag to the loss: the median over flagged customers who left.
    pub lead_days: Option<f64>,
}

/// Judges flags, one entry per customer: the day (any whole-day count) of the first flag, the day of the outcome, and
/// whether the customer left. A flag on the day of the outcome or later foretold nothing and does not count.
pub fn alarms(first_flagged: &[Option<i64>], outcome: &[i64], left: &[bool]) -> Result<Alarms, Fault> {
    if first_flagged.len() != outcome.len() || outcome.len() != left.len() {
        return Err(Fault::Lengths);
    }
    let ahead = |(first, outcome): (&Option<i64>, &i64)| first.and_then(|day| outcome.checked_sub(day)).filter(|days| *days > 0);
    let leads: Vec<Option<i64>> = first_flagged.iter().zip(outcome).map(ahead).collect();
    let count = |flag: bool, gone: bool| leads.iter().zip(left).filter(|(lead, left)| lead.is_some() == flag && **left == gone).count();
    let false_alarms = count(true, false);
    let flagged = false_alarms + count(true, true);
    let mut days: Vec<i64> = leads.iter().zip(left).filter(|(_, left)| **left).filter_map(|(lead, _)| *lead).collect();
    days.sort_unstable();
    let middle = days.len() / 2;
    let lead_days = match days.len() {
        0 => None,
        n if n % 2 == 1 => Some(days[middle] as f64),
        _ => Some((days[middle - 1] as f64 + days[middle] as f64) / 2.0),
    };
    let false_share = (flagged > 0).then(|| false_alarms as f64 / flagged as f64);
    Ok(Alarms { flagged, false_alarms, false_share, false_interval: wilson(false_alarms, flagged), missed: count(false, true), lead_days })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, within: f64) {
        assert!((a - b).abs() <= within, "{a} is not {b}");
    }

    /// Happened: 0.35 and 0.8; not: 0.1 and 0.4. Three of four pairs in order. DeLong: components 0.5 and 1 on either side,
    /// variance 0.125 each, 0.125 / 2 + 0.125 / 2 = 0.125, root 0.353553; 0.75 - 1.959964 * 0.353553 = 0.057048.
    #[test]
    fn auc_worked_by_hand() {
        let a = auc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]).unwrap();
        near(a.auc, 0.75, 0.0);
        near(a.standard_error.unwrap(), 0.353_553_4, 1e-7);
        near(a.interval.unwrap().0, 0.057_048, 1e-6);
        near(a.interval.unwrap().1, 1.0, 0.0);
        // Pairs: (2,1) 1, (2,2) 0.5, (3,1) 1, (3,2) 1 = 3.5 of 4. Components 0.75, 1 and 1, 0.75: variance 0.03125 each.
        let tied = auc(&[1.0, 2.0, 2.0, 3.0], &[false, false, true, true]).unwrap();
        near(tied.auc, 0.875, 0.0);
        near(tied.standard_error.unwrap(), 0.031_25f64.sqrt(), 1e-12);
        assert_eq!(auc(&[1.0, 0.0], &[true, false]).unwrap(), Auc { auc: 1.0, standard_error: None, interval: None });
    }

    #[test]
    fn bad_input_is_a_fault() {
        assert_eq!(auc(&[], &[]), Err(Fault::Empty));
        assert_eq!(auc(&[1.0], &[]), Err(Fault::Lengths));
        assert_eq!(auc(&[1.0, f64::NAN], &[true, false]), Err(Fault::NotFinite));
        assert_eq!(auc(&[1.0, 2.0], &[true, true]), Err(Fault::OneOutcome));
        assert_eq!(top_decile_lift(&[1.0, 2.0], &[false, false]), Err(Fault::OneOutcome));
        assert_eq!(calibration_error(&[1.5], &[true]), Err(Fault::NotProbability));
        assert_eq!(alarms(&[None], &[], &[]), Err(Fault::Lengths));
    }

    /// Twenty cases, four events: the top two hold one event, 0.5 / 0.2 = 2.5. With three tied at the top holding two
    /// events, two thirds of each count: (4/3 / 2) / 0.2 = 3.3333.
    #[test]
    fn lift_worked_by_hand() {
        let mut risk: Vec<f64> = (0..20).map(f64::from).collect();
        let happened: Vec<bool> = (0..20).map(|i| [19, 17, 3, 1].contains(&i)).collect();
        near(top_decile_lift(&risk, &happened).unwrap(), 2.5, 1e-12);
        risk[17] = 19.0;
        risk[18] = 19.0;
        near(top_decile_lift(&risk, &happened).unwrap(), 10.0 / 3.0, 1e-12);
    }

    /// Bin 1: 0.12, 0.18 with one event, |0.15 - 0.5| = 0.35. Bin 9: 0.95, 1.0 with two, |0.975 - 1| = 0.025. Mean 0.1875.
    #[test]
    fn table_and_error_worked_by_hand() {
        let (p, h) = ([0.12, 0.18, 0.95, 1.0], [true, false, true, true]);
        let table = calibration_table(&p, &h).unwrap();
        assert_eq!(table.iter().map(|bin| bin.n).collect::<Vec<_>>(), [0, 2, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!((table[0].predicted, table[1].observed), (None, Some(0.5)));
        near(table[1].predicted.unwrap(), 0.15, 1e-12);
        near(calibration_error(&p, &h).unwrap(), 0.1875, 1e-12);
    }

    /// Flagged in time: 10, 30 and 40 days before leaving, and one who renewed: one in four false, Wilson 0.0456..0.6994.
    #[test]
    fn alarms_worked_by_hand() {
        let first = [Some(90), Some(70), Some(60), Some(50), Some(100), None, None];
        let a = alarms(&first, &[100; 7], &[true, true, true, false, true, true, false]).unwrap();
        assert_eq!((a.flagged, a.false_alarms, a.false_share, a.missed, a.lead_days), (4, 1, Some(0.25), 2, Some(30.0)));
        near(a.false_interval.unwrap().0, 0.0456, 5e-5);
        near(a.false_interval.unwrap().1, 0.6994, 5e-5);
        assert_eq!(alarms(&first[..2], &[100; 2], &[true; 2]).unwrap().lead_days, Some(20.0));
    }
}
