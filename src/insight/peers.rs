//! Peers: which groups of a dimension are large enough to be told of, and how a partner stands among the others of its group.
//! Protected both ways: whoever takes its own customers out of a group, or some groups out of the whole, is never left with few.
//!
//! A peer is a family: a partner with everybody below it, because a distributor sees what is below it and could make many of
//! few. One dimension of one day at a time; what two dimensions or two days say together is not guarded here, so places are told
//! and no sums, of months and not of days.

use super::cell::{Cell, Standing};
use crate::kernel::number::round;
use crate::kernel::share::wilson;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Of fewer other families than this nothing is told.
pub const LEAST_PEERS: usize = 5;
/// Of fewer customers of other families than this nothing is told.
pub const LEAST_CUSTOMERS: i64 = 20;
/// Percentiles are told in steps of so many percent, so that one peer more or less seldom shows. Of ten peers or fewer it hides
/// nothing: half a peer is then a step or more.
pub const ROUNDED_TO: i64 = 5;

/// A family: the topmost partner.
pub type Id = u128;

/// The cells of the families in a group.
type Cells = BTreeMap<Id, Cell>;

crate::word_list! {
    /// What partners are compared by. A high percentile is good for every one of them.
    Figure {
        /// The mean of known health; higher is better.
        MeanHealth = "mean_health",
        /// Customers at risk among those whose health is known; lower is better.
        ShareAtRisk = "share_at_risk",
        /// Customers whose health is known among all; higher is better.
        KnownShare = "known_share",
        /// Customers reported on within their cadence among all; higher is better.
        ReportRate = "report_rate",
    }
}

impl Figure {
    /// The counted part, and of how many; `None` for the mean, which is no share.
    fn counts(self, cell: &Cell) -> Option<(i64, i64)> {
        match self {
            Self::MeanHealth => None,
            Self::ShareAtRisk => Some((cell.at_risk, cell.known())),
            Self::KnownShare => Some((cell.known(), cell.customers())),
            Self::ReportRate => Some((cell.in_cadence, cell.customers())),
        }
    }

    /// In thousandths: of a point for the mean, of the whole for a share. `None` when there is no customer to tell it of.
    fn of(self, cell: &Cell) -> Option<i64> {
        match self.counts(cell) {
            None => cell.mean(),
            Some((part, whole)) => Cell::share(part, whole),
        }
    }

    /// Its 95 % interval, in thousandths: of the mean from two known customers on, of a share by Wilson.
    fn interval(self, cell: &Cell) -> Option<(i64, i64)> {
        match self.counts(cell) {
            None => cell.mean_interval(),
            Some((part, whole)) => wilson(part as usize, whole as usize).map(|(low, high)| (round(low * 1000.0), round(high * 1000.0))),
        }
    }

    /// The customers it is told of: those of unknown health say nothing of health.
    fn customers(self, cell: &Cell) -> i64 {
        match self {
            Self::MeanHealth | Self::ShareAtRisk => cell.known(),
            Self::KnownShare | Self::ReportRate => cell.customers(),
        }
    }

    /// `Greater` when the first value is the better one.
    fn rank(self, a: i64, b: i64) -> Ordering {
        match self {
            Self::ShareAtRisk => b.cmp(&a),
            Self::MeanHealth | Self::KnownShare | Self::ReportRate => a.cmp(&b),
        }
    }
}

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

/// How a partner stands by one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// By which.
    pub figure: Figure,
    /// The partner's own, in thousandths; `None` when it has none.
    pub value: Option<i64>,
    /// Where that lies with 95 %, in thousandths.
    #[serde(default)]
    pub interval: Option<(i64, i64)>,
    /// Between which percentages it lies when a peer counts as better or worse only where its interval does not reach ours, rounded outwards to the
    /// nearest 5. `None` where the percentile or the interval is.
    #[serde(default)]
    pub percentile_interval: Option<(i64, i64)>,
    /// The percentage of its peers it is better than, an equal one counting half, to the nearest 5. `None` when the partner has
    /// no such figure, its peers with one are too few, or all of them have the same, which would tell it.
    pub percentile: Option<i64>,
}

