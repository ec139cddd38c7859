//! Scoring customers again by the active policy.

use super::{SHARED, VENDOR};
use crate::auth::Tenant;
use crate::db::Tx;
use crate::directory::calendar;
use crate::health::evidence::Evidence;
use crate::health::score::score;
use crate::health::scorecard::{CardMeasure, due_on};
use crate::health::store::{self, Card, Standing};
use crate::intake::{self, Measure};
use crate::kernel::error::Fault;
use crate::kernel::money::{Currency, MAX_AMOUNT, annual_value};
use crate::kernel::text::Key;
use chrono::{Duration, NaiveDate};
use std::collections::HashMap;
use uuid::Uuid;

/// The active policy with its measures.
pub async fn policy<S: Tenant>(tx: &Tx<S>) -> Result<(Card, Vec<CardMeasure>, Vec<Measure>), Fault> {
    let (card, catalogue) = futures_util::try_join!(store::active_card(tx), intake::measures(tx))?;
    let by_key: HashMap<&Key, &Measure> = catalogue.iter().map(|m| (&m.key, m)).collect();
    let measures = card
        .policy
        .measures
        .iter()
        .filter_map(|item| {
            let m = by_key.get(&item.measure)?;
            Some(CardMeasure {
                id: m.id,
                key: m.key.clone(),
                weight: item.weight,
                nature: m.nature,
                curve: m.curve.clone(),
                half_life_days: m.half_life_days,
                valid_days: m.valid_days,
            })
        })
        .collect();
    Ok((card, measures, catalogue))
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
    let ids: Vec<Uuid> = facts.keys().copied().collect();
    // Read behind the locks: a day that turned while we waited for them is the day to score for.
    let (vendor, turned, (card, measures, _)) = futures_util::try_join!(calendar(tx), store::scoring_day(tx), policy(tx))?;
    let on = turned.unwrap_or(vendor.zone.day_of(tx.now()));
    let valid = measures.iter().map(|m| i64::from(m.valid_days)).max().unwrap_or(0);
    let since = vendor.zone.start_of(on - Duration::days(valid));
    // The vendor's view is made from all there is, the shared one from what is shared.
    let read: &[&'static str] = if audiences.contains(&VENDOR) { &[SHARED, VENDOR] } else { &[SHARED] };
    let (evidence, priced, rates, last) = futures_util::try_join!(
        store::evidence(tx, vendor.zone, ids.clone(), since, read),
        store::running_subscriptions(tx, ids.clone(), on),
        store::rates(tx, on),
        store::last_reports(tx, ids.clone()),
    )?;
    let mut worth: HashMap<Uuid, (i64, bool, Option<NaiveDate>)> = HashMap::new();
    for row in priced {
        let entry = worth.entry(row.customer_id).or_default();
        match row.currency.parse::<Currency>().ok().and_then(|currency| {
            let rate = if currency == vendor.currency { Some(1_000_000_000) } else { rates.get(&row.currency).copied() };
            annual_value(row.amount_minor, row.period_months, currency, vendor.currency, rate?)
        }) {
            Some(value) if entry.0 + value <= MAX_AMOUNT => entry.0 += value,
            // Without a rate, or beyond what a figure may hold: told, and in no figure.
            _ => entry.1 = true,
        }
        let renews = row.renews_on.filter(|day| *day >= on);
        entry.2 = entry.2.into_iter().chain(renews).min();
    }
    let none = Vec::new();
    let mut standings = Vec::with_capacity(facts.len() * audiences.len());
    for (id, fact) in &facts {
        let all = evidence.get(id).unwrap_or(&none);
        let (value_minor, unconverted, renews_on) = worth.get(id).copied().unwrap_or_default();
        let reported_on = last.get(id).copied();
        let due_on = due_on(reported_on, fact.touch_model);
        for audience in audiences {
            let seen: Vec<Evidence> = all.iter().filter(|(_, shared)| *audience == VENDOR || *shared).map(|(item, _)| Evidence { day: item.day.min(on), ..*item }).collect();
            standings.push(Standing {
                customer: *id,
                audience,
                score: score(&card.policy, &measures, &seen, on),
                counted: fact.counted,
                value_minor,
                unconverted,
                reported_on,
                due_on,
                in_cadence: due_on.is_some_and(|due| on <= due),
                renews_on,
            });
        }
    }
    store::keep_standings(tx, card.id, on, &standings).await
}
