//! The caller behind a token, once it has been verified.

use super::action::Permission;
use crate::kernel::id::{PartnerId, PrincipalId, TypeId, VendorId};
use uuid::Uuid;

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(super) vendor: VendorId,
    pub(super) partner: Option<PartnerId>,
    pub(super) principal: PrincipalId,
    pub(super) permissions: Vec<Permission>,
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
    /// Who shares turns at the database and places for batches: a partner's clients, and all of a vendor's staff, whose pool other vendors' staff use as well.
    pub fn tenant(&self) -> Uuid {
        self.partner.map_or(self.vendor.uuid(), TypeId::uuid)
    }
    /// Whether the token carries a scope.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}
