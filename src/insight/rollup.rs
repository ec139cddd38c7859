//! Roll-ups: cells added up by the dimensions that were asked for.

use super::cell::{Cell, Group};
use super::channel::Tree;
use super::dimension::Dimension;
use crate::kernel::id::PartnerId;
use crate::kernel::paging::Window;
use std::collections::BTreeMap;

/// A group by its words of the dimensions in the order they were asked for; empty where nobody said, and where one was asked for alone.
pub type Key = [String; 2];

/// The window of all groups.
pub const ALL: Window<Key> = Window { limit: i64::MAX, after: None };

/// Figures by group.
#[derive(Debug, Default)]
pub struct RollUp {
    /// Those of the window, and one more where there are more.
    pub groups: BTreeMap<Key, Cell>,
    /// All customers, each once.
    pub total: Cell,
}

/// Adds groups up. `of` are the one or two dimensions the groups were read for; groups nobody is in are left out. No more is held than is asked for: partners
/// crossed with channels are as many as the tree is deep.
pub fn roll_up(of: &[Dimension], groups: Vec<Group>, tree: &Tree, window: &Window<Key>) -> RollUp {
    let mut kept: Vec<Dimension> = of.iter().copied().filter(|dimension| !dimension.is_of_partners()).collect();
    kept.sort_unstable();
    let mut answer = RollUp::default();
    for group in groups.into_iter().filter(|group| group.cell.customers() > 0) {
        answer.total += group.cell;
        let channels = match group.partner {
            Some(partner) if of.contains(&Dimension::Channel) => tree.upwards(partner).into_iter().map(Some).collect(),
            _ => vec![None],
        };
        for channel in channels {
            let id = |partner: Option<PartnerId>| partner.map(|partner| partner.to_string()).unwrap_or_default();
            let key = |dimension: Option<&Dimension>| match dimension {
                Some(Dimension::Partner) => id(group.partner),
                Some(Dimension::Channel) => id(channel),
                Some(dimension) => group.keys[kept.iter().position(|one| one == dimension).unwrap_or(0)].clone(),
                None => String::new(),
            };
            let key = [key(of.first()), key(of.get(1))];
            if window.after.as_ref().is_none_or(|after| key > *after) {
                *answer.groups.entry(key).or_default() += group.cell;
            }
            // Who is pushed out does not come back: as many stand before it.
            if answer.groups.len() > window.limit as usize + 1 {
                answer.groups.pop_last();
            }
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::id::TypeId;
    use uuid::Uuid;

    fn cell(healthy: i64) -> Cell {
        Cell { healthy, ..Cell::default() }
    }

    #[test]
    fn groups_stand_in_the_order_asked_for_and_channels_hold_what_is_below_them() {
        let (above, below) = (PartnerId::of(Uuid::from_u128(1)), PartnerId::of(Uuid::from_u128(2)));
        let tree = Tree::of([(above, None), (below, Some(above))]);
        let group = |partner, keys: [&str; 2], n| Group { partner, keys: keys.map(str::to_owned), cell: cell(n) };
        let crossed = || vec![group(None, ["kanto", "smb"], 3), group(None, ["kanto", ""], 1), group(None, ["kansai", "smb"], 0)];
        let swapped = roll_up(&[Dimension::Segment, Dimension::Region], crossed(), &tree, &ALL);
        assert_eq!(swapped.groups.keys().collect::<Vec<_>>(), [&["".to_owned(), "kanto".to_owned()], &["smb".to_owned(), "kanto".to_owned()]]);
        assert_eq!(swapped.total.customers(), 4);
        let channels = roll_up(&[Dimension::Region, Dimension::Channel], vec![group(Some(above), ["kanto", ""], 2), group(Some(below), ["kanto", ""], 5)], &tree, &ALL);
        let of = |partner: PartnerId| channels.groups[&["kanto".to_owned(), partner.to_string()]].customers();
        assert_eq!((of(above), of(below), channels.total.customers()), (7, 5, 7));
        let by_both =
            |window: &Window<Key>| roll_up(&[Dimension::Channel, Dimension::Partner], vec![group(Some(above), ["", ""], 2), group(Some(below), ["", ""], 5)], &tree, window);
        let whole = by_both(&ALL);
        let of = |channel: PartnerId, partner: PartnerId| whole.groups.get(&[channel.to_string(), partner.to_string()]).map(Cell::customers);
        assert_eq!((of(above, above), of(above, below), of(below, below), of(below, above)), (Some(2), Some(5), Some(5), None));
        assert_eq!(whole.total.customers(), 7);
        // A page, and what is behind it: the same groups with the same figures.
        let (page, first) = (by_both(&Window { limit: 1, after: whole.groups.keys().next().cloned() }), by_both(&Window { limit: 1, after: None }));
        assert!(page.groups.iter().eq(whole.groups.iter().skip(1)) && first.groups.iter().eq(whole.groups.iter().take(2)) && page.total == whole.total);
    }
}
