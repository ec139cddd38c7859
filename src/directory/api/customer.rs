//! `/v1/customers`.

use crate::auth::{ActingQuery, Call, Json, Patch, Query, op};
use crate::directory::customer::CustomerRef;
use crate::directory::customer::{Customer, CustomerState, TouchModel};
use crate::directory::flow::{CustomerDraft, change_customer, upsert_customer};
use crate::directory::store::customer as store;
use crate::http::body::{Faults, Instant};
use crate::http::etag::etag;
use crate::http::page::PageView;
use crate::http::query::{Limit, Param};
use crate::kernel::change;
use crate::kernel::change::Upserted;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, PartnerId, TypeId};
use crate::kernel::text::{CorporateNumber, ExternalId, Label, Name};
use crate::kernel::time::Moment;
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, get, patch, post};
use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

crate::wire_words!(CustomerState, TouchModel);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list).service(upsert).service(get_one).service(update);
}

/// A customer.
#[derive(Serialize, ToSchema)]
struct CustomerView {
    id: CustomerId,
    partner_id: PartnerId,
    external_id: ExternalId,
    name: Name,
    state: CustomerState,
    touch_model: TouchModel,
    corporate_number: Option<CorporateNumber>,
    segment: Option<Label>,
    region: Option<Label>,
    /// How it buys, in the vendor's words.
    business_model: Option<Label>,
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Moment,
}

impl From<Customer> for CustomerView {
    fn from(c: Customer) -> Self {
        Self {
            id: c.id,
            partner_id: c.partner_id,
            external_id: c.external_id,
            name: c.name,
            state: c.state,
            touch_model: c.touch_model,
            corporate_number: c.corporate_number,
            segment: c.segment,
            region: c.region,
            business_model: c.business_model,
            version: c.version,
            created_at: c.created_at,
            updated_at: c.updated_at,
        }
    }
}

/// Filters and page.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only this partner's.
    #[deserr(default)]
    #[param(value_type = Option<PartnerId>)]
    partner: Option<Param<PartnerId>>,
    /// Only with this external id.
    #[deserr(default)]
    #[param(value_type = Option<String>)]
    external_id: Option<Param<ExternalId>>,
    /// Only in this state.
    #[deserr(default)]
    #[param(value_type = Option<CustomerState>)]
    state: Option<Param<CustomerState>>,
    /// Only changed after this moment (RFC 3339).
    #[deserr(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    updated_after: Option<Param<Instant>>,
    /// How many, 1-1,000; 50 when left out.
    #[deserr(default)]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Param<Limit>>,
    /// Where to go on: `next_cursor` of the page before.
    #[deserr(default)]
    cursor: Option<String>,
}
impl Query for ListQuery {}

/// List the customers you may see
///
/// In order of partner and id; filters narrow it.
#[utoipa::path(operation_id = "list_customers", tag = "Customers", params(ListQuery), responses((status = 200, description = "A page", body = PageView<CustomerView>)))]
#[get("/v1/customers")]
async fn list(call: Call<op::ListCustomers, (), ListQuery>) -> Result<HttpResponse, Fault> {
    let query = &call.query;
    let asked = call.page(query.limit.as_ref(), query.cursor.as_deref());
    let keys = &call.gate.state.keys;
    let window = asked.window(keys)?;
    let filter = store::Filter {
        partner: query.partner.as_ref().map(|p| p.0),
        external_id: query.external_id.as_ref().map(|p| p.0.clone()),
        state: query.state.as_ref().map(|p| p.0),
        updated_after: query.updated_after.as_ref().map(|p| p.0.0),
    };
    let page = call.read(async |tx| store::list(tx, &filter, &window).await).await?;
    asked.list(keys, page.map(CustomerView::from))
}

/// Read a customer
///
/// Its `ETag` is what a change asks for in `If-Match`.
#[utoipa::path(operation_id = "get_customer", tag = "Customers", params(("customer_id" = CustomerId, Path)), responses((status = 200, description = "The customer", body = CustomerView, headers(("ETag" = String)))))]
#[get("/v1/customers/{customer_id}")]
async fn get_one(call: Call<op::GetCustomer, CustomerId>) -> Result<HttpResponse, Fault> {
    let found = call.read(async |tx| store::by_id(tx, call.path).await).await?.ok_or(Fault::of(Code::NotFound))?;
    Ok(HttpResponse::Ok().insert_header(("ETag", etag(found.version))).json(CustomerView::from(found)))
}

/// A customer by your own id of it; what is left out stays as it is, `null` clears.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct CustomerBody {
    external_id: ExternalId,
    /// Required for a new customer.
    #[deserr(default)]
    name: Option<Name>,
    /// `active` for a new customer.
    #[deserr(default)]
    state: Option<CustomerState>,
    /// `low` for a new customer.
    #[deserr(default)]
    touch_model: Option<TouchModel>,
    #[deserr(default)]
    #[schema(value_type = Option<CorporateNumber>)]
    corporate_number: change::Patch<CorporateNumber>,
    #[deserr(default)]
    #[schema(value_type = Option<Label>)]
    segment: change::Patch<Label>,
    #[deserr(default)]
    #[schema(value_type = Option<Label>)]
    region: change::Patch<Label>,
    /// How it buys, in the vendor's words (`subscription`, say).
    #[deserr(default)]
    #[schema(value_type = Option<Label>)]
    business_model: change::Patch<Label>,
}

