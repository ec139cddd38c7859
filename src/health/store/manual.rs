//! Overrides.

use super::broken;
use crate::auth::{StaffScope, Tenant};
use crate::db::{Tx, sql};
use crate::health::manual::Override;
use crate::health::scorecard::Purpose;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, OverrideId, PartnerId, TypeId};
use crate::kernel::time::Moment;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Date, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// The scores set by persons that count for customers of the acting partner on a day; of several for one purpose the last made.
pub async fn overrides_in_force<S: Tenant>(tx: &Tx<S>, customers: Vec<Uuid>, on: NaiveDate) -> Result<HashMap<(Uuid, Purpose), (OverrideId, i32)>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = Text)]
        purpose: String,
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
        #[diesel(sql_type = Integer)]
        score: i32,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT DISTINCT ON (customer_id, purpose) customer_id, purpose, id, score FROM todoku.health_override
                 WHERE vendor_id = {} AND partner_id = {} AND customer_id = ANY ({}) AND counts_from IS NOT NULL AND withdrawn_at IS NULL AND expires_on >= {}
                 ORDER BY customer_id, purpose, id DESC")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(tx.scope().acts()?)
            .bind::<Array<SqlUuid>, _>(customers)
            .bind::<Date, _>(on),
        )
        .await?;
    rows.into_iter().map(|row| Ok(((row.customer_id, row.purpose.parse().map_err(broken)?), (OverrideId::of(row.id), row.score)))).collect()
}

/// What deciding about an approval needs.
#[derive(QueryableByName)]
#[allow(missing_docs, reason = "see manual::needs_approval")]
pub struct AtStake {
    #[diesel(sql_type = Nullable<BigInt>)]
    pub value_minor: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub from_minor: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub strictest_minor: Option<i64>,
}

/// What a customer is worth, and from which value on its scorecard, and the strictest of the purpose, ask for a second person. `None` when no
/// scorecard of the purpose is active.
pub async fn at_stake(tx: &Tx<StaffScope>, partner: PartnerId, customer: CustomerId, purpose: Purpose) -> Result<Option<AtStake>, Fault> {
    tx.row(
        sql("SELECT (SELECT CASE WHEN NOT h.unconverted THEN h.value_minor END FROM todoku.health_score h WHERE h.vendor_id = c.vendor_id AND h.partner_id = {}
               AND h.customer_id = {} AND h.audience = 'vendor' AND h.purpose = {}) AS value_minor,
               (SELECT (s.policy ->> 'override_approval_from_minor')::bigint FROM todoku.health_score h JOIN todoku.scorecard s ON s.vendor_id = h.vendor_id AND s.id = h.scorecard_id
                WHERE h.vendor_id = c.vendor_id AND h.partner_id = {} AND h.customer_id = {} AND h.audience = 'vendor' AND h.purpose = {}) AS from_minor,
               c.strictest_minor
             FROM (SELECT vendor_id, min((policy ->> 'override_approval_from_minor')::bigint) AS strictest_minor FROM todoku.scorecard
                   WHERE vendor_id = {} AND state = 'active' AND purpose = {} GROUP BY vendor_id) c")
        .bind::<SqlUuid, _>(partner.uuid())
        .bind::<SqlUuid, _>(customer.uuid())
        .bind::<Text, _>(purpose.as_str())
        .bind::<SqlUuid, _>(partner.uuid())
        .bind::<SqlUuid, _>(customer.uuid())
        .bind::<Text, _>(purpose.as_str())
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Text, _>(purpose.as_str()),
    )
    .await
}

/// Adds an override with its words.
pub async fn insert_override(tx: &Tx<StaffScope>, o: &Override) -> Result<(), Fault> {
    tx.run(
        sql("WITH o AS (INSERT INTO todoku.health_override (vendor_id, id, partner_id, customer_id, purpose, score, author_id, created_at, expires_on, counts_from)
               VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}) RETURNING vendor_id, id)
             INSERT INTO todoku.health_override_text (vendor_id, override_id, reason, evidence_link) SELECT vendor_id, id, {}, {} FROM o")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(o.id.uuid())
        .bind::<SqlUuid, _>(o.partner.uuid())
        .bind::<SqlUuid, _>(o.customer.uuid())
        .bind::<Text, _>(o.purpose.as_str())
        .bind::<Integer, _>(o.score)
        .bind::<SqlUuid, _>(o.author)
        .bind::<Timestamptz, _>(o.created_at)
        .bind::<Date, _>(o.expires_on)
        .bind::<Nullable<Timestamptz>, _>(o.counts_from)
        .bind::<Text, _>(o.reason.clone())
        .bind::<Nullable<Text>, _>(o.evidence_link.clone()),
    )
    .await
    .map(drop)
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = Text)]
    purpose: String,
    #[diesel(sql_type = Integer)]
    score: i32,
    #[diesel(sql_type = Text)]
    reason: String,
    #[diesel(sql_type = Nullable<Text>)]
    evidence_link: Option<String>,
    #[diesel(sql_type = SqlUuid)]
    author_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    created_at: Moment,
    #[diesel(sql_type = Date)]
    expires_on: NaiveDate,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    counts_from: Option<Moment>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    approver_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    withdrawn_at: Option<Moment>,
}

