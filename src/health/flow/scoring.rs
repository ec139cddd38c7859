//! Scoring customers again by the policies in force.

use super::bias::in_force_at;
use super::rulebook::{Rulebook, rulebook};
use crate::auth::Tenant;
use crate::db::Tx;
use crate::directory::{Vendor, calendar};
use crate::health::audience::{VENDOR, read_for};
use crate::health::evidence::Evidence;
use crate::health::score::{Known, Score};
use crate::health::scorecard::{Profile, Purpose, due_on};
use crate::health::source::Sources;
use crate::health::store::{self, Facts, Groups, Priced, Standing};
use crate::kernel::error::Fault;
use crate::kernel::id::{MeasureId, PartnerId, TypeId};
use crate::kernel::money::{Currency, MAX_AMOUNT, annual_value};
use chrono::{Duration, NaiveDate};
use std::cmp::Reverse;
use std::collections::HashMap;
use uuid::Uuid;

/// After so many customers others have their turn on the thread.
const YIELD_AFTER: usize = 256;
/// So many customers are scored at once, and fewer where scorecards have more limits than these: each may be a line of each score, and what is known of
/// them and said of them is held in memory, whatever the partner's size.
const AT_ONCE: usize = 2_000;
const WITH_LIMITS: usize = 100;

/// What a customer's running subscriptions come to.
#[derive(Default)]
struct Worth {
    value_minor: i64,
    unconverted: bool,
    renews_on: Option<NaiveDate>,
    products: Vec<String>,
    /// The value of its largest subscription, with that one's product; of equal ones the first by name.
    largest: Option<(i64, Reverse<String>)>,
}

