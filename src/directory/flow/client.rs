//! Deeds on clients and their credentials.

use crate::auth::{Minted, Permission, PublicJwk, StaffScope, mint};
use crate::db::Tx;
use crate::directory::credential::{Credential, CredentialKind, step_back};
use crate::directory::store::client::{self, Client};
use crate::directory::store::{credential, vendor};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{CredentialId, PartnerId, PrincipalId, TypeId};
use crate::kernel::text::Name;
use crate::ledger::{Event, record_events};
use crate::state::Keys;
use chrono::Duration;
use serde_json::json;
use uuid::Uuid;

async fn tell(tx: &Tx<StaffScope>, caller: Uuid, kind: &'static str, partner: Option<PartnerId>, client: PrincipalId) -> Result<(), Fault> {
    let event = Event { kind, subject: client.uuid(), partner: partner.map(TypeId::uuid), data: json!({}) };
    record_events(tx, caller, &[event]).await
}

/// Adds a client with its first secret. A partner's client gets only what partners may have.
pub async fn add_client(tx: &Tx<StaffScope>, keys: &Keys, caller: Uuid, partner: Option<PartnerId>, name: Name, scopes: Vec<Permission>) -> Result<(Client, Minted), Fault> {
    let client = Client { id: tx.new_id(), partner_id: partner, name, scopes, state: "active".into(), created_at: tx.now(), last_used_on: None };
    client::insert(tx, &client).await?;
    let (_, minted) = add_secret(tx, keys, client.id).await?;
    tell(tx, caller, "client.created", partner, client.id).await?;
    Ok((client, minted))
}

async fn add_secret(tx: &Tx<StaffScope>, keys: &Keys, client: PrincipalId) -> Result<(Credential, Minted), Fault> {
    let minted = mint(vendor::calendar(tx).await?.live)?;
    let secret = Credential::new(tx.new_id(), CredentialKind::ClientSecret, None, tx.now());
    credential::insert_secret(tx, client, &secret, &minted.public_id, keys.mac(&minted.secret)).await?;
    Ok((secret, minted))
}

/// Adds a public key to a client, or else a new secret, which is told once. The one of its kind that was newest opens the door for `overlap`
/// more, older ones no longer. 409 for a client that is revoked, and for a key that the client has or had: what was revoked does not come back.
pub async fn add_credential(
    tx: &Tx<StaffScope>,
    keys: &Keys,
    caller: Uuid,
    (partner, client): (Option<PartnerId>, PrincipalId),
    key: Option<PublicJwk>,
    overlap: Duration,
) -> Result<(Credential, Option<Minted>), Fault> {
    // Behind the client's lock, so that two added at once do not both keep the one before.
    let state = client::lock(tx, partner, client).await?.ok_or(Fault::of(Code::NotFound))?;
    if state == "revoked" {
        return Err(Fault::of(Code::StateConflict));
    }
    if let Some(key) = &key
        && credential::has_key(tx, client, key).await?
    {
        return Err(Fault::of(Code::AlreadyExists));
    }
    let mut before = credential::of_client(tx, client).await?;
    let kind = if key.is_some() { CredentialKind::PublicKey } else { CredentialKind::ClientSecret };
    before.retain(|other| other.kind == kind && other.is_in_force(tx.now()));
    credential::end(tx, &step_back(&before, tx.now(), overlap)).await?;
    let added = match key {
        Some(key) => {
            let added = Credential::new(tx.new_id(), kind, Some(key), tx.now());
            credential::insert_key(tx, client, &added).await?;
            (added, None)
        }
        None => {
            let (added, minted) = add_secret(tx, keys, client).await?;
            (added, Some(minted))
        }
    };
    tell(tx, caller, "client.credential_added", partner, client).await?;
    Ok(added)
}

/// Revokes one credential of a client, and every token the client holds; `false` when it was revoked before.
pub async fn revoke_credential(tx: &Tx<StaffScope>, caller: Uuid, partner: PartnerId, client: PrincipalId, which: CredentialId) -> Result<bool, Fault> {
    client::lock(tx, Some(partner), client).await?.ok_or(Fault::of(Code::NotFound))?;
    if !credential::exists(tx, client, which).await? {
        return Err(Fault::of(Code::NotFound));
    }
    let changed = credential::revoke(tx, client, Some(which)).await? > 0;
    if changed {
        // Which of its tokens were got with it, nobody knows.
        client::revoke_tokens(tx, client).await?;
        tell(tx, caller, "client.credential_revoked", Some(partner), client).await?;
    }
    Ok(changed)
}

/// Revokes a client of a partner, or of the vendor itself; `false` when it was revoked before.
pub async fn revoke_client(tx: &Tx<StaffScope>, caller: Uuid, partner: Option<PartnerId>, client: PrincipalId) -> Result<bool, Fault> {
    let state = client::lock(tx, partner, client).await?.ok_or(Fault::of(Code::NotFound))?;
    if state == "revoked" {
        return Ok(false);
    }
    client::revoke(tx, client).await?;
    credential::revoke(tx, client, None).await?;
    tell(tx, caller, "client.revoked", partner, client).await?;
    Ok(true)
}
