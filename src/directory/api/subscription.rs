//! `/v1/subscriptions`.

use crate::auth::{ActingQuery, Call, Json, Query, op};
use crate::directory::customer::CustomerRef;
use crate::directory::flow::{SubscriptionDraft, upsert_subscription};
use crate::directory::store::subscription as store;
use crate::directory::subscription::Subscription;
use crate::http::body::{Day, Faults};
use crate::http::etag::etag;
use crate::http::page::PageView;
use crate::http::query::{Limit, Param};
use crate::kernel::change;
use crate::kernel::change::Upserted;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{CustomerId, PartnerId, SubscriptionId, TypeId};
use crate::kernel::money::{Currency, MAX_AMOUNT};
use crate::kernel::text::{Broken, ExternalId, Label};
use crate::kernel::time::Moment;
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, get, post};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list).service(upsert);
}

/// A subscription.
#[derive(Serialize, ToSchema)]
struct SubscriptionView {
    id: SubscriptionId,
    partner_id: PartnerId,
    customer_id: CustomerId,
    external_id: ExternalId,
    product: Label,
    seats: Option<i64>,
    /// The amount of one period, in minor units (JPY 120000 = 120,000 yen; USD 120000 = 1,200.00 dollars).
    amount_minor: i64,
    currency: Currency,
    period_months: i32,
    #[schema(value_type = String, format = Date)]
    starts_on: NaiveDate,
    #[schema(value_type = Option<String>, format = Date)]
    renews_on: Option<NaiveDate>,
    #[schema(value_type = Option<String>, format = Date)]
    ends_on: Option<NaiveDate>,
    /// The vendor's own id, by which its telemetry finds the customer.
    vendor_ref: Option<ExternalId>,
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Moment,
}

