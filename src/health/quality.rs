//! Data-quality flags: quiet facts about how a partner reports within a window, with the figures behind them. Not accusations.
//!
//! All thresholds are here; a flag says that a rule holds, never why. Shares are compared with the median of the *other*
//! reporters who have enough to be judged by the same rule.

/// How many days of reports are looked at.
pub const WINDOW: i64 = 90;
/// A top value lies at or above this many points.
pub const TOP_FROM: f64 = 95.0;
/// `too_many_tops`: at least this many points given.
pub const MIN_POINTS: usize = 20;
/// `too_many_tops`: at least this share of them at the top.
pub const TOP_SHARE: f64 = 0.8;
/// With fewer others nothing is compared: whether a flag appears would tell how they report. Without a comparison nothing is "above peers".
pub const MIN_PEERS: usize = 5;
/// `too_many_tops` and `no_change`: the peers' median share lies below this, else it is the measure and not the reporter.
pub const PEERS_BELOW: f64 = 0.5;
/// `no_change`: at least this many due reports that follow another.
pub const MIN_DUE: usize = 10;
/// `no_change`: at least this share of them says just what the one before said.
pub const UNCHANGED_SHARE: f64 = 0.8;
/// `identical_texts`: the same text about at least this many customers.
pub const MIN_CUSTOMERS: usize = 5;
/// `identical_texts`: at least this share of all comments.
pub const SAME_TEXT_SHARE: f64 = 0.3;
/// `identical_texts`: shorter texts, in characters, are no comments: "no change" is said of many.
pub const MIN_CHARACTERS: i32 = 10;

crate::word_list! {
    /// What is to be looked at.
    FlagKind {
        /// Nearly all points are at the top, unlike the peers'.
        TooManyTops = "too_many_tops",
        /// Nearly all due reports repeat the one before, unlike the peers'.
        NoChange = "no_change",
        /// One text serves for many customers.
        IdenticalTexts = "identical_texts",
    }
}

/// How one partner reported within a window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conduct {
    /// The partner; at most one of these each.
    pub reporter: u128,
    /// Points it gave.
    pub points: usize,
    /// Those of them at or above [`TOP_FROM`].
    pub tops: usize,
    /// Due reports that came and follow an earlier one about the same customer.
    pub due: usize,
    /// Those of them whose figures are all identical to the earlier one's.
    pub unchanged: usize,
    /// Its comments of at least [`MIN_CHARACTERS`].
    pub comments: usize,
    /// Those of them with the commonest text: first among the texts about at least [`MIN_CUSTOMERS`], then among all.
    pub same: usize,
    /// The customers that text is about.
    pub customers: usize,
}

/// A rule that holds, with its figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Flag {
    /// The partner.
    pub reporter: u128,
    /// Which rule.
    pub kind: FlagKind,
    /// Points, due reports or comments looked at.
    pub n: usize,
    /// Those of them that the rule counts.
    pub count: usize,
    /// `count / n`, 0-1.
    pub share: f64,
    /// The median of the same share over the other reporters with enough to be judged; `None` of fewer than [`MIN_PEERS`].
    pub peers: Option<f64>,
    /// The customers that share the text; only for identical texts.
    pub customers: Option<usize>,
}

/// What one rule counts of one reporter; `None` in a list: too little to be judged.
#[derive(Clone, Copy)]
struct Count {
    n: usize,
    count: usize,
    customers: Option<usize>,
}

impl Count {
    fn of(n: usize, count: usize, least: usize) -> Option<Self> {
        (n >= least && n > 0).then_some(Self { n, count: count.min(n), customers: None })
    }

