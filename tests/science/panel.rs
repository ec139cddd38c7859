//! Bias, interval and ranking on a simulated panel (`world.rs` says what it assumes).

use crate::scoring::{Bias, last_values, score};
use crate::world::{Class, Customer, MEASURES, OPINIONS, Panel, World, simulate};
use std::sync::LazyLock;
use todoku::health::{BiasModel as Model, Pair, estimate_bias as estimate};

/// The panel was laid out on seeds 1-30 and 101-130 (`world.rs`); these are others.
const SEEDS: [u64; 3] = [201, 202, 203];
/// Means behind a bias go this many days back.
const YEAR: i32 = 365;

/// A panel with its seed and one model per opinion.
struct Tried {
    seed: u64,
    panel: Panel,
    models: Vec<(usize, Model)>,
}

impl Tried {
    fn of(seed: u64) -> Self {
        let panel = simulate(&World::default(), seed);
        let models = OPINIONS.iter().map(|measure| (*measure, estimate(&pairs(&panel, *measure)).unwrap())).collect();
        Self { seed, panel, models }
    }

    fn bias_of(&self, partner: usize) -> Bias {
        let mut bias = [0.0; MEASURES];
        for (measure, model) in &self.models {
            bias[*measure] = model.bias_of(partner as u128);
        }
        bias
    }

    fn score(&self, customer: &Customer, bias: &Bias) -> Option<(f64, f64, f64, f64)> {
        score(self.panel.evidence_of(customer), bias, self.panel.as_of)
    }
}

static PANELS: LazyLock<Vec<Tried>> = LazyLock::new(|| SEEDS.map(Tried::of).into());

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len() as f64
}

fn mean_of(panel: &Panel, customer: &Customer, measure: Option<usize>, class: Class) -> Option<f64> {
    let is_meant = |e: &&crate::world::Evidence| e.class == class && measure.is_none_or(|m| m == e.measure) && panel.as_of - e.day < YEAR;
    let values: Vec<f64> = panel.evidence_of(customer).iter().filter(is_meant).map(|e| e.value).collect();
    (!values.is_empty()).then(|| mean(&values))
}

fn pairs(panel: &Panel, measure: usize) -> Vec<Pair> {
    let pair = |customer: &Customer| {
        let anchor = mean_of(panel, customer, None, Class::VendorObserved)?;
        let points = mean_of(panel, customer, Some(measure), Class::PartnerDeclared)?;
        Some(Pair { reporter: customer.partner as u128, points, anchor })
    };
    panel.customers.iter().filter_map(pair).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (ma, mb) = (mean(a), mean(b));
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>();
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}

/// For each customer lost or kept: the share of the others (kept or lost) it ranks rightly against; ties count half.
fn placements(scored: &[(f64, bool)]) -> (Vec<f64>, Vec<f64>) {
    let right = |low: f64, high: f64| {
        if low < high {
            1.0
        } else if low == high {
            0.5
        } else {
            0.0
        }
    };
    let of = |lost: bool| scored.iter().filter(move |s| s.1 == lost).map(|s| s.0).collect::<Vec<f64>>();
    let (lost, kept) = (of(true), of(false));
    let of_lost = lost.iter().map(|l| mean(&kept.iter().map(|k| right(*l, *k)).collect::<Vec<_>>())).collect();
    let of_kept = kept.iter().map(|k| mean(&lost.iter().map(|l| right(*l, *k)).collect::<Vec<_>>())).collect();
    (of_lost, of_kept)
}

/// AUC of the first and the second ranking of the same customers, and the standard error of the difference (DeLong 1988).
fn compare(first: &[(f64, bool)], second: &[(f64, bool)]) -> (f64, f64, f64) {
    let ((l1, k1), (l2, k2)) = (placements(first), placements(second));
    let variance = |a: &[f64], b: &[f64]| {
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let (middle, n) = (mean(&differences), differences.len() as f64);
        differences.iter().map(|d| (d - middle).powi(2)).sum::<f64>() / (n - 1.0) / n
    };
    (mean(&l1), mean(&l2), (variance(&l1, &l2) + variance(&k1, &k2)).sqrt())
}

/// (a) The estimated bias follows the true one in each panel, over partners with at least five pairs. That takes books of some size: with 20-60 customers
/// a partner it was 0.87 on the first of these seeds, with 30-90 0.8995. Of 48 estimates on seeds of `world.rs` the worst had 0.934, with 20-60 customers 0.905.
#[test]
fn bias_is_found() {
    for measure in OPINIONS {
        for Tried { seed, panel, models } in PANELS.iter() {
            let model = &models.iter().find(|m| m.0 == measure).unwrap().1;
            let known: Vec<_> = model.estimates.iter().filter(|e| e.n >= 5).collect();
            let found: Vec<f64> = known.iter().map(|e| e.bias).collect();
            let truth: Vec<f64> = known.iter().map(|e| panel.true_bias[e.reporter as usize]).collect();
            // A bias is relative to the average reporter.
            let common = model.estimates.iter().map(|e| e.n as f64 * panel.true_bias[e.reporter as usize]).sum::<f64>() / model.n as f64;
            let held = known.iter().zip(&truth).filter(|(e, t)| e.interval.is_some_and(|(low, high)| (low..=high).contains(&(**t - common)))).count();
            let r = correlation(&found, &truth);
            println!(
                "seed {seed} measure {measure}: correlation {r:.3}; partners {} of {}, pairs {}, b0 {:.1}, b1 {:.2}, s2 {:.0}, tau2 {:.1}; 95 % interval holds {:.2}",
                known.len(),
                model.k,
                model.n,
                model.b0,
                model.b1,
                model.s2,
                model.tau2,
                held as f64 / known.len() as f64,
            );
            assert!(r >= 0.9, "seed {seed}, measure {measure}: {r}");
        }
    }
}