impl From<Subscription> for SubscriptionView {
    fn from(s: Subscription) -> Self {
        Self {
            id: s.id,
            partner_id: s.partner_id,
            customer_id: s.customer_id,
            external_id: s.external_id,
            product: s.product,
            seats: s.seats,
            amount_minor: s.amount_minor,
            currency: s.currency,
            period_months: s.period_months,
            starts_on: s.starts_on,
            renews_on: s.renews_on,
            ends_on: s.ends_on,
            vendor_ref: s.vendor_ref,
            version: s.version,
            created_at: s.created_at,
            updated_at: s.updated_at,
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
    /// Only this customer's.
    #[deserr(default)]
    #[param(value_type = Option<CustomerId>)]
    customer: Option<Param<CustomerId>>,
    /// How many, 1-1,000; 50 when left out.
    #[deserr(default)]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Param<Limit>>,
    /// Where to go on: `next_cursor` of the page before.
    #[deserr(default)]
    cursor: Option<String>,
}
impl Query for ListQuery {}

/// List the subscriptions you may see
///
/// In order of partner and id.
#[utoipa::path(operation_id = "list_subscriptions", tag = "Subscriptions", params(ListQuery), responses((status = 200, description = "A page", body = PageView<SubscriptionView>)))]
#[get("/v1/subscriptions")]
async fn list(call: Call<op::ListSubscriptions, (), ListQuery>) -> Result<HttpResponse, Fault> {
    let query = &call.query;
    let asked = call.page(query.limit.as_ref(), query.cursor.as_deref());
    let keys = &call.gate.state.keys;
    let window = asked.window(keys)?;
    let (partner, customer) = (query.partner.as_ref().map(|p| p.0), query.customer.as_ref().map(|p| p.0));
    let page = call.read(async |tx| store::list(tx, partner, customer, &window).await).await?;
    asked.list(keys, page.map(SubscriptionView::from))
}

/// A subscription by your own id of it; what is left out stays as it is, `null` clears.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct SubscriptionBody {
    external_id: ExternalId,
    /// Whose it is: this or `customer_external_id`, required for a new one.
    #[deserr(default)]
    customer_id: Option<CustomerId>,
    /// Whose it is, by your own id of the customer.
    #[deserr(default)]
    customer_external_id: Option<ExternalId>,
    /// Required for a new one.
    #[deserr(default)]
    #[schema(example = "Kanri Cloud")]
    product: Option<Label>,
    #[deserr(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10000000)]
    seats: change::Patch<i64>,
    /// The amount of one period, in minor units; required for a new one.
    #[deserr(default)]
    #[schema(minimum = 0, maximum = 1000000000000i64, example = 1200000)]
    amount_minor: Option<i64>,
    /// Required for a new one.
    #[deserr(default)]
    currency: Option<Currency>,
    /// 12 for a new one.
    #[deserr(default)]
    #[schema(minimum = 1, maximum = 120)]
    period_months: Option<i32>,
    /// Required for a new one.
    #[deserr(default)]
    #[schema(value_type = Option<String>, format = Date, example = "2026-04-01")]
    starts_on: Option<Day>,
    #[deserr(default)]
    #[schema(value_type = Option<String>, format = Date, example = "2027-04-01")]
    renews_on: change::Patch<Day>,
    #[deserr(default)]
    #[schema(value_type = Option<String>, format = Date)]
    ends_on: change::Patch<Day>,
    #[deserr(default)]
    #[schema(value_type = Option<ExternalId>)]
    vendor_ref: change::Patch<ExternalId>,
}

fn draft(b: &SubscriptionBody) -> Result<SubscriptionDraft, Fault> {
    let mut faults = Vec::new();
    let mut demand = |holds: bool, pointer: &str, code| {
        if !holds {
            faults.push(FieldFault { pointer: pointer.to_owned(), code });
        }
    };
    demand(!matches!(b.seats, change::Patch::Set(n) if !(1..=10_000_000).contains(&n)), "/seats", Broken::OutOfRange);
    demand(b.amount_minor.is_none_or(|n| (0..=MAX_AMOUNT).contains(&n)), "/amount_minor", Broken::OutOfRange);
    demand(b.period_months.is_none_or(|n| (1..=120).contains(&n)), "/period_months", Broken::OutOfRange);
    demand(b.customer_id.is_none() || b.customer_external_id.is_none(), "/customer_external_id", Broken::OneOf);
    if !faults.is_empty() {
        return Err(Fault::invalid(faults));
    }
    Ok(SubscriptionDraft {
        external_id: b.external_id.clone(),
        customer: CustomerRef::of(b.customer_id, b.customer_external_id.clone()),
        product: b.product.clone(),
        seats: b.seats.clone(),
        amount_minor: b.amount_minor,
        currency: b.currency,
        period_months: b.period_months,
        starts_on: b.starts_on.map(|day| day.0),
        renews_on: b.renews_on.clone().map(|day| day.0),
        ends_on: b.ends_on.clone().map(|day| day.0),
        vendor_ref: b.vendor_ref.clone(),
    })
}

/// Create or change a subscription by your own id
///
/// What is left out stays as it is, `null` clears; the same again changes nothing.
#[utoipa::path(operation_id = "upsert_subscription", tag = "Subscriptions", params(ActingQuery), request_body = SubscriptionBody,
    responses((status = 201, description = "Created", body = SubscriptionView, headers(("ETag" = String)),
            links(("customer" = (operation_id = "get_customer", parameters(("customer_id" = "$response.body#/customer_id")))))),
        (status = 200, description = "Updated or unchanged", body = SubscriptionView, headers(("ETag" = String)))))]
#[post("/v1/subscriptions")]
async fn upsert(call: Call<op::UpsertSubscription, (), ActingQuery, Json<SubscriptionBody>>) -> Result<HttpResponse, Fault> {
    let draft = draft(&call.body.0)?;
    ledger::write(&call, async |tx| {
        let (subscription, outcome) = upsert_subscription(tx, call.caller.caller_id(), draft).await?;
        let (id, version) = (subscription.id.uuid(), subscription.version);
        let status = if outcome == Upserted::Created { 201 } else { 200 };
        let answer = Answer::json(status, &SubscriptionView::from(subscription))?.header("ETag", etag(version));
        Ok(if outcome == Upserted::Unchanged { answer } else { answer.about([id]) })
    })
    .await
}
