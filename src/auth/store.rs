//! What sign-in reads and writes: credentials, signing keys, and the states and epochs of who may call.

use super::scope::SystemScope;
use crate::db::{Tx, sql};
use crate::kernel::error::Fault;
use crate::kernel::time::Moment;
use chrono::{Duration, NaiveDate};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Binary, Date, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// Whether a credential is in force, and since when it has not been used.
#[derive(QueryableByName, Clone)]
pub struct StandingRow {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub not_after: Option<Moment>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub revoked_at: Option<Moment>,
    #[diesel(sql_type = Nullable<Date>)]
    pub last_used_on: Option<NaiveDate>,
}

impl StandingRow {
    /// Whether it opens the door now.
    pub fn is_in_force(&self, now: Moment) -> bool {
        self.revoked_at.is_none() && self.not_after.is_none_or(|end| now < end)
    }
}

/// A stored secret.
#[derive(QueryableByName, Clone)]
pub struct SecretRow {
    #[diesel(sql_type = SqlUuid)]
    pub vendor_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub principal_id: Uuid,
    #[diesel(sql_type = Binary)]
    pub mac: Vec<u8>,
    #[diesel(embed)]
    pub standing: StandingRow,
}

/// A client's stored public key.
#[derive(QueryableByName)]
pub struct PublicKeyRow {
    #[diesel(sql_type = Text)]
    pub public_key: String,
    #[diesel(embed)]
    pub standing: StandingRow,
}

/// A signing key as stored.
#[derive(QueryableByName)]
pub struct KeyRow {
    #[diesel(sql_type = Text)]
    pub kid: String,
    #[diesel(sql_type = Text)]
    pub state: String,
    #[diesel(sql_type = Binary)]
    pub public_key: Vec<u8>,
    #[diesel(sql_type = Binary)]
    pub sealed_key: Vec<u8>,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: Moment,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub active_from: Option<Moment>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub passive_from: Option<Moment>,
}

/// A vendor as authority needs it.
#[derive(QueryableByName, Debug, Clone)]
pub struct VendorRow {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Text)]
    pub state: String,
}

/// A partner as authority needs it.
#[derive(QueryableByName, Debug, Clone)]
pub struct PartnerRow {
    #[diesel(sql_type = SqlUuid)]
    pub vendor_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub parent_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    pub parent_sees: String,
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = Text)]
    pub state: String,
}

/// A principal as authority needs it.
#[derive(QueryableByName, Debug, Clone)]
pub struct PrincipalRow {
    #[diesel(sql_type = SqlUuid)]
    pub vendor_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub partner_id: Option<Uuid>,
    #[diesel(sql_type = Array<Text>)]
    pub scopes: Vec<String>,
    #[diesel(sql_type = Text)]
    pub state: String,
    #[diesel(sql_type = BigInt)]
    pub epoch: i64,
}

#[derive(QueryableByName)]
struct Xmin {
    #[diesel(sql_type = BigInt)]
    xmin: i64,
}

/// What changed since a cursor, and the next cursor.
pub struct Changes {
    /// Vendors.
    pub vendors: Vec<VendorRow>,
    /// Partners.
    pub partners: Vec<PartnerRow>,
    /// Principals.
    pub principals: Vec<PrincipalRow>,
    /// Where to go on.
    pub cursor: i64,
}

/// The secrets with these public ids, by them.
pub async fn secrets(tx: &Tx<SystemScope>, public_ids: Vec<String>) -> Result<HashMap<String, SecretRow>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        public_id: String,
        #[diesel(embed)]
        secret: SecretRow,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT public_id, id, vendor_id, principal_id, mac, not_after, revoked_at, last_used_on FROM auth.credential WHERE public_id = ANY ({})")
                .bind::<Array<Text>, _>(public_ids),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.public_id, row.secret)).collect())
}

