//! `/v1/snapshots`: reports that are published once and never change. The vendor's alone.

use super::figures::Figures;
use super::table::table;
use crate::auth::{Call, Json, Query, WriteQuery, op};
use crate::directory::{self, Vendor};
use crate::health::{AsKnown, Card, Purpose, Times};
use crate::http::body::{Day, Faults, Instant};
use crate::http::page::PageView;
use crate::http::query::{Limit, Param};
use crate::insight::cell::{Cell, Standing};
use crate::insight::channel::Channel;
use crate::insight::dimension::Dimension;
use crate::insight::flow::{Survey, publish, survey};
use crate::insight::rollup::RollUp;
use crate::insight::store::{self, Snapshot};
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::hash::{hex, sha256};
use crate::kernel::id::{PartnerId, ScorecardId, SnapshotId, TypeId};
use crate::kernel::money::Currency;
use crate::kernel::text::{Broken, Label};
use crate::kernel::time::Moment;
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(create).service(list).service(get_one).service(read_report);
}

/// A published report.
#[derive(Serialize, ToSchema)]
struct SnapshotView {
    id: SnapshotId,
    /// 1, 2, 3 ... of the vendor, without a gap.
    number: i64,
    title: Option<Label>,
    /// The day it tells of.
    #[schema(value_type = String, format = Date)]
    as_of: NaiveDate,
    /// Nothing that closed later counts.
    #[schema(value_type = String, format = DateTime)]
    known_at: Moment,
    /// The hash of the report's bytes, in hexadecimal.
    sha256: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
}

impl From<&Snapshot> for SnapshotView {
    fn from(s: &Snapshot) -> Self {
        Self { id: s.id, number: s.number, title: s.title.clone(), as_of: s.as_of, known_at: s.known_at, sha256: s.sha256.clone(), created_at: s.created_at }
    }
}

/// A scorecard that was in force.
#[derive(Serialize, ToSchema)]
struct SnapshotPolicy {
    purpose: Purpose,
    scorecard_id: ScorecardId,
    rank: i32,
}

impl From<Card> for SnapshotPolicy {
    fn from(card: Card) -> Self {
        Self { purpose: card.purpose, scorecard_id: card.id, rank: card.rank }
    }
}

/// A partner with its figures.
#[derive(Serialize, ToSchema)]
struct SnapshotChannel {
    partner_id: PartnerId,
    /// The partner that was above it.
    parent_id: Option<PartnerId>,
    /// The day its own figures are of; absent where no day of it had closed.
    #[schema(value_type = Option<String>, format = Date)]
    scored_for: Option<NaiveDate>,
    /// Its own customers.
    own: Figures,
    /// Its own and those of everybody below it.
    rolled_up: Figures,
    /// How the mean of its own customers stands against that of all others; absent with fewer than two known on a side.
    against_others: Option<Standing>,
}

impl SnapshotChannel {
    fn of(c: Channel, total: &Cell) -> Self {
        let against_others = c.own.against_rest_of(total);
        Self {
            partner_id: c.partner.id,
            parent_id: c.partner.parent_id,
            scored_for: c.scored_for,
            own: Figures::from(&c.own),
            rolled_up: Figures::from(&c.rolled_up),
            against_others,
        }
    }
}

/// A group with its figures.
#[derive(Serialize, ToSchema)]
struct SnapshotGroup {
    /// What is grouped by.
    by: Dimension,
    /// Its word; null where nobody said.
    group: Option<String>,
    figures: Figures,
    /// How its mean stands against that of all other customers; absent with fewer than two known on a side.
    against_others: Option<Standing>,
}

/// What a snapshot tells: ids, figures and the words of groups, no names. Its bytes are those that were published.
#[derive(Serialize, ToSchema)]
struct SnapshotReport {
    number: i64,
    #[schema(value_type = String, format = Date)]
    as_of: NaiveDate,
    #[schema(value_type = String, format = DateTime)]
    known_at: Moment,
    /// The currency of all values.
    currency: Currency,
    /// The scorecards in force then, by purpose and rank.
    policies: Vec<SnapshotPolicy>,
    /// Over all customers, each once.
    total: Figures,
    /// By partner, in order of id.
    channels: Vec<SnapshotChannel>,
    /// By region, segment, touch model, product and stage, each by itself; groups anybody was in, in the order of their words.
    groups: Vec<SnapshotGroup>,
}

