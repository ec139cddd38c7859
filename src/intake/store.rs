//! Rows of what we were told: measures, reports and their heads, observations. Reports and observations are only ever added.

use super::case::OpenCase;
use super::curve::Curve;
use super::measure::Measure;
use super::observation::NewObservation;
use super::report::{DeclaredBand, Head};
use crate::auth::{StaffScope, SystemScope, Tenant};
use crate::db::{Tx, sql};
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, MeasureId, PartnerId, ReportId, SubscriptionId, TypeId};
use crate::kernel::paging::{Page, Window};
use crate::kernel::time::Moment;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Binary, Date, Double, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

#[derive(QueryableByName)]
struct MeasureRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = Text)]
    name_en: String,
    #[diesel(sql_type = Text)]
    name_ja: String,
    #[diesel(sql_type = Text)]
    unit: String,
    #[diesel(sql_type = Text)]
    nature: String,
    #[diesel(sql_type = Jsonb)]
    curve: serde_json::Value,
    #[diesel(sql_type = Nullable<Integer>)]
    half_life_days: Option<i32>,
    #[diesel(sql_type = Integer)]
    valid_days: i32,
    #[diesel(sql_type = Timestamptz)]
    created_at: Moment,
}

/// The most measures of a catalogue.
pub const MAX_CATALOGUE: usize = 1_000;

/// The vendor's catalogue, in order of key.
pub async fn measures<S: Tenant>(tx: &Tx<S>) -> Result<Vec<Measure>, Fault> {
    let rows: Vec<MeasureRow> = tx
        .rows(
            sql("SELECT id, key, name_en, name_ja, unit, nature, curve, half_life_days, valid_days, created_at FROM todoku.measure WHERE vendor_id = {} ORDER BY key")
                .bind::<SqlUuid, _>(tx.scope().vendor()),
        )
        .await?;
    let broken = |e: crate::kernel::text::Broken| Fault::internal(format!("a stored measure is broken: {e:?}"));
    rows.into_iter()
        .map(|row| {
            Ok(Measure {
                id: MeasureId::of(row.id),
                key: row.key.parse().map_err(broken)?,
                name_en: row.name_en.parse().map_err(broken)?,
                name_ja: row.name_ja.parse().map_err(broken)?,
                unit: row.unit.parse().map_err(broken)?,
                nature: row.nature.parse().map_err(broken)?,
                curve: serde_json::from_value::<Curve>(row.curve).map_err(Fault::internal)?,
                half_life_days: row.half_life_days,
                valid_days: row.valid_days,
                created_at: row.created_at,
            })
        })
        .collect()
}

/// Adds a measure; `false` when its key is taken.
pub async fn insert_measure(tx: &Tx<StaffScope>, m: &Measure) -> Result<bool, Fault> {
    let done = tx
        .run(
            sql("INSERT INTO todoku.measure (vendor_id, id, key, name_en, name_ja, unit, nature, curve, half_life_days, valid_days, created_at)
                 VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) ON CONFLICT (vendor_id, key) DO NOTHING")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(m.id.uuid())
            .bind::<Text, _>(m.key.to_string())
            .bind::<Text, _>(m.name_en.to_string())
            .bind::<Text, _>(m.name_ja.to_string())
            .bind::<Text, _>(m.unit.to_string())
            .bind::<Text, _>(m.nature.as_str())
            .bind::<Jsonb, _>(serde_json::to_value(&m.curve).map_err(Fault::internal)?)
            .bind::<Nullable<Integer>, _>(m.half_life_days)
            .bind::<Integer, _>(m.valid_days)
            .bind::<Timestamptz, _>(m.created_at),
        )
        .await?;
    Ok(done == 1)
}

#[derive(QueryableByName)]
struct HeadRow {
    #[diesel(sql_type = Text)]
    external_id: String,
    #[diesel(sql_type = SqlUuid)]
    report_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = Integer)]
    revision: i32,
    #[diesel(sql_type = Binary)]
    content_hash: Vec<u8>,
}

