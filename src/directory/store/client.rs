//! Clients: principals that are machines, and their credentials. A secret's hash goes in and never comes out here: the
//! staff role has no right to read it.

use super::word;
use crate::auth::{Permission, StaffScope, Tenant};
use crate::db::{Tx, sql};
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, PrincipalId, TypeId};
use crate::kernel::text::Name;
use crate::kernel::time::Moment;
use crate::state::PEPPER_VERSION;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, Binary, Date, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
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

/// Adds a client with its first credential.
pub async fn insert(tx: &Tx<StaffScope>, client: &Client, public_id: &str, mac: Vec<u8>) -> Result<(), Fault> {
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
    .await?;
    tx.run(
        sql("INSERT INTO auth.credential (public_id, vendor_id, principal_id, kind, mac, pepper_version, created_at) VALUES ({}, {}, {}, 'client_secret', {}, {}, {})")
            .bind::<Text, _>(public_id.to_owned())
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(client.id.uuid())
            .bind::<Binary, _>(mac)
            .bind::<Integer, _>(PEPPER_VERSION)
            .bind::<Timestamptz, _>(tx.now()),
    )
    .await
    .map(drop)
}

/// Revokes a client of a partner, or of the vendor itself, and all its credentials; `None` when there is no such client, `false` when it was revoked before.
pub async fn revoke(tx: &Tx<StaffScope>, partner: Option<PartnerId>, client: PrincipalId) -> Result<Option<bool>, Fault> {
    #[derive(QueryableByName)]
    struct State {
        #[diesel(sql_type = Text)]
        state: String,
    }
    let found: Option<State> = tx
        .row(
            sql("SELECT state FROM todoku.principal WHERE vendor_id = {} AND id = {} AND partner_id IS NOT DISTINCT FROM {} AND kind = 'client' FOR UPDATE")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(client.uuid())
                .bind::<Nullable<SqlUuid>, _>(partner.map(TypeId::uuid)),
        )
        .await?;
    match found {
        None => return Ok(None),
        Some(row) if row.state == "revoked" => return Ok(Some(false)),
        Some(_) => {}
    }
    tx.run(
        sql("UPDATE todoku.principal SET state = 'revoked', epoch = epoch + 1, version = version + 1, updated_at = {} WHERE vendor_id = {} AND id = {}")
            .bind::<Timestamptz, _>(tx.now())
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(client.uuid()),
    )
    .await?;
    tx.run(
        sql("UPDATE auth.credential SET revoked_at = {} WHERE vendor_id = {} AND principal_id = {} AND revoked_at IS NULL")
            .bind::<Timestamptz, _>(tx.now())
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(client.uuid()),
    )
    .await?;
    Ok(Some(true))
}
