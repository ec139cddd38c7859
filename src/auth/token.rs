//! Access tokens: `at+jwt`, EdDSA, 300 s (RFC 9068). Verification goes in the fixed order of SECURITY c.2 and believes
//! nothing a library takes for granted: header members, integers, lifetime and audience are checked here.

use super::keys::{Keyring, PublicKey};
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, PrincipalId, VendorId};
use crate::kernel::time::Moment;
use crate::state::from_base64url;
use actix_web::http::header::HeaderValue;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Seconds a token lives.
pub const LIFE: i64 = 300;
/// Seconds two clocks may differ.
const LEEWAY: i64 = 5;
/// The longest token looked at, in bytes.
const MAX_TOKEN: usize = 4096;

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The issuer: our public URL.
    pub iss: String,
    /// The audience: the same.
    pub aud: String,
    /// The principal.
    pub sub: PrincipalId,
    /// The client; the same as `sub`.
    pub client_id: PrincipalId,
    /// Issued at, in seconds.
    pub iat: i64,
    /// Not before, in seconds.
    pub nbf: i64,
    /// Expires at, in seconds.
    pub exp: i64,
    /// The token's own id.
    pub jti: String,
    /// The OAuth scopes, blank-separated.
    pub scope: String,
    /// The vendor.
    pub ven: VendorId,
    /// The partner, for a partner's client.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub par: Option<PartnerId>,
    /// The epoch of the principal when it was issued; a revocation raises it.
    pub cep: i64,
}

/// A member that is there holds a value: `null` is none of ours.
fn present<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<PartnerId>, D::Error> {
    PartnerId::deserialize(source).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    kid: String,
    typ: String,
}

/// Signs claims with the active key.
pub fn sign(keyring: &Keyring, claims: &Claims) -> Result<String, Fault> {
    let key = keyring.signing();
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".into());
    header.kid = Some(key.kid.clone());
    jsonwebtoken::encode(&header, claims, &key.encoding).map_err(Fault::internal)
}

/// The token a header of authorization bears, if it is of a size that is looked at.
pub fn borne(value: &HeaderValue) -> Option<&str> {
    let (kind, token) = std::str::from_utf8(value.as_bytes()).ok()?.split_once(' ')?;
    kind.eq_ignore_ascii_case("bearer").then(|| token.trim_ascii()).filter(|token| token.len() <= MAX_TOKEN)
}

/// The claims of a valid token; else why not, for the log.
pub fn verify(keyring: &Keyring, issuer: &str, token: &str, now: Moment) -> Result<Arc<Claims>, &'static str> {
    let claims = match keyring.remembered(token) {
        Some(claims) => claims,
        None => {
            let claims = Arc::new(open(keyring, issuer, token)?);
            keyring.remember(token, &claims);
            claims
        }
    };
    in_force(&claims, now).map(|()| claims)
}

/// Whether rightly signed claims hold at a moment; else why not.
pub fn in_force(claims: &Claims, now: Moment) -> Result<(), &'static str> {
    let now = now.timestamp();
    let in_time = claims.iat <= now + LEEWAY && claims.nbf <= now + LEEWAY && claims.exp > now - LEEWAY;
    let short = claims.exp > claims.iat && claims.exp.saturating_sub(claims.iat) <= LIFE;
    match (in_time, short, claims.sub == claims.client_id) {
        (true, true, true) => Ok(()),
        (false, ..) => Err("expired or not yet valid"),
        _ => Err("lifetime or client"),
    }
}

/// What a rightly signed token says, in whatever time.
fn open(keyring: &Keyring, issuer: &str, token: &str) -> Result<Claims, &'static str> {
    let mut parts = token.split('.');
    let (Some(head), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err("not three parts");
    };
    let head = from_base64url(head).ok_or("header not base64url")?;
    // serde would read a list as well.
    if head.first() != Some(&b'{') {
        return Err("header is no object");
    }
    let head: StrictHeader = serde_json::from_slice(&head).map_err(|_| "header has other members")?;
    if head.typ != "at+jwt" {
        return Err("typ");
    }
    let key: PublicKey = keyring.public(&head.kid).ok_or("unknown kid")?;
    if head.alg != "EdDSA" {
        return Err("alg");
    }
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_audience(&[issuer]);
    rules.set_issuer(&[issuer]);
    rules.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    // Time is checked by the caller against the clock of the house, in integers.
    rules.validate_exp = false;
    rules.validate_nbf = false;
    let decoding = DecodingKey::from_ed_components(&key.x).map_err(|_| "key")?;
    Ok(jsonwebtoken::decode::<Claims>(token, &decoding, &rules).map_err(|_| "signature or claims")?.claims)
}