impl Place {
    /// Against the middle of the peers: better or worse than most of them beyond the doubt of both sides, or no difference is shown (SCIENCE 2.6, peer by
    /// peer). From counts alone, and never from the peers' sum: whoever chooses its own figures would find that sum by where the answer turns.
    pub fn standing(&self) -> Option<Standing> {
        self.percentile_interval.map(|(low, high)| match (low, high) {
            (low, _) if low > 50 => Standing::Better,
            (_, high) if high < 50 => Standing::Worse,
            _ => Standing::NoDifferenceShown,
        })
    }
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

/// How a partner with these customers in a published group stands among the families that are not its own, by every figure in the order of
/// the list.
pub fn standing(group: &Published, family: Id, own: &Cell) -> Vec<Place> {
    let place = |figure: Figure| {
        let peers = || group.of.iter().filter(|(id, _)| **id != family).map(|(_, cell)| cell);
        let value = figure.of(own);
        let (interval, percentile) = (figure.interval(own), value.and_then(|value| percentile(figure, value, peers())));
        let percentile_interval = percentile.and(interval).map(|own| sure_places(figure, own, peers()));
        Place { figure, value, interval, percentile, percentile_interval }
    };
    Figure::ALL.iter().copied().map(place).collect()
}

/// Between which percentages a figure stands for sure: at least above the peers whose whole interval is worse, at most below those whose whole one is better.
/// A peer without an interval may stand anywhere.
fn sure_places<'a>(figure: Figure, own: (i64, i64), peers: impl Iterator<Item = &'a Cell>) -> (i64, i64) {
    let surely = |one: (i64, i64), other: (i64, i64)| [one.0, one.1].iter().all(|a| [other.0, other.1].iter().all(|b| figure.rank(*a, *b) == Ordering::Greater));
    let (mut n, mut above, mut below) = (0, 0, 0);
    for interval in peers.filter(|cell| figure.of(cell).is_some()).map(|cell| figure.interval(cell)) {
        n += 1;
        above += i64::from(interval.is_some_and(|theirs| surely(own, theirs)));
        below += i64::from(interval.is_some_and(|theirs| surely(theirs, own)));
    }
    let outwards = |count: i64| 100 * count / (ROUNDED_TO * n) * ROUNDED_TO;
    (outwards(above), 100 - outwards(below))
}

/// Values that are equal in thousandths are equal, because that is all anybody is shown.
fn percentile<'a>(figure: Figure, own: i64, peers: impl Iterator<Item = &'a Cell>) -> Option<i64> {
    let (mut n, mut told_of, mut halves) = (0, 0, 0);
    let mut values = BTreeSet::new();
    for (value, customers) in peers.filter_map(|cell| Some((figure.of(cell)?, figure.customers(cell)))) {
        n += 1;
        told_of += customers;
        values.insert(value);
        halves += match figure.rank(own, value) {
            Ordering::Greater => 2,
            Ordering::Equal => 1,
            Ordering::Less => 0,
        };
    }
    // 100 * halves / (2 * n) in steps, half a step up.
    let steps = |n: i64| (100 * halves + ROUNDED_TO * n) / (2 * ROUNDED_TO * n);
    (n >= LEAST_PEERS as i64 && told_of >= LEAST_CUSTOMERS && values.len() > 1).then(|| steps(n) * ROUNDED_TO)
}

#[cfg(test)]
mod tests {
    use super::*;
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

    /// Partner 0: 4 customers, 3 known, 1 of them at risk, mean 70, 2 in cadence: 70 000, 333, 750, 500.
    /// Eight peers with 3 known customers each (24) of 3. Means 60 70 70 80 80 80 90 90: (1 + 2/2) / 8 = 25 %. None at risk in
    /// seven, all in one: 1 / 8 = 12.5 %, half up 15. All known in all: a place would tell that. In cadence 0 of 3 in three, 3 of 3 in five: 3 / 8 =
    /// 37.5 %, half up 40.
    /// One more peer of unknown health, with 1 customer not in cadence, counts by the last two only: 1 / 9 = 11.1, so 10;
    /// 4 / 9 = 44.4, so 45.
    #[test]
    fn percentiles_worked_by_hand() {
        let own = Cell { healthy: 1, watch: 1, at_risk: 1, unknown: 1, score_sum: 210_000, in_cadence: 2, ..Cell::default() };
        let mut of = Cells::from([(0, own)]);
        for (id, points) in (1..).zip([60, 70, 70, 80, 80, 80, 90, 90]) {
            of.insert(id, Cell { in_cadence: if id > 3 { 3 } else { 0 }, ..healthy(3, points) });
        }
        of.insert(1, Cell { healthy: 0, at_risk: 3, ..of[&1] });
        let mut group = Published { group: None, of };
        let found = |group: &Published, partner| stand(group, partner).iter().map(|p| (p.figure.as_str(), p.value, p.percentile)).collect::<Vec<_>>();
        let (health, risk) = (("mean_health", Some(70_000), Some(25)), ("share_at_risk", Some(333), Some(15)));
        assert_eq!(found(&group, 0), [health, risk, ("known_share", Some(750), None), ("report_rate", Some(500), Some(40))]);
        group.of.insert(9, Cell { unknown: 1, ..Cell::default() });
        assert_eq!(found(&group, 0), [health, risk, ("known_share", Some(750), Some(10)), ("report_rate", Some(500), Some(45))]);
        assert_eq!(found(&group, 9)[..2], [("mean_health", None, None), ("share_at_risk", None, None)]);
        assert!(stand(&group, 77).iter().all(|place| place.value.is_none() && place.percentile.is_none()));
    }

