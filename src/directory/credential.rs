//! Credentials of a client: secrets and public keys. Two of a kind may be in force while a client changes over.

use crate::auth::PublicJwk;
use crate::kernel::id::CredentialId;
use crate::kernel::time::Moment;
use chrono::{Duration, NaiveDate};

/// The longest a credential stays in force beside a newer one of its kind, in days (SECURITY c.1).
pub const MAX_OVERLAP_DAYS: i64 = 7;

crate::word_list! {
    /// How a client proves who it is.
    CredentialKind {
        /// A shared secret, `client_secret_basic`.
        ClientSecret = "client_secret",
        /// A key of its own, `private_key_jwt`.
        PublicKey = "public_key",
    }
}

/// A credential as the vendor sees it.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// Its kind.
    pub kind: CredentialKind,
    /// The public key, of a key.
    pub public_key: Option<PublicJwk>,
    /// When it was added.
    pub created_at: Moment,
    /// When it ceases to be in force.
    pub not_after: Option<Moment>,
    /// When it was revoked.
    pub revoked_at: Option<Moment>,
    /// The last day it was used.
    pub last_used_on: Option<NaiveDate>,
}

impl Credential {
    /// A new one, in force until something is done about it.
    pub fn new(id: CredentialId, kind: CredentialKind, public_key: Option<PublicJwk>, now: Moment) -> Self {
        Self { id, kind, public_key, created_at: now, not_after: None, revoked_at: None, last_used_on: None }
    }

    /// Whether it opens the door now.
    pub fn is_in_force(&self, now: Moment) -> bool {
        self.revoked_at.is_none() && self.not_after.is_none_or(|end| now < end)
    }
}

/// When those in force end, now that a newer one of their kind comes: the newest after `overlap`, the others at once. None gains time.
pub fn step_back(in_force: &[Credential], now: Moment, overlap: Duration) -> Vec<(CredentialId, Moment)> {
    // Whatever the clocks of those who added them said: the newest has no end yet, or the latest.
    let end = |credential: &Credential| credential.not_after.unwrap_or(Moment::MAX_UTC);
    let Some(newest) = in_force.iter().max_by_key(|credential| end(credential)) else { return Vec::new() };
    in_force.iter().map(|credential| (credential.id, if credential.id == newest.id { end(credential).min(now + overlap) } else { now })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::id::TypeId;
    use chrono::DateTime;
    use proptest::prelude::*;

    fn at(hours: i64) -> Moment {
        DateTime::UNIX_EPOCH + Duration::hours(hours)
    }

    proptest! {
        #[test]
        fn at_most_two_are_in_force_and_none_gains_time(steps in prop::collection::vec((0i64..200, 0..=MAX_OVERLAP_DAYS), 1..12)) {
            let (mut all, mut hour): (Vec<Credential>, i64) = (Vec::new(), 0);
            for (n, (pause, days)) in steps.into_iter().enumerate() {
                hour += pause;
                let in_force: Vec<_> = all.iter().filter(|credential| credential.is_in_force(at(hour))).cloned().collect();
                for (id, end) in step_back(&in_force, at(hour), Duration::days(days)) {
                    let one = all.iter_mut().find(|credential| credential.id == id).unwrap();
                    prop_assert!(one.not_after.is_none_or(|before| end <= before));
                    prop_assert!(end <= at(hour) + Duration::days(MAX_OVERLAP_DAYS));
                    one.not_after = Some(end);
                }
                all.push(Credential::new(CredentialId::of(uuid::Uuid::from_u128(n as u128)), CredentialKind::ClientSecret, None, at(hour)));
                prop_assert!(all.iter().filter(|credential| credential.is_in_force(at(hour))).count() <= 2);
                prop_assert!(all.last().unwrap().is_in_force(at(hour + 10_000)));
            }
        }
    }
}