/// A known customer: coverage, whether the interval holds the truth, error, half width.
type Held = (f64, bool, f64, f64);

/// (b) The 80 % interval holds the truth four times in five: the mean of the latent measures on the as-of day.
#[test]
fn interval_holds_the_truth() {
    for tried in PANELS.iter() {
        let held = |customer: &Customer| -> Option<Held> {
            let (h, low, high, coverage) = tried.score(customer, &tried.bias_of(customer.partner))?;
            Some((coverage, (low..=high).contains(&customer.health()), h - customer.health(), (high - low) / 2.0))
        };
        let mut known: Vec<Held> = tried.panel.customers.iter().filter_map(held).collect();
        known.sort_by(|a, b| a.0.total_cmp(&b.0));
        let share = |of: &[Held]| of.iter().filter(|k| k.1).count() as f64 / of.len() as f64;
        let quarters: Vec<String> = known.chunks(known.len().div_ceil(4)).map(|quarter| format!("{:.3}", share(quarter))).collect();
        let column = |f: fn(&Held) -> f64| mean(&known.iter().map(f).collect::<Vec<_>>());
        println!(
            "seed {}: holds {:.3} of {} known ({} customers); by quarter of coverage {}; mean error {:+.2}, size {:.2}, half width {:.2}, coverage {:.2}",
            tried.seed,
            share(&known),
            known.len(),
            tried.panel.customers.len(),
            quarters.join(" "),
            column(|k| k.2),
            column(|k| k.2.abs()),
            column(|k| k.3),
            column(|k| k.0),
        );
        assert!((0.77..=0.83).contains(&share(&known)), "seed {}: {}", tried.seed, share(&known));
    }
}

/// (c) Fading and bias removal rank the customers that will be lost better than the last values do; all rank the same known.
#[test]
fn ranks_better_than_last_values() {
    let mut gains = Vec::new();
    for tried in PANELS.iter() {
        let (mut ours, mut faded, mut last) = (Vec::new(), Vec::new(), Vec::new());
        for customer in &tried.panel.customers {
            let Some((h, ..)) = tried.score(customer, &tried.bias_of(customer.partner)) else { continue };
            ours.push((h, customer.churned));
            faded.push((tried.score(customer, &[0.0; MEASURES]).unwrap().0, customer.churned));
            last.push((last_values(tried.panel.evidence_of(customer)).unwrap(), customer.churned));
        }
        let (auc, auc_last, error) = compare(&ours, &last);
        let (_, auc_faded, error_faded) = compare(&ours, &faded);
        println!(
            "seed {}: AUC {auc:.4}, last values {auc_last:.4} (gain {:+.4}, standard error {error:.4}), bias left in {auc_faded:.4} (gain {:+.4}, {error_faded:.4}); {} of {} lost",
            tried.seed,
            auc - auc_last,
            auc - auc_faded,
            ours.iter().filter(|o| o.1).count(),
            ours.len(),
        );
        assert!(auc > auc_last, "seed {}", tried.seed);
        gains.push((auc - auc_last, error));
    }
    let gain = mean(&gains.iter().map(|g| g.0).collect::<Vec<_>>());
    let error = gains.iter().map(|g| g.1 * g.1).sum::<f64>().sqrt() / gains.len() as f64;
    println!("gain over last values {gain:+.4}, standard error {error:.4}");
    assert!(gain > 1.96 * error, "{gain} {error}");
}

/// Partners become comparable: their averages over the known err less beside one another. The truth is that of the whole book.
#[test]
fn partner_averages_err_less() {
    for tried in PANELS.iter() {
        let mut errors = [Vec::new(), Vec::new()];
        for partner in 0..tried.panel.true_bias.len() {
            let book: Vec<&Customer> = tried.panel.customers.iter().filter(|c| c.partner == partner).collect();
            let truth = mean(&book.iter().map(|c| c.health()).collect::<Vec<_>>());
            for (errors, bias) in errors.iter_mut().zip([[0.0; MEASURES], tried.bias_of(partner)]) {
                let known: Vec<f64> = book.iter().filter_map(|c| tried.score(c, &bias)).map(|s| s.0).collect();
                if !known.is_empty() {
                    errors.push(mean(&known) - truth);
                }
            }
        }
        let size = |errors: &[f64]| mean(&errors.iter().map(|e| e.abs()).collect::<Vec<_>>());
        let spread = |errors: &[f64]| (mean(&errors.iter().map(|e| e * e).collect::<Vec<_>>()) - mean(errors).powi(2)).sqrt();
        let [with, without] = &errors;
        println!(
            "seed {}: partner averages err by {:.2} with bias, {:.2} without; beside one another {:.2} and {:.2}; common error {:+.2} and {:+.2}",
            tried.seed,
            size(with),
            size(without),
            spread(with),
            spread(without),
            mean(with),
            mean(without),
        );
        assert!(spread(without) < spread(with), "seed {}", tried.seed);
    }
}
