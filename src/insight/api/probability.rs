//! `/v1/customers/{customer_id}/churn-probability`: what was learned, applied to today. The vendor's alone.

use crate::auth::{Call, op};
use crate::health::{self, Purpose};
use crate::insight::store;
use crate::intake;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{CalibrationId, CustomerId, ScorecardId};
use crate::kernel::number::{thousandths, three_digits};
use crate::kernel::text::Key;
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
    /// The scorecard it is scored by.
    scorecard_id: Option<ScorecardId>,
    /// The last calibration that was not refused.
    calibration_id: Option<CalibrationId>,
    /// The day scored for.
    #[schema(value_type = Option<String>, format = Date)]
    on: Option<NaiveDate>,
    /// How many days ahead it speaks of.
    lead_days: Option<i32>,
    /// 0-1; null without an accepted calibration, and when only the order may be used.
    probability: Option<f64>,
    /// For putting customers in order: higher is riskier, on no scale.
    risk: Option<f64>,
    /// How silent it was on that day: 0 up to the usual interval of its reports, 1 from four such intervals on. Null while fewer than three
    /// different days were reported: then the mean stands for it.
    silence: Option<f64>,
}

/// Read how probable it is that a customer is lost
///
/// If it decides `lead_days` from now: by the last calibration that was not refused, from all evidence of today's health and from how silent it is.
#[utoipa::path(operation_id = "get_churn_probability", tag = "Health", params(("customer_id" = CustomerId, Path)), responses((status = 200, description = "The probability", body = ChurnProbability)))]
#[get("/v1/customers/{customer_id}/churn-probability")]
async fn churn_probability(call: Call<op::GetChurnProbability, CustomerId>) -> Result<HttpResponse, Fault> {
    let (health, silence, kept, catalogue) = call
        .read(async |tx| {
            let (partner, health) = health::health_of(tx, call.path, "vendor", Purpose::Churn).await?.ok_or(Fault::of(Code::NotFound))?;
            let silence = match &health {
                Some(health) => health::silence_on(tx, partner, call.path, health.scored_for).await?,
                None => None,
            };
            let (kept, catalogue) = futures_util::try_join!(store::usable_calibration(tx), intake::measures(tx))?;
            Ok((health, silence, kept, catalogue))
        })
        .await?;
    let points = |key: &Key| {
        let id = catalogue.iter().find(|m| m.key == *key)?.id;
        let part = health.as_ref()?.score.parts.iter().find(|part| part.measure == id)?;
        part.points.filter(|_| part.evidence > 0).map(thousandths)
    };
    let fit = kept.as_ref().and_then(|kept| Some((kept, kept.learned.calibration.fit.as_ref()?)));
    let values: Vec<Option<f64>> = kept.iter().flat_map(|kept| kept.learned.measures.iter().map(points)).collect();
    Ok(HttpResponse::Ok().json(ChurnProbability {
        customer_id: call.path,
        scorecard_id: health.as_ref().map(|h| h.card),
        calibration_id: fit.map(|(kept, _)| kept.id),
        on: health.as_ref().map(|h| h.scored_for),
        lead_days: fit.map(|(kept, _)| kept.lead_days),
        probability: fit.and_then(|(_, fit)| fit.model.probability(&values, silence)).map(three_digits),
        risk: fit.map(|(_, fit)| three_digits(fit.model.risk(&values, silence))),
        silence: silence.map(three_digits),
    }))
}
