//! Figures over many customers, as they are shown everywhere.

use crate::http::interval::Interval;
use crate::insight::cell::{Cell, Standing};
use crate::kernel::number::thousandths;
use serde::Serialize;
use utoipa::ToSchema;

crate::wire_words!(Standing);

/// Customers and their value per year, in minor units of the reporting currency.
#[derive(Serialize, ToSchema)]
pub(super) struct Amount {
    customers: i64,
    value_minor: i64,
}

/// Customers and value by band.
#[derive(Serialize, ToSchema)]
pub(super) struct ByBand {
    healthy: Amount,
    watch: Amount,
    at_risk: Amount,
    unknown: Amount,
}

/// A share, 0-1, of the customers and of their value; absent where there is none.
#[derive(Serialize, ToSchema)]
pub(super) struct Share {
    count: Option<f64>,
    value: Option<f64>,
}

/// How fresh what is known is.
#[derive(Serialize, ToSchema)]
pub(super) struct Freshness {
    /// Customers reported on within the cadence of their touch model.
    report_rate: Share,
    /// The mean age of the last report, in days, of those reported on.
    mean_report_age_days: Option<f64>,
    /// Customers reported on at all.
    heard: i64,
}

/// The whole points that so many in a hundred of the known customers are not above.
#[derive(Serialize, ToSchema)]
struct Quantiles {
    p10: i64,
    p25: i64,
    median: i64,
    p75: i64,
    p90: i64,
}

/// Of all customers, the unknown among them, between which each of these lies whatever the unknown turn out to be: all at 0, all at 100.
#[derive(Serialize, ToSchema)]
struct QuantileBounds {
    p10: WholePoints,
    p25: WholePoints,
    median: WholePoints,
    p75: WholePoints,
    p90: WholePoints,
}

/// Two ends, in whole points.
#[derive(Serialize, ToSchema)]
struct WholePoints {
    low: i64,
    high: i64,
}

/// Figures over customers.
#[derive(Serialize, ToSchema)]
pub(super) struct Figures {
    customers: i64,
    /// Their value per year, in minor units of the reporting currency.
    value_minor: i64,
    /// Customers with a value in a currency without a rate; that value is in no figure.
    value_unconverted: i64,
    bands: ByBand,
    /// How many are known at all.
    known_share: Share,
    /// The plain mean of known health, 0-100.
    mean_health: Option<f64>,
    /// The same weighted by value.
    value_weighted_health: Option<f64>,
    /// Between which the value-weighted mean of all lies whatever the unknown turn out to be: all at 0, all at 100.
    value_weighted_health_bounds: Option<Interval>,
    /// In whole points, over the known: a tenth, a quarter, a half ... of them are not above.
    health_quantiles: Option<Quantiles>,
    /// Between which those of all lie.
    health_quantiles_bounds: Option<QuantileBounds>,
    /// Where the mean of all lies, with 95 %; from two known customers on.
    mean_health_interval: Option<Interval>,
    /// Between which the mean of all lies whatever the unknown turn out to be: all at 0, all at 100.
    mean_health_bounds: Option<Interval>,
    /// Of those known, the share at risk, 0-1.
    share_at_risk: Option<f64>,
    /// Between which the share at risk of all lies whatever the unknown turn out to be: none of them, all of them.
    share_at_risk_bounds: Option<Interval>,
    /// How much of what the scorecard asks is known, on average, 0-1.
    mean_coverage: Option<f64>,
    freshness: Freshness,
}

impl Quantiles {
    fn of(c: &Cell) -> Option<Self> {
        Some(Self { p10: c.quantile(10)?, p25: c.quantile(25)?, median: c.quantile(50)?, p75: c.quantile(75)?, p90: c.quantile(90)? })
    }
}

impl QuantileBounds {
    fn of(c: &Cell) -> Option<Self> {
        let at = |hundredths| c.quantile_bounds(hundredths).map(|(low, high)| WholePoints { low, high });
        Some(Self { p10: at(10)?, p25: at(25)?, median: at(50)?, p75: at(75)?, p90: at(90)? })
    }
}

impl From<&Cell> for Figures {
    fn from(c: &Cell) -> Self {
        let share = |part, whole| Cell::share(part, whole).map(thousandths);
        let amount = |customers, value_minor| Amount { customers, value_minor };
        Self {
            customers: c.customers(),
            value_minor: c.value(),
            value_unconverted: c.unconverted,
            bands: ByBand {
                healthy: amount(c.healthy, c.value_healthy),
                watch: amount(c.watch, c.value_watch),
                at_risk: amount(c.at_risk, c.value_at_risk),
                unknown: amount(c.unknown, c.value_unknown),
            },
            known_share: Share { count: share(c.known(), c.customers()), value: share(c.value_known(), c.value()) },
            mean_health: c.mean().map(thousandths),
            value_weighted_health: c.value_weighted_mean().map(thousandths),
            value_weighted_health_bounds: c.value_weighted_bounds().map(Interval::of),
            health_quantiles: Quantiles::of(c),
            health_quantiles_bounds: QuantileBounds::of(c),
            mean_health_interval: c.mean_interval().map(Interval::of),
            mean_health_bounds: c.mean_bounds().map(Interval::of),
            share_at_risk: share(c.at_risk, c.known()),
            share_at_risk_bounds: c.share_at_risk_bounds().map(Interval::of),
            mean_coverage: c.mean_coverage().map(thousandths),
            freshness: Freshness {
                report_rate: Share { count: share(c.in_cadence, c.customers()), value: share(c.value_in_cadence, c.value()) },
                mean_report_age_days: c.mean_report_age().map(thousandths),
                heard: c.heard,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::api::table::table;
    use crate::insight::cell::Points;
    use serde_json::{Value, json};

    fn leaves(value: &Value) -> usize {
        value.as_object().map_or(1, |members| members.values().map(leaves).sum())
    }

    #[test]
    fn every_figure_has_its_column_in_the_table() {
        let points = Points::of_number(&format!("2{}", "0".repeat(8 * 40))).unwrap();
        let cell = Cell {
            watch: 2,
            unknown: 1,
            value_watch: 5,
            value_unknown: 1,
            score_sum: 80_500,
            score_squares: 3_240_125_000,
            heard: 1,
            report_age_sum: 3,
            value_scores: 200_000,
            points,
            ..Cell::default()
        };
        let figures = serde_json::to_value(Figures::from(&cell)).unwrap();
        let told = String::from_utf8(table(&json!({ "number": 1, "total": figures })).unwrap()).unwrap();
        let cells: Vec<&str> = told.lines().nth(1).unwrap().split(',').collect();
        // Behind the kind, four columns of the report and six of the line.
        assert_eq!(cells.len() - 11, leaves(&figures));
        assert!(cells[11..].iter().all(|cell| !cell.contains('"')), "{told}");
    }
}
