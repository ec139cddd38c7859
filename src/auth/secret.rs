//! Client secrets in the published format, `tdk{t|l}k_<16 base62 public id>_<43 base62 secret><6 base62 CRC-32>`
//! (SECURITY c.1): recognisable by scanners, checkable offline, shown once, stored as a keyed hash.

use crate::kernel::error::Fault;
use crate::state::random;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PUBLIC: usize = 16;
const SECRET: usize = 43;
const CHECK: usize = 6;

/// A fresh secret: what to show once, and the public id it is found by.
pub struct Minted {
    /// The whole secret.
    pub secret: String,
    /// Its public id.
    pub public_id: String,
}

/// Makes a secret; `live` tells a live vendor's from a sandbox's.
pub fn mint(live: bool) -> Result<Minted, Fault> {
    let public_id = letters(PUBLIC)?;
    let body = format!("tdk{}k_{public_id}_{}", if live { 'l' } else { 't' }, letters(SECRET)?);
    Ok(Minted { secret: format!("{body}{}", check(&body)), public_id })
}

/// The public id of a secret that is well-formed and whose check digits fit; nothing else reaches the database.
pub fn public_id(secret: &str) -> Option<&str> {
    let body = secret.get(..secret.len().checked_sub(CHECK)?)?;
    let rest = body.strip_prefix("tdklk_").or_else(|| body.strip_prefix("tdktk_"))?;
    let (public, hidden) = rest.split_once('_')?;
    let base62 = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
    let well_formed = public.len() == PUBLIC && hidden.len() == SECRET && base62(public) && base62(hidden);
    (well_formed && secret.strip_prefix(body) == Some(&check(body))).then_some(public)
}

fn letters(count: usize) -> Result<String, Fault> {
    let mut text = String::with_capacity(count);
    while text.len() < count {
        // 248 is the largest multiple of 62 below 256: every letter is equally likely.
        let fair = random::<64>()?.into_iter().filter(|byte| *byte < 248);
        text.extend(fair.map(|byte| char::from(BASE62[usize::from(byte % 62)])).take(count - text.len()));
    }
    Ok(text)
}

fn check(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECK];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_secret_has_the_published_form_and_no_bent_one_passes() {
        let minted = mint(true).unwrap();
        assert_eq!(minted.secret.len(), 6 + PUBLIC + 1 + SECRET + CHECK);
        assert_eq!(public_id(&minted.secret), Some(minted.public_id.as_str()));
        assert!(mint(false).unwrap().secret.starts_with("tdktk_"));
        for i in 0..minted.secret.len() {
            let mut bent = minted.secret.clone().into_bytes();
            bent[i] = if bent[i] == b'x' { b'y' } else { b'x' };
            assert_eq!(public_id(&String::from_utf8(bent).unwrap()), None, "at {i}");
        }
        for text in ["", "tdklk_", "é".repeat(40).as_str(), "tdklk_a_b000000"] {
            assert_eq!(public_id(text), None);
        }
    }
}
