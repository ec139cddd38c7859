//! Totals of partners whose customers another may not see: made once a month for everybody who sees any, and read by them.

use crate::auth::{Tenant, reach};
use crate::db::Tx;
use crate::directory::Partner;
use crate::health::AsKnown;
use crate::insight::cell::Cell;
use crate::insight::store;
use crate::insight::totals::{Part, parts, still_told};
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId};
use chrono::NaiveDate;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// What is told to a partner of those that show it their totals and not their customers.
pub struct MonthTotals {
    /// The last day of the month; `None` while none can be told of.
    pub closed_on: Option<NaiveDate>,
    /// Part by part.
    pub parts: Vec<Part>,
}

/// For each partner that sees anybody's totals alone, by the links as they are, the parts of a month.
pub(super) fn made_of(partners: &[Partner], cells: &HashMap<PartnerId, Cell>) -> BTreeMap<PartnerId, Vec<Part>> {
    let mut below: HashMap<Uuid, Vec<(Uuid, &str)>> = HashMap::new();
    for partner in partners {
        if let Some(parent) = partner.parent_id {
            below.entry(parent.uuid()).or_default().push((partner.id.uuid(), partner.parent_sees.as_str()));
        }
    }
    let seen_by = |viewer: PartnerId| {
        let (customers, totals) = reach(viewer.uuid(), |id| below.get(&id).cloned().unwrap_or_default());
        let hidden = totals.difference(&customers).map(|id| PartnerId::of(*id));
        parts(hidden.filter_map(|id| Some((id, *cells.get(&id)?))))
    };
    let viewers = partners.iter().filter(|partner| below.contains_key(&partner.id.uuid()));
    viewers.map(|viewer| (viewer.id, seen_by(viewer.id))).filter(|(_, parts)| !parts.is_empty()).collect()
}

/// Reads what is told to the caller, as the newest month up to a day and as known at a moment; `None` where nobody shows it totals alone.
pub async fn month_totals<S: Tenant>(tx: &Tx<S>, point: AsKnown) -> Result<Option<MonthTotals>, Fault> {
    let (Some(seen), Some(totals)) = (tx.scope().visible(), tx.scope().totals()) else { return Ok(None) };
    let hidden: BTreeSet<PartnerId> = totals.into_iter().filter(|partner| !seen.contains(partner)).map(PartnerId::of).collect();
    if hidden.is_empty() {
        return Ok(None);
    }
    let (closed_on, parts) = store::month_totals(tx, tx.scope().acts()?, point).await?.unzip();
    Ok(Some(MonthTotals { closed_on, parts: still_told(parts.unwrap_or_default(), &hidden) }))
}
