//! `/v1/scorecards`.

use crate::auth::{Call, Json, NoBody, WriteQuery, op};
use crate::health::flow::{activate, add_scorecard};
use crate::health::scorecard::{Band, Bands, CardState, MAX_MEASURES, Scorecard, SourceWeights, Weighted};
use crate::health::store::{self, Card};
use crate::http::body::Faults;
use crate::http::etag::etag;
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{ScorecardId, TypeId};
use crate::kernel::text::{Key, Name};
use crate::kernel::time::Moment;
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, get, post};
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

crate::wire_words!(CardState, Band);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list).service(create).service(activate_one);
}

/// A measure with its weight.
#[derive(Deserr, Serialize, ToSchema, Clone)]
#[deserr(error = Faults, deny_unknown_fields)]
struct WeightedBody {
    /// The measure's key.
    measure: Key,
    /// 0 to 1,000,000; weights are relative to their sum.
    #[schema(minimum = 0, maximum = 1000000)]
    weight: f64,
}

/// The limits of the bands, in points.
#[derive(Deserr, Serialize, ToSchema, Clone, Copy)]
#[deserr(error = Faults, deny_unknown_fields)]
struct BandsBody {
    /// Where `watch` begins; below is `at_risk`.
    #[schema(minimum = 0, maximum = 100, example = 40)]
    watch_from: f64,
    /// Where `healthy` begins.
    #[schema(minimum = 0, maximum = 100, example = 65)]
    healthy_from: f64,
}

/// How much a statement weighs by who made it: 0 to 1.
#[derive(Deserr, Serialize, ToSchema, Clone, Copy)]
#[deserr(error = Faults, deny_unknown_fields)]
struct SourceWeightsBody {
    /// A partner's figure; 0.8 by default.
    partner_figure: f64,
    /// A partner's opinion; 0.6 by default.
    partner_opinion: f64,
    /// The vendor's own systems; 1 by default.
    vendor: f64,
    /// The customer's own words; 1 by default.
    customer: f64,
    /// Somebody else; 0.6 by default.
    third_party: f64,
}

/// A scorecard.
#[derive(Serialize, ToSchema)]
struct ScorecardView {
    id: ScorecardId,
    name: String,
    state: CardState,
    measures: Vec<WeightedBody>,
    bands: BandsBody,
    /// Below this coverage (0-1) the answer is `unknown`.
    coverage_floor: f64,
    source_weights: SourceWeightsBody,
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
}

impl From<&Card> for ScorecardView {
    fn from(card: &Card) -> Self {
        let p = &card.policy;
        let s = p.source_weights;
        Self {
            id: card.id,
            name: card.name.clone(),
            state: card.state,
            measures: p.measures.iter().map(|item| WeightedBody { measure: item.measure.clone(), weight: item.weight }).collect(),
            bands: BandsBody { watch_from: p.bands.watch_from, healthy_from: p.bands.healthy_from },
            coverage_floor: p.coverage_floor,
            source_weights: SourceWeightsBody {
                partner_figure: s.partner_figure,
                partner_opinion: s.partner_opinion,
                vendor: s.vendor,
                customer: s.customer,
                third_party: s.third_party,
            },
            version: card.version,
            created_at: card.created_at,
        }
    }
}

/// The scorecards.
#[derive(Serialize, ToSchema)]
struct ScorecardList {
    /// Newest first; a partner sees the active one.
    data: Vec<ScorecardView>,
}

/// List scorecards
///
/// Newest first; a partner sees the active one.
#[utoipa::path(operation_id = "list_scorecards", tag = "Scorecards", responses((status = 200, description = "The scorecards", body = ScorecardList)))]
#[get("/v1/scorecards")]
async fn list(call: Call<op::ListScorecards>) -> Result<HttpResponse, Fault> {
    let found = call.read(async |tx| store::cards(tx).await).await?;
    Ok(HttpResponse::Ok().json(ScorecardList { data: found.iter().map(ScorecardView::from).collect() }))
}

/// A scorecard to be: a draft until it is activated.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct NewScorecard {
    #[schema(example = "churn 2026")]
    name: Name,
    /// 1-100 measures of the catalogue.
    measures: Vec<WeightedBody>,
    /// 40 and 65 when left out.
    #[deserr(default)]
    bands: Option<BandsBody>,
    /// 0.15 when left out.
    #[deserr(default)]
    #[schema(minimum = 0, maximum = 1)]
    coverage_floor: Option<f64>,
    #[deserr(default)]
    source_weights: Option<SourceWeightsBody>,
}

fn policy(new: &NewScorecard) -> Scorecard {
    let weighted = new.measures.iter().take(MAX_MEASURES + 1).map(|item| Weighted { measure: item.measure.clone(), weight: item.weight }).collect();
    let bands = new.bands.map(|b| Bands { watch_from: b.watch_from, healthy_from: b.healthy_from });
    let weights = new.source_weights.map(|s| SourceWeights {
        partner_figure: s.partner_figure,
        partner_opinion: s.partner_opinion,
        vendor: s.vendor,
        customer: s.customer,
        third_party: s.third_party,
    });
    Scorecard::with(weighted, bands, new.coverage_floor, weights)
}

/// Create a scorecard
///
/// A draft until it is activated.
#[utoipa::path(operation_id = "create_scorecard", tag = "Scorecards", params(WriteQuery), request_body = NewScorecard,
    responses((status = 201, description = "Created as a draft", body = ScorecardView, headers(("ETag" = String)),
        links(("activate" = (operation_id = "activate_scorecard", parameters(("scorecard_id" = "$response.body#/id"))))))))]
#[post("/v1/scorecards")]
async fn create(call: Call<op::CreateScorecard, (), WriteQuery, Json<NewScorecard>>) -> Result<HttpResponse, Fault> {
    let new = &call.body.0;
    let policy = policy(new);
    ledger::write(&call, async |tx| {
        let catalogue = crate::intake::measures(tx).await?;
        let faults = policy.faults(|key| catalogue.iter().any(|m| m.key == *key));
        if !faults.is_empty() {
            return Err(Fault::invalid(faults.into_iter().take(100).map(|(pointer, code)| FieldFault { pointer, code }).collect()));
        }
        let card = add_scorecard(tx, call.caller.caller_id(), new.name.to_string(), policy).await?;
        Ok(Answer::json(201, &ScorecardView::from(&card))?.header("ETag", etag(card.version)).about([card.id.uuid()]))
    })
    .await
}

/// Make a scorecard the active one
///
/// The one active before is retired; every customer is scored again, in the background.
#[utoipa::path(operation_id = "activate_scorecard", tag = "Scorecards", params(("scorecard_id" = ScorecardId, Path), ("If-Match" = String, Header, description = "The ETag you read"), WriteQuery),
    responses((status = 200, description = "Active", body = ScorecardView, headers(("ETag" = String)))))]
#[post("/v1/scorecards/{scorecard_id}/activate")]
async fn activate_one(call: Call<op::ActivateScorecard, ScorecardId, WriteQuery, NoBody>) -> Result<HttpResponse, Fault> {
    ledger::write(&call, async |tx| {
        let mut card = store::lock_card(tx, call.path).await?.ok_or(Fault::of(Code::NotFound))?;
        call.if_match.check(card.version)?;
        if card.state != CardState::Draft {
            return Err(Fault::of(Code::StateConflict));
        }
        activate(tx, call.caller.caller_id(), &card).await?;
        card.state = CardState::Active;
        card.version += 1;
        Ok(Answer::json(200, &ScorecardView::from(&card))?.header("ETag", etag(card.version)).about([card.id.uuid()]))
    })
    .await
}
