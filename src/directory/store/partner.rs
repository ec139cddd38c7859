//! Partners and their tree.

use super::{maybe, word};
use crate::auth::{StaffScope, Tenant};
use crate::db::{Tx, sql};
use crate::directory::partner::Partner;
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId};
use crate::kernel::paging::{Page, Window};
use crate::kernel::time::Moment;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    external_id: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    parent_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    parent_sees: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<Text>)]
    tier: Option<String>,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: Moment,
    #[diesel(sql_type = Timestamptz)]
    updated_at: Moment,
}

impl Row {
    fn read(self) -> Result<Partner, Fault> {
        Ok(Partner {
            id: PartnerId::of(self.id),
            external_id: word(self.external_id)?,
            name: word(self.name)?,
            kind: word(self.kind)?,
            parent_id: self.parent_id.map(PartnerId::of),
            parent_sees: word(self.parent_sees)?,
            state: word(self.state)?,
            tier: maybe(self.tier)?,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// A visible partner.
pub async fn by_id<S: Tenant>(tx: &Tx<S>, id: PartnerId) -> Result<Option<Partner>, Fault> {
    let row: Option<Row> = tx
        .row(
            sql("SELECT id, external_id, name, kind, parent_id, parent_sees, state, tier, version, created_at, updated_at FROM todoku.partner
                 WHERE vendor_id = {} AND id = {} AND ({}::uuid[] IS NULL OR id = ANY ({}))")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(id.uuid())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().totals())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().totals()),
        )
        .await?;
    row.map(Row::read).transpose()
}

/// Locks a partner for a change by staff.
pub async fn lock(tx: &Tx<StaffScope>, id: PartnerId) -> Result<Option<Partner>, Fault> {
    let row: Option<Row> = tx
        .row(
            sql("SELECT id, external_id, name, kind, parent_id, parent_sees, state, tier, version, created_at, updated_at FROM todoku.partner
                 WHERE vendor_id = {} AND id = {} FOR NO KEY UPDATE")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(id.uuid()),
        )
        .await?;
    row.map(Row::read).transpose()
}

/// Visible partners in order of id.
pub async fn list<S: Tenant>(tx: &Tx<S>, window: &Window<Uuid>) -> Result<Page<Partner, Uuid>, Fault> {
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT id, external_id, name, kind, parent_id, parent_sees, state, tier, version, created_at, updated_at FROM todoku.partner
                 WHERE vendor_id = {} AND ({}::uuid[] IS NULL OR id = ANY ({})) AND ({}::uuid IS NULL OR id > {}) ORDER BY id LIMIT {}")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().totals())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().totals())
            .bind::<Nullable<SqlUuid>, _>(window.after)
            .bind::<Nullable<SqlUuid>, _>(window.after)
            .bind::<BigInt, _>(window.limit + 1),
        )
        .await?;
    let rows = rows.into_iter().map(Row::read).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, window, |partner| partner.id.uuid()))
}

/// Every visible partner, in order of id: what a view over the whole tree costs.
pub async fn all_visible<S: Tenant>(tx: &Tx<S>) -> Result<Vec<Partner>, Fault> {
    list(tx, &Window { limit: i64::MAX - 1, after: None }).await.map(|page| page.rows)
}

/// The partners the vendor had at a moment, each with the one above it then.
pub async fn parents_at<S: Tenant>(tx: &Tx<S>, at: Moment) -> Result<HashMap<PartnerId, Option<PartnerId>>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
        #[diesel(sql_type = Nullable<SqlUuid>)]
        parent_id: Option<Uuid>,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT id, parent_id FROM todoku.partner_version WHERE vendor_id = {} AND known_from <= {} AND (known_to IS NULL OR known_to > {})")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<Timestamptz, _>(at)
                .bind::<Timestamptz, _>(at),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (PartnerId::of(row.id), row.parent_id.map(PartnerId::of))).collect())
}