/// The revisions in force of the acting partner's reports with these external ids.
pub async fn heads<S: Tenant>(tx: &Tx<S>, external_ids: Vec<String>) -> Result<HashMap<String, Head>, Fault> {
    let rows: Vec<HeadRow> = tx
        .rows(
            sql("SELECT external_id, report_id, customer_id, revision, content_hash FROM todoku.status_report_head
                 WHERE vendor_id = {} AND partner_id = {} AND external_id = ANY ({})")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(tx.scope().acts()?)
            .bind::<Array<Text>, _>(external_ids),
        )
        .await?;
    let head = |row: HeadRow| {
        let head = Head { id: ReportId::of(row.report_id), customer: CustomerId::of(row.customer_id), revision: row.revision, content_hash: row.content_hash };
        (row.external_id, head)
    };
    Ok(rows.into_iter().map(head).collect())
}

/// A report to be kept.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of status_report")]
pub struct NewReport {
    pub id: ReportId,
    pub customer: CustomerId,
    pub subscription: Option<SubscriptionId>,
    pub external_id: String,
    pub revision: i32,
    pub replaces: Option<ReportId>,
    pub period_start: Option<NaiveDate>,
    pub period_end: NaiveDate,
    pub declared_band: Option<DeclaredBand>,
    pub content_hash: Vec<u8>,
    pub comment: Option<String>,
    pub open_cases: Option<Vec<OpenCase>>,
}

/// Keeps reports of the acting partner and moves their heads. Of several revisions of one report the last given is in force.
pub async fn insert_reports<S: Tenant>(tx: &Tx<S>, reported_by: Uuid, reports: &[NewReport]) -> Result<(), Fault> {
    let (vendor, partner) = (tx.scope().vendor(), tx.scope().acts()?);
    let ids: Vec<Uuid> = reports.iter().map(|r| r.id.uuid()).collect();
    let customers: Vec<Uuid> = reports.iter().map(|r| r.customer.uuid()).collect();
    let external_ids: Vec<String> = reports.iter().map(|r| r.external_id.clone()).collect();
    let revisions: Vec<i32> = reports.iter().map(|r| r.revision).collect();
    let hashes: Vec<Vec<u8>> = reports.iter().map(|r| r.content_hash.clone()).collect();
    let ends: Vec<NaiveDate> = reports.iter().map(|r| r.period_end).collect();
    let cases = reports.iter().map(|r| r.open_cases.as_ref().map(serde_json::to_value).transpose()).collect::<Result<Vec<_>, _>>().map_err(Fault::internal)?;
    let inserted = tx
        .try_run(
            sql("INSERT INTO todoku.status_report (vendor_id, partner_id, id, customer_id, subscription_id, external_id, revision, replaces_id, period_start,
                   period_end, declared_band, content_hash, open_cases, received_at, reported_by)
                 SELECT {}, {}, id, customer, subscription, external_id, revision, replaces, period_start, period_end, band, hash, cases, {}, {}
                 FROM unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) AS u(id, customer, subscription, external_id, revision, replaces, period_start, period_end, band, hash, cases)")
            .bind::<SqlUuid, _>(vendor)
            .bind::<SqlUuid, _>(partner)
            .bind::<Timestamptz, _>(tx.now())
            .bind::<SqlUuid, _>(reported_by)
            .bind::<Array<SqlUuid>, _>(ids.clone())
            .bind::<Array<SqlUuid>, _>(customers.clone())
            .bind::<Array<Nullable<SqlUuid>>, _>(reports.iter().map(|r| r.subscription.map(TypeId::uuid)).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(external_ids.clone())
            .bind::<Array<Integer>, _>(revisions.clone())
            .bind::<Array<Nullable<SqlUuid>>, _>(reports.iter().map(|r| r.replaces.map(TypeId::uuid)).collect::<Vec<_>>())
            .bind::<Array<Nullable<Date>>, _>(reports.iter().map(|r| r.period_start).collect::<Vec<_>>())
            .bind::<Array<Date>, _>(ends.clone())
            .bind::<Array<Nullable<Text>>, _>(reports.iter().map(|r| r.declared_band.map(DeclaredBand::as_str)).collect::<Vec<_>>())
            .bind::<Array<Binary>, _>(hashes.clone())
            .bind::<Array<Nullable<Jsonb>>, _>(cases),
        )
        .await;
    if let Err(error) = inserted {
        // Another request gave the same report its next revision first.
        let raced = crate::db::fault::violated(&error) == Some("status_report_vendor_id_partner_id_external_id_revision_key");
        return Err(if raced { crate::kernel::code::Code::StateConflict.into() } else { crate::db::fault::fault(error) });
    }
    tx.run(
        sql("INSERT INTO todoku.status_report_head AS h (vendor_id, partner_id, external_id, report_id, customer_id, revision, content_hash, period_end)
             SELECT DISTINCT ON (external_id) {}, {}, external_id, id, customer, revision, hash, period_end
             FROM unnest({}, {}, {}, {}, {}, {}) AS u(id, customer, external_id, revision, hash, period_end) ORDER BY external_id, revision DESC
             ON CONFLICT (vendor_id, partner_id, external_id) DO UPDATE SET report_id = excluded.report_id, revision = excluded.revision,
               content_hash = excluded.content_hash, period_end = excluded.period_end WHERE h.revision < excluded.revision")
        .bind::<SqlUuid, _>(vendor)
        .bind::<SqlUuid, _>(partner)
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<SqlUuid>, _>(customers)
        .bind::<Array<Text>, _>(external_ids)
        .bind::<Array<Integer>, _>(revisions)
        .bind::<Array<Binary>, _>(hashes)
        .bind::<Array<Date>, _>(ends),
    )
    .await?;
    let with_words: Vec<(Uuid, &String)> = reports.iter().filter_map(|r| Some((r.id.uuid(), r.comment.as_ref()?))).collect();
    for some in with_words.chunks(COMMENTS_AT_ONCE) {
        tx.run(
            sql("INSERT INTO todoku.status_report_text (vendor_id, partner_id, report_id, comment) SELECT {}, {}, id, comment FROM unnest({}, {}) AS u(id, comment)")
                .bind::<SqlUuid, _>(vendor)
                .bind::<SqlUuid, _>(partner)
                .bind::<Array<SqlUuid>, _>(some.iter().map(|(id, _)| *id).collect::<Vec<_>>())
                .bind::<Array<Text>, _>(some.iter().map(|(_, comment)| (*comment).clone()).collect::<Vec<_>>()),
        )
        .await?;
    }
    Ok(())
}

/// So many comments go in one statement: a connection keeps the room of its largest message for as long as it lives.
const COMMENTS_AT_ONCE: usize = 1_000;
/// So many go in one statement: each is in memory three times then, as a value, as a column's entry and in the message.
const OBSERVATIONS_AT_ONCE: usize = 10_000;

/// Keeps observations.
pub async fn insert_observations<S: Tenant>(tx: &Tx<S>, list: &[NewObservation]) -> Result<(), Fault> {
    for some in list.chunks(OBSERVATIONS_AT_ONCE) {
        insert_some_observations(tx, some).await?;
    }
    Ok(())
}

async fn insert_some_observations<S: Tenant>(tx: &Tx<S>, list: &[NewObservation]) -> Result<(), Fault> {
    tx.run(
        sql("INSERT INTO todoku.observation (vendor_id, partner_id, customer_id, id, subscription_id, measure_id, report_id, value, evidence, audience, observed_at, received_at)
             SELECT {}, partner, customer, id, subscription, measure, report, value, evidence, audience, observed_at, {}
             FROM unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}) AS u(partner, customer, id, subscription, measure, report, value, evidence, audience, observed_at)")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Timestamptz, _>(tx.now())
        .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.partner.uuid()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.customer.uuid()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.id.uuid()).collect::<Vec<_>>())
        .bind::<Array<Nullable<SqlUuid>>, _>(list.iter().map(|o| o.subscription.map(TypeId::uuid)).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.measure.uuid()).collect::<Vec<_>>())
        .bind::<Array<Nullable<SqlUuid>>, _>(list.iter().map(|o| o.report.map(TypeId::uuid)).collect::<Vec<_>>())
        .bind::<Array<Double>, _>(list.iter().map(|o| o.value).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|o| o.evidence.as_str()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|o| o.evidence.audience()).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(list.iter().map(|o| o.observed_at).collect::<Vec<_>>()),
    )
    .await
    .map(drop)
}

