//! An input on the wire: one piece of evidence, as it counts for a measure.

use crate::health::evidence::Origin;
use crate::health::input::{Input, MILLION, shares};
use crate::intake::EvidenceClass;
use crate::kernel::id::ReportId;
use crate::kernel::number::three_digits;
use crate::kernel::time::Moment;
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

/// The most inputs shown of one measure.
const MOST: usize = 1000;

/// One piece of evidence, as it counts for a measure.
#[derive(Serialize, ToSchema)]
pub(super) struct InputView {
    /// Who said it.
    evidence: EvidenceClass,
    /// The report it was said in, in the revision that counts. Absent of an observation recorded by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    report_id: Option<ReportId>,
    /// When it was received.
    #[schema(value_type = String, format = DateTime)]
    received_at: Moment,
    /// The day it counts for, in the vendor's calendar: the day it was so, and at the latest the day scored for.
    #[schema(value_type = String, format = Date)]
    observed_on: NaiveDate,
    /// How old it was on the day scored for.
    #[schema(minimum = 0)]
    age_days: i64,
    /// As it was said, in the measure's unit.
    value: f64,
    /// The points the curve makes of it, 0-100, as the score takes them: of a partner's word less `bias`. Null where the curve is a trend: that makes
    /// points of the slope of all values together.
    points: Option<f64>,
    /// Its share of the measure's evidence, 0-1: the weight of its source times its freshness, over the sum of all that counts. The mean of all `points` by these
    /// shares is the measure's, up to rounding.
    #[schema(minimum = 0, maximum = 1)]
    share: f64,
}

/// The newest inputs of a measure, and how many more there are. Shares are of all of them, shown or not.
pub(super) fn shown(inputs: &[(Input, Origin)]) -> (Vec<InputView>, usize) {
    let masses: Vec<f64> = inputs.iter().map(|(input, _)| input.mass).collect();
    let view = |((input, origin), share): (&(Input, Origin), i64)| InputView {
        evidence: input.said.class,
        report_id: origin.report,
        received_at: origin.received_at,
        observed_on: input.said.day,
        age_days: input.age_days,
        value: input.said.value,
        points: input.points.map(three_digits),
        share: share as f64 / MILLION as f64,
    };
    (inputs.iter().zip(shares(&masses)).take(MOST).map(view).collect(), inputs.len().saturating_sub(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::evidence::Evidence;
    use crate::kernel::id::{MeasureId, TypeId};

    #[test]
    fn of_very_much_evidence_the_newest_is_listed_with_its_share_of_all() {
        let day = NaiveDate::default();
        let said = Evidence { measure: MeasureId::of(uuid::Uuid::nil()), class: EvidenceClass::VendorObserved, value: 50.0, day };
        let input = |n: i64| Input { said, age_days: n, mass: if n < MOST as i64 { 1.0 } else { 4.0 }, points: Some(50.0) };
        let inputs: Vec<(Input, Origin)> = (0..MOST as i64 + 250).map(|n| (input(n), Origin { received_at: Moment::default(), report: None })).collect();
        let (listed, more) = shown(&inputs);
        assert_eq!((listed.len(), listed[0].age_days, more), (MOST, 0, 250));
        assert!(listed.iter().all(|input| input.share == 0.0005));
        assert_eq!((shown(&inputs[..MOST]).0.len(), shown(&inputs[..MOST]).1), (MOST, 0));
    }
}
