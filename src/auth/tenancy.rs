//! The tree of partners and the states of everybody who may call, as this process knows them: refreshed each second, and
//! refused when older than ten (SECURITY c.2). Authority is decided from here, so that a check costs no round trip.

use super::action::Permissions;
use super::scope::SystemScope;
use super::store::{self, PartnerRow, PrincipalRow};
use crate::db::Db;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Beyond this age the knowledge is not acted on.
pub(super) const MAX_AGE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Known {
    vendors: HashMap<Uuid, bool>,
    partners: HashMap<(Uuid, Uuid), PartnerRow>,
    children: HashMap<(Uuid, Uuid), Vec<Uuid>>,
    principals: HashMap<Uuid, PrincipalRow>,
    cursor: i64,
    fresh_at: Option<Instant>,
}

/// What this process knows of the tenants.
#[derive(Default)]
pub struct Tenancy {
    known: RwLock<Known>,
    // One reader at a time: of two that overlap, the one that read earlier could otherwise put an older row back for good.
    refreshing: tokio::sync::Mutex<()>,
}

/// What a principal is allowed right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Unknown or revoked, or the token is of an older epoch.
    Gone,
    /// Its partner or vendor is suspended.
    Suspended,
    /// In good standing, with these scopes granted.
    Good(Permissions),
}

impl Tenancy {
    /// Reads what changed.
    pub async fn refresh(&self, db: &Db) -> Result<(), Fault> {
        let _turn = self.refreshing.lock().await;
        let begun = Instant::now();
        let changes = match self.look(db).await {
            Ok(changes) => changes,
            Err(fault) => {
                // The server may come back with its transactions counted anew: then everything is read again. Who found no connection was not at the server.
                if fault.code != Code::Overloaded {
                    self.known.write().unwrap_or_else(PoisonError::into_inner).cursor = 0;
                }
                return Err(fault);
            }
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for vendor in changes.vendors {
            known.vendors.insert(vendor.id, vendor.state == "active");
        }
        for partner in changes.partners {
            let key = (partner.vendor_id, partner.id);
            let before = known.partners.get(&key).and_then(|old| old.parent_id);
            if before != partner.parent_id {
                if let Some(parent) = before {
                    known.children.entry((partner.vendor_id, parent)).or_default().retain(|child| *child != partner.id);
                }
                if let Some(parent) = partner.parent_id {
                    known.children.entry((partner.vendor_id, parent)).or_default().push(partner.id);
                }
            }
            known.partners.insert(key, partner);
        }
        for principal in changes.principals {
            known.principals.insert(principal.id, principal);
        }
        known.cursor = changes.cursor;
        known.fresh_at = Some(begun);
        Ok(())
    }

    async fn look(&self, db: &Db) -> Result<store::Changes, Fault> {
        let cursor = self.read(|known| known.cursor);
        db.begin_read(SystemScope::auth()).await?.look(async |tx| store::changes(tx, cursor).await).await
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// 503 when the knowledge is too old to act on.
    pub fn check_fresh(&self) -> Result<(), Fault> {
        match self.read(|known| known.fresh_at) {
            Some(at) if at.elapsed() <= MAX_AGE => Ok(()),
            _ => Err(Fault::unavailable(Code::DatabaseUnavailable, "the knowledge of tenants is stale")),
        }
    }

    /// How a principal stands; `epoch` is the one its token carries, `None` when a token is being issued.
    pub fn standing(&self, vendor: Uuid, partner: Option<Uuid>, principal: Uuid, epoch: Option<i64>) -> Standing {
        self.read(|known| {
            let Some(row) = known.principals.get(&principal).filter(|row| row.vendor_id == vendor) else { return Standing::Gone };
            if row.state != "active" || row.partner_id != partner || epoch.is_some_and(|epoch| epoch != row.epoch) {
                return Standing::Gone;
            }
            let partner_active = partner.is_none_or(|id| known.partners.get(&(vendor, id)).is_some_and(|p| p.state == "active"));
            if known.vendors.get(&vendor) != Some(&true) || !partner_active {
                return Standing::Suspended;
            }
            Standing::Good(Permissions::named(row.scopes.iter().map(String::as_str)))
        })
    }

    /// The vendor, partner and epoch of a principal, for a token to be issued.
    pub fn principal(&self, principal: Uuid) -> Option<(Uuid, Option<Uuid>, i64)> {
        self.read(|known| known.principals.get(&principal).map(|row| (row.vendor_id, row.partner_id, row.epoch)))
    }

    /// The partners whose customers, and whose totals, a partner may see: itself, and its descendants as far as each link
    /// on the way says (DECISIONS 16). Sorted, so that the same authority is the same text.
    pub fn visible(&self, vendor: Uuid, partner: Uuid) -> (Arc<[Uuid]>, Arc<[Uuid]>) {
        self.read(|known| {
            let below = |id: Uuid| {
                let children = known.children.get(&(vendor, id)).into_iter().flatten();
                children.filter_map(|child| known.partners.get(&(vendor, *child)).map(|row| (*child, row.parent_sees.as_str()))).collect()
            };
            let (customers, totals) = reach(partner, below);
            let sorted = |set: HashSet<Uuid>| {
                let mut ids: Vec<Uuid> = set.into_iter().collect();
                ids.sort_unstable();
                Arc::from(ids)
            };
            (sorted(customers), sorted(totals))
        })
    }

    /// Whether a partner of the vendor is a direct one; `None` when there is no such partner.
    pub fn is_direct(&self, vendor: Uuid, partner: Uuid) -> Option<bool> {
        self.read(|known| known.partners.get(&(vendor, partner)).map(|row| row.kind == "direct"))
    }

    /// The vendor's first direct partner.
    pub fn first_direct(&self, vendor: Uuid) -> Option<Uuid> {
        self.read(|known| known.partners.values().filter(|row| row.vendor_id == vendor && row.kind == "direct").map(|row| row.id).min())
    }
}

/// The partners whose customers, and whose totals, are seen from one: itself, and those below it as far as each link on the way says (DECISIONS 16). `below` gives the
/// children of a partner, with the word of their link.
pub fn reach<'a>(from: Uuid, below: impl Fn(Uuid) -> Vec<(Uuid, &'a str)>) -> (HashSet<Uuid>, HashSet<Uuid>) {
    let (mut customers, mut totals) = (HashSet::from([from]), HashSet::from([from]));
    let mut open = vec![(from, true)];
    while let Some((id, names)) = open.pop() {
        for (child, sees) in below(id) {
            let names = names && sees == "customers";
            if sees != "nothing" && totals.insert(child) {
                if names {
                    customers.insert(child);
                }
                open.push((child, names));
            }
        }
    }
    (customers, totals)
}
