//! How partners report: what is counted of some of them at once, and the flags that came of it. Texts are compared where they lie; none is read.

use crate::auth::{AnalystScope, Tenant};
use crate::db::{Tx, sql};
use crate::health::quality::{MIN_CHARACTERS, MIN_CUSTOMERS};
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId};
use crate::kernel::time::{Moment, Zone};
use chrono::{Duration, NaiveDate};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Date, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

/// How often a partner gave one value of a measure.
#[derive(QueryableByName)]
#[allow(missing_docs, reason = "the columns of observation")]
pub struct Given {
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub measure_id: Uuid,
    #[diesel(sql_type = Double)]
    pub value: f64,
    #[diesel(sql_type = BigInt)]
    pub n: i64,
}

/// The values partners declared since a day, counted: of reports the revision in force, of one day of one measure of a customer the last word.
pub async fn values_given(tx: &Tx<AnalystScope>, partners: &[Uuid], zone: Zone, since: NaiveDate) -> Result<Vec<Given>, Fault> {
    tx.rows(
        sql("SELECT partner_id, measure_id, value, count(*) AS n FROM (
               SELECT DISTINCT ON (partner_id, customer_id, measure_id, day) partner_id, measure_id, value FROM (
                 SELECT o.partner_id, o.customer_id, o.measure_id, o.value, (o.observed_at AT TIME ZONE {})::date AS day, o.observed_at, o.arrival
                 FROM todoku.observation o
                 WHERE o.vendor_id = {} AND o.partner_id = ANY ({}) AND o.audience = 'shared' AND o.evidence = 'partner_declared' AND o.observed_at >= {} AND o.observed_at < {}
                   AND (o.report_id IS NULL OR EXISTS (SELECT 1 FROM todoku.status_report_head h
                     WHERE h.vendor_id = o.vendor_id AND h.partner_id = o.partner_id AND h.customer_id = o.customer_id AND h.report_id = o.report_id))) said
               ORDER BY partner_id, customer_id, measure_id, day, observed_at DESC, arrival DESC) latest
             GROUP BY partner_id, measure_id, value")
        .bind::<Text, _>(zone.name())
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Array<SqlUuid>, _>(partners.to_vec())
        .bind::<Timestamptz, _>(zone.start_of(since))
        // Nothing is dated this far ahead; the months made ahead are not looked at.
        .bind::<Timestamptz, _>(tx.now() + Duration::days(1)),
    )
    .await
}

/// How many reports of a partner follow another of the same customer.
#[derive(QueryableByName)]
pub struct Repeats {
    /// The partner.
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    /// Those that do.
    #[diesel(sql_type = BigInt)]
    pub due: i64,
    /// Those of them that bear the same figures.
    #[diesel(sql_type = BigInt)]
    pub unchanged: i64,
}

/// The reports since a day, each beside the one before it, which may be as old as `earliest`. Reports without figures are left out.
pub async fn repeats(tx: &Tx<AnalystScope>, partners: &[Uuid], zone: Zone, since: NaiveDate, earliest: NaiveDate) -> Result<Vec<Repeats>, Fault> {
    tx.rows(
        sql("SELECT partner_id, count(*) AS due, count(*) FILTER (WHERE figures = figures_before) AS unchanged FROM (
               SELECT partner_id, period_end, figures, lag(figures) OVER (PARTITION BY partner_id, customer_id ORDER BY period_end, report_id) AS figures_before FROM (
                 SELECT h.partner_id, h.customer_id, h.report_id, h.period_end,
                   string_agg(o.measure_id::text || '=' || o.value::text, ' ' ORDER BY o.measure_id, o.observed_at, o.value) AS figures
                 FROM todoku.status_report_head h JOIN todoku.observation o
                   ON o.vendor_id = h.vendor_id AND o.partner_id = h.partner_id AND o.customer_id = h.customer_id AND o.report_id = h.report_id
                 WHERE h.vendor_id = {} AND h.partner_id = ANY ({}) AND h.period_end >= {} AND o.audience = 'shared' AND o.evidence = 'partner_declared' AND o.observed_at >= {} AND o.observed_at < {}
                 GROUP BY h.partner_id, h.customer_id, h.report_id, h.period_end) reports) follows
             WHERE period_end >= {} AND figures_before IS NOT NULL GROUP BY partner_id")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Array<SqlUuid>, _>(partners.to_vec())
        .bind::<Date, _>(earliest)
        .bind::<Timestamptz, _>(zone.start_of(earliest))
        .bind::<Timestamptz, _>(tx.now() + Duration::days(1))
        .bind::<Date, _>(since),
    )
    .await
}

