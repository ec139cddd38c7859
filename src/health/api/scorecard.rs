//! `/v1/scorecards`.

use super::card::{NewScorecard, ScorecardView};
use crate::auth::{Call, Json, NoBody, Tenant, WriteQuery, op};
use crate::health::flow::{Figure, Moved, Simulation, activate, add_scorecard, retire, simulate};
use crate::health::scorecard::{Band, CardState, LAST_RANK, Purpose};
use crate::health::store;
use crate::http::etag::etag;
use crate::http::interval::Interval;
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{CustomerId, PartnerId, ScorecardId, TypeId};
use crate::kernel::number::thousandths;
use crate::kernel::text::{Broken, Key};
use crate::kernel::time::Moment;
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, get, post};
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

crate::wire_words!(Band);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list).service(get_one).service(create).service(activate_one).service(retire_one).service(simulate_one);
}

/// The scorecards.
#[derive(Serialize, ToSchema)]
struct ScorecardList {
    /// Newest first; a partner sees the active ones.
    data: Vec<ScorecardView>,
}

/// List scorecards
///
/// Newest first; a partner sees the active ones.
#[utoipa::path(operation_id = "list_scorecards", tag = "Scorecards", responses((status = 200, description = "The scorecards", body = ScorecardList)))]
#[get("/v1/scorecards")]
async fn list(call: Call<op::ListScorecards>) -> Result<HttpResponse, Fault> {
    let inside = call.scope().visible().is_none();
    let found = call.read(async |tx| store::cards(tx).await).await?;
    Ok(HttpResponse::Ok().json(ScorecardList { data: found.iter().map(|card| ScorecardView::of(card, inside)).collect() }))
}

/// A time in which a scorecard was in force.
#[derive(Serialize, ToSchema)]
struct InForce {
    #[schema(value_type = String, format = DateTime)]
    from: Moment,
    /// Null while it is.
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<Moment>,
}

/// A scorecard and when it was in force.
#[derive(Serialize, ToSchema)]
struct ScorecardInTime {
    #[serde(flatten)]
    scorecard: ScorecardView,
    /// Oldest first; empty of a draft.
    in_force: Vec<InForce>,
}

/// Read a scorecard
///
/// With when it was in force. A partner reads what is or was in force. Its `ETag` is what a change asks for in `If-Match`.
#[utoipa::path(operation_id = "get_scorecard", tag = "Scorecards", params(("scorecard_id" = ScorecardId, Path)),
    responses((status = 200, description = "The scorecard", body = ScorecardInTime, headers(("ETag" = String)))))]
#[get("/v1/scorecards/{scorecard_id}")]
async fn get_one(call: Call<op::GetScorecard, ScorecardId>) -> Result<HttpResponse, Fault> {
    let inside = call.scope().visible().is_none();
    let (found, times) = call.read(async |tx| futures_util::try_join!(store::card(tx, call.path), store::card_in_time(tx, call.path))).await?;
    // A partner's past answers name what they were made by; what was never in force is the vendor's own.
    let card = found.filter(|card| inside || card.state == CardState::Active || !times.is_empty()).ok_or(Fault::of(Code::NotFound))?;
    let in_force = times.into_iter().map(|stay| InForce { from: stay.from, to: stay.to }).collect();
    Ok(HttpResponse::Ok().insert_header(("ETag", etag(card.version))).json(ScorecardInTime { scorecard: ScorecardView::of(&card, inside), in_force }))
}

/// Create a scorecard
///
/// A draft until it is activated; it never changes afterwards.
#[utoipa::path(operation_id = "create_scorecard", tag = "Scorecards", params(WriteQuery), request_body = NewScorecard,
    responses((status = 201, description = "Created as a draft", body = ScorecardView, headers(("ETag" = String)),
        links(("read" = (operation_id = "get_scorecard", parameters(("scorecard_id" = "$response.body#/id")))),
              ("activate" = (operation_id = "activate_scorecard", parameters(("scorecard_id" = "$response.body#/id")))),
              ("simulate" = (operation_id = "simulate_scorecard", parameters(("scorecard_id" = "$response.body#/id")))),
              ("retire" = (operation_id = "retire_scorecard", parameters(("scorecard_id" = "$response.body#/id")))),
              ("calibrations" = (operation_id = "list_calibrations", parameters(("scorecard_id" = "$response.body#/id"))))))))]
#[post("/v1/scorecards")]
async fn create(call: Call<op::CreateScorecard, (), WriteQuery, Json<NewScorecard>>) -> Result<HttpResponse, Fault> {
    let new = &call.body.0;
    let rank = new.rank();
    ledger::write(&call, async |tx| {
        let catalogue = crate::intake::measures(tx).await?;
        let known = |key: &Key| catalogue.iter().any(|m| m.key == *key);
        let policy = new.policy(known);
        let mut faults = policy.faults(|key| catalogue.iter().find(|m| m.key == *key).map(|m| &m.curve));
        if !(1..=LAST_RANK).contains(&rank) {
            faults.push(("/rank".into(), Broken::OutOfRange));
        }
        // The one for everybody is for everybody.
        if rank == LAST_RANK && !policy.criteria.is_empty() {
            faults.push(("/criteria".into(), Broken::Contradiction));
        }
        if !faults.is_empty() {
            return Err(Fault::invalid(faults.into_iter().map(|(pointer, code)| FieldFault { pointer, code }).collect()));
        }
        let card = add_scorecard(tx, call.caller.caller_id(), new.name.to_string(), new.purpose.unwrap_or(Purpose::Churn), rank, policy).await?;
        Ok(Answer::json(201, &ScorecardView::of(&card, true))?.header("ETag", etag(card.version)).about([card.id.uuid()]))
    })
    .await
}

