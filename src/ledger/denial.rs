//! What known callers were refused, gathered until it is written down: bounded, and beside the path of requests, so that a
//! storm of refusals costs neither them nor the database.

use crate::auth::Caller;
use crate::kernel::code::Code;
use crate::kernel::id::{RequestId, TypeId};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Different refusals that are kept between two writings; further ones are only counted in the metrics.
const KEPT: usize = 1_024;

/// A refusal, and how often it came.
#[derive(Debug, Clone)]
pub struct Denial {
    /// Who was refused.
    pub caller: Caller,
    /// What it wanted to do.
    pub operation: &'static str,
    /// Why not.
    pub code: Code,
    /// The first request of them.
    pub request: RequestId,
    /// How many there were.
    pub times: i32,
}

/// The refusals since they were last written down.
#[derive(Debug, Default)]
pub struct Denials(Mutex<HashMap<(Uuid, &'static str, &'static str), Denial>>);

impl Denials {
    /// Whether a refusal for this reason is one of authority; what is wrong with an input is not.
    pub fn concerns(code: Code) -> bool {
        matches!(code, Code::InsufficientScope | Code::TenantSuspended | Code::ReadOnlyHere | Code::NotFound | Code::ReferenceNotFound | Code::QuotaExceeded)
    }

    /// Notes one; `false` when there is no room for it.
    pub fn note(&self, caller: &Caller, operation: &'static str, code: Code, request: RequestId) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (caller.principal().uuid(), operation, code.slug());
        if let Some(same) = kept.get_mut(&key) {
            same.times = same.times.saturating_add(1);
            return true;
        }
        let room = kept.len() < KEPT;
        if room {
            kept.insert(key, Denial { caller: caller.clone(), operation, code, request, times: 1 });
        }
        room
    }

    /// Takes them all out, each tenant's together.
    pub fn take(&self) -> Vec<Vec<Denial>> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut tenants: HashMap<(Uuid, Option<Uuid>), Vec<Denial>> = HashMap::new();
        for denial in taken.into_values() {
            tenants.entry((denial.caller.vendor().uuid(), denial.caller.partner().map(TypeId::uuid))).or_default().push(denial);
        }
        tenants.into_values().collect()
    }
}
