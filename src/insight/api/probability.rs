//! `/v1/customers/{customer_id}/churn-probability`: what was learned, applied to a customer. The vendor's alone.

use crate::auth::{Call, op};
use crate::directory;
use crate::health::{PointQuery, Sight};
use crate::insight::flow::seen_by_calibration;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{CalibrationId, CustomerId, ScorecardId};
use crate::kernel::number::{thousandths, three_digits};
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(churn_probability);
}

/// How probable it is that a customer is lost.
#[derive(Serialize, ToSchema)]
struct ChurnProbability {
    customer_id: CustomerId,
    /// The last calibration by then that was not refused, of a scorecard that had been in force and is for this customer; null without one, and then nothing below
    /// is told.
    calibration_id: Option<CalibrationId>,
    /// The scorecard that was calibrated; the customer is seen by it, whichever it is scored by.
    scorecard_id: Option<ScorecardId>,
    /// The day it is told for.
    #[schema(value_type = String, format = Date)]
    on: NaiveDate,
    /// How many days ahead it speaks of.
    lead_days: Option<i32>,
    /// Of how many measures of that scorecard something is known; for the others the mean of those it was learned from stands.
    known_measures: Option<usize>,
    /// And how many it has.
    measures: Option<usize>,
    /// How much of what that scorecard asks is known, 0-1: where it is little, the probability is mostly everybody's.
    coverage: Option<f64>,
    /// 0-1; null when only the order may be used, and while nothing at all is known of the customer: then it would be everybody's.
    probability: Option<f64>,
    /// For putting customers in order: higher is riskier, on no scale.
    risk: Option<f64>,
    /// How silent it was on that day: 0 up to the usual interval of its reports, 1 from four such intervals on. Null while fewer than three
    /// different days were reported: then the mean stands for it.
    silence: Option<f64>,
}

/// Read how probable it is that a customer is lost
///
/// If it decides `lead_days` from then: by the last calibration that was not refused, of a scorecard that has been in force, from all evidence the calibrated scorecard looks at and from how
/// silent it is. Now, or as it was and was known.
#[utoipa::path(operation_id = "get_churn_probability", tag = "Health", params(("customer_id" = CustomerId, Path), PointQuery), responses((status = 200, description = "The probability", body = ChurnProbability)))]
#[get("/v1/customers/{customer_id}/churn-probability")]
async fn churn_probability(call: Call<op::GetChurnProbability, CustomerId, PointQuery>) -> Result<HttpResponse, Fault> {
    let (at, told) = call
        .read(async |tx| {
            let partner = directory::locate_customer(tx, call.path).await?.ok_or(Fault::of(Code::NotFound))?;
            let (at, moment) = call.query.point(tx).await?;
            Ok((at, seen_by_calibration(tx, partner, call.path, at, moment).await?))
        })
        .await?;
    let (kept, seen) = told.unzip();
    let fit = kept.as_ref().and_then(|kept| kept.learned.calibration.fit.as_ref());
    let (kept, told) = (kept.as_ref(), fit.zip(seen));
    let known = |seen: &Sight| seen.values.iter().flatten().count();
    Ok(HttpResponse::Ok().json(ChurnProbability {
        customer_id: call.path,
        calibration_id: kept.map(|kept| kept.id),
        scorecard_id: kept.map(|kept| kept.scorecard),
        on: at.on,
        lead_days: kept.map(|kept| kept.lead_days),
        known_measures: told.as_ref().map(|(_, seen)| known(seen)),
        measures: told.as_ref().map(|(_, seen)| seen.values.len()),
        coverage: told.as_ref().map(|(_, seen)| thousandths(seen.coverage)),
        probability: told.as_ref().filter(|(_, seen)| known(seen) > 0).and_then(|(fit, seen)| fit.model.probability(&seen.values, seen.silence)).map(three_digits),
        risk: told.as_ref().map(|(fit, seen)| three_digits(fit.model.risk(&seen.values, seen.silence))),
        silence: told.as_ref().and_then(|(_, seen)| seen.silence).map(three_digits),
    }))
}