impl Row {
    fn read(self) -> Result<Override, Fault> {
        Ok(Override {
            id: OverrideId::of(self.id),
            partner: PartnerId::of(self.partner_id),
            customer: CustomerId::of(self.customer_id),
            purpose: self.purpose.parse().map_err(broken)?,
            score: self.score,
            reason: self.reason,
            evidence_link: self.evidence_link,
            author: self.author_id,
            created_at: self.created_at,
            expires_on: self.expires_on,
            counts_from: self.counts_from,
            approver: self.approver_id,
            withdrawn_at: self.withdrawn_at,
        })
    }
}

/// A customer's overrides set by a moment, newest first, at most 1,000.
pub async fn overrides(tx: &Tx<StaffScope>, partner: PartnerId, customer: CustomerId, by: Moment) -> Result<Vec<Override>, Fault> {
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT o.id, o.partner_id, o.customer_id, o.purpose, o.score, t.reason, t.evidence_link, o.author_id, o.created_at, o.expires_on, o.counts_from, o.approver_id, o.withdrawn_at
                 FROM todoku.health_override o JOIN todoku.health_override_text t ON t.vendor_id = o.vendor_id AND t.override_id = o.id
                 WHERE o.vendor_id = {} AND o.partner_id = {} AND o.customer_id = {} AND o.created_at <= {} ORDER BY o.id DESC LIMIT 1000")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner.uuid())
            .bind::<SqlUuid, _>(customer.uuid())
            .bind::<Timestamptz, _>(by),
        )
        .await?;
    rows.into_iter().map(Row::read).collect()
}

/// Locks one of a customer's overrides.
pub async fn lock_override(tx: &Tx<StaffScope>, customer: CustomerId, id: OverrideId) -> Result<Option<Override>, Fault> {
    let row: Option<Row> = tx
        .row(
            sql("SELECT o.id, o.partner_id, o.customer_id, o.purpose, o.score, t.reason, t.evidence_link, o.author_id, o.created_at, o.expires_on, o.counts_from, o.approver_id, o.withdrawn_at
                 FROM todoku.health_override o JOIN todoku.health_override_text t ON t.vendor_id = o.vendor_id AND t.override_id = o.id
                 WHERE o.vendor_id = {} AND o.id = {} AND o.customer_id = {} FOR UPDATE OF o")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(id.uuid())
            .bind::<SqlUuid, _>(customer.uuid()),
        )
        .await?;
    row.map(Row::read).transpose()
}

/// Lets a locked override count from now on.
pub async fn approve_override(tx: &Tx<StaffScope>, id: OverrideId, approver: Uuid) -> Result<(), Fault> {
    tx.run(
        sql("UPDATE todoku.health_override SET counts_from = {}, approver_id = {} WHERE vendor_id = {} AND id = {}")
            .bind::<Timestamptz, _>(tx.now())
            .bind::<SqlUuid, _>(approver)
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(id.uuid()),
    )
    .await
    .map(drop)
}

/// Takes a locked override back.
pub async fn withdraw_override(tx: &Tx<StaffScope>, id: OverrideId, by: Uuid) -> Result<(), Fault> {
    tx.run(
        sql("UPDATE todoku.health_override SET withdrawn_at = {}, withdrawn_by = {} WHERE vendor_id = {} AND id = {}")
            .bind::<Timestamptz, _>(tx.now())
            .bind::<SqlUuid, _>(by)
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(id.uuid()),
    )
    .await
    .map(drop)
}

/// Names who looks after the gap between a customer's sources; nobody when `None`.
pub async fn set_divergence_owner(tx: &Tx<StaffScope>, partner: PartnerId, customer: CustomerId, owner: Option<String>, by: Uuid) -> Result<(), Fault> {
    tx.run(
        sql("INSERT INTO todoku.divergence_owner (vendor_id, customer_id, partner_id, owner, assigned_by, assigned_at) VALUES ({}, {}, {}, {}, {}, {})
             ON CONFLICT (vendor_id, customer_id) DO UPDATE SET owner = excluded.owner, assigned_by = excluded.assigned_by, assigned_at = excluded.assigned_at")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(customer.uuid())
        .bind::<SqlUuid, _>(partner.uuid())
        .bind::<Nullable<Text>, _>(owner)
        .bind::<SqlUuid, _>(by)
        .bind::<Timestamptz, _>(tx.now()),
    )
    .await
    .map(drop)
}