/// How often a partner's commonest comment was given.
#[derive(QueryableByName)]
pub struct Commonest {
    /// The partner.
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    /// All its comments that are long enough.
    #[diesel(sql_type = BigInt)]
    pub comments: i64,
    /// Those of them with the commonest text, but for capitals and blanks around it.
    #[diesel(sql_type = BigInt)]
    pub alike: i64,
    /// The customers it is about.
    #[diesel(sql_type = BigInt)]
    pub customers: i64,
}

/// The commonest comment of each partner since a day, in the revisions in force; first among those about enough customers, then among all.
pub async fn commonest_comments(tx: &Tx<AnalystScope>, partners: &[Uuid], since: NaiveDate) -> Result<Vec<Commonest>, Fault> {
    tx.rows(
        sql("SELECT DISTINCT ON (partner_id) partner_id, comments, alike, customers FROM (
               SELECT h.partner_id, (sum(count(*)) OVER (PARTITION BY h.partner_id))::bigint AS comments, count(*) AS alike, count(DISTINCT h.customer_id) AS customers
               FROM todoku.status_report_head h JOIN todoku.status_report_text t ON t.vendor_id = h.vendor_id AND t.partner_id = h.partner_id AND t.report_id = h.report_id
               WHERE h.vendor_id = {} AND h.partner_id = ANY ({}) AND h.period_end >= {} AND char_length(btrim(t.comment)) >= {}
               GROUP BY h.partner_id, md5(lower(btrim(t.comment)))) texts
             ORDER BY partner_id, (customers >= {}) DESC, alike DESC, customers DESC")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Array<SqlUuid>, _>(partners.to_vec())
        .bind::<Date, _>(since)
        .bind::<Integer, _>(MIN_CHARACTERS)
        .bind::<BigInt, _>(MIN_CUSTOMERS as i64),
    )
    .await
}

/// A flag as kept; shares in thousandths, `n` is 0 where it ended.
#[derive(QueryableByName, Debug, Clone)]
#[allow(missing_docs, reason = "the columns of quality_flag")]
pub struct QualityFlag {
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = Date)]
    pub found_on: NaiveDate,
    #[diesel(sql_type = Timestamptz)]
    pub known_from: Moment,
    #[diesel(sql_type = Integer)]
    pub n: i32,
    #[diesel(sql_type = Integer)]
    pub counted: i32,
    #[diesel(sql_type = Integer)]
    pub share: i32,
    #[diesel(sql_type = Nullable<Integer>)]
    pub peers: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub customers: Option<i32>,
}

/// Keeps flags of a day.
pub async fn keep_flags(tx: &Tx<AnalystScope>, list: &[QualityFlag]) -> Result<(), Fault> {
    if list.is_empty() {
        return Ok(());
    }
    tx.run(
        sql("INSERT INTO todoku.quality_flag (vendor_id, partner_id, kind, found_on, known_from, n, counted, share, peers, customers)
             SELECT {}, u.* FROM unnest({}, {}, {}, {}, {}, {}, {}, {}, {}) AS u ON CONFLICT DO NOTHING")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Array<SqlUuid>, _>(list.iter().map(|f| f.partner_id).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|f| f.kind.clone()).collect::<Vec<_>>())
        .bind::<Array<Date>, _>(list.iter().map(|f| f.found_on).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(list.iter().map(|f| f.known_from).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(list.iter().map(|f| f.n).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(list.iter().map(|f| f.counted).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(list.iter().map(|f| f.share).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(list.iter().map(|f| f.peers).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(list.iter().map(|f| f.customers).collect::<Vec<_>>()),
    )
    .await
    .map(drop)
}

/// The newest row of every partner and kind of the vendor.
pub async fn standing_flags(tx: &Tx<AnalystScope>) -> Result<Vec<QualityFlag>, Fault> {
    tx.rows(
        sql("SELECT DISTINCT ON (partner_id, kind) partner_id, kind, found_on, known_from, n, counted, share, peers, customers FROM todoku.quality_flag
             WHERE vendor_id = {} ORDER BY partner_id, kind, found_on DESC")
        .bind::<SqlUuid, _>(tx.scope().vendor()),
    )
    .await
}

/// The row of each kind of a partner that was the newest at a moment.
pub async fn newest_flags<S: Tenant>(tx: &Tx<S>, partner: PartnerId, at: Moment) -> Result<Vec<QualityFlag>, Fault> {
    tx.rows(
        sql("SELECT DISTINCT ON (kind) partner_id, kind, found_on, known_from, n, counted, share, peers, customers FROM todoku.quality_flag
             WHERE vendor_id = {} AND partner_id = {} AND known_from <= {} ORDER BY kind, found_on DESC")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(partner.uuid())
        .bind::<Timestamptz, _>(at),
    )
    .await
}
