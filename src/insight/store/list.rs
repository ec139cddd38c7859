//! Lists that say where to look first: as they stand, and as days closed.

use super::cell::{Days, columns};
use crate::auth::{StaffScope, Tenant, WorkerScope};
use crate::db::{Sql, Tx, sql};
use crate::health::Sources;
use crate::kernel::error::Fault;
use chrono::{Duration, NaiveDate};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Date, Double, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How many customers of a partner a close keeps of each list, the first in its order: of lists that say where to look first nobody reads more
/// afterwards, and a partner with many whom nobody hears of would fill the table day by day.
const KEPT: i64 = 1_000;
/// How many unknown customers stand beside those at risk.
pub const UNKNOWN_BESIDE: i64 = 20;
/// Of the unknown, those stand there whose renewal is this near, in days (SCIENCE 2.6).
const UNKNOWN_RENEWS_WITHIN: i64 = 180;

// What is shown of a row `h` and its customer `c`. What may be another tomorrow, its name and who looks after a gap, is no part of a closed list: the same
// question gives the same answer for ever.
macro_rules! divergent {
    ($name:literal, $computed:expr) => {
        concat!(shown!($name, $computed), ", h.sources, h.divergence, h.diverges_since, h.divergence_weight")
    };
}
macro_rules! listed {
    ($name:literal, $computed:expr) => {
        concat!(shown!($name, $computed), ", h.renews_on, h.reported_on")
    };
}
macro_rules! shown {
    ($name:literal, $computed:expr) => {
        concat!("h.partner_id, h.customer_id, c.external_id, ", $name, " AS name, h.score, h.low, h.high, ", $computed, ", h.coverage, h.value_minor, h.unconverted, h.scored_for")
    };
}
// What the evidence said of a score a person set, which alone is known and has no interval: that is the last that adjusts it, and alone tells an interval.
macro_rules! computed {
    () => {
        "CASE WHEN score IS NOT NULL AND low IS NULL THEN (adjustments -> -1 ->> 'from')::int END AS computed,
           (adjustments -> -1 -> 'interval' ->> 0)::int AS computed_low, (adjustments -> -1 -> 'interval' ->> 1)::int AS computed_high"
    };
}
macro_rules! computed_then {
    () => {
        "h.computed, h.computed_low, h.computed_high"
    };
}
macro_rules! customer {
    () => {
        " JOIN todoku.customer c ON c.vendor_id = h.vendor_id AND c.partner_id = h.partner_id AND c.id = h.customer_id"
    };
}
// The order of each list, and what ends a look at a page of it.
macro_rules! gap_order {
    () => {
        " ORDER BY h.divergence_weight DESC, h.customer_id"
    };
}
macro_rules! gap_page {
    () => {
        concat!(
            " AND h.diverges_since IS NOT NULL AND ({}::float8 IS NULL OR h.divergence_weight <= {} AND (h.divergence_weight < {} OR h.customer_id > {}))",
            gap_order!(),
            " LIMIT {}"
        )
    };
}
macro_rules! value_order {
    () => {
        " ORDER BY h.value_minor DESC, h.renews_on, h.customer_id"
    };
}
macro_rules! value_page {
    () => {
        concat!(
            " AND ({}::bigint IS NULL OR h.value_minor <= {} AND (h.value_minor < {}
                 OR coalesce(h.renews_on, 'infinity') > coalesce({}, 'infinity'::date)
                 OR coalesce(h.renews_on, 'infinity') = coalesce({}, 'infinity'::date) AND h.customer_id > {}))",
            value_order!(),
            " LIMIT {}"
        )
    };
}
// The rows of each partner's day, of each only as many as the page may take, so that a look costs by partners and not by rows; then the page of all.
macro_rules! closed {
    ($page:expr, $order:expr) => {
        concat!(
            " FROM (SELECT h.* FROM unnest({}, {}) AS d(partner_id, closed_on) CROSS JOIN LATERAL
                 (SELECT h.* FROM todoku.list_close h WHERE h.vendor_id = {} AND h.partner_id = d.partner_id AND h.closed_on = d.closed_on",
            $page,
            ") h",
            $order,
            " LIMIT {}) h",
            customer!(),
            $order
        )
    };
}

macro_rules! closed_by_value {
    ($standing:literal) => {
        concat!("SELECT ", listed!("NULL::text", computed_then!()), closed!(concat!(" AND h.audience = {}", $standing, value_page!()), value_order!()))
    };
}

/// Which list by value.
#[derive(Debug, Clone, Copy)]
pub enum ByValue {
    /// All of a band.
    Band(&'static str),
    /// The unknown beside those at risk on a day: whose renewal is near. A day that closed has kept who they were.
    Beside(NaiveDate),
}

/// Where a list by value goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Position {
    /// The value of the last row.
    pub value: i64,
    /// Its renewal.
    pub renews_on: Option<NaiveDate>,
    /// Its customer.
    pub customer: Uuid,
}

/// Where the list of divergences goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gap {
    /// Divergence x value of the last row.
    pub weight: f64,
    /// Its customer.
    pub customer: Uuid,
}