/// Create or change a customer by your own id
///
/// What is left out stays as it is, `null` clears; the same again changes nothing.
#[utoipa::path(operation_id = "upsert_customer", tag = "Customers", params(ActingQuery), request_body = CustomerBody,
    responses((status = 201, description = "Created", body = CustomerView, headers(("Location" = String), ("ETag" = String)),
            links(("read" = (operation_id = "get_customer", parameters(("customer_id" = "$response.body#/id")))),
                  ("change" = (operation_id = "update_customer", parameters(("customer_id" = "$response.body#/id")))),
                  ("health" = (operation_id = "get_customer_health", parameters(("customer_id" = "$response.body#/id")))))),
        (status = 200, description = "Updated or unchanged", body = CustomerView, headers(("ETag" = String)))))]
#[post("/v1/customers")]
async fn upsert(call: Call<op::UpsertCustomer, (), ActingQuery, Json<CustomerBody>>) -> Result<HttpResponse, Fault> {
    let b = &call.body.0;
    let draft = CustomerDraft {
        external_id: b.external_id.clone(),
        name: b.name.clone(),
        state: b.state,
        touch_model: b.touch_model,
        corporate_number: b.corporate_number.clone(),
        segment: b.segment.clone(),
        region: b.region.clone(),
        business_model: b.business_model.clone(),
    };
    ledger::write(&call, async |tx| {
        let (customer, outcome) = upsert_customer(tx, call.caller.caller_id(), draft).await?;
        answer(customer, outcome, call.gate.issuer())
    })
    .await
}

fn answer(customer: Customer, outcome: Upserted, base: &str) -> Result<Answer, Fault> {
    let (id, version) = (customer.id, customer.version);
    let status = if outcome == Upserted::Created { 201 } else { 200 };
    let mut answer = Answer::json(status, &CustomerView::from(customer))?.header("ETag", etag(version));
    if outcome == Upserted::Created {
        answer = answer.header("Location", format!("{base}/v1/customers/{id}"));
    }
    Ok(if outcome == Upserted::Unchanged { answer } else { answer.about([id.uuid()]) })
}

/// Changes to a customer; what is left out stays, `null` clears.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct CustomerPatch {
    #[deserr(default)]
    name: Option<Name>,
    #[deserr(default)]
    state: Option<CustomerState>,
    #[deserr(default)]
    touch_model: Option<TouchModel>,
    #[deserr(default)]
    #[schema(value_type = Option<CorporateNumber>)]
    corporate_number: change::Patch<CorporateNumber>,
    #[deserr(default)]
    #[schema(value_type = Option<Label>)]
    segment: change::Patch<Label>,
    #[deserr(default)]
    #[schema(value_type = Option<Label>)]
    region: change::Patch<Label>,
    /// How it buys, in the vendor's words (`subscription`, say).
    #[deserr(default)]
    #[schema(value_type = Option<Label>)]
    business_model: change::Patch<Label>,
}

/// Change a customer
///
/// A merge patch (RFC 7396): what is left out stays as it is, `null` clears.
#[utoipa::path(operation_id = "update_customer", tag = "Customers", params(("customer_id" = CustomerId, Path), ("If-Match" = String, Header, description = "The ETag you read"), ActingQuery),
    request_body(content = CustomerPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "Changed", body = CustomerView, headers(("ETag" = String)))))]
#[patch("/v1/customers/{customer_id}")]
async fn update(call: Call<op::UpdateCustomer, CustomerId, ActingQuery, Patch<CustomerPatch>>) -> Result<HttpResponse, Fault> {
    let b = &call.body.0;
    ledger::write(&call, async |tx| {
        let before = match crate::directory::flow::customer_for(tx, &CustomerRef::Id(call.path)).await {
            // In the path, not in the body: what does not exist is not found.
            Err(fault) if fault.code == Code::ReferenceNotFound => return Err(Fault::of(Code::NotFound)),
            other => other?,
        };
        call.if_match.check(before.version)?;
        let draft = CustomerDraft {
            external_id: before.external_id.clone(),
            name: b.name.clone(),
            state: b.state,
            touch_model: b.touch_model,
            corporate_number: b.corporate_number.clone(),
            segment: b.segment.clone(),
            region: b.region.clone(),
            business_model: b.business_model.clone(),
        };
        let (customer, outcome) = change_customer(tx, call.caller.caller_id(), before, draft).await?;
        answer(customer, outcome, call.gate.issuer())
    })
    .await
}
