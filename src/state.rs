//! What handlers and jobs share: settings, database, clock, and the keys of the house derived from one master secret.

use crate::config::Config;
use crate::db::{Clock, Db};
use crate::kernel::error::Fault;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// What a sealed value is for; a value sealed for one purpose opens for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Positions in lists, given to callers.
    Cursor,
    /// Stored answers of idempotent requests.
    Answer,
    /// Private signing keys.
    SigningKey,
}

/// Keys derived from the master secret, one per purpose.
pub struct Keys {
    cursor: RandomizedNonceKey,
    answer: RandomizedNonceKey,
    signing: RandomizedNonceKey,
    pepper: hmac::Key,
}

/// The version of the pepper that hashes new client secrets.
pub const PEPPER_VERSION: i32 = 1;

impl Keys {
    /// Derives all keys (HMAC-SHA-256 of a label under the master secret).
    pub fn derive(master: &[u8; 32]) -> Result<Self, Fault> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, master);
        let aead = |label: &str| RandomizedNonceKey::new(&AES_256_GCM, hmac::sign(&root, label.as_bytes()).as_ref()).map_err(Fault::internal);
        Ok(Self {
            cursor: aead("todoku cursor 1")?,
            answer: aead("todoku answer 1")?,
            signing: aead("todoku signing key 1")?,
            pepper: hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, b"todoku pepper 1").as_ref()),
        })
    }

    fn aead(&self, purpose: Purpose) -> &RandomizedNonceKey {
        match purpose {
            Purpose::Cursor => &self.cursor,
            Purpose::Answer => &self.answer,
            Purpose::SigningKey => &self.signing,
        }
    }

    /// Seals `plain`, bound to `context`: it opens only with the same purpose and context.
    pub fn seal(&self, purpose: Purpose, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut sealed = plain.to_vec();
        let nonce = self.aead(purpose).seal_in_place_append_tag(Aad::from(context), &mut sealed).map_err(Fault::internal)?;
        sealed.extend_from_slice(nonce.as_ref());
        Ok(sealed)
    }

    /// Opens what [`Keys::seal`] made; `None` for anything else.
    pub fn open(&self, purpose: Purpose, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (body, nonce) = sealed.split_at_checked(sealed.len().checked_sub(NONCE_LEN)?)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        self.aead(purpose).open_in_place(nonce, Aad::from(context), &mut body).ok().map(|plain| plain.to_vec())
    }

    /// The keyed hash under which a client secret is stored.
    pub fn mac(&self, secret: &str) -> Vec<u8> {
        hmac::sign(&self.pepper, secret.as_bytes()).as_ref().to_vec()
    }

    /// Whether `mac` is the keyed hash of `secret`, in constant time.
    pub fn mac_fits(&self, secret: &str, mac: &[u8]) -> bool {
        hmac::verify(&self.pepper, secret.as_bytes(), mac).is_ok()
    }
}

/// A fresh master secret, in base64.
pub fn new_master() -> Result<String, Fault> {
    Ok(STANDARD.encode(random::<32>()?))
}

/// Random bytes.
pub fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(Fault::internal)?;
    Ok(bytes)
}

/// base64url without padding.
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of base64url without padding.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// What every request and job may use.
pub struct State {
    /// The settings.
    pub config: Config,
    /// The database.
    pub db: Db,
    /// The keys of the house.
    pub keys: Keys,
    /// Wakes the worker in this process.
    pub wake: tokio::sync::Notify,
}

impl State {
    /// The clock all go by.
    pub fn clock(&self) -> &Clock {
        self.db.clock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_only_for_its_purpose_and_context() {
        let keys = Keys::derive(&[7; 32]).unwrap();
        let sealed = keys.seal(Purpose::Cursor, b"ven_1", b"position").unwrap();
        assert_eq!(keys.open(Purpose::Cursor, b"ven_1", &sealed).unwrap(), b"position");
        assert_eq!(keys.open(Purpose::Cursor, b"ven_2", &sealed), None);
        assert_eq!(keys.open(Purpose::Answer, b"ven_1", &sealed), None);
        for i in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[i] ^= 1;
            assert_eq!(keys.open(Purpose::Cursor, b"ven_1", &bent), None);
        }
        assert_eq!(keys.open(Purpose::Cursor, b"ven_1", b"short"), None);
    }

    #[test]
    fn a_mac_fits_its_secret_alone() {
        let keys = Keys::derive(&[7; 32]).unwrap();
        assert!(keys.mac_fits("tdklk_x", &keys.mac("tdklk_x")));
        assert!(!keys.mac_fits("tdklk_y", &keys.mac("tdklk_x")));
        assert!(!Keys::derive(&[8; 32]).unwrap().mac_fits("tdklk_x", &keys.mac("tdklk_x")));
    }
}
