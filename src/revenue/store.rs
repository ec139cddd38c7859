//! Outcomes, as SQL.

use super::outcome::OutcomeKind;
use crate::auth::{StaffScope, Tenant};
use crate::db::{Tx, sql};
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, OutcomeId, PartnerId, SubscriptionId, TypeId};
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, Date, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// An outcome to be kept.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of outcome")]
pub struct NewOutcome {
    pub id: OutcomeId,
    pub partner: PartnerId,
    pub customer: CustomerId,
    pub subscription: Option<SubscriptionId>,
    pub kind: OutcomeKind,
    pub occurred_on: NaiveDate,
    pub reason: Option<String>,
}

/// What makes an outcome one: whose, what, when.
pub type Once = (Uuid, Option<Uuid>, String, NaiveDate);

impl NewOutcome {
    /// Its natural key.
    pub fn once(&self) -> Once {
        (self.customer.uuid(), self.subscription.map(TypeId::uuid), self.kind.to_string(), self.occurred_on)
    }
}

#[derive(QueryableByName)]
struct KeptRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    subscription_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Date)]
    occurred_on: NaiveDate,
}

/// Keeps outcomes; answers which id stands for each natural key, ours or the one that was there.
pub async fn keep<S: Tenant>(tx: &Tx<S>, audience: &'static str, by: Uuid, list: &[NewOutcome]) -> Result<HashMap<Once, OutcomeId>, Fault> {
    tx.run(
        sql("INSERT INTO todoku.outcome (vendor_id, partner_id, id, customer_id, subscription_id, kind, occurred_on, reason, audience, recorded_at, recorded_by)
             SELECT {}, partner, id, customer, subscription, kind, occurred_on, reason, {}, {}, {}
             FROM unnest({}, {}, {}, {}, {}, {}, {}) AS u(partner, id, customer, subscription, kind, occurred_on, reason)
             ON CONFLICT ON CONSTRAINT outcome_once DO NOTHING")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Text, _>(audience)
        .bind::<Timestamptz, _>(tx.now())
        .bind::<SqlUuid, _>(by)
        .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.partner.uuid()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.id.uuid()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.customer.uuid()).collect::<Vec<_>>())
        .bind::<Array<Nullable<SqlUuid>>, _>(list.iter().map(|o| o.subscription.map(TypeId::uuid)).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|o| o.kind.as_str()).collect::<Vec<_>>())
        .bind::<Array<Date>, _>(list.iter().map(|o| o.occurred_on).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(list.iter().map(|o| o.reason.clone()).collect::<Vec<_>>()),
    )
    .await?;
    let rows: Vec<KeptRow> = tx
        .rows(
            sql("SELECT o.id, o.customer_id, o.subscription_id, o.kind, o.occurred_on FROM todoku.outcome o
                   JOIN (SELECT DISTINCT * FROM unnest({}, {}, {}, {}) AS u(partner, customer, kind, occurred_on)) u
                     ON o.partner_id = u.partner AND o.customer_id = u.customer AND o.kind = u.kind AND o.occurred_on = u.occurred_on
                 WHERE o.vendor_id = {} AND o.audience = {}")
            .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.partner.uuid()).collect::<Vec<_>>())
            .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.customer.uuid()).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(list.iter().map(|o| o.kind.as_str()).collect::<Vec<_>>())
            .bind::<Array<Date>, _>(list.iter().map(|o| o.occurred_on).collect::<Vec<_>>())
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Text, _>(audience),
        )
        .await?;
    Ok(rows.into_iter().map(|row| ((row.customer_id, row.subscription_id, row.kind, row.occurred_on), OutcomeId::of(row.id))).collect())
}

/// What became of a customer, for whoever learns from it.
#[derive(QueryableByName, Debug, Clone)]
#[allow(missing_docs, reason = "the columns of outcome")]
pub struct Settled {
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub customer_id: Uuid,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    pub lost: bool,
    #[diesel(sql_type = Date)]
    pub occurred_on: NaiveDate,
}

/// Every outcome the vendor knows of, by partner and customer: one of each customer and day, lost when all that ended was lost. Where the
/// vendor and the partner speak of the same day, the vendor's word counts.
pub async fn settled(tx: &Tx<StaffScope>) -> Result<Vec<Settled>, Fault> {
    tx.rows(
        sql("SELECT partner_id, customer_id, coalesce(bool_and(kind = 'churned') FILTER (WHERE audience = 'vendor'), bool_and(kind = 'churned')) AS lost, occurred_on FROM todoku.outcome
             WHERE vendor_id = {} GROUP BY partner_id, customer_id, occurred_on ORDER BY partner_id, customer_id, occurred_on")
        .bind::<SqlUuid, _>(tx.scope().vendor()),
    )
    .await
}
