//! A partner: an organisation that sells or serves for the vendor, in a tree of any depth. The vendor's own direct business
//! is a partner of kind `direct`, so that every figure treats all channels alike.

use crate::kernel::id::PartnerId;
use crate::kernel::text::{ExternalId, Label, Name};
use crate::kernel::time::Moment;

crate::word_list! {
    /// What a partner is to the vendor.
    PartnerKind {
        /// The vendor's own direct business.
        Direct = "direct",
        /// Tier 1: sells through resellers of its own.
        Distributor = "distributor",
        /// Sells to end customers.
        Reseller = "reseller",
        /// Acts for the vendor without reselling.
        Agency = "agency",
        /// Introduces customers.
        Referral = "referral",
        /// Serves customers others sold to.
        Service = "service",
    }
    /// What a parent may see of a partner below it (DECISIONS 16).
    Sees {
        /// Not even that it has figures.
        Nothing = "nothing",
        /// Its totals, no customer.
        Totals = "totals",
        /// Its customers.
        Customers = "customers",
    }
    /// Whether a partner may act.
    PartnerState {
        /// It may.
        Active = "active",
        /// Its clients are refused until it is active again.
        Suspended = "suspended",
        /// The relationship is over; its history stays.
        Ended = "ended",
    }
}

/// Whether two different names look alike (UTS 39): `раypal` and `paypal`, 口 and ロ.
pub fn look_alike(a: &str, b: &str) -> bool {
    let skeleton = |text: &str| unicode_security::skeleton(&text.to_lowercase()).collect::<String>();
    a != b && skeleton(a) == skeleton(b)
}

/// A partner as it stands.
#[derive(Debug, Clone)]
pub struct Partner {
    /// Its id.
    pub id: PartnerId,
    /// The vendor's own id of it.
    pub external_id: ExternalId,
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: PartnerKind,
    /// The partner above it.
    pub parent_id: Option<PartnerId>,
    /// What that one may see of it.
    pub parent_sees: Sees,
    /// Whether it may act.
    pub state: PartnerState,
    /// The vendor's rank of it.
    pub tier: Option<Label>,
    /// Raised by each change.
    pub version: i64,
    /// When it was created.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}

#[cfg(test)]
mod tests {
    use super::look_alike;

    #[test]
    fn names_that_look_alike() {
        assert!(look_alike("раypal", "paypal"), "Cyrillic а and р");
        assert!(look_alike("ニッポン口ケット", "ニッポンロケット"), "a mouth for a kana");
        assert!(!look_alike("株式会社ひかり販売", "株式会社ひかり商事"));
        assert!(!look_alike("Hikari", "Hikari"), "two may bear the very same name");
    }
}