/// A customer whose sources disagree.
#[derive(QueryableByName, Debug, Clone)]
#[allow(missing_docs, reason = "the columns of health_score or list_close, customer and divergence_owner")]
pub struct Divergent {
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub customer_id: Uuid,
    #[diesel(sql_type = Text)]
    pub external_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub name: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub score: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub low: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub high: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub computed: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub computed_low: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub computed_high: Option<i32>,
    #[diesel(sql_type = Integer)]
    pub coverage: i32,
    #[diesel(sql_type = Jsonb)]
    sources: serde_json::Value,
    #[diesel(sql_type = Integer)]
    pub divergence: i32,
    #[diesel(sql_type = Date)]
    pub diverges_since: NaiveDate,
    #[diesel(sql_type = Double)]
    pub divergence_weight: f64,
    #[diesel(sql_type = Nullable<Text>)]
    pub owner: Option<String>,
    #[diesel(sql_type = BigInt)]
    pub value_minor: i64,
    #[diesel(sql_type = Nullable<Bool>)]
    pub unconverted: Option<bool>,
    #[diesel(sql_type = Date)]
    pub scored_for: NaiveDate,
}

impl Divergent {
    /// What each source says by itself.
    pub fn sources(&self) -> Result<Sources, Fault> {
        Sources::deserialize(&self.sources).map_err(Fault::internal)
    }

    /// Its place in the list.
    pub fn gap(&self) -> Gap {
        Gap { weight: self.divergence_weight, customer: self.customer_id }
    }
}

/// The vendor's customers whose sources lie far apart, largest divergence x value first: as they stand or, given the days, as each partner's closed.
/// Who looks after one is not kept, so closed ones have no owner.
pub async fn divergences(tx: &Tx<StaffScope>, days: Option<&Days>, after: Option<&Gap>, limit: i64) -> Result<Vec<Divergent>, Fault> {
    let page = |statement: Sql| {
        statement
            .bind::<Nullable<Double>, _>(after.map(|gap| gap.weight))
            .bind::<Nullable<Double>, _>(after.map(|gap| gap.weight))
            .bind::<Nullable<Double>, _>(after.map(|gap| gap.weight))
            .bind::<Nullable<SqlUuid>, _>(after.map(|gap| gap.customer))
            .bind::<BigInt, _>(limit)
    };
    let Some(days) = days else {
        let standing = sql(concat!(
            "SELECT ",
            divergent!("c.name", computed!()),
            ", w.owner FROM todoku.health_score h",
            customer!(),
            " LEFT JOIN todoku.divergence_owner w ON w.vendor_id = h.vendor_id AND w.customer_id = h.customer_id WHERE h.vendor_id = {} AND h.counted",
            gap_page!()
        ));
        return tx.rows(page(standing.bind::<SqlUuid, _>(tx.scope().vendor()))).await;
    };
    let (partners, days) = columns(days);
    let closed = sql(concat!("SELECT ", divergent!("NULL::text", computed_then!()), ", NULL::text AS owner", closed!(gap_page!(), gap_order!())))
        .bind::<Array<SqlUuid>, _>(partners)
        .bind::<Array<Date>, _>(days)
        .bind::<SqlUuid, _>(tx.scope().vendor());
    tx.rows(page(closed).bind::<BigInt, _>(limit)).await
}

/// A customer in a list by value.
#[derive(QueryableByName, Debug, Clone)]
#[allow(missing_docs, reason = "the columns of health_score or list_close, and customer")]
pub struct Listed {
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub customer_id: Uuid,
    #[diesel(sql_type = Text)]
    pub external_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub name: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub score: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub low: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub high: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub computed: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub computed_low: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub computed_high: Option<i32>,
    #[diesel(sql_type = Integer)]
    pub coverage: i32,
    #[diesel(sql_type = BigInt)]
    pub value_minor: i64,
    #[diesel(sql_type = Nullable<Bool>)]
    pub unconverted: Option<bool>,
    #[diesel(sql_type = Nullable<Date>)]
    pub renews_on: Option<NaiveDate>,
    #[diesel(sql_type = Nullable<Date>)]
    pub reported_on: Option<NaiveDate>,
    #[diesel(sql_type = Date)]
    pub scored_for: NaiveDate,
}

impl Listed {
    /// Its place in the list.
    pub fn position(&self) -> Position {
        Position { value: self.value_minor, renews_on: self.renews_on, customer: self.customer_id }
    }
}