impl SnapshotReport {
    fn of(number: i64, vendor: &Vendor, point: AsKnown, told: Survey) -> Self {
        let of_dimension = |(by, rolled): (Dimension, RollUp)| {
            rolled.groups.into_iter().map(move |([word, _], cell)| SnapshotGroup {
                by,
                group: Some(word).filter(|word| !word.is_empty()),
                figures: Figures::from(&cell),
                against_others: cell.against_rest_of(&rolled.total),
            })
        };
        Self {
            number,
            as_of: point.on,
            known_at: point.known_at,
            currency: vendor.currency,
            policies: told.cards.into_iter().map(SnapshotPolicy::from).collect(),
            total: Figures::from(&told.total),
            channels: told.channels.into_iter().map(|channel| SnapshotChannel::of(channel, &told.total)).collect(),
            groups: told.groups.into_iter().flat_map(of_dimension).collect(),
        }
    }
}

/// A snapshot to be.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct NewSnapshot {
    /// What to call it; not a part of the report.
    #[deserr(default)]
    #[schema(example = "2026 Q3")]
    title: Option<Label>,
    /// As the newest day up to this one closed; the last day that had ended by `known_at` when left out.
    #[deserr(default)]
    #[schema(value_type = Option<String>, format = Date)]
    as_of: Option<Day>,
    /// Of what had closed by this moment, at least 60 seconds ago; that when left out.
    #[deserr(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    known_at: Option<Instant>,
}

/// No day had closed by then: the day is to blame.
fn nothing_closed() -> Fault {
    Fault { fields: vec![FieldFault { pointer: "/as_of".to_owned(), code: Broken::OutOfRange }], ..Fault::of(Code::StateConflict) }
}

/// Publish a snapshot
///
/// The figures of the whole vendor by channel and by group, with the scorecards they were made by: as days had closed, numbered, hashed, and the same
/// for ever. 409 where no day had closed yet.
#[utoipa::path(operation_id = "create_snapshot", tag = "Insights", params(WriteQuery), request_body = NewSnapshot,
    responses((status = 201, description = "Published", body = SnapshotView, headers(("Location" = String)),
        links(("read" = (operation_id = "get_snapshot", parameters(("snapshot_id" = "$response.body#/id")))),
              ("report" = (operation_id = "get_snapshot_report", parameters(("snapshot_id" = "$response.body#/id"))))))))]
#[post("/v1/snapshots")]
async fn create(call: Call<op::CreateSnapshot, (), WriteQuery, Json<NewSnapshot>>) -> Result<HttpResponse, Fault> {
    let new = &call.body.0;
    let times = Times { on: new.as_of.map(|day| ("/as_of", day.0)), known_at: new.known_at.map(|at| ("/known_at", at.0)) };
    ledger::write(&call, async |tx| {
        let number = store::next_number(tx).await?;
        let vendor = directory::calendar(tx).await?;
        let point = times.settle(&vendor, tx.now())?.ok_or_else(nothing_closed)?;
        let told = survey(tx, &vendor, point).await?.ok_or_else(nothing_closed)?;
        let report = serde_json::to_string(&SnapshotReport::of(number, &vendor, point, told)).map_err(Fault::internal)?;
        let snapshot = Snapshot {
            id: tx.new_id(),
            number,
            title: new.title.clone(),
            as_of: point.on,
            known_at: point.known_at,
            sha256: hex(&sha256(report.as_bytes())),
            created_at: tx.now(),
        };
        publish(tx, call.caller.caller_id(), call.caller.principal().uuid(), &snapshot, &report).await?;
        let location = format!("{}/v1/snapshots/{}", call.gate.issuer(), snapshot.id);
        Ok(Answer::json(201, &SnapshotView::from(&snapshot))?.header("Location", location).about([snapshot.id.uuid()]))
    })
    .await
}

/// Which page.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SnapshotsQuery {
    /// How many, 1-1,000; 50 when left out.
    #[deserr(default)]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Param<Limit>>,
    /// Where to go on: `next_cursor` of the page before.
    #[deserr(default)]
    cursor: Option<String>,
}
impl Query for SnapshotsQuery {}

