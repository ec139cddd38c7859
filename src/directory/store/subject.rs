//! Whom reports and observations are about: customers and subscriptions by the ids bodies name them with.

use crate::auth::Tenant;
use crate::db::{Tx, sql};
use crate::kernel::error::Fault;
use diesel::QueryableByName;
use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// A customer's two ids.
#[derive(QueryableByName)]
pub struct Named {
    /// Our id.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// The partner's own.
    #[diesel(sql_type = Text)]
    pub external_id: String,
}

/// Locks the acting partner's customers by either id.
pub async fn lock_named<S: Tenant>(tx: &Tx<S>, ids: Vec<Uuid>, external_ids: Vec<String>) -> Result<Vec<Named>, Fault> {
    tx.rows(
        sql("SELECT id, external_id FROM todoku.customer WHERE vendor_id = {} AND partner_id = {} AND (id = ANY ({}) OR external_id = ANY ({})) ORDER BY id FOR NO KEY UPDATE")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(tx.scope().acts()?)
            .bind::<Array<SqlUuid>, _>(ids)
            .bind::<Array<Text>, _>(external_ids),
    )
    .await
}

/// Which of these ids may be seen though they belong to another partner.
pub async fn seen_elsewhere<S: Tenant>(tx: &Tx<S>, ids: &[Uuid]) -> Result<Vec<Uuid>, Fault> {
    #[derive(QueryableByName)]
    struct Id {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let statement = match tx.scope().visible() {
        Some(partners) => sql("SELECT id FROM todoku.customer WHERE vendor_id = {} AND partner_id = ANY ({}) AND id = ANY ({})")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Array<SqlUuid>, _>(partners)
            .bind::<Array<SqlUuid>, _>(ids.to_vec()),
        None => sql("SELECT customer_id AS id FROM todoku.customer_locator WHERE vendor_id = {} AND customer_id = ANY ({})")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Array<SqlUuid>, _>(ids.to_vec()),
    };
    Ok(tx.rows::<Id>(statement).await?.into_iter().map(|row| row.id).collect())
}

/// A partner's subscriptions by its own ids: `(external id, customer) -> id`.
pub async fn subscriptions_named<S: Tenant>(tx: &Tx<S>, partner: Uuid, external_ids: Vec<String>) -> Result<HashMap<(String, Uuid), Uuid>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        external_id: String,
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT external_id, customer_id, id FROM todoku.subscription WHERE vendor_id = {} AND partner_id = {} AND external_id = ANY ({})")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(partner)
                .bind::<Array<Text>, _>(external_ids),
        )
        .await?;
    Ok(rows.into_iter().map(|row| ((row.external_id, row.customer_id), row.id)).collect())
}

/// The partners of customers, for the vendor.
pub async fn partners_of<S: Tenant>(tx: &Tx<S>, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Uuid>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = SqlUuid)]
        partner_id: Uuid,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT customer_id, partner_id FROM todoku.customer_locator WHERE vendor_id = {} AND customer_id = ANY ({})")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<Array<SqlUuid>, _>(ids),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.customer_id, row.partner_id)).collect())
}

/// The customers of a partner by its own ids, for the vendor.
pub async fn customers_named<S: Tenant>(tx: &Tx<S>, partner: Uuid, external_ids: Vec<String>) -> Result<Vec<Named>, Fault> {
    tx.rows(
        sql("SELECT id, external_id FROM todoku.customer WHERE vendor_id = {} AND partner_id = {} AND external_id = ANY ({})")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner)
            .bind::<Array<Text>, _>(external_ids),
    )
    .await
}
