//! Whom bodies speak of: a partner's own customers, or anybody's when the vendor speaks.

use crate::auth::Tenant;
use crate::db::Tx;
use crate::directory::customer::CustomerRef;
use crate::directory::store::subject;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, PartnerId, TypeId};
use std::collections::HashMap;
use uuid::Uuid;

/// The customers some references name.
#[derive(Debug, Default)]
pub struct Subjects {
    by_id: HashMap<Uuid, Uuid>,
    by_name: HashMap<String, (Uuid, Uuid)>,
    read_only: Vec<Uuid>,
}

/// Looks for all of them at once. A partner (`own`) names its own customers, which are locked; the vendor names anybody's by our id, and by
/// their partner's ids those of the partner it names.
pub async fn subjects<'a, S: Tenant>(tx: &Tx<S>, own: bool, named_by: Option<PartnerId>, references: impl Iterator<Item = &'a CustomerRef>) -> Result<Subjects, Fault> {
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    for reference in references {
        match reference {
            CustomerRef::Id(id) => ids.push(id.uuid()),
            CustomerRef::External(name) => names.push(name.to_string()),
        }
    }
    let mut found = Subjects::default();
    if own {
        let partner = tx.scope().acts()?;
        for one in subject::lock_named(tx, ids.clone(), names).await? {
            found.by_id.insert(one.id, partner);
            found.by_name.insert(one.external_id, (partner, one.id));
        }
        ids.retain(|id| !found.by_id.contains_key(id));
        if !ids.is_empty() {
            found.read_only = subject::seen_elsewhere(tx, &ids).await?;
        }
        return Ok(found);
    }
    found.by_id = subject::partners_of(tx, ids).await?;
    if let Some(partner) = named_by {
        let named = subject::customers_named(tx, partner.uuid(), names).await?;
        found.by_name = named.into_iter().map(|one| (one.external_id, (partner.uuid(), one.id))).collect();
    }
    Ok(found)
}

impl Subjects {
    /// The customer a reference names, with its partner.
    pub fn find(&self, reference: &CustomerRef) -> Result<(PartnerId, CustomerId), Fault> {
        let found = match reference {
            CustomerRef::Id(id) if self.read_only.contains(&id.uuid()) => return Err(Fault::of(Code::ReadOnlyHere)),
            CustomerRef::Id(id) => self.by_id.get(&id.uuid()).map(|partner| (*partner, id.uuid())),
            CustomerRef::External(name) => self.by_name.get(name.as_str()).copied(),
        };
        found.map(|(partner, customer)| (PartnerId::of(partner), CustomerId::of(customer))).ok_or_else(|| Fault::reference(reference.pointer()))
    }
}
