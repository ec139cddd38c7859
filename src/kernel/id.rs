//! TypeIDs: a prefix that names the kind, `_`, and 26 lower-case Crockford base32 digits of a UUIDv7 (DECISIONS 19).
//! Exactly one spelling is accepted; every other is an id that does not exist.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// An identifier of one kind of thing.
pub trait TypeId: Copy + Eq + fmt::Display + Send + Sync + 'static {
    /// What stands before the underscore.
    const PREFIX: &'static str;
    /// The name of the kind, used for the `x-ref` mark of the API document.
    const KIND: &'static str;
    /// The UUID under the id.
    fn uuid(self) -> Uuid;
    /// The id over a UUID.
    fn of(uuid: Uuid) -> Self;
}

/// The spelling is not the canonical one of this kind of id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn spell(prefix: &str, uuid: Uuid, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut bits = uuid.as_u128();
    let mut text = [b'_'; 27];
    for digit in text[1..].iter_mut().rev() {
        *digit = DIGITS[(bits & 31) as usize];
        bits >>= 5;
    }
    f.write_str(prefix)?;
    f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

fn read(prefix: &str, text: &str) -> Result<Uuid, NotAnId> {
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).filter(|digits| digits.len() == 26).ok_or(NotAnId)?;
    let mut bits: u128 = 0;
    for (place, byte) in digits.bytes().enumerate() {
        let value = DIGITS.iter().position(|d| *d == byte).ok_or(NotAnId)?;
        // 26 digits hold 130 bits; the first may use only three of its five.
        if place == 0 && value > 7 {
            return Err(NotAnId);
        }
        bits = (bits << 5) | value as u128;
    }
    Ok(Uuid::from_u128(bits))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(Uuid);

        // The order of the bytes, compared as one number: scoring compares little else.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering { self.0.as_u128().cmp(&other.0.as_u128()) }
        }
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> { Some(self.cmp(other)) }
        }

        impl TypeId for $name {
            const PREFIX: &'static str = $prefix;
            const KIND: &'static str = $kind;
            fn uuid(self) -> Uuid { self.0 }
            fn of(uuid: Uuid) -> Self { Self(uuid) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { spell($prefix, self.0, f) }
        }
        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> { read($prefix, text).map(Self) }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.collect_str(self) }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(|_| serde::de::Error::custom("not an id"))
            }
        }
    )*};
}

ids! {
    /// A vendor: the tenant root.
    VendorId = "ven", "vendor";
    /// A partner of a vendor.
    PartnerId = "par", "partner";
    /// A customer: one end customer as served by one partner.
    CustomerId = "cus", "customer";
    /// A subscription of a customer.
    SubscriptionId = "sub", "subscription";
    /// A principal: a client, a member of staff or the system.
    PrincipalId = "prn", "client";
    /// A credential of a client.
    CredentialId = "crd", "credential";
    /// A measure of the vendor's catalogue.
    MeasureId = "mea", "measure";
    /// An observation.
    ObservationId = "obs", "observation";
    /// A revision of a status report.
    ReportId = "rep", "status_report";
    /// What became of a customer.
    OutcomeId = "out", "outcome";
    /// What calibrating a scorecard came to.
    CalibrationId = "cal", "calibration";
    /// A published report.
    SnapshotId = "snp", "snapshot";
    /// A score set by a person.
    OverrideId = "ovr", "override";
    /// A scorecard.
    ScorecardId = "sco", "scorecard";
    /// An event of the ledger.
    EventId = "evt", "event";
    /// An audit entry.
    AuditId = "aud", "audit_entry";
    /// A request, as echoed in `X-Request-Id`.
    RequestId = "req", "request";
    /// An agreement between vendor and partner.
    AgreementId = "agr", "agreement";
    /// A job of the worker.
    JobId = "job", "job";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_spelling_is_the_published_one() {
        let id = CustomerId::of(Uuid::from_u128(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881));
        assert_eq!(id.to_string(), "cus_01h2xcejqtf2nbrexx3vqjhp41");
    }

    #[test]
    fn other_spellings_do_not_exist() {
        for text in [
            "par_01h2xcejqtf2nbrexx3vqjhp41",
            "cus_01H2XCEJQTF2NBREXX3VQJHP41",
            "cus_81h2xcejqtf2nbrexx3vqjhp41",
            "cus_01h2xcejqtf2nbrexx3vqjhp4",
            "cus_01h2xcejqtf2nbrexx3vqjhpl1",
            "cus-01h2xcejqtf2nbrexx3vqjhp41",
            "0188bac7-4afa-78aa-bc3b-bd1eef28d881",
            "cus_01h2xcejqtf2nbrexx3vqjh\u{ff11}",
            "",
        ] {
            assert_eq!(text.parse::<CustomerId>(), Err(NotAnId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_uuid_comes_back(bits: u128) {
            let id = PartnerId::of(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse::<PartnerId>(), Ok(id));
        }

        #[test]
        fn order_of_ids_is_order_of_spellings(a: u128, b: u128) {
            let (x, y) = (PartnerId::of(Uuid::from_u128(a)), PartnerId::of(Uuid::from_u128(b)));
            prop_assert_eq!(x.cmp(&y), x.to_string().cmp(&y.to_string()));
        }
    }
}
