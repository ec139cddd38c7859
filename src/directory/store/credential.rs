//! Credentials of clients. A secret's hash goes in and never comes out here: the staff role has no right to read it.

use crate::auth::{PublicJwk, StaffScope, Tenant};
use crate::db::{Sql, Tx, sql};
use crate::directory::credential::{Credential, CredentialKind};
use crate::kernel::error::Fault;
use crate::kernel::id::{CredentialId, PrincipalId, TypeId};
use crate::kernel::time::Moment;
use crate::state::PEPPER_VERSION;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, Binary, Date, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    public_key: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    created_at: Moment,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    not_after: Option<Moment>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    revoked_at: Option<Moment>,
    #[diesel(sql_type = Nullable<Date>)]
    last_used_on: Option<NaiveDate>,
}

/// The credentials of a client, oldest first: those in force and, of the others, the last ones; 100 at most.
pub async fn of_client(tx: &Tx<StaffScope>, client: PrincipalId) -> Result<Vec<Credential>, Fault> {
    let mut rows: Vec<Row> = tx
        .rows(
            sql("SELECT id, public_key, created_at, not_after, revoked_at, last_used_on FROM auth.credential
                 WHERE vendor_id = {} AND principal_id = {}
                 ORDER BY revoked_at IS NULL AND (not_after IS NULL OR not_after > {}) DESC, created_at DESC, id DESC LIMIT 100")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(client.uuid())
            .bind::<Timestamptz, _>(tx.now()),
        )
        .await?;
    rows.sort_by_key(|row| (row.created_at, row.id));
    let read = |row: Row| {
        let key = row.public_key.map(|text| PublicJwk::of_canonical(&text).ok_or_else(|| Fault::internal("a stored key is canonical"))).transpose()?;
        Ok(Credential {
            id: CredentialId::of(row.id),
            kind: if key.is_some() { CredentialKind::PublicKey } else { CredentialKind::ClientSecret },
            public_key: key,
            created_at: row.created_at,
            not_after: row.not_after,
            revoked_at: row.revoked_at,
            last_used_on: row.last_used_on,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Whether a public key is or was the client's.
pub async fn has_key(tx: &Tx<StaffScope>, client: PrincipalId, key: &PublicJwk) -> Result<bool, Fault> {
    let found = tx
        .run(
            sql("SELECT id FROM auth.credential WHERE vendor_id = {} AND principal_id = {} AND public_key = {} LIMIT 1")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(client.uuid())
                .bind::<Text, _>(key.canonical()),
        )
        .await?;
    Ok(found > 0)
}

/// Adds a secret, found by its public id, as a keyed hash.
pub async fn insert_secret(tx: &Tx<StaffScope>, client: PrincipalId, credential: &Credential, public_id: &str, mac: Vec<u8>) -> Result<(), Fault> {
    let statement =
        sql("INSERT INTO auth.credential (kind, id, vendor_id, principal_id, created_at, public_id, mac, pepper_version) VALUES ('client_secret', {}, {}, {}, {}, {}, {}, {})");
    let statement = owned(statement, tx, client, credential).bind::<Text, _>(public_id.to_owned()).bind::<Binary, _>(mac).bind::<Integer, _>(PEPPER_VERSION);
    tx.run(statement).await.map(drop)
}

/// Adds a public key.
pub async fn insert_key(tx: &Tx<StaffScope>, client: PrincipalId, credential: &Credential) -> Result<(), Fault> {
    let statement = sql("INSERT INTO auth.credential (kind, id, vendor_id, principal_id, created_at, public_key) VALUES ('public_key', {}, {}, {}, {}, {})");
    tx.run(owned(statement, tx, client, credential).bind::<Nullable<Text>, _>(credential.public_key.as_ref().map(PublicJwk::canonical))).await.map(drop)
}

fn owned(statement: Sql, tx: &Tx<StaffScope>, client: PrincipalId, credential: &Credential) -> Sql {
    statement.bind::<SqlUuid, _>(credential.id.uuid()).bind::<SqlUuid, _>(tx.scope().vendor()).bind::<SqlUuid, _>(client.uuid()).bind::<Timestamptz, _>(credential.created_at)
}

/// Sets when credentials cease to be in force.
pub async fn end(tx: &Tx<StaffScope>, ends: &[(CredentialId, Moment)]) -> Result<(), Fault> {
    let (ids, moments): (Vec<Uuid>, Vec<Moment>) = ends.iter().map(|(id, end)| (id.uuid(), *end)).unzip();
    tx.run(
        sql("UPDATE auth.credential c SET not_after = e.not_after FROM unnest({}, {}) AS e (id, not_after) WHERE c.vendor_id = {} AND c.id = e.id")
            .bind::<Array<SqlUuid>, _>(ids)
            .bind::<Array<Timestamptz>, _>(moments)
            .bind::<SqlUuid, _>(tx.scope().vendor()),
    )
    .await
    .map(drop)
}

/// Revokes one credential of a client, or all; how many were not revoked before.
pub async fn revoke(tx: &Tx<StaffScope>, client: PrincipalId, which: Option<CredentialId>) -> Result<usize, Fault> {
    let which = which.map(TypeId::uuid);
    tx.run(
        sql("UPDATE auth.credential SET revoked_at = {} WHERE vendor_id = {} AND principal_id = {} AND ({} IS NULL OR id = {}) AND revoked_at IS NULL")
            .bind::<Timestamptz, _>(tx.now())
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(client.uuid())
            .bind::<Nullable<SqlUuid>, _>(which)
            .bind::<Nullable<SqlUuid>, _>(which),
    )
    .await
}

/// Whether a client has, or had, a credential.
pub async fn exists(tx: &Tx<StaffScope>, client: PrincipalId, credential: CredentialId) -> Result<bool, Fault> {
    let statement = sql("SELECT id FROM auth.credential WHERE vendor_id = {} AND principal_id = {} AND id = {}");
    let statement = statement.bind::<SqlUuid, _>(tx.scope().vendor()).bind::<SqlUuid, _>(client.uuid()).bind::<SqlUuid, _>(credential.uuid());
    Ok(tx.run(statement).await? > 0)
}