/// The names of the vendor's other partners.
pub async fn other_names(tx: &Tx<StaffScope>, than: PartnerId) -> Result<Vec<String>, Fault> {
    #[derive(QueryableByName)]
    struct NameRow {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let statement = sql("SELECT name FROM todoku.partner WHERE vendor_id = {} AND id <> {}").bind::<SqlUuid, _>(tx.scope().vendor()).bind::<SqlUuid, _>(than.uuid());
    Ok(tx.rows::<NameRow>(statement).await?.into_iter().map(|row| row.name).collect())
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// The ids of all partners of the vendor.
pub async fn all_ids<S: Tenant>(tx: &Tx<S>) -> Result<Vec<Uuid>, Fault> {
    let rows: Vec<IdRow> = tx.rows(sql("SELECT id FROM todoku.partner WHERE vendor_id = {} ORDER BY id").bind::<SqlUuid, _>(tx.scope().vendor())).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Adds a partner; `false` when its external id is taken.
pub async fn insert(tx: &Tx<StaffScope>, partner: &Partner) -> Result<bool, Fault> {
    let done = tx
        .run(
            sql("INSERT INTO todoku.partner (vendor_id, id, external_id, name, kind, parent_id, parent_sees, state, tier, version, created_at, updated_at)
                 VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) ON CONFLICT (vendor_id, external_id) DO NOTHING")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner.id.uuid())
            .bind::<Text, _>(partner.external_id.as_str().to_owned())
            .bind::<Text, _>(partner.name.as_str().to_owned())
            .bind::<Text, _>(partner.kind.as_str())
            .bind::<Nullable<SqlUuid>, _>(partner.parent_id.map(TypeId::uuid))
            .bind::<Text, _>(partner.parent_sees.as_str())
            .bind::<Text, _>(partner.state.as_str())
            .bind::<Nullable<Text>, _>(partner.tier.as_ref().map(|tier| tier.as_str().to_owned()))
            .bind::<BigInt, _>(partner.version)
            .bind::<Timestamptz, _>(partner.created_at)
            .bind::<Timestamptz, _>(partner.updated_at),
        )
        .await?;
    Ok(done == 1)
}

/// Writes a locked partner back.
pub async fn update(tx: &Tx<StaffScope>, partner: &Partner) -> Result<(), Fault> {
    tx.run(
        sql("UPDATE todoku.partner SET name = {}, parent_id = {}, parent_sees = {}, state = {}, tier = {}, version = {}, updated_at = {} WHERE vendor_id = {} AND id = {}")
            .bind::<Text, _>(partner.name.as_str().to_owned())
            .bind::<Nullable<SqlUuid>, _>(partner.parent_id.map(TypeId::uuid))
            .bind::<Text, _>(partner.parent_sees.as_str())
            .bind::<Text, _>(partner.state.as_str())
            .bind::<Nullable<Text>, _>(partner.tier.as_ref().map(|tier| tier.as_str().to_owned()))
            .bind::<BigInt, _>(partner.version)
            .bind::<Timestamptz, _>(partner.updated_at)
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner.id.uuid()),
    )
    .await
    .map(drop)
}

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

/// Whether `below` stands under `above`, or is it. Keeps other changes of the tree out until the transaction ends, so that
/// two moves cannot close a circle between them.
pub async fn stands_under(tx: &Tx<StaffScope>, below: PartnerId, above: PartnerId) -> Result<bool, Fault> {
    let vendor = tx.scope().vendor();
    tx.run(sql("SELECT pg_advisory_xact_lock(7231005, hashtext({}))").bind::<Text, _>(vendor.to_string())).await?;
    let row: Option<Flag> = tx
        .row(
            sql("WITH RECURSIVE up AS (
                   SELECT id, parent_id FROM todoku.partner WHERE vendor_id = {} AND id = {}
                   UNION SELECT p.id, p.parent_id FROM todoku.partner p JOIN up ON p.id = up.parent_id WHERE p.vendor_id = {})
                 SELECT EXISTS (SELECT 1 FROM up WHERE id = {}) AS yes")
            .bind::<SqlUuid, _>(vendor)
            .bind::<SqlUuid, _>(below.uuid())
            .bind::<SqlUuid, _>(vendor)
            .bind::<SqlUuid, _>(above.uuid()),
        )
        .await?;
    Ok(row.is_some_and(|row| row.yes))
}