    fn share(self) -> f64 {
        self.count as f64 / self.n as f64
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = if values.len().is_multiple_of(2) { values[values.len() / 2 - 1] } else { upper };
    Some((lower + upper) / 2.0)
}

/// Every flag by one rule. `holds` gets the reporter's count and the peers' median.
fn judge(all: &[Conduct], kind: FlagKind, count: impl Fn(&Conduct) -> Option<Count>, holds: impl Fn(Count, Option<f64>) -> bool) -> Vec<Flag> {
    let counts: Vec<Option<Count>> = all.iter().map(count).collect();
    let flag = |i: usize| {
        let own = counts[i]?;
        let others: Vec<f64> = counts.iter().enumerate().filter(|(j, _)| *j != i).filter_map(|(_, other)| other.map(Count::share)).collect();
        let peers = if others.len() < MIN_PEERS { None } else { median(others) };
        let flag = Flag { reporter: all[i].reporter, kind, n: own.n, count: own.count, share: own.share(), peers, customers: own.customers };
        holds(own, peers).then_some(flag)
    };
    (0..all.len()).filter_map(flag).collect()
}

/// The flags of all reporters in a window, by reporter, then by kind. `all` may come in any order.
///
/// - `too_many_tops`: n >= 20 points, share at the top >= 0.8, at least 5 peers, whose median share is below 0.5.
/// - `no_change`: n >= 10 due reports, share unchanged >= 0.8, and the peers' median share, if there are 5, below 0.5.
/// - `identical_texts`: one text about >= 5 customers and >= 30 % of the comments; peers are told, not asked.
pub fn flags(all: &[Conduct]) -> Vec<Flag> {
    let tops = judge(
        all,
        FlagKind::TooManyTops,
        |one| Count::of(one.points, one.tops, MIN_POINTS),
        |own, peers| own.share() >= TOP_SHARE && peers.is_some_and(|median| median < PEERS_BELOW),
    );
    let unchanged = judge(
        all,
        FlagKind::NoChange,
        |one| Count::of(one.due, one.unchanged, MIN_DUE),
        |own, peers| own.share() >= UNCHANGED_SHARE && peers.is_none_or(|median| median < PEERS_BELOW),
    );
    let texts = judge(
        all,
        FlagKind::IdenticalTexts,
        |one| Count::of(one.comments, one.same, MIN_CUSTOMERS).map(|found| Count { customers: Some(one.customers), ..found }),
        |own, _| own.customers.is_some_and(|customers| customers >= MIN_CUSTOMERS) && own.share() >= SAME_TEXT_SHARE,
    );
    let mut flags = [tops, unchanged, texts].concat();
    flags.sort_by_key(|flag| (flag.reporter, flag.kind));
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn conduct(reporter: u128, (points, tops): (usize, usize), (due, unchanged): (usize, usize)) -> Conduct {
        Conduct { reporter, points, tops, due, unchanged, ..Conduct::default() }
    }

    fn saying(reporter: u128, comments: usize, same: usize, customers: usize) -> Conduct {
        Conduct { reporter, comments, same, customers, ..Conduct::default() }
    }

    fn kinds(all: &[Conduct]) -> Vec<(u128, &'static str)> {
        flags(all).iter().map(|flag| (flag.reporter, flag.kind.as_str())).collect()
    }

    /// Peers' shares of tops 0.1, 0.2, 0.6, 0.1, 0.6 have the median 0.2; the one with 19 points is no peer.
    #[test]
    fn too_many_tops_needs_enough_points_and_other_peers() {
        let peers = [
            conduct(2, (20, 2), (0, 0)),
            conduct(3, (50, 10), (0, 0)),
            conduct(4, (20, 12), (0, 0)),
            conduct(6, (20, 2), (0, 0)),
            conduct(7, (20, 12), (0, 0)),
            conduct(5, (19, 19), (0, 0)),
        ];
        let with = |points, tops| [&[conduct(1, (points, tops), (0, 0))], &peers[..]].concat();
        assert_eq!(flags(&with(20, 16)), [Flag { reporter: 1, kind: FlagKind::TooManyTops, n: 20, count: 16, share: 0.8, peers: Some(0.2), customers: None }]);
        assert_eq!(kinds(&with(20, 15)), []);
        assert_eq!(kinds(&with(19, 19)), []);
        // Four peers are too few; and where half are at the top anyway, nobody stands out.
        assert_eq!(kinds(&with(20, 20)[..5]), []);
        let half = [10, 10, 10, 1, 1].into_iter().zip(2..).map(|(tops, id)| conduct(id, (20, tops), (0, 0)));
        assert_eq!(kinds(&half.chain([conduct(1, (20, 20), (0, 0))]).collect::<Vec<_>>()), []);
    }

    #[test]
    fn no_change_is_told_without_peers_but_not_when_all_stand_still() {
        assert_eq!(flags(&[conduct(1, (0, 0), (10, 8))]), [Flag { reporter: 1, kind: FlagKind::NoChange, n: 10, count: 8, share: 0.8, peers: None, customers: None }]);
        assert_eq!(kinds(&[conduct(1, (0, 0), (9, 9))]), []);
        assert_eq!(kinds(&[conduct(1, (0, 0), (10, 7))]), []);
        let beside = |peers: u128, unchanged| (2..2 + peers).map(|id| conduct(id, (0, 0), (12, unchanged))).chain([conduct(1, (0, 0), (10, 10))]).collect::<Vec<_>>();
        assert_eq!((kinds(&beside(5, 3)), kinds(&beside(5, 6))), (vec![(1, "no_change")], vec![]));
        assert_eq!(kinds(&beside(4, 6)), [(1, "no_change")], "of four others nothing shows through");
    }

    #[test]
    fn identical_texts_are_about_different_customers() {
        // One text about five customers: 5 of 16 comments is 31 %, of 17 it is 29 %.
        let [flag] = flags(&[saying(1, 16, 5, 5), saying(2, 5, 2, 2)])[..] else { panic!() };
        assert_eq!((flag.kind, flag.n, flag.count, flag.customers, flag.peers), (FlagKind::IdenticalTexts, 16, 5, Some(5), None));
        assert_eq!(kinds(&[saying(1, 17, 5, 5)]), []);
        // The same customer many times is no copying, and four comments are too few to be judged.
        assert_eq!(kinds(&[saying(1, 6, 5, 1)]), []);
        assert_eq!(kinds(&[saying(1, 4, 4, 4)]), []);
        assert_eq!(kinds(&[saying(1, 0, 0, 0)]), []);
    }

    fn conducts() -> impl Strategy<Value = Vec<Conduct>> {
        let one = (0usize..60, 0usize..70, 0usize..30, 0usize..40, 0usize..20, 0usize..25, 0usize..10)
            .prop_map(|(points, tops, due, unchanged, comments, same, customers)| Conduct { reporter: 0, points, tops, due, unchanged, comments, same, customers });
        prop::collection::vec(one, 0..8).prop_map(|all| all.into_iter().zip(0..).map(|(one, reporter)| Conduct { reporter, ..one }).collect())
    }

    proptest! {
        #[test]
        fn shares_are_shares_and_order_is_nothing((all, shuffled) in conducts().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))) {
            let found = flags(&all);
            prop_assert_eq!(&found, &flags(&shuffled));
            for flag in found {
                prop_assert!((0.0..=1.0).contains(&flag.share) && flag.peers.is_none_or(|peers| (0.0..=1.0).contains(&peers)));
                prop_assert!(flag.count <= flag.n);
            }
        }
    }
}
