//! `/v1/partners/{partner_id}/bias`: how rosy a partner usually is, for the vendor and for that partner.

use super::point::PointQuery;
use crate::auth::{Call, Tenant, op};
use crate::directory;
use crate::health::flow::told_to_partner;
use crate::health::store::{self, Bias};
use crate::http::interval::Interval;
use crate::intake;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{MeasureId, PartnerId, TypeId};
use crate::kernel::number::{round, thousandths};
use crate::kernel::text::Key;
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_bias);
}

/// How rosy a partner is on one measure.
#[derive(Serialize, ToSchema)]
struct BiasView {
    measure: Key,
    /// The day of the estimate.
    #[schema(value_type = String, format = Date)]
    estimated_on: NaiveDate,
    /// Points taken from the partner's word in the vendor's view, within 20: `shrink` x `raw`. Positive: rosier than the average partner.
    bias: f64,
    /// How much higher than the average partner it speaks, by what the vendor observed of the same customers and its surveys heard.
    raw: f64,
    /// How far the raw figure is believed, 0-1: less of few customers. For a partner in tenths.
    shrink: f64,
    /// The customers it is made from; for a partner the largest of 5, 10, 20, 50, 100 and so on that it reaches.
    n: i32,
    /// Where the bias lies, with 95 %, within 20 likewise; absent while no difference between partners shows.
    interval: Option<Interval>,
}

/// How rosy a partner usually is.
#[derive(Serialize, ToSchema)]
struct BiasAnswer {
    partner_id: PartnerId,
    /// By measure; those without an estimate are left out.
    data: Vec<BiasView>,
    /// What a partner is shown.
    rule: &'static str,
    /// The same in Japanese.
    rule_ja: &'static str,
}

/// The largest of 5, 10, 20, 50, 100, 200 ... that a number reaches.
fn step(n: i32) -> i32 {
    let tens = (0..9).map(|power| 10_i32.pow(power));
    tens.flat_map(|ten| [ten, 2 * ten, 5 * ten]).take_while(|step| *step <= n).last().unwrap_or(0)
}

/// What is told to whom.
const RULE: &str = "Estimated from customers whom both the partner and the vendor's systems or surveys speak of, over 365 days, against the average partner. \
                    A partner sees its own as it stood when the month began, from 5 customers and 5 reporting partners on, in whole points and tenths of belief, and anew \
                    where as many customers are behind it as behind each figure told before, or 5 more or fewer; a bias is taken off in the vendor's view alone.";

/// The same in Japanese.
const RULE_JA: &str = "パートナーと、ベンダーのシステムまたはアンケートの双方が把握している顧客について、365 日間の平均的なパートナーとの差を推定したものです。パートナーには自社分のみ、\
                       対象顧客 5 社以上かつ報告パートナー 5 社以上の場合に、月初時点の値を整数の点と 0.1 刻みの信頼度で表示し、対象顧客数が、それまでに表示したどの値とも同じか 5 社以上異なる場合にのみ更新します。補正はベンダーの表示にのみ適用されます。";

/// Read how rosy a partner usually is
///
/// Per measure: the estimate, the customers behind it and how far it is believed. For the vendor, and for the partner itself.
#[utoipa::path(operation_id = "get_partner_bias", tag = "Health", params(("partner_id" = PartnerId, Path), PointQuery), responses((status = 200, description = "Its bias", body = BiasAnswer)))]
#[get("/v1/partners/{partner_id}/bias")]
async fn get_bias(call: Call<op::GetPartnerBias, PartnerId, PointQuery>) -> Result<HttpResponse, Fault> {
    let whole = call.scope().visible().is_none();
    call.is_told_of(call.path)?;
    let (found, catalogue) = call
        .read(async |tx| {
            let partner = directory::partner_of(tx, call.path).await?.ok_or(Fault::of(Code::NotFound))?;
            let (_, moment) = call.query.point(tx).await?;
            let found = async {
                if whole {
                    return store::newest_biases(tx, partner.id, moment).await;
                }
                let (all, vendor) = futures_util::try_join!(store::all_biases(tx, partner.id), directory::calendar(tx))?;
                // By the month of what is known: asked with a `known_at`, each day of a past month would be told.
                Ok(told_to_partner(&all, vendor.zone, vendor.zone.day_of(moment)))
            };
            futures_util::try_join!(found, intake::measures(tx))
        })
        .await?;
    // In thousandths; for a partner of whole points.
    let told = |milli: i32| if whole { milli.into() } else { round(f64::from(milli) / 1000.0) * 1000 };
    let view = |b: Bias| {
        let measure = catalogue.iter().find(|m| m.id == MeasureId::of(b.measure_id))?.key.clone();
        Some(BiasView {
            measure,
            estimated_on: b.estimated_on,
            bias: thousandths(told(b.bias)),
            raw: thousandths(told(b.raw)),
            shrink: thousandths(if whole { b.shrink.into() } else { round(f64::from(b.shrink) / 100.0) * 100 }),
            n: if whole { b.pairs } else { step(b.pairs) },
            interval: b.low.zip(b.high).map(|(low, high)| Interval::of((told(low), told(high)))),
        })
    };
    let data = found.into_iter().filter(|b| b.pairs > 0).filter_map(view).collect();
    Ok(HttpResponse::Ok().json(BiasAnswer { partner_id: call.path, data, rule: RULE, rule_ja: RULE_JA }))
}
