//! A simulated panel of partners, seeded: what is true of every customer, and what partners and telemetry say of it.
//!
//! What it assumes (all figures are [`World`]'s, in points of 0-100 and days):
//! - **Health.** A customer has a latent health that walks at random about its own level (mean-reverting); levels lie about the
//!   level of the partner's book. Each of the six latent measures is that health plus an own walk about an own constant.
//!   The truth of the as-of day is the latent measures on that day; overall health is their plain mean (equal weights).
//! - **Telemetry.** 60 % of customers have it: measure 0, usage, every week, with little noise. Nobody else reports usage.
//! - **Partners.** 60, with 40-120 customers and a cadence of 14-45 days. A report holds each of the five other measures with a
//!   probability, as the latent value plus noise. On the two opinions the partner adds its own bias, N(8, 6) clipped to -8..20.
//!   Besides, what it says of one customer shares an error (halo) that moves slowly and that no averaging removes.
//! - **Silence.** A quarter of the partners stop reporting for 3-8 months; some customers are hardly ever reported.
//! - **Hidden bad news.** A report made while overall health is below a limit is withheld, with a probability of the partner's.
//! - **Churn** within 180 days is drawn by a logistic curve of the overall latent health on the as-of day.
//!
//! The walks and the noise are laid so that a partner's values of one measure vary within a customer by about `q = 144` (here
//! 6^2 + 5^2 + 10^2 = 161 besides the halo), and the halo so that the interval of SCIENCE 2.3 holds the truth four times in five;
//! chosen on seeds 1-30 and 101-130, which no test uses.
//!
//! Left out: several partners per customer, corrections, late arrival, curves other than the identity, biases that change,
//! partners whose figures (not opinions) are rosy.

use fastrand::Rng;

/// The measures: usage (telemetry), tickets, onboarding and delivery (partner's figures), sentiment and adoption (its opinions).
pub const MEASURES: usize = 6;
/// The measure that only telemetry knows.
pub const USAGE: usize = 0;
/// The two opinions: sentiment, adoption.
pub const OPINIONS: [usize; 2] = [4, 5];

/// Who knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Said by the partner.
    PartnerDeclared,
    /// Seen by the vendor.
    VendorObserved,
}

/// One observation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// Index into [`Panel::customers`].
    pub customer: usize,
    /// 0 to [`MEASURES`] - 1.
    pub measure: usize,
    /// Who knows it.
    pub class: Class,
    /// 0-100.
    pub value: f64,
    /// Observed and received on this day; day 0 is the first.
    pub day: i32,
}

/// A customer and the truth about it.
#[derive(Debug, Clone)]
pub struct Customer {
    /// Index into [`Panel::true_bias`].
    pub partner: usize,
    /// The latent measures on the as-of day.
    pub truth: [f64; MEASURES],
    /// Whether it was lost in the 180 days after.
    pub churned: bool,
    /// Where its evidence begins and ends in [`Panel::evidence`].
    pub span: (usize, usize),
}

impl Customer {
    /// Overall health on the as-of day.
    pub fn health(&self) -> f64 {
        self.truth.iter().sum::<f64>() / MEASURES as f64
    }
}

/// The panel.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The day of the questions; nothing is later.
    pub as_of: i32,
    /// What each partner adds to its opinions, in points.
    pub true_bias: Vec<f64>,
    /// All customers, by partner.
    pub customers: Vec<Customer>,
    /// All evidence, by customer, then by day.
    pub evidence: Vec<Evidence>,
}

impl Panel {
    /// The evidence of one customer.
    pub fn evidence_of(&self, customer: &Customer) -> &[Evidence] {
        &self.evidence[customer.span.0..customer.span.1]
    }
}

/// What the panel is drawn from.
#[derive(Debug, Clone)]
pub struct World {
    /// Partners.
    pub partners: usize,
    /// Customers of a partner, at least and at most.
    pub book: (usize, usize),
    /// Days of history up to the as-of day.
    pub days: i32,
    /// Mean level of health, spread of partners' books about it, spread of customers within a book.
    pub level: (f64, f64, f64),
    /// The walk of overall health: spread, days in which a deviation falls to 37 %.
    pub health_walk: (f64, f64),
    /// Spread of each measure's constant difference from overall health.
    pub measure_level: f64,
    /// The walk of each measure about that: spread, days as above.
    pub measure_walk: (f64, f64),
    /// Mean and spread of the bias, and where it is clipped.
    pub bias: (f64, f64, f64, f64),
    /// Noise of telemetry, of a partner's figure, of its opinion.
    pub noise: (f64, f64, f64),
    /// The walk of a partner's error about a customer, common to all it says of it: spread, days as above.
    pub halo: (f64, f64),
    /// Share of customers with telemetry.
    pub telemetry: f64,
    /// Probability that a report holds a measure.
    pub given: f64,
    /// Probability that a partner goes silent, and for how many days (at least, at most).
    pub silence: (f64, i32, i32),
    /// Share of customers hardly reported: only one report in six is made.
    pub neglected: f64,
    /// News is bad below this overall health.
    pub bad_below: f64,
    /// A partner withholds bad news with a probability between these.
    pub withheld: (f64, f64),
    /// Churn: health at which half are lost, points per unit of log-odds.
    pub churn: (f64, f64),
}

impl Default for World {
    fn default() -> Self {
        Self {
            partners: 60,
            book: (40, 120),
            days: 540,
            level: (60.0, 4.0, 13.0),
            health_walk: (6.0, 90.0),
            measure_level: 4.0,
            measure_walk: (5.0, 60.0),
            bias: (8.0, 6.0, -8.0, 20.0),
            noise: (5.0, 10.0, 10.0),
            halo: (6.3, 180.0),
            telemetry: 0.6,
            given: 0.8,
            silence: (0.25, 90, 240),
            neglected: 0.15,
            bad_below: 45.0,
            withheld: (0.1, 0.6),
            churn: (36.0, 8.0),
        }
    }
}

