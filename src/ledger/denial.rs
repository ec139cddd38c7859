//! What known callers were refused, gathered until it is written down: bounded, and beside the path of requests, so that a
//! storm of refusals costs neither them nor the database.

use crate::auth::Caller;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{RequestId, TypeId};
use crate::kernel::text::Broken;
use crate::kernel::time::Moment;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Different refusals that are kept between two writings: some megabytes. Further ones are only counted in the metrics.
const KEPT: usize = 10_000;

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
    /// When that came.
    pub at: Moment,
    /// How many there were.
    pub times: i32,
}

/// The refusals since they were last written down.
#[derive(Debug, Default)]
pub struct Denials(Mutex<HashMap<(Uuid, &'static str, &'static str), Denial>>);

impl Denials {
    /// The reason and number of refusals in a fault, if they are of authority; what is wrong with an input is none. A cursor that does not open is one: it
    /// may be another's, and nobody can tell.
    pub fn within(fault: &Fault) -> Option<(Code, i32)> {
        match fault.code {
            code
            @ (Code::InsufficientScope | Code::TenantSuspended | Code::ReadOnlyHere | Code::NotFound | Code::ReferenceNotFound | Code::InvalidCursor | Code::QuotaExceeded) => {
                Some((code, 1))
            }
            Code::BatchRejected => {
                let foreign = fault.fields.iter().filter(|field| field.code == Broken::ReferenceNotFound).count();
                (foreign > 0).then(|| (Code::ReferenceNotFound, i32::try_from(foreign).unwrap_or(i32::MAX)))
            }
            _ => None,
        }
    }

    /// Notes a refusal; `false` when there is no room for it.
    pub fn note(&self, denial: Denial) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (denial.caller.principal().uuid(), denial.operation, denial.code.slug());
        if let Some(same) = kept.get_mut(&key) {
            same.times = same.times.saturating_add(denial.times);
            return true;
        }
        let room = kept.len() < KEPT;
        if room {
            kept.insert(key, denial);
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
