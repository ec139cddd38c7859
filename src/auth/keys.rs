//! Signing keys: Ed25519, named by their RFC 7638 thumbprint, private halves sealed in the database. One is active, the next
//! is published before it signs, passive ones verify until the last token they signed is dead (SECURITY c.2).

use super::jwk::PublicJwk;
use super::scope::SystemScope;
use super::store::{self, KeyRow};
use super::tenancy::MAX_AGE;
use super::token::{Claims, LIFE};
use crate::db::{Db, Tx};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::time::Moment;
use crate::state::{Keys, Purpose, base64url};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use chrono::Duration;
use jsonwebtoken::EncodingKey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A passive key verifies this long after it stopped signing.
fn passive_for() -> Duration {
    Duration::seconds(LIFE) + Duration::minutes(10)
}

/// The key that signs.
pub struct SigningKey {
    /// Its name.
    pub kid: String,
    /// Its private half.
    pub encoding: EncodingKey,
}

/// The public half of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name.
    pub kid: String,
    /// The public point, base64url.
    pub x: String,
}

/// The keys in use at a moment.
pub struct Keyring {
    signing: SigningKey,
    published: Vec<PublicKey>,
    verified: Mutex<HashMap<Box<str>, Arc<Claims>>>,
    read_at: Instant,
}

/// The most tokens remembered as verified: some ten megabytes.
const REMEMBERED: usize = 10_000;

impl Keyring {
    /// 503 when the keys were read too long ago: one that was taken away since would verify for ever.
    pub fn check_fresh(&self) -> Result<(), Fault> {
        if self.read_at.elapsed() <= MAX_AGE { Ok(()) } else { Err(Fault::unavailable(Code::DatabaseUnavailable, "the signing keys are stale")) }
    }

    /// The key that signs new tokens.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// A published key by its name.
    pub fn public(&self, kid: &str) -> Option<PublicKey> {
        self.published.iter().find(|key| key.kid == kid).cloned()
    }

    /// What a token says whose signature these keys have verified before. Only for as long as they are in use: they are read again each second.
    pub fn remembered(&self, token: &str) -> Option<Arc<Claims>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Remembers a token whose signature was verified.
    pub fn remember(&self, token: &str, claims: &Arc<Claims>) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() < REMEMBERED {
            verified.insert(token.into(), claims.clone());
        }
    }

    /// All published keys: next, active and passive.
    pub fn published(&self) -> &[PublicKey] {
        &self.published
    }

    /// Reads the keys from the database.
    pub async fn load(db: &Db, keys: &Keys) -> Result<Self, Fault> {
        let read_at = Instant::now();
        let (now, rows) = db.begin_read(SystemScope::auth()).await?.look(async |tx| store::signing_keys(tx).await.map(|rows| (tx.now(), rows))).await?;
        let mut signing = None;
        let mut published = Vec::new();
        for row in rows {
            if row.passive_from.is_some_and(|since| since + passive_for() < now) {
                continue;
            }
            published.push(PublicKey { kid: row.kid.clone(), x: base64url(&row.public_key) });
            if row.state == "active" {
                let der = keys.open(Purpose::SigningKey, row.kid.as_bytes(), &row.sealed_key).ok_or_else(|| Fault::internal("the master secret does not open the signing key"))?;
                signing = Some(SigningKey { kid: row.kid, encoding: EncodingKey::from_ed_der(&der) });
            }
        }
        let signing = signing.ok_or_else(|| Fault::internal("no active signing key"))?;
        Ok(Self { signing, published, verified: Mutex::default(), read_at })
    }
}

/// Makes the first key if there is none; of several processes one wins.
pub async fn make_first_key(db: &Db, keys: &Keys) -> Result<(), Fault> {
    let make = async |tx: &Tx<SystemScope>| {
        if store::signing_keys(tx).await?.iter().any(|key| key.state == "active") {
            return Ok(());
        }
        store::add_first_signing_key(tx, new_key(keys, "active", tx.now())?).await
    };
    db.begin_write(SystemScope::auth()).await?.settle(make).await
}

/// How long a key is published before it may sign: every process looks each second, and whoever keeps the published keys keeps them five minutes.
pub const PUBLISHED: Duration = Duration::minutes(10);

/// Steps the rotation on: the next key becomes active, the active one passive, and a new next is published. `StateConflict` while the next key was
/// not yet published for as long as `published`: another process might not know it.
pub async fn rotate(db: &Db, keys: &Keys, published: Duration) -> Result<String, Fault> {
    let step = async |tx: &Tx<SystemScope>| {
        let next = new_key(keys, "next", tx.now())?;
        let kid = next.kid.clone();
        store::lock_rotation(tx).await?;
        if store::signing_keys(tx).await?.iter().any(|key| key.state == "next" && key.created_at > tx.now() - published) {
            return Err(Fault::of(Code::StateConflict));
        }
        store::rotate_signing_keys(tx, next, tx.now()).await.map(|()| kid)
    };
    db.begin_write(SystemScope::auth()).await?.settle(step).await
}

fn new_key(keys: &Keys, state: &str, now: Moment) -> Result<KeyRow, Fault> {
    let pair = Ed25519KeyPair::generate().map_err(Fault::internal)?;
    let public_key = pair.public_key().as_ref().to_vec();
    let kid = PublicJwk::ed25519(&public_key).thumbprint();
    // Version 1 of PKCS#8: what the token library reads.
    let der = pair.to_pkcs8v1().map_err(Fault::internal)?;
    let sealed_key = keys.seal(Purpose::SigningKey, kid.as_bytes(), der.as_ref())?;
    let active_from = (state == "active").then_some(now);
    Ok(KeyRow { kid, state: state.to_owned(), public_key, sealed_key, created_at: now, active_from, passive_from: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration as Span;

    #[test]
    fn keys_that_were_read_too_long_ago_verify_nothing() {
        let read = |ago: Span| {
            let signing = SigningKey { kid: "k".into(), encoding: EncodingKey::from_ed_der(&[]) };
            let keyring = Keyring { signing, published: Vec::new(), verified: Mutex::default(), read_at: Instant::now().checked_sub(ago).unwrap() };
            keyring.check_fresh().map_err(|fault| fault.code)
        };
        assert_eq!(read(Span::ZERO), Ok(()));
        assert_eq!(read(MAX_AGE + Span::from_secs(1)), Err(Code::DatabaseUnavailable));
    }
}
