//! Lists that say where to look first.

use crate::auth::{StaffScope, Tenant};
use crate::db::{Tx, sql};
use crate::kernel::error::Fault;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Date, Double, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

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
#[allow(missing_docs, reason = "the columns of health_score, customer and divergence_owner")]
pub struct Divergent {
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub customer_id: Uuid,
    #[diesel(sql_type = Text)]
    pub external_id: String,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Nullable<Integer>)]
    pub score: Option<i32>,
    #[diesel(sql_type = Jsonb)]
    pub sources: serde_json::Value,
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
    #[diesel(sql_type = Date)]
    pub scored_for: NaiveDate,
}

impl Divergent {
    /// Its place in the list.
    pub fn gap(&self) -> Gap {
        Gap { weight: self.divergence_weight, customer: self.customer_id }
    }
}

/// The vendor's customers whose sources lie far apart, largest divergence x value first.
pub async fn divergences(tx: &Tx<StaffScope>, after: Option<&Gap>, limit: i64) -> Result<Vec<Divergent>, Fault> {
    tx.rows(
        sql("SELECT h.partner_id, h.customer_id, c.external_id, c.name, h.score, h.sources, h.divergence, h.diverges_since, h.divergence_weight, w.owner, h.value_minor, h.scored_for
             FROM todoku.health_score h JOIN todoku.customer c ON c.vendor_id = h.vendor_id AND c.partner_id = h.partner_id AND c.id = h.customer_id
               LEFT JOIN todoku.divergence_owner w ON w.vendor_id = h.vendor_id AND w.customer_id = h.customer_id
             WHERE h.vendor_id = {} AND h.diverges_since IS NOT NULL AND h.counted
               AND ({}::float8 IS NULL OR h.divergence_weight <= {} AND (h.divergence_weight < {} OR h.customer_id > {}))
             ORDER BY h.divergence_weight DESC, h.customer_id LIMIT {}")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Nullable<Double>, _>(after.map(|gap| gap.weight))
        .bind::<Nullable<Double>, _>(after.map(|gap| gap.weight))
        .bind::<Nullable<Double>, _>(after.map(|gap| gap.weight))
        .bind::<Nullable<SqlUuid>, _>(after.map(|gap| gap.customer))
        .bind::<BigInt, _>(limit),
    )
    .await
}

/// A customer in a list by value.
#[derive(QueryableByName, Debug, Clone)]
#[allow(missing_docs, reason = "the columns of health_score and customer")]
pub struct Listed {
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub customer_id: Uuid,
    #[diesel(sql_type = Text)]
    pub external_id: String,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Nullable<Integer>)]
    pub score: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub low: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub high: Option<i32>,
    #[diesel(sql_type = Integer)]
    pub coverage: i32,
    #[diesel(sql_type = BigInt)]
    pub value_minor: i64,
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

/// Visible customers of a band, of a renewal not later than a day if one is given: highest value first, then nearest renewal, then id.
pub async fn by_value<S: Tenant>(
    tx: &Tx<S>,
    audience: &'static str,
    band: &'static str,
    renews_by: Option<NaiveDate>,
    after: Option<&Position>,
    limit: i64,
) -> Result<Vec<Listed>, Fault> {
    let (value, renews, customer) = (after.map(|a| a.value), after.and_then(|a| a.renews_on), after.map(|a| a.customer));
    tx.rows(
        sql("SELECT h.partner_id, h.customer_id, c.external_id, c.name, h.score, h.low, h.high, h.coverage, h.value_minor, h.renews_on, h.reported_on, h.scored_for
             FROM todoku.health_score h JOIN todoku.customer c ON c.vendor_id = h.vendor_id AND c.partner_id = h.partner_id AND c.id = h.customer_id
             WHERE h.vendor_id = {} AND h.audience = {} AND h.band = {} AND h.counted AND ({}::uuid[] IS NULL OR h.partner_id = ANY ({}))
               AND ({}::date IS NULL OR h.renews_on <= {})
               AND ({}::bigint IS NULL OR h.value_minor <= {} AND (h.value_minor < {}
                 OR coalesce(h.renews_on, 'infinity') > coalesce({}, 'infinity'::date)
                 OR coalesce(h.renews_on, 'infinity') = coalesce({}, 'infinity'::date) AND h.customer_id > {}))
             ORDER BY h.value_minor DESC, h.renews_on, h.customer_id LIMIT {}")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Text, _>(audience)
        .bind::<Text, _>(band)
        .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
        .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
        .bind::<Nullable<Date>, _>(renews_by)
        .bind::<Nullable<Date>, _>(renews_by)
        .bind::<Nullable<BigInt>, _>(value)
        .bind::<Nullable<BigInt>, _>(value)
        .bind::<Nullable<BigInt>, _>(value)
        .bind::<Nullable<Date>, _>(renews)
        .bind::<Nullable<Date>, _>(renews)
        .bind::<Nullable<SqlUuid>, _>(customer)
        .bind::<BigInt, _>(limit),
    )
    .await
}
