//! Public keys as JSON Web Keys (RFC 7517, RFC 8037): Ed25519 and P-256, named by their RFC 7638 thumbprint.

use crate::kernel::hash::{hex, sha256};
use crate::kernel::text::Broken;
use crate::state::{base64url, from_base64url};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// A public key. Coordinates are base64url.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "crv")]
#[allow(missing_docs, reason = "the members of RFC 7518, 6.2 and RFC 8037, 2")]
pub enum PublicJwk {
    /// Signs as `EdDSA`.
    Ed25519 { x: String },
    /// Signs as `ES256`.
    #[serde(rename = "P-256")]
    P256 { x: String, y: String },
}

/// The y of every point of small order, in all its spellings (RFC 7748, section 7; the list of libsodium), without the sign.
const SMALL_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

impl PublicJwk {
    /// The Ed25519 key of 32 bytes.
    pub fn ed25519(bytes: &[u8]) -> Self {
        Self::Ed25519 { x: base64url(bytes) }
    }

    /// The form a thumbprint is made of: the required members in order, without blanks.
    pub fn canonical(&self) -> String {
        match self {
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            Self::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
        }
    }

    /// The key of a canonical form; `None` for any other text.
    pub fn of_canonical(text: &str) -> Option<Self> {
        serde_json::from_str::<Self>(text).ok().filter(|key| key.canonical() == text)
    }

    /// Its name (RFC 7638, SHA-256).
    pub fn thumbprint(&self) -> String {
        base64url(&sha256(self.canonical().as_bytes()))
    }

    /// Whether it can be a key: a point of its curve and, for Ed25519, none of small order, under which anybody can sign.
    pub fn check(&self) -> Result<(), Broken> {
        let coordinate = |text: &str| from_base64url(text).filter(|bytes| bytes.len() == 32).ok_or(Broken::Malformed);
        let parsed = match self {
            Self::Ed25519 { x } => {
                let mut point = coordinate(x)?;
                let parsed = ParsedPublicKey::new(&ED25519, &point);
                if let Some(sign) = point.last_mut() {
                    *sign &= 0x7f;
                }
                if SMALL_ORDER.contains(&hex(&point).as_str()) {
                    return Err(Broken::Malformed);
                }
                parsed
            }
            Self::P256 { x, y } => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [vec![4], coordinate(x)?, coordinate(y)?].concat()),
        };
        parsed.map(drop).map_err(|_| Broken::Malformed)
    }

    /// How it signs, as `alg` says it.
    pub fn alg(&self) -> &'static str {
        match self {
            Self::Ed25519 { .. } => "EdDSA",
            Self::P256 { .. } => "ES256",
        }
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519 { .. } => Algorithm::EdDSA,
            Self::P256 { .. } => Algorithm::ES256,
        }
    }

    /// Keys nobody holds, one of a kind: to spend as much time on a client without keys as on one that has them.
    pub fn decoy(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::ES256 => Self::P256 { x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4".into(), y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM".into() },
            _ => Self::Ed25519 { x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into() },
        }
    }

    /// As the token library wants it.
    pub fn decoding(&self) -> Result<DecodingKey, jsonwebtoken::errors::Error> {
        match self {
            Self::Ed25519 { x } => DecodingKey::from_ed_components(x),
            Self::P256 { x, y } => DecodingKey::from_ec_components(x, y),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_8037() {
        let key = PublicJwk::Ed25519 { x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into() };
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(PublicJwk::of_canonical(&key.canonical()), Some(key.clone()));
        assert_eq!(PublicJwk::of_canonical(&format!(" {}", key.canonical())), None);
    }

    #[test]
    fn only_points_of_the_curve_are_keys() {
        // RFC 7517, appendix A.1.
        let (x, y) = ("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM");
        assert_eq!(PublicJwk::P256 { x: x.into(), y: y.into() }.check(), Ok(()));
        for (x, y) in [(y, x), (x, x), (x, ""), (&x[1..], y)] {
            assert_eq!(PublicJwk::P256 { x: x.into(), y: y.into() }.check(), Err(Broken::Malformed));
        }
        assert_eq!(PublicJwk::ed25519(&[1; 31]).check(), Err(Broken::Malformed));
        for sign in [0, 0x80] {
            let mut neutral = [0; 32];
            (neutral[0], neutral[31]) = (1, sign);
            assert_eq!(PublicJwk::ed25519(&neutral).check(), Err(Broken::Malformed));
        }
    }
}