/// Makes the partitions of this month and the three ahead; answers how many were missing.
pub async fn keep_partitions(tx: &Tx<SystemScope>) -> Result<usize, Fault> {
    #[derive(QueryableByName)]
    struct Made {
        #[diesel(sql_type = Integer)]
        made: i32,
    }
    let made: Option<Made> = tx.row(sql("SELECT todoku.keep_partitions({}) AS made").bind::<Date, _>(tx.now().date_naive())).await?;
    Ok(made.map_or(0, |row| row.made.unsigned_abs() as usize))
}

/// One moment of one measure of one customer.
pub type Seen = (Uuid, Uuid, Moment);

#[derive(QueryableByName)]
struct SeenRow {
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    measure_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    observed_at: Moment,
    #[diesel(sql_type = Double)]
    value: f64,
}

/// The values in force of observations sent outside reports at these moments, of one class.
pub async fn known_observations<S: Tenant>(tx: &Tx<S>, class: super::EvidenceClass, partners: Vec<Uuid>, seen: &[Seen]) -> Result<HashMap<Seen, f64>, Fault> {
    let rows: Vec<SeenRow> = tx
        .rows(
            sql("SELECT DISTINCT ON (customer_id, measure_id, observed_at) customer_id, measure_id, observed_at, value FROM todoku.observation
                 WHERE vendor_id = {} AND partner_id = ANY ({}) AND customer_id = ANY ({}) AND observed_at = ANY ({}) AND evidence = {} AND report_id IS NULL
                 ORDER BY customer_id, measure_id, observed_at, arrival DESC")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Array<SqlUuid>, _>(partners)
            .bind::<Array<SqlUuid>, _>(seen.iter().map(|s| s.0).collect::<Vec<_>>())
            .bind::<Array<Timestamptz>, _>(seen.iter().map(|s| s.2).collect::<Vec<_>>())
            .bind::<Text, _>(class.as_str()),
        )
        .await?;
    Ok(rows.into_iter().map(|row| ((row.customer_id, row.measure_id, row.observed_at), row.value)).collect())
}

#[derive(QueryableByName)]
struct RefRow {
    #[diesel(sql_type = Text)]
    vendor_ref: String,
    #[diesel(sql_type = SqlUuid)]
    partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// The customers behind the vendor's own ids of subscriptions; one that several subscriptions bear names nobody.
pub async fn subjects_by_vendor_ref<S: Tenant>(tx: &Tx<S>, partner: Option<Uuid>, refs: Vec<String>) -> Result<HashMap<String, (PartnerId, CustomerId, SubscriptionId)>, Fault> {
    let rows: Vec<RefRow> = tx
        .rows(
            sql("SELECT vendor_ref, partner_id, customer_id, id FROM todoku.subscription WHERE vendor_id = {} AND ({}::uuid IS NULL OR partner_id = {}) AND vendor_ref = ANY ({}) AND vendor_ref IS NOT NULL")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<Nullable<SqlUuid>, _>(partner)
                .bind::<Nullable<SqlUuid>, _>(partner)
                .bind::<Array<Text>, _>(refs),
        )
        .await?;
    let mut found = HashMap::new();
    let mut twice = Vec::new();
    for row in rows {
        let subject = (PartnerId::of(row.partner_id), CustomerId::of(row.customer_id), SubscriptionId::of(row.id));
        if found.insert(row.vendor_ref.clone(), subject).is_some() {
            twice.push(row.vendor_ref);
        }
    }
    found.retain(|reference, _| !twice.contains(reference));
    Ok(found)
}

/// A report as listed.
#[derive(QueryableByName, Debug, Clone)]
#[allow(missing_docs, reason = "the columns of status_report")]
pub struct ReportRow {
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub customer_id: Uuid,
    #[diesel(sql_type = Text)]
    pub external_id: String,
    #[diesel(sql_type = Integer)]
    pub revision: i32,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub replaces_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Date>)]
    pub period_start: Option<NaiveDate>,
    #[diesel(sql_type = Date)]
    pub period_end: NaiveDate,
    #[diesel(sql_type = Nullable<Text>)]
    pub declared_band: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub comment: Option<String>,
    #[diesel(sql_type = Nullable<Jsonb>)]
    pub open_cases: Option<serde_json::Value>,
    #[diesel(sql_type = Timestamptz)]
    pub received_at: Moment,
}