/// Visible customers of a list: highest value first, then nearest renewal, then id. As they stand or, given the days, as each partner's closed.
pub async fn by_value<S: Tenant>(tx: &Tx<S>, audience: &'static str, list: ByValue, days: Option<&Days>, after: Option<&Position>, limit: i64) -> Result<Vec<Listed>, Fault> {
    let (value, renews, customer) = (after.map(|a| a.value), after.and_then(|a| a.renews_on), after.map(|a| a.customer));
    let page = |statement: Sql| {
        statement
            .bind::<Nullable<BigInt>, _>(value)
            .bind::<Nullable<BigInt>, _>(value)
            .bind::<Nullable<BigInt>, _>(value)
            .bind::<Nullable<Date>, _>(renews)
            .bind::<Nullable<Date>, _>(renews)
            .bind::<Nullable<SqlUuid>, _>(customer)
            .bind::<BigInt, _>(limit)
    };
    let Some(days) = days else {
        let (band, renews_by) = match list {
            ByValue::Band(band) => (band, None),
            ByValue::Beside(on) => ("unknown", Some(on + Duration::days(UNKNOWN_RENEWS_WITHIN))),
        };
        let standing = sql(concat!(
            "SELECT ",
            listed!("c.name", computed!()),
            " FROM todoku.health_score h",
            customer!(),
            " WHERE h.vendor_id = {} AND h.audience = {} AND h.band = {} AND h.counted AND ({}::uuid[] IS NULL OR h.partner_id = ANY ({}))
               AND ({}::date IS NULL OR h.renews_on <= {})",
            value_page!()
        ))
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Text, _>(audience)
        .bind::<Text, _>(band)
        .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
        .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
        .bind::<Nullable<Date>, _>(renews_by)
        .bind::<Nullable<Date>, _>(renews_by);
        return tx.rows(page(standing)).await;
    };
    let (partners, days) = columns(days);
    let (text, band) = match list {
        ByValue::Band(band) => (closed_by_value!(" AND h.band = {}"), Some(band)),
        ByValue::Beside(_) => (closed_by_value!(" AND h.beside"), None),
    };
    let closed = sql(text).bind::<Array<SqlUuid>, _>(partners).bind::<Array<Date>, _>(days).bind::<SqlUuid, _>(tx.scope().vendor()).bind::<Text, _>(audience);
    let closed = match band {
        Some(band) => closed.bind::<Text, _>(band),
        None => closed,
    };
    tx.rows(page(closed).bind::<BigInt, _>(limit)).await
}

/// Keeps who of a partner's customers stands on a list, as the close of a day; a close is written once. Each list is cut by itself: one that is kept
/// for its divergence alone stands on no list by value, and the other way round. The unknown beside those at risk are a list of their own, as long as
/// a look at it: they may be worth less than the first thousand.
pub async fn close_lists(tx: &Tx<WorkerScope>, day: NaiveDate) -> Result<(), Fault> {
    tx.run(
        sql(concat!("WITH standing AS (SELECT *, ", computed!(), ", band = 'unknown' AND coalesce(renews_on <= {}, false) AS is_near FROM todoku.health_score
               WHERE vendor_id = {} AND partner_id = {} AND counted AND (band IN ('at_risk', 'unknown') OR diverges_since IS NOT NULL)),
             placed AS (SELECT *, row_number() OVER (PARTITION BY audience, band ORDER BY value_minor DESC, renews_on, customer_id) AS by_value,
               row_number() OVER (PARTITION BY audience, is_near ORDER BY value_minor DESC, renews_on, customer_id) AS by_near,
               row_number() OVER (PARTITION BY audience, diverges_since IS NULL ORDER BY divergence_weight DESC, customer_id) AS by_gap FROM standing),
             kept AS (SELECT *, band IN ('at_risk', 'unknown') AND by_value <= {} AS is_listed, is_near AND by_near <= {} AS is_beside,
               diverges_since IS NOT NULL AND by_gap <= {} AS is_divergent FROM placed)
             INSERT INTO todoku.list_close (closed_on, vendor_id, partner_id, customer_id, audience, band, beside, score, low, high, coverage, value_minor, renews_on,
               reported_on, scored_for, unconverted, computed, computed_low, computed_high, sources, divergence, diverges_since, divergence_weight)
             SELECT {}, vendor_id, partner_id, customer_id, audience, CASE WHEN is_listed THEN band END, is_beside, score, low, high, coverage, value_minor, renews_on,
               reported_on, scored_for, unconverted, computed, computed_low, computed_high, CASE WHEN is_divergent THEN sources END, CASE WHEN is_divergent THEN divergence END, CASE WHEN is_divergent THEN diverges_since END,
               CASE WHEN is_divergent THEN divergence_weight END FROM kept WHERE is_listed OR is_beside OR is_divergent ON CONFLICT DO NOTHING"))
        .bind::<Date, _>(day + Duration::days(UNKNOWN_RENEWS_WITHIN))
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().partner())
        .bind::<BigInt, _>(KEPT)
        .bind::<BigInt, _>(UNKNOWN_BESIDE + 1)
        .bind::<BigInt, _>(KEPT)
        .bind::<Date, _>(day),
    )
    .await
    .map(drop)
}