/// A draw from the normal distribution (Box-Muller).
fn normal(rng: &mut Rng, mean: f64, spread: f64) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    mean + spread * radius * (std::f64::consts::TAU * rng.f64()).cos()
}

fn between(rng: &mut Rng, (low, high): (f64, f64)) -> f64 {
    low + (high - low) * rng.f64()
}

/// A random walk that returns to 0 (Ornstein-Uhlenbeck, a day a step).
struct Walk {
    at: f64,
    keep: f64,
    step: f64,
}

impl Walk {
    fn begin(rng: &mut Rng, (spread, days): (f64, f64)) -> Self {
        let keep = (-1.0 / days).exp();
        Self { at: normal(rng, 0.0, spread), keep, step: spread * (1.0 - keep * keep).sqrt() }
    }

    fn next(&mut self, rng: &mut Rng) -> f64 {
        self.at = self.at * self.keep + normal(rng, 0.0, self.step);
        self.at
    }
}

/// How one partner reports.
struct Partner {
    level: f64,
    bias: f64,
    cadence: f64,
    withheld: f64,
    silent: std::ops::Range<i32>,
    customers: usize,
}

impl Partner {
    fn draw(rng: &mut Rng, world: &World) -> Self {
        let (mean, spread, low, high) = world.bias;
        let (probability, least, most) = world.silence;
        let begin = rng.i32(world.days / 3..world.days);
        let length = if rng.f64() < probability { rng.i32(least..=most) } else { 0 };
        Self {
            level: normal(rng, world.level.0, world.level.1),
            bias: normal(rng, mean, spread).clamp(low, high),
            cadence: between(rng, (14.0, 45.0)),
            withheld: between(rng, world.withheld),
            silent: begin..begin + length,
            customers: rng.usize(world.book.0..=world.book.1),
        }
    }
}

/// The latent measures of a customer on every day.
fn latent(rng: &mut Rng, world: &World, level: f64) -> Vec<[f64; MEASURES]> {
    let level = normal(rng, level, world.level.2);
    let mut health = Walk::begin(rng, world.health_walk);
    let mut own: Vec<(f64, Walk)> = (0..MEASURES).map(|_| (normal(rng, 0.0, world.measure_level), Walk::begin(rng, world.measure_walk))).collect();
    let mut day = |rng: &mut Rng| {
        let overall = level + health.next(rng);
        let mut measures = [0.0; MEASURES];
        for (measure, (constant, walk)) in measures.iter_mut().zip(&mut own) {
            *measure = (overall + *constant + walk.next(rng)).clamp(0.0, 100.0);
        }
        measures
    };
    (0..=world.days).map(|_| day(rng)).collect()
}

/// Everything said of one customer, in the order of days.
fn said(rng: &mut Rng, world: &World, partner: &Partner, latent: &[[f64; MEASURES]], customer: usize) -> Vec<Evidence> {
    let has_telemetry = rng.f64() < world.telemetry;
    let is_neglected = rng.f64() < world.neglected;
    let weekday = rng.i32(0..7);
    let mut next_report = rng.f64() * partner.cadence;
    let mut halo = Walk::begin(rng, world.halo);
    let mut evidence = Vec::new();
    for (day, truth) in (0i32..).zip(latent) {
        let halo = halo.next(rng);
        if has_telemetry && day % 7 == weekday {
            let value = (truth[USAGE] + normal(rng, 0.0, world.noise.0)).clamp(0.0, 100.0);
            evidence.push(Evidence { customer, measure: USAGE, class: Class::VendorObserved, value, day });
        }
        if f64::from(day) < next_report {
            continue;
        }
        next_report += partner.cadence * between(rng, (0.7, 1.3));
        let is_bad = truth.iter().sum::<f64>() / (MEASURES as f64) < world.bad_below;
        let is_skipped = (is_bad && rng.f64() < partner.withheld) | (is_neglected && rng.f64() > 1.0 / 6.0) | partner.silent.contains(&day);
        if is_skipped {
            continue;
        }
        for (measure, latent) in truth.iter().enumerate().skip(1) {
            if rng.f64() > world.given {
                continue;
            }
            let (bias, noise) = if OPINIONS.contains(&measure) { (partner.bias, world.noise.2) } else { (0.0, world.noise.1) };
            let value = (latent + bias + halo + normal(rng, 0.0, noise)).clamp(0.0, 100.0);
            evidence.push(Evidence { customer, measure, class: Class::PartnerDeclared, value, day });
        }
    }
    evidence
}

/// A panel; the same seed gives the same panel.
pub fn simulate(world: &World, seed: u64) -> Panel {
    let mut rng = Rng::with_seed(seed);
    let mut panel = Panel { as_of: world.days, true_bias: Vec::new(), customers: Vec::new(), evidence: Vec::new() };
    for index in 0..world.partners {
        let partner = Partner::draw(&mut rng, world);
        panel.true_bias.push(partner.bias);
        for _ in 0..partner.customers {
            let latent = latent(&mut rng, world, partner.level);
            let begin = panel.evidence.len();
            panel.evidence.extend(said(&mut rng, world, &partner, &latent, panel.customers.len()));
            let truth = latent[latent.len() - 1];
            let mut customer = Customer { partner: index, truth, churned: false, span: (begin, panel.evidence.len()) };
            customer.churned = rng.f64() < 1.0 / (1.0 + ((customer.health() - world.churn.0) / world.churn.1).exp());
            panel.customers.push(customer);
        }
    }
    panel
}
