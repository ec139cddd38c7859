//! `/v1/status-reports` as they are kept: each revision, with what it said.

use crate::auth::{Call, Query, op};
use crate::http::body::Faults;
use crate::http::page::PageView;
use crate::http::query::{Limit, Param};
use crate::intake::case::OpenCase;
use crate::intake::report::DeclaredBand;
use crate::intake::store::{self, ReportRow};
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, PartnerId, ReportId, TypeId};
use crate::kernel::text::{ExternalId, Label};
use crate::kernel::time::Moment;
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

crate::wire_words!(DeclaredBand);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list);
}

/// Filters and page.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only about this customer.
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

/// A kept revision.
#[derive(Serialize, ToSchema)]
struct ReportView {
    id: ReportId,
    partner_id: PartnerId,
    customer_id: CustomerId,
    external_id: String,
    revision: i32,
    /// The revision it replaced.
    replaces: Option<ReportId>,
    #[schema(value_type = Option<String>, format = Date)]
    period_start: Option<NaiveDate>,
    #[schema(value_type = String, format = Date)]
    period_end: NaiveDate,
    #[schema(value_type = Option<DeclaredBand>)]
    declared_band: Option<String>,
    comment: Option<String>,
    /// What it said of open cases; absent when it said nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    open_cases: Option<Vec<CaseView>>,
    #[schema(value_type = String, format = DateTime)]
    received_at: Moment,
}

/// A support case as reported.
#[derive(Serialize, ToSchema)]
struct CaseView {
    external_id: ExternalId,
    /// 1 (worst) to 4.
    severity: i32,
    #[schema(value_type = String, format = Date)]
    opened_on: NaiveDate,
    #[schema(value_type = Option<String>, format = Date)]
    due_on: Option<NaiveDate>,
    cause: Option<Label>,
}

impl From<OpenCase> for CaseView {
    fn from(c: OpenCase) -> Self {
        Self { external_id: c.external_id, severity: c.severity, opened_on: c.opened_on, due_on: c.due_on, cause: c.cause }
    }
}

impl TryFrom<ReportRow> for ReportView {
    type Error = Fault;
    fn try_from(r: ReportRow) -> Result<Self, Fault> {
        let cases: Option<Vec<OpenCase>> = r.open_cases.map(serde_json::from_value).transpose().map_err(Fault::internal)?;
        Ok(Self {
            id: ReportId::of(r.id),
            partner_id: PartnerId::of(r.partner_id),
            customer_id: CustomerId::of(r.customer_id),
            external_id: r.external_id,
            revision: r.revision,
            replaces: r.replaces_id.map(ReportId::of),
            period_start: r.period_start,
            period_end: r.period_end,
            declared_band: r.declared_band,
            comment: r.comment,
            open_cases: cases.map(|cases| cases.into_iter().map(CaseView::from).collect()),
            received_at: r.received_at,
        })
    }
}

/// List status reports with all their revisions
///
/// Every revision is an entry of its own, in order of partner and id.
#[utoipa::path(operation_id = "list_status_reports", tag = "Status reports", params(ListQuery), responses((status = 200, description = "A page", body = PageView<ReportView>)))]
#[get("/v1/status-reports")]
async fn list(call: Call<op::ListStatusReports, (), ListQuery>) -> Result<HttpResponse, Fault> {
    let asked = call.page(call.query.limit.as_ref(), call.query.cursor.as_deref());
    let keys = &call.gate.state.keys;
    let window = asked.window(keys)?;
    let customer = call.query.customer.as_ref().map(|c| c.0);
    let page = call.read(async |tx| store::list_reports(tx, customer, &window).await).await?;
    asked.list(keys, page.try_map(ReportView::try_from)?)
}