/// Scores customers of the acting partner again for its scoring day, in the given views; all of them when no list is given. The
/// day moves by the daily job alone: evidence of a day that has begun but not been turned counts as of the scoring day. Takes their
/// locks first, so that evidence committed by others before is seen and theirs afterwards finds our score; the vendor's view alone
/// needs none, because whoever commits evidence leaves a job for it.
pub async fn rescore<S: Tenant>(tx: &Tx<S>, customers: Option<Vec<Uuid>>, audiences: &[&'static str]) -> Result<(), Fault> {
    let facts = match customers {
        Some(ids) if audiences == [VENDOR] => store::customers(tx, ids).await?,
        customers => store::lock_customers(tx, customers).await?,
    };
    if facts.is_empty() {
        return Ok(());
    }
    // Read behind the locks: a day that turned while we waited for them is the day to score for.
    let biases = async { if audiences.contains(&VENDOR) { store::newest_biases(tx, PartnerId::of(tx.scope().acts()?), tx.now()).await } else { Ok(Vec::new()) } };
    let (vendor, turned, rules, biases) = futures_util::try_join!(calendar(tx), store::scoring_day(tx), rulebook(tx), biases)?;
    let on = turned.unwrap_or(vendor.zone.day_of(tx.now()));
    let common = Common { bias: in_force_at(&biases, tx.now()), vendor, rules, on };
    // Neighbours in the table are scored together.
    let mut facts: Vec<(Uuid, Facts)> = facts.into_iter().collect();
    facts.sort_unstable_by_key(|(id, _)| *id);
    let limits = common.rules.cards.iter().map(|ruled| ruled.card.policy.limits.len()).max().unwrap_or(0);
    for some in facts.chunks((AT_ONCE * WITH_LIMITS / limits.max(WITH_LIMITS)).max(1)) {
        score(tx, &common, some, audiences).await?;
    }
    Ok(())
}

/// What all customers of a partner are scored by.
struct Common {
    vendor: Vendor,
    rules: Rulebook,
    bias: HashMap<MeasureId, f64>,
    on: NaiveDate,
}

async fn score<S: Tenant>(tx: &Tx<S>, common: &Common, facts: &[(Uuid, Facts)], audiences: &[&'static str]) -> Result<(), Fault> {
    let Common { vendor, rules, bias, on } = common;
    let on = *on;
    let (partner, ids) = (tx.scope().acts()?, facts.iter().map(|(id, _)| *id).collect::<Vec<Uuid>>());
    let since = vendor.zone.start_of(on - Duration::days(rules.horizon_days()));
    let whole = audiences.contains(&VENDOR);
    let overrides = async { if whole { store::overrides_in_force(tx, ids.clone(), on).await } else { Ok(HashMap::new()) } };
    // A rate that changes between two parts of a large partner leaves a job for all of it.
    let (evidence, priced, last, cases, before, rates, overrides) = futures_util::try_join!(
        store::evidence(tx, partner, vendor.zone, ids.clone(), since, read_for(whole)),
        store::running_subscriptions(tx, partner, ids.clone(), on),
        store::last_reports(tx, ids.clone()),
        store::open_cases(tx, partner, ids.clone(), on),
        store::before(tx, ids.clone(), audiences),
        store::rates(tx, on),
        overrides,
    )?;
    let mut worth = worth_of(priced, &rates, vendor, on);
    let mut standings = Vec::with_capacity(facts.len() * audiences.len());
    for (nth, (id, fact)) in facts.iter().enumerate() {
        if nth % YIELD_AFTER == YIELD_AFTER - 1 {
            tokio::task::yield_now().await;
        }
        let all = evidence.get(id).map(Vec::as_slice).unwrap_or_default();
        let worth = worth.remove(id).unwrap_or_default();
        let reported_on = last.get(id).copied();
        let due_on = due_on(reported_on, fact.touch_model);
        let groups = Groups {
            region: fact.region.clone().unwrap_or_default(),
            segment: fact.segment.clone().unwrap_or_default(),
            touch_model: fact.touch_model,
            product: worth.largest.as_ref().map(|(_, Reverse(product))| product.clone()).unwrap_or_default(),
            stage: fact.stage,
        };
        for audience in audiences {
            let seen: Vec<Evidence> = all.iter().filter(|(_, shared)| *audience == VENDOR || *shared).map(|(item, _)| Evidence { day: item.day.min(on), ..*item }).collect();
            for purpose in Purpose::ALL.iter().copied() {
                let before = before.get(&(*id, (*audience).to_owned(), purpose.to_string()));
                let ruled = rules.applying(purpose, &profile(fact, &worth.products));
                let known = Known {
                    evidence: &seen,
                    cases: cases.get(id).map(Vec::as_slice).unwrap_or_default(),
                    bias: (*audience == VENDOR).then_some(bias),
                    closed_in: before.and_then(|before| before.closed_in),
                    set: overrides.get(&(*id, purpose)).copied().filter(|_| *audience == VENDOR),
                };
                let (card, score, sources) = match (ruled, before) {
                    (Some(ruled), _) => (ruled.card.id, ruled.scorer.score(&known, on), (*audience == VENDOR).then(|| Sources::of(&ruled.scorer, &seen, on))),
                    // No scorecard is for this customer any more: what was concluded by the last one must not stand for ever.
                    (None, Some(before)) => (before.card, Score::unknown(), None),
                    (None, None) => continue,
                };
                standings.push(Standing {
                    customer: *id,
                    audience,
                    purpose,
                    card,
                    score,
                    diverges_since: sources.as_ref().and_then(|sources| sources.diverges_since(before.and_then(|before| before.diverges_since), on)),
                    sources,
                    counted: purpose == Purpose::Churn && fact.stage.counts(),
                    value_minor: worth.value_minor,
                    unconverted: worth.unconverted,
                    reported_on,
                    due_on,
                    in_cadence: due_on.is_some_and(|due| on <= due),
                    renews_on: worth.renews_on,
                    groups: groups.clone(),
                });
            }
        }
    }
    store::keep_standings(tx, on, &standings).await
}

/// What criteria look at.
pub fn profile<'a>(fact: &'a Facts, products: &'a [String]) -> Profile<'a> {
    Profile { segment: fact.segment.as_deref(), stage: fact.stage, touch_model: fact.touch_model, business_model: fact.business_model.as_deref(), products }
}

fn worth_of(priced: Vec<Priced>, rates: &HashMap<String, i64>, vendor: &Vendor, on: NaiveDate) -> HashMap<Uuid, Worth> {
    let mut all: HashMap<Uuid, Worth> = HashMap::new();
    for row in priced {
        let worth = all.entry(row.customer_id).or_default();
        let value = row.currency.parse::<Currency>().ok().and_then(|currency| {
            let rate = if currency == vendor.currency { Some(1_000_000_000) } else { rates.get(&row.currency).copied() };
            annual_value(row.amount_minor, row.period_months, currency, vendor.currency, rate?)
        });
        match value {
            Some(value) if worth.value_minor + value <= MAX_AMOUNT => worth.value_minor += value,
            // Without a rate, or beyond what a figure may hold: told, and in no figure.
            _ => worth.unconverted = true,
        }
        let renews = row.renews_on.filter(|day| *day >= on);
        worth.renews_on = worth.renews_on.into_iter().chain(renews).min();
        worth.largest = worth.largest.take().max(Some((value.unwrap_or(0), Reverse(row.product.clone()))));
        worth.products.push(row.product);
    }
    all
}
