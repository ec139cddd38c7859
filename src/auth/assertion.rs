//! Client assertions, `private_key_jwt` (RFC 7523 as its revision tightens it): signed by the client's own key, for us alone, for
//! a minute at most, taken once. What is checked here is the form; that it is the first, the caller sees in the database.

use super::jwk::PublicJwk;
use crate::kernel::id::PrincipalId;
use crate::kernel::time::Moment;
use crate::state::from_base64url;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;

/// The `client_assertion_type` there is.
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Seconds an assertion may live.
const LIFE: i64 = 60;
/// Seconds two clocks may differ.
const LEEWAY: i64 = 5;
/// Signatures checked at least: a client has two keys at most.
const CHECKS: usize = 2;
/// The longest assertion looked at, in bytes.
const MAX: usize = 4096;

/// An assertion as it says of itself; nothing of it is believed before [`Assertion::signer`] has found a key.
#[derive(Debug)]
pub struct Assertion {
    token: String,
    algorithm: Algorithm,
    claims: Claims,
}

/// Other claims may be there: RFC 7523 lets a client say more.
#[derive(Debug, Clone, Deserialize)]
struct Claims {
    iss: PrincipalId,
    sub: PrincipalId,
    // One text, not a list: an assertion for several servers could be used by one of them at another.
    aud: String,
    exp: i64,
    jti: String,
    iat: Option<i64>,
    nbf: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    // Whose name the key has is the client's affair; its few keys are all tried.
    #[serde(default, rename = "kid")]
    _kid: Option<String>,
}

impl Assertion {
    /// Reads one; `None` for what is none, or not addressed to `issuer`, or not in time.
    pub fn read(token: &str, issuer: &str, now: Moment) -> Option<Self> {
        if token.len() > MAX {
            return None;
        }
        let mut parts = token.split('.');
        let (head, claims, Some(_), None) = (parts.next()?, parts.next()?, parts.next(), parts.next()) else { return None };
        let object = |part: &str| from_base64url(part).filter(|bytes| bytes.first() == Some(&b'{'));
        let head: Header = serde_json::from_slice(&object(head)?).ok()?;
        let algorithm = match head.alg.as_str() {
            "EdDSA" => Algorithm::EdDSA,
            "ES256" => Algorithm::ES256,
            _ => return None,
        };
        if !matches!(head.typ.as_deref(), None | Some("JWT" | "jwt" | "client-authentication+jwt")) {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&object(claims)?).ok()?;
        let now = now.timestamp();
        let in_time = claims.exp > now - LEEWAY && claims.exp <= now + LIFE + LEEWAY;
        let begun = claims.nbf.is_none_or(|from| from <= now + LEEWAY);
        let short = claims.iat.is_none_or(|from| from <= now + LEEWAY && claims.exp.saturating_sub(from) <= LIFE);
        let named = claims.iss == claims.sub && claims.aud == issuer && (1..=255).contains(&claims.jti.len());
        (in_time && begun && short && named).then(|| Self { token: token.to_owned(), algorithm, claims })
    }

    /// The client that it names.
    pub fn client(&self) -> PrincipalId {
        self.claims.sub
    }

    /// Its own id, unique among the client's.
    pub fn jti(&self) -> &str {
        &self.claims.jti
    }

    /// From when on it is refused as too old, in seconds since 1970.
    pub fn refused_from(&self) -> i64 {
        self.claims.exp + LEEWAY
    }

    /// Which of a client's keys signed it. Whatever keys there are, as many signatures are checked.
    pub fn signer<'k>(&self, keys: &'k [PublicJwk]) -> Option<&'k PublicJwk> {
        let mut fitting: Vec<&PublicJwk> = keys.iter().filter(|key| key.algorithm() == self.algorithm).collect();
        let decoy = PublicJwk::decoy(self.algorithm);
        let checked = (0..CHECKS.saturating_sub(fitting.len())).filter(|_| self.is_signed_by(&decoy)).count();
        std::hint::black_box(checked);
        fitting.retain(|key| self.is_signed_by(key));
        fitting.pop()
    }

    fn is_signed_by(&self, key: &PublicJwk) -> bool {
        let mut rules = Validation::new(self.algorithm);
        // The claims were checked above, in integers.
        rules.validate_exp = false;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        key.decoding().is_ok_and(|decoding| jsonwebtoken::decode::<serde_json::Value>(&self.token, &decoding, &rules).is_ok())
    }
}
