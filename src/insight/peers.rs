//! Peers: which groups of a dimension are large enough to be told of; how a partner stands in one is place.rs.
//! Protected both ways: whoever takes its own customers out of a group, or some groups out of the whole, is never left with few.
//!
//! A peer is a family: a partner with everybody below it, because a distributor sees what is below it and could make many of
//! few. One dimension of one day at a time; what two dimensions or two days say together is not guarded here, so places are told
//! and no sums, of months and not of days.

use super::cell::Cell;
use std::collections::BTreeMap;

/// Of fewer other families than this nothing is told.
pub const LEAST_PEERS: usize = 5;
/// Of fewer customers of other families than this nothing is told.
pub const LEAST_CUSTOMERS: i64 = 20;
/// A family: the topmost partner.
pub type Id = u128;

/// The cells of the families in a group.
pub(super) type Cells = BTreeMap<Id, Cell>;

/// A family's customers in one group of the dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// Whose.
    pub family: Id,
    /// The group; empty when it was not said, which is a group like any other.
    pub group: &'a str,
    /// Their figures.
    pub cell: Cell,
}

/// A group large enough to be told of. Its cells are the ground of what is told, not themselves for anybody's eyes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its name; `None` for all the others together.
    pub group: Option<String>,
    /// The families with a customer in it.
    pub of: BTreeMap<Id, Cell>,
}

fn customers(of: &Cells) -> i64 {
    of.values().map(Cell::customers).sum()
}

/// Whether every participant has enough peers with enough customers between them; the one with the most customers has the least
/// beside it. A group that is large enough stays so whatever joins it.
fn is_large_enough(of: &Cells) -> bool {
    let largest = of.values().map(Cell::customers).max().unwrap_or(0);
    of.len() > LEAST_PEERS && customers(of) - largest >= LEAST_CUSTOMERS
}

fn add(to: &mut Cells, of: Cells) {
    for (family, cell) in of {
        *to.entry(family).or_default() += cell;
    }
}

