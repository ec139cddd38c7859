//! Figures of a point in both times: as they stand, or as days closed.

use crate::auth::Tenant;
use crate::db::Tx;
use crate::directory::{self, Partner, Vendor};
use crate::health::{AsKnown, Times};
use crate::insight::cell::{Cell, Group};
use crate::insight::channel::{Channel, Tree, channels};
use crate::insight::dimension::Facet;
use crate::insight::store::{self, Days};
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId};
use crate::kernel::time::Moment;
use chrono::{Duration, NaiveDate};
use std::collections::HashMap;

/// What a caller sees at a point in both times.
pub struct Seen {
    /// The partners there were then whose customers it sees, each below the one it had then.
    pub partners: Vec<Partner>,
    /// The cells of a facet.
    pub groups: Vec<Group>,
    /// The day the figures of each partner are of; of whom no day was turned, or closed, none.
    pub days: Days,
    /// The point.
    pub point: AsKnown,
}

impl Seen {
    /// Who stood above whom.
    pub fn tree(&self) -> Tree {
        Tree::of(self.partners.iter().map(|partner| (partner.id, partner.parent_id)))
    }

    /// The oldest day the figures of a partner are of.
    pub fn oldest_day(&self) -> Option<NaiveDate> {
        self.partners.iter().filter_map(|partner| self.days.get(&partner.id)).min().copied()
    }

    /// Each partner with its own cell and those below it, beside the closes compared with. For the facet of all customers, read by partner.
    pub fn channels(self, closes: &HashMap<PartnerId, Cell>) -> Vec<Channel> {
        let cells = self.groups.into_iter().filter_map(|group| Some((group.partner?, group.cell))).collect();
        channels(self.partners, &cells, closes, &self.days)
    }
}

/// The partners whose customers are seen.
async fn of_customers<S: Tenant>(tx: &Tx<S>) -> Result<Vec<Partner>, Fault> {
    let mut partners = directory::all_visible_partners(tx).await?;
    if let Some(seen) = tx.scope().visible() {
        partners.retain(|partner| seen.contains(&partner.id.uuid()));
    }
    Ok(partners)
}

/// Reads the cells of a facet as they stand or, asked for a point in time, as days closed.
pub async fn see<S: Tenant>(tx: &Tx<S>, vendor: &Vendor, times: &Times<'_>, facet: Facet, by_partner: bool) -> Result<Seen, Fault> {
    let point = times.resolve(vendor, tx.now())?;
    if !times.are_now() {
        return see_at(tx, vendor, point, facet, by_partner).await;
    }
    let audience = tx.scope().audience();
    let (partners, groups, days) = futures_util::try_join!(of_customers(tx), store::groups(tx, audience, facet, by_partner), store::scoring_days(tx))?;
    Ok(Seen { partners, groups, days, point })
}

/// The same as days closed. A partner sees the past of the partners it may see now: who may see is decided today.
pub async fn see_at<S: Tenant>(tx: &Tx<S>, vendor: &Vendor, point: AsKnown, facet: Facet, by_partner: bool) -> Result<Seen, Fault> {
    let audience = tx.scope().audience();
    let parents = async { if tx.scope().visible().is_none() { directory::parents_at(tx, moment_of(vendor, point)).await.map(Some) } else { Ok(None) } };
    let (mut partners, parents, days) = futures_util::try_join!(of_customers(tx), parents, store::days_at(tx, audience, tx.scope().visible(), point))?;
    if let Some(parents) = parents {
        partners.retain(|partner| parents.contains_key(&partner.id));
        partners.iter_mut().for_each(|partner| partner.parent_id = parents.get(&partner.id).copied().flatten());
    }
    let groups = store::groups_of_days(tx, audience, facet, by_partner, &days).await?;
    Ok(Seen { partners, groups, days, point })
}

/// The moment of which things with versions count at a point: the end of its day, or what was known if that is earlier.
pub fn moment_of(vendor: &Vendor, point: AsKnown) -> Moment {
    point.known_at.min(vendor.zone.start_of(point.on + Duration::days(1)) - Duration::microseconds(1))
}
