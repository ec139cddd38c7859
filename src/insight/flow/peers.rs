//! The comparison of a month: how each partner stands among its peers, by a fixed list of groups and periods (DECISIONS 24), and what is told of totals.
//! From what partners may see alone, so that nothing the vendor knows shows through.

use super::totals::made_of;
use crate::auth::AnalystScope;
use crate::db::Tx;
use crate::directory;
use crate::health::{AsKnown, SHARED};
use crate::insight::cell::{Cell, Group};
use crate::insight::channel::Tree;
use crate::insight::dimension::{Dimension, Facet};
use crate::insight::month::told_month;
use crate::insight::peers::{Member, Published, groups};
use crate::insight::place::standing;
use crate::insight::store::{self, Stood};
use crate::insight::totals::Part;
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId};
use chrono::NaiveDate;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What partners are compared by, beside all their customers: words the vendor knows of, and few of them.
const COMPARED_BY: [Option<Dimension>; 3] = [None, Some(Dimension::Segment), Some(Dimension::TouchModel)];

/// What a month's comparison came to, to be kept in a transaction of its own.
#[derive(Debug)]
pub struct Comparison {
    closed_on: NaiveDate,
    found: Vec<Stood>,
    totals: BTreeMap<PartnerId, Vec<Part>>,
}

/// Compares all partners as the newest month closed; `None` when that is done already.
pub async fn compare_peers(tx: &Tx<AnalystScope>, day: NaiveDate) -> Result<Option<Comparison>, Fault> {
    let closed_on = told_month(day);
    if store::is_compared(tx, closed_on).await? {
        return Ok(None);
    }
    let point = AsKnown { on: closed_on, known_at: tx.now() };
    let (partners, days) = futures_util::try_join!(directory::all_visible_partners(tx), store::days_at(tx, SHARED, None, point))?;
    // Today's tree: whoever stands above a partner today reads what it may see of it.
    let tree = Tree::of(partners.iter().map(|partner| (partner.id, partner.parent_id)));
    let (mut found, mut closed) = (Vec::new(), HashMap::new());
    for dimension in COMPARED_BY {
        let cells = store::groups_of_days(tx, SHARED, dimension.map_or(Facet::ALL, Facet::by), true, &days).await?;
        found.extend(compare(&tree, closed_on, dimension, &cells));
        if dimension.is_none() {
            closed = cells.into_iter().filter_map(|group| Some((group.partner?, group.cell))).filter(|(partner, _)| days.get(partner) == Some(&closed_on)).collect();
        }
    }
    Ok(Some(Comparison { closed_on, found, totals: made_of(&partners, &closed) }))
}

/// Keeps a comparison, once.
pub async fn keep_comparison(tx: &Tx<AnalystScope>, comparison: Comparison) -> Result<(), Fault> {
    if !store::compare_once(tx, comparison.closed_on).await? {
        return Ok(());
    }
    store::keep_stood(tx, &comparison.found).await?;
    store::keep_totals(tx, comparison.closed_on, &comparison.totals).await
}

fn compare(tree: &Tree, closed_on: NaiveDate, dimension: Option<Dimension>, cells: &[Group]) -> Vec<Stood> {
    let family = |partner: PartnerId| tree.upwards(partner).last().copied().unwrap_or(partner).uuid().as_u128();
    let known = || cells.iter().filter_map(|group| Some((group.partner?, group)));
    let members: Vec<Member<'_>> = known().map(|(partner, group)| Member { family: family(partner), group: &group.keys[0], cell: group.cell }).collect();
    let published = groups(&members);
    let named: BTreeSet<&str> = published.iter().filter_map(|group| group.group.as_deref()).collect();
    // What is a partner's own of each published group; of the small ones together.
    let mut own: BTreeMap<(PartnerId, Option<&str>), Cell> = BTreeMap::new();
    for (partner, group) in known().filter(|(_, group)| group.cell.customers() > 0) {
        *own.entry((partner, named.get(group.keys[0].as_str()).copied())).or_default() += group.cell;
    }
    let place = |((partner, name), cell): (&(PartnerId, Option<&str>), &Cell)| {
        let group: &Published = published.iter().find(|group| group.group.as_deref() == *name)?;
        let places = standing(group, family(*partner), cell);
        Some(Stood { partner: *partner, closed_on, dimension, group: name.map(str::to_owned), places })
    };
    own.iter().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn partner(n: u128) -> PartnerId {
        PartnerId::of(Uuid::from_u128(n))
    }

    fn cell(n: i64, points: i64) -> Cell {
        Cell { healthy: n, score_sum: n * points * 1000, ..Cell::default() }
    }

    #[test]
    fn a_distributor_cannot_make_many_peers_of_one() {
        let day = NaiveDate::default();
        let cells: Vec<Group> = (1..=6).map(|n| Group { partner: Some(partner(n)), keys: Default::default(), cell: cell(10, 40 + n as i64) }).collect();
        let apart = Tree::of((1..=6).map(|n| (partner(n), None)));
        let together = Tree::of((1..=6).map(|n| (partner(n), (n == 2).then_some(partner(1)))));
        let told = compare(&apart, day, None, &cells);
        assert_eq!((told.len(), told[5].places[0].value, told[5].places[0].percentile, told[0].places[0].percentile), (6, Some(46_000), Some(100), Some(0)));
        assert_eq!(compare(&together, day, None, &cells), [], "five families are four peers to each");
    }
}
