//! `/v1/partners` and `/v1/currency-rates`.

use crate::auth::{Call, Json, Patch, Query, WriteQuery, op};
use crate::directory::flow::{PartnerDraft, add_partner, after_lock, check_name, tell_partner};
use crate::directory::partner::{Partner, PartnerKind, PartnerState, Sees};
use crate::directory::store::{partner as store, vendor};
use crate::http::body::{Day, Faults};
use crate::http::etag::etag;
use crate::http::page::PageView;
use crate::http::query::{Limit, Param};
use crate::kernel::change;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId};
use crate::kernel::money::Currency;
use crate::kernel::text::{Broken, ExternalId, Label, Name};
use crate::kernel::time::Moment;
use crate::ledger::{self, Answer, Event, Job, JobKind};
use actix_web::{HttpResponse, get, patch, post};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

crate::wire_words!(PartnerKind, PartnerState, Sees);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list).service(create).service(get_one).service(update).service(set_rate);
}

/// A partner.
#[derive(Serialize, ToSchema)]
pub(super) struct PartnerView {
    id: PartnerId,
    external_id: ExternalId,
    name: Name,
    kind: PartnerKind,
    /// The partner above it, where you may see that one.
    parent_id: Option<PartnerId>,
    /// What the partner above may see of it.
    parent_sees: Sees,
    state: PartnerState,
    tier: Option<Label>,
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Moment,
}

impl PartnerView {
    /// A caller that does not see the partner above learns nothing of it.
    fn of(partner: Partner, totals: Option<&[uuid::Uuid]>) -> Self {
        let parent_id = partner.parent_id.filter(|parent| totals.is_none_or(|seen| seen.contains(&parent.uuid())));
        Self {
            id: partner.id,
            external_id: partner.external_id,
            name: partner.name,
            kind: partner.kind,
            parent_id,
            parent_sees: partner.parent_sees,
            state: partner.state,
            tier: partner.tier,
            version: partner.version,
            created_at: partner.created_at,
            updated_at: partner.updated_at,
        }
    }
}

/// Which page.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// How many, 1-1,000; 50 when left out.
    #[deserr(default)]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Param<Limit>>,
    /// Where to go on: `next_cursor` of the page before.
    #[deserr(default)]
    cursor: Option<String>,
}
impl Query for PageQuery {}

/// List the partners you may see
///
/// In order of id.
#[utoipa::path(operation_id = "list_partners", tag = "Partners", params(PageQuery), responses((status = 200, description = "A page", body = PageView<PartnerView>)))]
#[get("/v1/partners")]
async fn list(call: Call<op::ListPartners, (), PageQuery>) -> Result<HttpResponse, Fault> {
    let asked = call.page(call.query.limit.as_ref(), call.query.cursor.as_deref());
    let keys = &call.gate.state.keys;
    let window = asked.window(keys)?;
    let page = call.read(async |tx| store::list(tx, &window).await).await?;
    let totals = crate::auth::Tenant::totals(&call.scope());
    asked.list(keys, page.map(|partner| PartnerView::of(partner, totals.as_deref())))
}

/// Read a partner
///
/// Its `ETag` is what a change asks for in `If-Match`.
#[utoipa::path(operation_id = "get_partner", tag = "Partners", params(("partner_id" = PartnerId, Path)), responses((status = 200, description = "The partner", body = PartnerView)))]
#[get("/v1/partners/{partner_id}")]
async fn get_one(call: Call<op::GetPartner, PartnerId>) -> Result<HttpResponse, Fault> {
    let found = call.read(async |tx| store::by_id(tx, call.path).await).await?.ok_or(Fault::of(Code::NotFound))?;
    let totals = crate::auth::Tenant::totals(&call.scope());
    Ok(HttpResponse::Ok().insert_header(("ETag", etag(found.version))).json(PartnerView::of(found, totals.as_deref())))
}

/// A partner to be.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct NewPartner {
    /// Your own id of it.
    external_id: ExternalId,
    #[schema(example = "株式会社ひかり販売")]
    name: Name,
    kind: PartnerKind,
    /// The partner above it; left out for tier 1.
    #[deserr(default)]
    parent_id: Option<PartnerId>,
    /// What the partner above may see of it; `customers` when left out.
    #[deserr(default)]
    parent_sees: Option<Sees>,
    #[deserr(default)]
    tier: Option<Label>,
}

/// Create a partner
///
/// Its external id is the vendor's own, and unique among the vendor's partners.
#[utoipa::path(operation_id = "create_partner", tag = "Partners", params(WriteQuery), request_body = NewPartner,
    responses((status = 201, description = "Created", body = PartnerView, headers(("Location" = String), ("ETag" = String)),
        links(("read" = (operation_id = "get_partner", parameters(("partner_id" = "$response.body#/id")))),
              ("clients" = (operation_id = "list_clients", parameters(("partner_id" = "$response.body#/id"))))))))]
#[post("/v1/partners")]
async fn create(call: Call<op::CreatePartner, (), WriteQuery, Json<NewPartner>>) -> Result<HttpResponse, Fault> {
    let new = &call.body.0;
    let draft = PartnerDraft {
        external_id: new.external_id.clone(),
        name: new.name.clone(),
        kind: new.kind,
        parent_id: new.parent_id,
        parent_sees: new.parent_sees.unwrap_or(Sees::Customers),
        tier: new.tier.clone(),
    };
    let response = ledger::write(&call, async |tx| {
        let partner = add_partner(tx, call.caller.caller_id(), draft).await?;
        let location = format!("{}/v1/partners/{}", call.gate.issuer(), partner.id);
        let id = partner.id.uuid();
        Ok(Answer::json(201, &PartnerView::of(partner, None))?.header("Location", location).header("ETag", etag(1)).about([id]))
    })
    .await?;
    call.gate.look_again().await;
    Ok(response)
}