/// The public keys of a client.
pub async fn public_keys(tx: &Tx<SystemScope>, vendor: Uuid, client: Uuid) -> Result<Vec<PublicKeyRow>, Fault> {
    tx.rows(
        sql("SELECT id, public_key, not_after, revoked_at, last_used_on FROM auth.credential
             WHERE vendor_id = {} AND principal_id = {} AND kind = 'public_key' AND revoked_at IS NULL ORDER BY created_at DESC LIMIT 2")
        .bind::<SqlUuid, _>(vendor)
        .bind::<SqlUuid, _>(client),
    )
    .await
}

/// How much longer than it lives an assertion is remembered: the clock that judges its life is another one.
const KEPT: Duration = Duration::minutes(10);

/// Remembers an assertion until it is dead for sure; `false` when it was there before. Dead ones of the client go.
pub async fn use_assertion(tx: &Tx<SystemScope>, vendor: Uuid, client: Uuid, jti_hash: Vec<u8>, refused_from: Moment) -> Result<bool, Fault> {
    let statement = sql("WITH dead AS (DELETE FROM auth.used_assertion WHERE vendor_id = {} AND principal_id = {} AND expires_at < {})
                         INSERT INTO auth.used_assertion (vendor_id, principal_id, jti_hash, expires_at) VALUES ({}, {}, {}, {}) ON CONFLICT DO NOTHING")
    .bind::<SqlUuid, _>(vendor)
    .bind::<SqlUuid, _>(client)
    .bind::<Timestamptz, _>(tx.now() - KEPT)
    .bind::<SqlUuid, _>(vendor)
    .bind::<SqlUuid, _>(client)
    .bind::<Binary, _>(jti_hash)
    .bind::<Timestamptz, _>(refused_from);
    Ok(tx.run(statement).await? == 1)
}

/// Notes the day a credential was used.
pub async fn credential_used(tx: &Tx<SystemScope>, credential: Uuid, day: NaiveDate) -> Result<(), Fault> {
    let statement = sql("UPDATE auth.credential SET last_used_on = {} WHERE id = {}").bind::<Date, _>(day).bind::<SqlUuid, _>(credential);
    tx.run(statement).await.map(drop)
}

/// Everything authority needs that changed since `cursor`. The cursor is the oldest transaction still running, so that a
/// change committed late is seen by the next call: nothing is missed, some rows come twice.
pub async fn changes(tx: &Tx<SystemScope>, cursor: i64) -> Result<Changes, Fault> {
    // The next cursor is read first: what commits after it is read again.
    let next: Option<Xmin> = tx.row(sql("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin")).await?;
    let vendors = tx.rows(sql("SELECT id, state FROM todoku.vendor WHERE changed_xid >= {}").bind::<BigInt, _>(cursor));
    let partners = tx.rows(sql("SELECT vendor_id, id, parent_id, parent_sees, kind, state FROM todoku.partner WHERE changed_xid >= {}").bind::<BigInt, _>(cursor));
    let principals =
        tx.rows(sql("SELECT vendor_id, id, partner_id, scopes, state, epoch FROM todoku.principal WHERE changed_xid >= {} AND kind = 'client'").bind::<BigInt, _>(cursor));
    let (vendors, partners, principals) = futures_util::try_join!(vendors, partners, principals)?;
    Ok(Changes { vendors, partners, principals, cursor: next.map_or(cursor, |row| row.xmin) })
}

/// All signing keys.
pub async fn signing_keys(tx: &Tx<SystemScope>) -> Result<Vec<KeyRow>, Fault> {
    tx.rows(sql("SELECT kid, state, public_key, sealed_key, created_at, active_from, passive_from FROM auth.signing_key ORDER BY created_at, kid")).await
}

/// Adds the first key unless another process was faster.
pub async fn add_first_signing_key(tx: &Tx<SystemScope>, key: KeyRow) -> Result<(), Fault> {
    tx.run(insert_key(key)).await.map(drop)
}

fn insert_key(key: KeyRow) -> crate::db::Sql {
    sql("INSERT INTO auth.signing_key (kid, state, public_key, sealed_key, created_at, active_from) VALUES ({}, {}, {}, {}, {}, {}) ON CONFLICT DO NOTHING")
        .bind::<Text, _>(key.kid)
        .bind::<Text, _>(key.state)
        .bind::<Binary, _>(key.public_key)
        .bind::<Binary, _>(key.sealed_key)
        .bind::<Timestamptz, _>(key.created_at)
        .bind::<Nullable<Timestamptz>, _>(key.active_from)
}

/// Keeps everybody else from the rotation until the transaction ends.
pub async fn lock_rotation(tx: &Tx<SystemScope>) -> Result<(), Fault> {
    tx.run(sql("SELECT pg_advisory_xact_lock(7231006)")).await.map(drop)
}

/// One step of the rotation: with a next key published, it becomes active; a new next is added.
pub async fn rotate_signing_keys(tx: &Tx<SystemScope>, next: KeyRow, now: Moment) -> Result<(), Fault> {
    tx.run(
        sql("UPDATE auth.signing_key SET state = 'passive', passive_from = {} WHERE state = 'active' AND EXISTS (SELECT 1 FROM auth.signing_key WHERE state = 'next')")
            .bind::<Timestamptz, _>(now),
    )
    .await?;
    tx.run(sql("UPDATE auth.signing_key SET state = 'active', active_from = {} WHERE state = 'next'").bind::<Timestamptz, _>(now)).await?;
    tx.run(insert_key(next)).await.map(drop)
}
