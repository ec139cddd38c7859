//! The caller behind a token, once it has been verified.

use super::action::{Permission, Permissions};
use crate::kernel::id::{PartnerId, PrincipalId, TypeId, VendorId};
use uuid::Uuid;

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(super) vendor: VendorId,
    pub(super) partner: Option<PartnerId>,
    pub(super) principal: PrincipalId,
    pub(super) permissions: Permissions,
    pub(super) is_survey: bool,
}

impl Caller {
    /// The vendor whose tenant it is.
    pub fn vendor(&self) -> VendorId {
        self.vendor
    }
    /// The partner it belongs to; `None` for the vendor's own.
    pub fn partner(&self) -> Option<PartnerId> {
        self.partner
    }
    /// The principal that acts.
    pub fn principal(&self) -> PrincipalId {
        self.principal
    }
    /// Whose budget, stored answers and ledger rows these are: the partner as a whole, so that a retry under a new
    /// credential is the same caller; of the vendor each principal for itself.
    pub fn caller_id(&self) -> Uuid {
        self.partner.map_or(self.principal.uuid(), TypeId::uuid)
    }
    /// Whose turns at the database it takes: a partner's clients share theirs, and all staff of a vendor, whose pool other vendors' staff use as well.
    pub fn turn_id(&self) -> Uuid {
        turn_id(self.vendor, self.partner)
    }
    /// Whether it was made to speak for the customers: by the credential (DECISIONS 3), whatever its token asked for.
    pub fn is_survey(&self) -> bool {
        self.is_survey
    }
    /// Whether the token carries a scope.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.has(permission)
    }
}

/// Whose turns a caller of this vendor and partner takes.
pub(super) fn turn_id(vendor: VendorId, partner: Option<PartnerId>) -> Uuid {
    partner.map_or(vendor.uuid(), TypeId::uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staff_of_a_vendor_share_their_turns_and_nothing_else() {
        let id = Uuid::from_u128;
        let caller = |vendor, partner: Option<u128>, principal| Caller {
            vendor: VendorId::of(id(vendor)),
            partner: partner.map(|partner| PartnerId::of(id(partner))),
            principal: PrincipalId::of(id(principal)),
            permissions: Permissions::default(),
            is_survey: false,
        };
        let (one, other, stranger) = (caller(1, None, 10), caller(1, None, 11), caller(2, None, 12));
        assert!(one.turn_id() == other.turn_id() && one.caller_id() != other.caller_id() && one.turn_id() != stranger.turn_id());
        let (portal, batch) = (caller(1, Some(5), 20), caller(1, Some(5), 21));
        assert!(portal.turn_id() == batch.turn_id() && portal.caller_id() == batch.caller_id() && portal.turn_id() != one.turn_id());
    }
}
