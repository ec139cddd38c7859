//! Clients: principals that are machines.

use super::word;
use crate::auth::{Permission, StaffScope, Tenant};
use crate::db::{Sql, Tx, sql};
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, PrincipalId, TypeId};
use crate::kernel::text::Name;
use crate::kernel::time::Moment;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, Date, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

/// A client as the vendor sees it.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its id, also the OAuth client id.
    pub id: PrincipalId,
    /// Its partner; none for the vendor's own.
    pub partner_id: Option<PartnerId>,
    /// Its name.
    pub name: Name,
    /// What it was given.
    pub scopes: Vec<Permission>,
    /// `active` or `revoked`.
    pub state: String,
    /// When it was created.
    pub created_at: Moment,
    /// The last day one of its secrets was used.
    pub last_used_on: Option<NaiveDate>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    partner_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Array<Text>)]
    scopes: Vec<String>,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Timestamptz)]
    created_at: Moment,
    #[diesel(sql_type = Nullable<Date>)]
    last_used_on: Option<NaiveDate>,
}

/// The clients of a partner, oldest first.
pub async fn of_partner(tx: &Tx<StaffScope>, partner: PartnerId) -> Result<Vec<Client>, Fault> {
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT p.id, p.partner_id, p.name, p.scopes, p.state, p.created_at, max(c.last_used_on) AS last_used_on
                 FROM todoku.principal p LEFT JOIN auth.credential c ON c.vendor_id = p.vendor_id AND c.principal_id = p.id
                 WHERE p.vendor_id = {} AND p.partner_id = {} AND p.kind = 'client' GROUP BY p.vendor_id, p.id ORDER BY p.id LIMIT 1000")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner.uuid()),
        )
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Client {
                id: PrincipalId::of(row.id),
                partner_id: row.partner_id.map(PartnerId::of),
                name: word(row.name)?,
                scopes: row.scopes.into_iter().filter_map(|scope| scope.parse().ok()).collect(),
                state: row.state,
                created_at: row.created_at,
                last_used_on: row.last_used_on,
            })
        })
        .collect()
}

/// Adds a client.
pub async fn insert(tx: &Tx<StaffScope>, client: &Client) -> Result<(), Fault> {
    tx.run(
        sql("INSERT INTO todoku.principal (vendor_id, id, partner_id, kind, name, hats, scopes, state, epoch, version, created_at, updated_at)
             VALUES ({}, {}, {}, 'client', {}, array[]::text[], {}, 'active', 1, 1, {}, {})")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(client.id.uuid())
        .bind::<Nullable<SqlUuid>, _>(client.partner_id.map(TypeId::uuid))
        .bind::<Text, _>(client.name.as_str().to_owned())
        .bind::<Array<Text>, _>(client.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>())
        .bind::<Timestamptz, _>(tx.now())
        .bind::<Timestamptz, _>(tx.now()),
    )
    .await
    .map(drop)
}

/// The state of a client of a partner, or of the vendor itself; `None` when there is no such client.
pub async fn state(tx: &Tx<StaffScope>, partner: Option<PartnerId>, client: PrincipalId) -> Result<Option<String>, Fault> {
    find(tx, sql("SELECT state FROM todoku.principal WHERE vendor_id = {} AND id = {} AND partner_id IS NOT DISTINCT FROM {} AND kind = 'client'"), partner, client).await
}

/// The same, behind its lock, which its sign-ins do not wait for.
pub async fn lock(tx: &Tx<StaffScope>, partner: Option<PartnerId>, client: PrincipalId) -> Result<Option<String>, Fault> {
    find(
        tx,
        sql("SELECT state FROM todoku.principal WHERE vendor_id = {} AND id = {} AND partner_id IS NOT DISTINCT FROM {} AND kind = 'client' FOR NO KEY UPDATE"),
        partner,
        client,
    )
    .await
}

async fn find(tx: &Tx<StaffScope>, statement: Sql, partner: Option<PartnerId>, client: PrincipalId) -> Result<Option<String>, Fault> {
    #[derive(QueryableByName)]
    struct State {
        #[diesel(sql_type = Text)]
        state: String,
    }
    let statement = statement.bind::<SqlUuid, _>(tx.scope().vendor()).bind::<SqlUuid, _>(client.uuid()).bind::<Nullable<SqlUuid>, _>(partner.map(TypeId::uuid));
    Ok(tx.row::<State>(statement).await?.map(|row| row.state))
}

/// Revokes a client.
pub async fn revoke(tx: &Tx<StaffScope>, client: PrincipalId) -> Result<(), Fault> {
    next_epoch(tx, client, Some("revoked")).await
}

/// Makes every token a client holds void; it may get new ones.
pub async fn revoke_tokens(tx: &Tx<StaffScope>, client: PrincipalId) -> Result<(), Fault> {
    next_epoch(tx, client, None).await
}

/// A token names the epoch it was issued in.
async fn next_epoch(tx: &Tx<StaffScope>, client: PrincipalId, state: Option<&str>) -> Result<(), Fault> {
    tx.run(
        sql("UPDATE todoku.principal SET state = coalesce({}, state), epoch = epoch + 1, version = version + 1, updated_at = {} WHERE vendor_id = {} AND id = {}")
            .bind::<Nullable<Text>, _>(state.map(str::to_owned))
            .bind::<Timestamptz, _>(tx.now())
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(client.uuid()),
    )
    .await
    .map(drop)
}