/// The groups that may be told of, by name, the others last. Together they are all customers of the dimension, or there are none:
/// what is too small goes into the others, and if these are still too small, the smallest large group with them (of equal ones the
/// first by name), because a remainder left out could be had by subtraction. `members` may come in any order.
pub fn groups(members: &[Member<'_>]) -> Vec<Published> {
    let mut all: BTreeMap<&str, Cells> = BTreeMap::new();
    for member in members.iter().filter(|member| member.cell.customers() > 0) {
        *all.entry(member.group).or_default().entry(member.family).or_default() += member.cell;
    }
    let (mut named, small): (BTreeMap<&str, Cells>, BTreeMap<&str, Cells>) = all.into_iter().partition(|(_, of)| is_large_enough(of));
    let mut others = Cells::new();
    for of in small.into_values() {
        add(&mut others, of);
    }
    while !others.is_empty() && !is_large_enough(&others) {
        let smallest = named.iter().min_by_key(|(name, of)| (customers(of), **name)).map(|(name, _)| *name);
        match smallest.and_then(|name| named.remove(name)) {
            Some(of) => add(&mut others, of),
            None => others.clear(),
        }
    }
    let named = named.into_iter().map(|(name, of)| Published { group: Some(name.to_owned()), of });
    named.chain((!others.is_empty()).then(|| Published { group: None, of: others.clone() })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::place::{Place, ROUNDED_TO, standing};
    use proptest::prelude::*;

    /// A family of one partner.
    fn stand(group: &Published, id: Id) -> Vec<Place> {
        standing(group, id, &group.of.get(&id).copied().unwrap_or_default())
    }

    /// All of known health, each at `points`.
    fn healthy(customers: i64, points: i64) -> Cell {
        Cell { healthy: customers, score_sum: customers * points * 1000, ..Cell::default() }
    }

    fn members(group: &str, partners: std::ops::Range<Id>, customers: i64) -> Vec<Member<'_>> {
        partners.map(|partner| Member { family: partner, group, cell: healthy(customers, 50) }).collect()
    }

    fn told(published: &[Published]) -> Vec<(Option<&str>, usize, i64)> {
        published.iter().map(|p| (p.group.as_deref(), p.of.len(), customers(&p.of))).collect()
    }

    /// "gov": 6 partners of 5, 30 - 5 = 25 beside each: large. "retail": 6 of 4, 24 - 4 = 20: just large. "school": 6 partners,
    /// five of 4 and one of 90, 110 - 90 = 20: large. "bank": 5 of 100: too few partners. "farm": 6 of 3, 18 - 3 = 15: too few
    /// customers. Bank and farm together are partners 0-5: 103 each for five and 3 for one, 518 - 103 = 415: large.
    /// With one customer of "tiny" alone in place of bank and farm, the others are 1; the smallest large group is retail (24 < 30
    /// < 110), so the others are 24 + 1, of the 6 partners of retail, 25 - 5 = 20: large, and one merger was enough.
    #[test]
    fn groups_worked_by_hand() {
        let mut large = [members("gov", 0..6, 5), members("retail", 3..9, 4), members("school", 0..5, 4)].concat();
        large.extend(members("school", 7..8, 90));
        let small = [members("bank", 0..5, 100), members("farm", 0..6, 3), members("nobody", 0..9, 0)].concat();
        let published = groups(&[large.clone(), small.clone()].concat());
        assert_eq!(told(&published), [(Some("gov"), 6, 30), (Some("retail"), 6, 24), (Some("school"), 6, 110), (None, 6, 518)]);
        assert_eq!(published[3].of[&0], healthy(103, 50));
        let published = groups(&[large.clone(), members("tiny", 3..4, 1)].concat());
        assert_eq!(told(&published), [(Some("gov"), 6, 30), (Some("school"), 6, 110), (None, 6, 25)]);
        assert_eq!(told(&groups(&large)), [(Some("gov"), 6, 30), (Some("retail"), 6, 24), (Some("school"), 6, 110)]);
        assert_eq!(told(&groups(&members("bank", 0..5, 100))), []);
        assert_eq!(told(&groups(&members("", 0..6, 4))), [(Some(""), 6, 24)]);
        assert_eq!(told(&groups(&[members("a", 0..6, 4), members("b", 0..6, 4), members("c", 0..1, 1)].concat())), [(Some("b"), 6, 24), (None, 6, 25)]);
    }

    const NAMES: [&str; 6] = ["", "a", "b", "c", "d", "e"];

    prop_compose! {
        fn cells(most: i64)(known in (0..=most, 0..=most, 0..=most), unknown in 0..=most, points in 0i64..=10, kept in 0i64..=4) -> Cell {
            let (healthy, watch, at_risk) = known;
            let cell = Cell { healthy, watch, at_risk, unknown, score_sum: (healthy + watch + at_risk) * points * 9_000, ..Cell::default() };
            Cell { in_cadence: cell.customers() * kept / 4, ..cell }
        }
    }

    /// Some groups with many partners, some with few; some partners far larger than others; some cells empty.
    fn panels() -> impl Strategy<Value = Vec<Member<'static>>> {
        let group = prop_oneof![8 => 1usize..3, 4 => 3usize..5, 1 => Just(0usize), 1 => Just(5usize)];
        let cell = prop_oneof![1 => Just(Cell::default()), 8 => cells(2), 2 => cells(8), 1 => cells(40)];
        let panel = (0usize..70).prop_flat_map(move |most| prop::collection::btree_map((group.clone(), 0u128..14), cell.clone(), 0..=most));
        panel.prop_map(|of| of.into_iter().map(|((group, partner), cell)| Member { family: partner, group: NAMES[group], cell }).collect())
    }

    fn all_of<'a>(parts: impl Iterator<Item = &'a Published>) -> Cells {
        let mut all = Cells::new();
        parts.for_each(|part| add(&mut all, part.of.clone()));
        all
    }

    fn renamed<'a>(members: &[Member<'_>], name: impl Fn(usize) -> &'a str) -> Vec<Member<'a>> {
        let place = |group: &str| NAMES.iter().position(|known| *known == group).unwrap();
        members.iter().map(|m| Member { family: m.family, group: name(place(m.group)), cell: m.cell }).collect()
    }

    /// What every partner is told, without names of groups.
    fn all_told(members: &[Member<'_>]) -> Vec<Vec<Vec<Place>>> {
        let mut told: Vec<_> = groups(members).iter().map(|group| (group.of.keys().map(|id| stand(group, *id)).collect::<Vec<_>>(), group.clone())).collect();
        told.sort_by_key(|(_, group)| (group.group.is_none(), customers(&group.of)));
        told.into_iter().map(|(places, _)| places).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Spelled out for each participant and for each sum of published groups, by itself and taken from the whole.
        #[test]
        fn nothing_told_isolates_few(members in panels()) {
            let published = groups(&members);
            let mut whole = Cells::new();
            members.iter().filter(|m| m.cell.customers() > 0).for_each(|m| add(&mut whole, Cells::from([(m.family, m.cell)])));
            if published.is_empty() {
                prop_assert!(!is_large_enough(&whole), "all in one could have been told");
            } else {
                prop_assert_eq!(&all_of(published.iter()), &whole, "nothing is left out");
            }
            for chosen in 0u32..1 << published.len() {
                let sum = all_of(published.iter().enumerate().filter(|(i, _)| chosen >> i & 1 == 1).map(|(_, p)| p));
                let left = |id: &Id| whole[id].customers() - sum.get(id).map_or(0, Cell::customers);
                let rest: BTreeMap<Id, i64> = whole.keys().map(|id| (*id, left(id))).filter(|(_, n)| *n > 0).collect();
                let sum: BTreeMap<Id, i64> = sum.iter().map(|(id, cell)| (*id, cell.customers())).collect();
                for part in [rest, sum].into_iter().filter(|part| !part.is_empty() && !published.is_empty()) {
                    for reader in whole.keys() {
                        let peers = part.iter().filter(|(id, _)| *id != reader);
                        prop_assert!(peers.clone().count() >= LEAST_PEERS && peers.map(|(_, n)| n).sum::<i64>() >= LEAST_CUSTOMERS);
                    }
                }
            }
        }

        #[test]
        fn no_more_than_one_large_group_is_given_up(members in panels()) {
            let large = |name: &str| {
                let of = members.iter().filter(|m| m.group == name && m.cell.customers() > 0).map(|m| (m.family, m.cell)).collect();
                is_large_enough(&of)
            };
            let named = groups(&members).iter().filter(|p| p.group.is_some()).count();
            prop_assert!(NAMES.iter().filter(|name| large(name)).count() - named <= 1);
        }

        #[test]
        fn independent_of_order((members, shuffled) in panels().prop_flat_map(|m| (Just(m.clone()), Just(m).prop_shuffle()))) {
            let published = groups(&members);
            prop_assert!(published.windows(2).all(|two| two[1].group.is_none() || two[0].group < two[1].group), "by name, others last");
            prop_assert_eq!(published, groups(&shuffled));
        }

        #[test]
        fn percentiles_are_whole_steps(members in panels()) {
            for place in all_told(&members).into_iter().flatten().flatten() {
                prop_assert!(place.percentile.is_none_or(|p| (0..=100).contains(&p) && p % ROUNDED_TO == 0));
                prop_assert!(place.value.is_some() || place.percentile.is_none());
            }
        }

        /// Which groups are told of says nothing of health, only of numbers.
        #[test]
        fn health_does_not_decide_what_is_told(members in panels(), which: prop::sample::Index) {
            let mut changed = members.clone();
            let able: Vec<usize> = (0..members.len()).filter(|i| members[*i].cell.healthy > 0).collect();
            prop_assume!(!able.is_empty());
            let cell = &mut changed[*which.get(&able)].cell;
            (cell.healthy, cell.at_risk) = (cell.healthy - 1, cell.at_risk + 1);
            let (before, after) = (groups(&members), groups(&changed));
            prop_assert_eq!(told(&before), told(&after));
        }

        /// Names decide only which of two groups of equal size is given up, so names in the same order decide nothing.
        #[test]
        fn names_do_not_matter(members in panels()) {
            prop_assert_eq!(all_told(&members), all_told(&renamed(&members, |i| ["p", "q", "r", "s", "t", "u"][i])));
            let size = |name: &str| members.iter().filter(|m| m.group == name).map(|m| m.cell.customers()).sum::<i64>();
            let mut sizes: Vec<i64> = NAMES.iter().map(|name| size(name)).filter(|n| *n > 0).collect();
            sizes.sort_unstable();
            if sizes.windows(2).all(|two| two[0] < two[1]) {
                prop_assert_eq!(all_told(&members), all_told(&renamed(&members, |i| NAMES[NAMES.len() - 1 - i])));
            }
        }

        #[test]
        fn a_higher_mean_never_lowers_the_percentile(members in panels(), which: prop::sample::Index, rise in 0i64..50_000) {
            let able: Vec<usize> = (0..members.len()).filter(|i| members[*i].cell.known() > 0).collect();
            prop_assume!(!able.is_empty());
            let own = *which.get(&able);
            let mut raised = members.clone();
            raised[own].cell.score_sum += raised[own].cell.known() * rise;
            for (before, after) in groups(&members).iter().zip(&groups(&raised)) {
                let of = |group| stand(group, members[own].family)[0];
                prop_assert_eq!((&before.group, of(before).percentile.is_some()), (&after.group, of(after).percentile.is_some()));
                prop_assert!(of(before).percentile <= of(after).percentile && of(before).value <= of(after).value);
            }
        }
    }
}