/// All revisions of the reports about a visible customer, or about all of them, newest ids last.
pub async fn list_reports<S: Tenant>(tx: &Tx<S>, customer: Option<CustomerId>, window: &Window<(Uuid, Uuid)>) -> Result<Page<ReportRow, (Uuid, Uuid)>, Fault> {
    let (after_partner, after_id) = window.after.unzip();
    let rows: Vec<ReportRow> = tx
        .rows(
            sql("SELECT r.partner_id, r.id, r.customer_id, r.external_id, r.revision, r.replaces_id, r.period_start, r.period_end, r.declared_band, t.comment, r.open_cases, r.received_at
                 FROM todoku.status_report r LEFT JOIN todoku.status_report_text t ON t.vendor_id = r.vendor_id AND t.partner_id = r.partner_id AND t.report_id = r.id
                 WHERE r.vendor_id = {} AND ({}::uuid[] IS NULL OR r.partner_id = ANY ({})) AND ({}::uuid IS NULL OR r.customer_id = {})
                   AND ({}::uuid IS NULL OR (r.partner_id, r.id) > ({}, {})) ORDER BY r.partner_id, r.id LIMIT {}")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
            .bind::<Nullable<SqlUuid>, _>(customer.map(TypeId::uuid))
            .bind::<Nullable<SqlUuid>, _>(customer.map(TypeId::uuid))
            .bind::<Nullable<SqlUuid>, _>(after_partner)
            .bind::<Nullable<SqlUuid>, _>(after_partner)
            .bind::<Nullable<SqlUuid>, _>(after_id)
            .bind::<BigInt, _>(window.limit + 1),
        )
        .await?;
    Ok(Page::cut(rows, window, |row| (row.partner_id, row.id)))
}