/// List published snapshots
///
/// Newest first.
#[utoipa::path(operation_id = "list_snapshots", tag = "Insights", params(SnapshotsQuery), responses((status = 200, description = "A page", body = PageView<SnapshotView>)))]
#[get("/v1/snapshots")]
async fn list(call: Call<op::ListSnapshots, (), SnapshotsQuery>) -> Result<HttpResponse, Fault> {
    let asked = call.page(call.query.limit.as_ref(), call.query.cursor.as_deref());
    let keys = &call.gate.state.keys;
    let window = asked.window(keys)?;
    let page = call.read(async |tx| store::snapshots(tx, &window).await).await?;
    asked.list(keys, page.map(|snapshot| SnapshotView::from(&snapshot)))
}

/// Read a published snapshot
///
/// What it is called, what it is of, and its hash; the figures are in its report.
#[utoipa::path(operation_id = "get_snapshot", tag = "Insights", params(("snapshot_id" = SnapshotId, Path)), responses((status = 200, description = "The snapshot", body = SnapshotView)))]
#[get("/v1/snapshots/{snapshot_id}")]
async fn get_one(call: Call<op::GetSnapshot, SnapshotId>) -> Result<HttpResponse, Fault> {
    let found = call.read(async |tx| store::snapshot(tx, call.path).await).await?.ok_or(Fault::of(Code::NotFound))?;
    Ok(HttpResponse::Ok().json(SnapshotView::from(&found)))
}

crate::word_list! {
    /// In which form.
    ReportFormat {
        /// The bytes that were published.
        Json = "json",
        /// The same as a table.
        Csv = "csv",
    }
}
crate::wire_words!(ReportFormat);

/// In which form.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReportQuery {
    /// `json` when left out.
    #[deserr(default)]
    #[param(inline, value_type = Option<ReportFormat>)]
    format: Option<Param<ReportFormat>>,
}
impl Query for ReportQuery {
    const ANSWERS: &'static [&'static str] = &["application/json", "text/csv"];
}

/// Read the report of a published snapshot
///
/// The very bytes that were published; `sha256` of the snapshot is their hash, and the `ETag`. With `format=csv` its figures as a table for
/// spreadsheets: UTF-8 with a byte order mark, a line for the total, two for each channel (`channel_own`, `channel_rolled_up`), one for each group and one for each
/// scorecard in force (`policy`: its purpose and id); words a spreadsheet would take for a formula begin with an apostrophe. `Repr-Digest` is of the bytes sent (RFC 9530).
#[utoipa::path(operation_id = "get_snapshot_report", tag = "Insights", params(("snapshot_id" = SnapshotId, Path), ReportQuery),
    responses((status = 200, description = "The report", content((SnapshotReport = "application/json"), (String = "text/csv")),
        headers(("ETag" = String), ("Repr-Digest" = String), ("Content-Disposition" = String)))))]
#[get("/v1/snapshots/{snapshot_id}/report")]
async fn read_report(call: Call<op::GetSnapshotReport, SnapshotId, ReportQuery>) -> Result<HttpResponse, Fault> {
    let (snapshot, report) = call.read(async |tx| store::report_of(tx, call.path).await).await?.ok_or(Fault::of(Code::NotFound))?;
    if hex(&sha256(report.as_bytes())) != snapshot.sha256 {
        return Err(Fault::internal(format!("snapshot {} is not what was published", snapshot.id)));
    }
    let format = call.query.format.as_ref().map_or(ReportFormat::Json, |format| format.0);
    let (media, name, bytes) = match format {
        ReportFormat::Json => ("application/json", None, report.into_bytes()),
        ReportFormat::Csv => {
            let told = serde_json::from_str(&report).map_err(Fault::internal)?;
            ("text/csv; charset=utf-8", Some(format!("attachment; filename=\"snapshot-{}.csv\"", snapshot.number)), table(&told).map_err(Fault::internal)?)
        }
    };
    let digest = sha256(&bytes);
    let mut answer = HttpResponse::Ok();
    answer.content_type(media).insert_header(("ETag", format!("\"{}\"", hex(&digest)))).insert_header(("Repr-Digest", format!("sha-256=:{}:", STANDARD.encode(&digest))));
    if let Some(name) = name {
        answer.insert_header(("Content-Disposition", name));
    }
    Ok(answer.body(bytes))
}