/// Make a scorecard the active one of its purpose and rank
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
        Ok(Answer::json(200, &ScorecardView::of(&card, true))?.header("ETag", etag(card.version)).about([card.id.uuid()]))
    })
    .await
}

/// Take a scorecard out of force
///
/// Its customers fall to the next one that fits. The one of `churn` for everybody cannot be retired, only replaced.
#[utoipa::path(operation_id = "retire_scorecard", tag = "Scorecards", params(("scorecard_id" = ScorecardId, Path), ("If-Match" = String, Header, description = "The ETag you read"), WriteQuery),
    responses((status = 200, description = "Retired", body = ScorecardView, headers(("ETag" = String)))))]
#[post("/v1/scorecards/{scorecard_id}/retire")]
async fn retire_one(call: Call<op::RetireScorecard, ScorecardId, WriteQuery, NoBody>) -> Result<HttpResponse, Fault> {
    ledger::write(&call, async |tx| {
        let mut card = store::lock_card(tx, call.path).await?.ok_or(Fault::of(Code::NotFound))?;
        call.if_match.check(card.version)?;
        retire(tx, call.caller.caller_id(), &card).await?;
        card.state = CardState::Retired;
        card.version += 1;
        Ok(Answer::json(200, &ScorecardView::of(&card, true))?.header("ETag", etag(card.version)).about([card.id.uuid()]))
    })
    .await
}

/// Customers by band now and by band were the scorecard active.
#[derive(Serialize, ToSchema)]
struct BandsMoved {
    from: Band,
    to: Band,
    customers: i64,
    /// Per year, in minor units of the reporting currency.
    value_minor: i64,
}

/// A customer whose score would move.
#[derive(Serialize, ToSchema)]
struct MovedCustomer {
    customer_id: CustomerId,
    partner_id: PartnerId,
    external_id: String,
    name: String,
    before: SimulatedScore,
    after: SimulatedScore,
}

/// A score by one of the policies compared.
#[derive(Serialize, ToSchema)]
struct SimulatedScore {
    /// Absent while too little is known.
    score: Option<f64>,
    band: Band,
    /// Where the score lies, with 80 %; absent while too little is known.
    interval: Option<Interval>,
    /// How much of what the scorecard asks is known, 0-1.
    coverage: f64,
}

impl From<Figure> for SimulatedScore {
    fn from(f: Figure) -> Self {
        Self { score: f.score.map(thousandths), band: f.band, interval: f.interval.map(Interval::of), coverage: thousandths(f.coverage) }
    }
}

impl From<Moved> for MovedCustomer {
    fn from(m: Moved) -> Self {
        Self { customer_id: m.customer, partner_id: m.partner, external_id: m.external_id, name: m.name, before: m.before.into(), after: m.after.into() }
    }
}

/// What a scorecard would change.
#[derive(Serialize, ToSchema)]
struct SimulationView {
    scorecard_id: ScorecardId,
    /// The day it was worked out for.
    #[schema(value_type = String, format = Date)]
    on: NaiveDate,
    /// Customers that stand in figures, all of which were looked at.
    customers: i64,
    /// Those whose score or band would be another.
    changed: i64,
    /// By band now and then; pairs nobody is in are left out.
    bands: Vec<BandsMoved>,
    /// The 20 that would move most, farthest first.
    movers: Vec<MovedCustomer>,
}

impl SimulationView {
    fn of(scorecard_id: ScorecardId, s: Simulation) -> Self {
        Self {
            scorecard_id,
            on: s.on,
            customers: s.customers,
            changed: s.changed,
            bands: s.bands.into_iter().map(|((from, to), (customers, value_minor))| BandsMoved { from, to, customers, value_minor }).collect(),
            movers: s.movers.into_iter().map(MovedCustomer::from).collect(),
        }
    }
}

/// See what a scorecard would change
///
/// Every customer scored from all evidence by the scorecards in force, and again with this one among them. Overrides are left aside; nothing
/// is changed.
#[utoipa::path(operation_id = "simulate_scorecard", tag = "Scorecards", params(("scorecard_id" = ScorecardId, Path)), responses((status = 200, description = "What would change", body = SimulationView)))]
#[post("/v1/scorecards/{scorecard_id}/simulate")]
async fn simulate_one(call: Call<op::SimulateScorecard, ScorecardId>) -> Result<HttpResponse, Fault> {
    let (simulation, _desk) = call
        .study(async |tx| {
            let card = store::card(tx, call.path).await?.ok_or(Fault::of(Code::NotFound))?;
            simulate(tx, card).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(SimulationView::of(call.path, simulation)))
}
