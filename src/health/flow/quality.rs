//! How each partner reported of late: counted in the database, judged by the rules of the noun, and what of it is new.

use crate::auth::AnalystScope;
use crate::db::Tx;
use crate::directory::{Vendor, all_partner_ids, calendar};
use crate::health::quality::{Conduct, TOP_FROM, WINDOW, flags};
use crate::health::store::{self, QualityFlag};
use crate::intake::{self, Curve, Measure, PARTNER_BAND};
use crate::kernel::error::Fault;
use crate::kernel::id::TypeId;
use crate::kernel::number::round;
use chrono::{Duration, NaiveDate};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// How many days before them the report that the first one follows may lie: the longest cadence.
const EARLIER: i64 = 180;
/// How many partners are read at once.
const AT_ONCE: usize = 20;

/// The flags of a day that appeared, changed or ended; those that say the same as before are left out.
pub async fn quality_flags(tx: &Tx<AnalystScope>, day: NaiveDate) -> Result<Vec<QualityFlag>, Fault> {
    let (vendor, measures, partners, standing) = futures_util::try_join!(calendar(tx), intake::measures(tx), all_partner_ids(tx), store::standing_flags(tx))?;
    let mut before: BTreeMap<(Uuid, String), QualityFlag> = standing.into_iter().map(|flag| ((flag.partner_id, flag.kind.clone()), flag)).collect();
    let size = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let milli = |share: f64| round(share * 1000.0) as i32;
    let mut found = Vec::new();
    for flag in flags(&conducts(tx, &vendor, &partners, day, &measures).await?) {
        let now = QualityFlag {
            partner_id: Uuid::from_u128(flag.reporter),
            kind: flag.kind.to_string(),
            found_on: day,
            known_from: tx.now(),
            n: size(flag.n),
            counted: size(flag.count),
            share: milli(flag.share),
            peers: flag.peers.map(milli),
            customers: flag.customers.map(size),
        };
        if before.remove(&(now.partner_id, now.kind.clone())).is_none_or(|then| !says_as(&then, &now)) {
            found.push(now);
        }
    }
    let ended = before.into_values().filter(|then| then.n > 0);
    found.extend(ended.map(|then| QualityFlag { found_on: day, n: 0, counted: 0, share: 0, peers: None, customers: None, ..then }));
    Ok(found)
}

/// Whether a flag says as much of the partner as another: shares within a twentieth, numbers within a tenth. The window moves on each day, and its
/// figures waver with it. What others do is left out: the partner sees the day of the last change.
fn says_as(then: &QualityFlag, now: &QualityFlag) -> bool {
    let near = |a: i32, b: i32| (a - b).abs() * 10 <= a.min(b);
    let customers = then.customers.zip(now.customers).map_or(then.customers == now.customers, |(a, b)| near(a, b));
    near(then.n, now.n) && (then.share - now.share).abs() < 50 && customers
}

/// Keeps what was found.
pub async fn keep_flags(tx: &Tx<AnalystScope>, found: Vec<QualityFlag>) -> Result<(), Fault> {
    let found: Vec<QualityFlag> = found.into_iter().map(|flag| QualityFlag { known_from: tx.now(), ..flag }).collect();
    store::keep_flags(tx, &found).await
}

/// How every partner of the vendor reported. Some partners at a time, so that no statement reaches its time limit however much all of them report.
async fn conducts(tx: &Tx<AnalystScope>, vendor: &Vendor, partners: &[Uuid], day: NaiveDate, measures: &[Measure]) -> Result<Vec<Conduct>, Fault> {
    let since = day - Duration::days(WINDOW);
    // A declared band has no top: "healthy" is all that can be said. Nor has a single value of a trend.
    let graded = measures.iter().filter(|m| m.curve.window_days().is_none() && m.key.as_str() != PARTNER_BAND);
    let curves: HashMap<Uuid, &Curve> = graded.map(|m| (m.id.uuid(), &m.curve)).collect();
    let number = |n: i64| usize::try_from(n).unwrap_or_default();
    let mut found: BTreeMap<Uuid, Conduct> = BTreeMap::new();
    for some in partners.chunks(AT_ONCE) {
        for given in store::values_given(tx, some, vendor.zone, since).await? {
            let Some(curve) = curves.get(&given.measure_id) else { continue };
            let one = found.entry(given.partner_id).or_default();
            one.points += number(given.n);
            if curve.points(given.value) >= TOP_FROM {
                one.tops += number(given.n);
            }
        }
        for repeats in store::repeats(tx, some, vendor.zone, since, since - Duration::days(EARLIER)).await? {
            let one = found.entry(repeats.partner_id).or_default();
            (one.due, one.unchanged) = (number(repeats.due), number(repeats.unchanged));
        }
        for commonest in store::commonest_comments(tx, some, since).await? {
            let one = found.entry(commonest.partner_id).or_default();
            (one.comments, one.same, one.customers) = (number(commonest.comments), number(commonest.alike), number(commonest.customers));
        }
    }
    Ok(found.into_iter().map(|(partner, one)| Conduct { reporter: partner.as_u128(), ..one }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_says_the_same_until_its_own_figures_move() {
        let flag = |n, share, customers, peers| QualityFlag {
            partner_id: Uuid::nil(),
            kind: "identical_texts".into(),
            found_on: NaiveDate::default(),
            known_from: chrono::DateTime::UNIX_EPOCH,
            n,
            counted: 0,
            share,
            peers,
            customers,
        };
        let then = flag(100, 800, Some(10), Some(100));
        assert!(says_as(&then, &flag(110, 849, Some(11), Some(900))));
        for moved in [flag(111, 800, Some(10), None), flag(100, 850, Some(10), None), flag(100, 800, Some(12), None), flag(100, 800, None, None), flag(0, 0, None, None)] {
            assert!(!says_as(&then, &moved), "{moved:?}");
        }
    }
}