/// Changes to a partner; what is left out stays.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct PartnerPatch {
    #[deserr(default)]
    name: Option<Name>,
    /// `null` makes it tier 1.
    #[deserr(default)]
    #[schema(value_type = Option<PartnerId>)]
    parent_id: change::Patch<PartnerId>,
    #[deserr(default)]
    parent_sees: Option<Sees>,
    #[deserr(default)]
    state: Option<PartnerState>,
    #[deserr(default)]
    #[schema(value_type = Option<Label>)]
    tier: change::Patch<Label>,
}

/// Change a partner
///
/// A merge patch (RFC 7396): what is left out stays as it is, `null` clears.
#[utoipa::path(operation_id = "update_partner", tag = "Partners", params(("partner_id" = PartnerId, Path), ("If-Match" = String, Header, description = "The ETag you read"), WriteQuery),
    request_body(content = PartnerPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "Changed", body = PartnerView, headers(("ETag" = String)))))]
#[patch("/v1/partners/{partner_id}")]
async fn update(call: Call<op::UpdatePartner, PartnerId, WriteQuery, Patch<PartnerPatch>>) -> Result<HttpResponse, Fault> {
    let change = &call.body.0;
    let response = ledger::write(&call, async |tx| {
        let mut partner = store::lock(tx, call.path).await?.ok_or(Fault::of(Code::NotFound))?;
        call.if_match.check(partner.version)?;
        if let change::Patch::Set(parent) = change.parent_id {
            store::by_id(tx, parent).await?.ok_or_else(|| Fault::reference("/parent_id"))?;
            if store::stands_under(tx, parent, partner.id).await? {
                return Err(Fault::field("/parent_id", Broken::Contradiction));
            }
        }
        partner.name = change.name.clone().unwrap_or(partner.name);
        partner.parent_id = change.parent_id.clone().over(partner.parent_id);
        partner.parent_sees = change.parent_sees.unwrap_or(partner.parent_sees);
        partner.state = change.state.unwrap_or(partner.state);
        partner.tier = change.tier.clone().over(partner.tier);
        partner.version += 1;
        partner.updated_at = after_lock(tx.now(), partner.updated_at);
        if change.name.is_some() {
            check_name(tx, &partner).await?;
        }
        store::update(tx, &partner).await?;
        tell_partner(tx, call.caller.caller_id(), "partner.updated", &partner).await?;
        let (id, version) = (partner.id.uuid(), partner.version);
        Ok(Answer::json(200, &PartnerView::of(partner, None))?.header("ETag", etag(version)).about([id]))
    })
    .await?;
    call.gate.look_again().await;
    Ok(response)
}

/// What a currency is worth.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct NewRate {
    currency: Currency,
    /// From which day on.
    #[schema(value_type = String, format = Date, example = "2026-04-01")]
    valid_from: Day,
    /// How much one unit of it is worth in the reporting currency, as a decimal with at most 9 digits after the point.
    #[schema(example = "150.25")]
    rate: String,
}

/// What a currency is worth.
#[derive(Serialize, ToSchema)]
struct RateView {
    currency: Currency,
    #[schema(value_type = String, format = Date)]
    valid_from: NaiveDate,
    rate: String,
}

/// A decimal in billionths.
fn nano(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || fraction.len() > 9 || !digits(whole) || !digits(fraction) || text.ends_with('.') {
        return None;
    }
    format!("{whole}{fraction:0<9}").parse().ok().filter(|nano| *nano > 0)
}

/// Set what a currency is worth from a day on
///
/// Values of subscriptions in other currencies are converted to the vendor's reporting currency by the latest rate; without one
/// they count as `unconverted`. Setting the same day again corrects it.
#[utoipa::path(operation_id = "set_currency_rate", tag = "Partners", params(WriteQuery), request_body = NewRate, responses((status = 200, description = "Set", body = RateView)))]
#[post("/v1/currency-rates")]
async fn set_rate(call: Call<op::SetCurrencyRate, (), WriteQuery, Json<NewRate>>) -> Result<HttpResponse, Fault> {
    let new = &call.body.0;
    let rate_nano = nano(&new.rate).ok_or_else(|| Fault::field("/rate", Broken::Malformed))?;
    ledger::write(&call, async |tx| {
        if vendor::calendar(tx).await?.currency == new.currency {
            return Err(Fault::field("/currency", Broken::Contradiction));
        }
        vendor::set_rate(tx, new.currency, new.valid_from.0, rate_nano).await?;
        let subject = crate::auth::Tenant::vendor(tx.scope());
        let event = Event { kind: "currency_rate.set", subject, partner: None, data: json!({ "currency": new.currency, "valid_from": new.valid_from.0 }) };
        ledger::record_events(tx, call.caller.caller_id(), &[event]).await?;
        let partners = store::all_ids(tx).await?;
        let jobs: Vec<Job> = partners.into_iter().map(|partner| Job { kind: JobKind::Rescore, partner, subjects: Vec::new(), day: None }).collect();
        ledger::enqueue(tx, &jobs).await?;
        let view = RateView { currency: new.currency, valid_from: new.valid_from.0, rate: new.rate.clone() };
        Ok(Answer::json(200, &view)?.about([subject]))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::nano;

    #[test]
    fn a_rate_is_a_plain_decimal() {
        assert_eq!(nano("150.25"), Some(150_250_000_000));
        assert_eq!(nano("0.000000001"), Some(1));
        for text in ["", ".5", "5.", "0", "-1", "1e3", "1,5", "0.0000000001", "１"] {
            assert_eq!(nano(text), None, "{text}");
        }
    }
}