    /// Health needs 5 peers and 20 customers of known health; the unknown are not counted, nor are one's own.
    #[test]
    fn few_of_known_health_are_not_told_of() {
        let of = |known: &[i64]| Published {
            group: None,
            of: (1..).zip(known).map(|(id, n)| (id, Cell { unknown: 9, ..healthy(*n, if id == 1 { 40 } else { 50 }) })).chain([(0, healthy(99, 50))]).collect(),
        };
        let health = |known: &[i64]| stand(&of(known), 0)[0].percentile;
        assert_eq!((health(&[4, 4, 4, 4, 4]), health(&[4, 4, 4, 4, 3])), (Some(60), None));
        assert_eq!((health(&[16, 1, 1, 1, 1]), health(&[90, 1, 1, 1, 0])), (Some(60), None));
        assert!(stand(&of(&[90, 1, 1, 1, 0]), 0)[2].percentile.is_some());
    }

    /// Five families of four: four with nobody at risk (Wilson 0 to 49 %), one with one (5 to 70 %). Two of four at risk are 15 to 85 %: the place is the last,
    /// and every interval reaches another, so no difference shows. Forty of forty are 91 % to all: worse than each for sure. None of forty, 0 to 9 %, is as
    /// good as the four and better than the fifth by its place, and by 4.6 % no better for sure.
    #[test]
    fn a_place_is_told_with_whether_a_difference_shows() {
        let risky = |customers: i64, at_risk: i64| Cell {
            healthy: customers - at_risk,
            at_risk,
            score_sum: customers * 50_000,
            score_squares: customers * 50_000i64.pow(2),
            ..Cell::default()
        };
        let of = |own: Cell| Published { group: None, of: (1..6).map(|id| (id, risky(4, i64::from(id == 1)))).chain([(0, own)]).collect() };
        let told = |place: Place| (place.percentile, place.percentile_interval, place.standing());
        let risk = |own: Cell| told(stand(&of(own), 0)[1]);
        assert_eq!(risk(risky(4, 2)), (Some(0), Some((0, 100)), Some(Standing::NoDifferenceShown)));
        assert_eq!(risk(risky(40, 40)), (Some(0), Some((0, 0)), Some(Standing::Worse)));
        assert_eq!(risk(risky(40, 0)), (Some(60), Some((0, 100)), Some(Standing::NoDifferenceShown)));
        let known = stand(&of(risky(4, 1)), 0)[2];
        assert_eq!((told(known), known.interval), ((None, None, None), Some((510, 1000))), "withheld together");
    }

    /// All known, a mean has no doubt: 5 of 8 peers are lower, which is 62.5 %, rounded to 65 and outwards to 60.
    #[test]
    fn a_mean_without_doubt_is_better_than_most_or_not() {
        let sure = |points: i64| Cell { score_squares: 5 * (points * 1000).pow(2), ..healthy(5, points) };
        let group = |own: i64| Published { group: None, of: (1..).zip([40, 45, 50, 55, 60, 70, 80, 90]).map(|(id, points)| (id, sure(points))).chain([(0, sure(own))]).collect() };
        let mean = |own: i64| stand(&group(own), 0)[0];
        assert_eq!((mean(65).percentile, mean(65).percentile_interval, mean(65).standing()), (Some(65), Some((60, 65)), Some(Standing::Better)));
        assert_eq!((mean(57).percentile_interval, mean(57).standing()), (Some((50, 50)), Some(Standing::NoDifferenceShown)));
        assert_eq!((mean(10).percentile_interval, mean(10).standing()), (Some((0, 0)), Some(Standing::Worse)));
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
