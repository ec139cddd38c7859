//! The year of the demo, day by day: customers arrive, partners report in their rhythm or fall silent, telemetry comes in,
//! contracts are renewed or customers leave, and each night the day turns.

use super::cast::{CAST, Role, company, dice, fortune, place, words};
use super::{Entrance, Guide};
use crate::auth::{Permission, StaffScope};
use crate::command::tenant::{Founded, found};
use crate::db::Tx;
use crate::directory::{self, CustomerDraft, CustomerRef, CustomerState, NewVendor, PartnerDraft, SubscriptionDraft, TouchModel};
use crate::health::{self, ObservationDraft, Subject};
use crate::intake::{DeclaredBand, EvidenceClass, Reading, ReportDraft};
use crate::kernel::change::Patch;
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId};
use crate::kernel::text::Broken;
use crate::kernel::time::{Moment, Zone};
use crate::revenue::{self, OutcomeDraft, OutcomeKind};
use crate::state::State;
use crate::worker;
use chrono::{Duration, NaiveDate};
use futures_util::stream::{self, TryStreamExt};
use std::collections::HashMap;
use std::io::Write;
use std::str::FromStr;

/// How long the year is.
pub const DAYS: i64 = 365;
/// By then the last customer has come.
const LAST_ARRIVAL: f64 = 300.0;

fn word<T: FromStr<Err = Broken>>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|e| Fault::internal(format!("the demo's own text is broken: {text} {e:?}")))
}

struct Stage<'a> {
    state: &'a State,
    founded: Founded,
    partners: HashMap<&'static str, PartnerId>,
    lives: HashMap<&'static str, Vec<Life>>,
    zone: Zone,
}

/// The days of a customer.
struct Life {
    /// When it comes.
    come: i64,
    /// When its contract runs out within the year.
    due: Option<i64>,
    /// When it leaves, on that day or another.
    end: Option<i64>,
}

impl Life {
    /// Whether it is served on a day: it has come before and does not leave by then.
    fn goes_on(&self, day: i64) -> bool {
        self.come < day && self.end.is_none_or(|end| day < end)
    }
}

/// What happens to a subscription.
enum Turn {
    Begins,
    Renewed,
    Ends,
}

/// Lives the year up to `today`.
pub async fn live(state: &State, today: Moment) -> Result<Guide, Fault> {
    let zone: Zone = word("Asia/Tokyo")?;
    let new = NewVendor { name: word("株式会社カンリ")?, zone, currency: word("JPY")?, live: true };
    let founded = found(state, &new).await?;
    let lives = CAST.iter().map(|role| (role.key, (0..role.customers).map(|n| life(role, n)).collect())).collect();
    let mut stage = Stage { state, partners: HashMap::from([("direct", founded.direct)]), founded, lives, zone };
    stage.partners().await?;
    let begun = std::time::Instant::now();
    for day in 0..=DAYS {
        let now = today - Duration::days(DAYS - day);
        state.clock().turn_to(now);
        stage.day(day).await?;
        worker::tick(state).await?;
        // Once a month: the days between change little, and the past is to be loaded soon.
        if day % 30 == 0 || day == DAYS {
            worker::analyse_days(state).await?;
        }
        worker::run_due(state).await?;
        if day % 5 == 0 || day == DAYS {
            eprint!("\rLoading the demo: day {day} of {DAYS}, {} s", begun.elapsed().as_secs());
            let _ = std::io::stderr().flush();
        }
    }
    eprintln!();
    stage.guide().await
}

impl Stage<'_> {
    /// Does a deed in a transaction of its own.
    async fn within<T>(&self, scope: StaffScope, deed: impl AsyncFnOnce(&Tx<StaffScope>) -> Result<T, Fault>) -> Result<T, Fault> {
        self.state.db.begin_batch(scope).await?.settle(deed).await
    }

    fn caller(&self) -> uuid::Uuid {
        self.founded.client.uuid()
    }

    async fn partners(&mut self) -> Result<(), Fault> {
        for role in CAST.iter().filter(|role| role.kind != "direct") {
            let draft = PartnerDraft {
                external_id: word(role.key)?,
                name: word(role.name)?,
                kind: word(role.kind)?,
                parent_id: role.parent.and_then(|parent| self.partners.get(parent).copied()),
                parent_sees: word(role.parent_sees)?,
                tier: None,
            };
            let caller = self.caller();
            let partner = self.within(StaffScope::operator(self.founded.vendor), async |tx| directory::add_partner(tx, caller, draft).await).await?;
            self.partners.insert(role.key, partner.id);
        }
        Ok(())
    }

    async fn day(&self, day: i64) -> Result<(), Fault> {
        let places = self.state.config.database.pool_staff;
        stream::iter(CAST.iter().map(Ok)).try_for_each_concurrent(places, |role| self.partner_day(role, day)).await?;
        self.telemetry(day).await
    }

    async fn partner_day(&self, role: &Role, day: i64) -> Result<(), Fault> {
        let today = self.zone.day_of(self.state.clock().now());
        // `turns` is what becomes of a customer, with the outcome the vendor tells of it.
        let (mut turns, mut outcomes, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        for (n, life) in self.lives[role.key].iter().enumerate() {
            if life.come == day {
                turns.push((n, life, Turn::Begins));
            } else if life.end == Some(day) {
                turns.push((n, life, Turn::Ends));
                outcomes.push(Ok(outcome(n, OutcomeKind::Churned, today)?));
            } else if life.goes_on(day) {
                if life.due == Some(day) {
                    turns.push((n, life, Turn::Renewed));
                    outcomes.push(Ok(outcome(n, OutcomeKind::Renewed, today)?));
                }
                if self.reports_on(role, n, day) {
                    reports.push(self.report(role, n, day, today)?);
                }
            }
        }
        if turns.is_empty() && reports.is_empty() {
            return Ok(());
        }
        let partner = self.partners[role.key];
        let scope = StaffScope::operator_for(self.founded.vendor, partner);
        let caller = self.caller();
        self.within(scope, async |tx| {
            for (n, life, turn) in turns {
                let state = if matches!(turn, Turn::Ends) { CustomerState::Ended } else { CustomerState::Active };
                directory::upsert_customer(tx, caller, customer(role, n, state)?).await?;
                directory::upsert_subscription(tx, caller, subscription(role, n, life, turn, today)?).await?;
            }
            if !outcomes.is_empty() {
                for result in revenue::record_outcomes(tx, (caller, caller), false, Some(partner), outcomes).await? {
                    result?;
                }
            }
            for result in health::submit_reports(tx, caller, caller, reports.into_iter().map(Ok).collect()).await? {
                result?;
            }
            Ok(())
        })
        .await
    }

    fn reports_on(&self, role: &Role, n: usize, day: i64) -> bool {
        let n = n.to_string();
        let phase = (dice(&["phase", role.key, &n]) * role.rhythm as f64) as i64;
        (day + phase) % role.rhythm == 0 && day <= role.silent_after && dice(&["lax", role.key, &n, &day.to_string()]) >= role.lax
    }

    fn report(&self, role: &Role, n: usize, day: i64, today: NaiveDate) -> Result<ReportDraft, Fault> {
        let truth = fortune(role.key, n, day);
        let said = (truth + role.rosy).clamp(0.0, 100.0);
        let (id, at) = (n.to_string(), day.to_string());
        let roll = |part: &str| dice(&["report", role.key, &id, &at, part]);
        let mut readings = Vec::new();
        for (measure, keep, spread) in [("adoption", 0.9, 8.0), ("csat", 0.6, 14.0), ("support_load", 0.7, 10.0), ("sentiment", 0.75, 10.0)] {
            if roll(measure) < keep {
                let value = (said + spread * (roll(&format!("{measure} value")) - 0.5)).clamp(0.0, 100.0);
                readings.push(Reading { measure: word(measure)?, value: (value * 10.0).round() / 10.0, observed_at: None });
            }
        }
        let band = if said >= 65.0 {
            DeclaredBand::Healthy
        } else if said >= 42.0 {
            DeclaredBand::Watch
        } else {
            DeclaredBand::AtRisk
        };
        let comment = if roll("comment") < 0.4 { Some(word(words(said, &["words", role.key, &id, &at]))?) } else { None };
        Ok(ReportDraft {
            customer: CustomerRef::External(word(&external_id(n))?),
            external_id: None,
            subscription: None,
            period_start: Some(today - Duration::days(role.rhythm - 1)),
            period_end: today,
            declared_band: Some(band),
            comment,
            readings,
            open_cases: None,
            replaces: None,
        })
    }

    /// Every ten days the vendor's own systems tell how many seats of three in five customers are used.
    async fn telemetry(&self, day: i64) -> Result<(), Fault> {
        let mut facts = Vec::new();
        for role in CAST.iter() {
            for (n, life) in self.lives[role.key].iter().enumerate() {
                let id = n.to_string();
                let turn = (dice(&["telemetry turn", role.key, &id]) * 10.0) as i64;
                if life.goes_on(day) && day % 10 == turn && dice(&["telemetry", role.key, &id]) < 0.6 {
                    let subject = Subject::VendorRef(word(&vendor_ref(role, n))?);
                    facts.push(Ok(ObservationDraft { subject, measure: word("seats_used")?, value: fortune(role.key, n, day).round(), observed_at: None }));
                }
            }
        }
        if facts.is_empty() {
            return Ok(());
        }
        let caller = self.caller();
        self.within(StaffScope::operator(self.founded.vendor), async |tx| {
            for result in health::record_observations(tx, caller, EvidenceClass::VendorObserved, None, facts).await? {
                result?;
            }
            Ok(())
        })
        .await
    }

    async fn guide(&self) -> Result<Guide, Fault> {
        let mut entrances = vec![Entrance { role: "staff".into(), client_id: self.founded.client.to_string(), client_secret: self.founded.secret.clone() }];
        for (role, key) in [("distributor", "D-EAST"), ("reseller", "R-01")] {
            let (caller, partner) = (self.caller(), self.partners[key]);
            let scope = StaffScope::operator(self.founded.vendor);
            let (client, minted) =
                self.within(scope, async |tx| directory::add_client(tx, &self.state.keys, caller, Some(partner), word("portal")?, Permission::FOR_PARTNERS.to_vec()).await).await?;
            entrances.push(Entrance { role: role.into(), client_id: client.id.to_string(), client_secret: minted.secret });
        }
        let partner = self.partners["R-01"];
        let customer = self
            .within(StaffScope::operator_for(self.founded.vendor, partner), async |tx| directory::customer_for(tx, &CustomerRef::External(word(&external_id(0))?)).await)
            .await?;
        Ok(Guide { vendor: "株式会社カンリ".into(), entrances, customer: customer.id.to_string(), partner: partner.to_string() })
    }
}

fn external_id(n: usize) -> String {
    format!("K-{:04}", n + 1)
}

fn vendor_ref(role: &Role, n: usize) -> String {
    format!("KC-{}-{:04}", role.key, n + 1)
}

/// The day a customer comes; the first one of each partner is there from the beginning.
fn arrival(role: &Role, n: usize) -> i64 {
    let roll = dice(&["arrival", role.key, &n.to_string()]);
    if n == 0 || roll < 0.6 { 0 } else { ((roll - 0.6) / 0.4 * LAST_ARRIVAL) as i64 }
}

/// The day a customer leaves: some time after its fortunes have fallen low.
fn leaves(role: &Role, n: usize) -> Option<i64> {
    let come = arrival(role, n);
    (come + 90..=DAYS).step_by(15).find(|day| fortune(role.key, n, *day) < 14.0 && dice(&["leaves", role.key, &n.to_string(), &day.to_string()]) < 0.35)
}

/// Who is there from the beginning signed before, for a year that ends in this one: the worse it does on that day, the more probably it is lost.
/// Who comes later signs for a year or more.
fn life(role: &Role, n: usize) -> Life {
    let (id, come) = (n.to_string(), arrival(role, n));
    let due = (come == 0).then(|| 120 + (dice(&["due", role.key, &id]) * 240.0) as i64);
    let lost = due.filter(|day| dice(&["renewal", role.key, &id]) < ((70.0 - fortune(role.key, n, *day)) / 50.0).clamp(0.02, 0.9));
    Life { come, due, end: leaves(role, n).into_iter().chain(lost).min() }
}

fn outcome(n: usize, kind: OutcomeKind, occurred_on: NaiveDate) -> Result<OutcomeDraft, Fault> {
    Ok(OutcomeDraft { customer: CustomerRef::External(word(&external_id(n))?), subscription: None, kind, occurred_on, reason: None })
}

fn customer(role: &Role, n: usize, state: CustomerState) -> Result<CustomerDraft, Fault> {
    let (segment, region) = place(role.key, n);
    let touch = match dice(&["touch", role.key, &n.to_string()]) {
        roll if roll < 0.15 => TouchModel::High,
        roll if roll < 0.75 => TouchModel::Low,
        _ => TouchModel::Tech,
    };
    Ok(CustomerDraft {
        external_id: word(&external_id(n))?,
        name: Some(word(&company(role.key, n))?),
        state: Some(state),
        touch_model: Some(touch),
        corporate_number: Patch::Keep,
        segment: Patch::Set(word(segment)?),
        region: Patch::Set(word(region)?),
        business_model: Patch::Set(word("subscription")?),
    })
}

fn subscription(role: &Role, n: usize, life: &Life, turn: Turn, today: NaiveDate) -> Result<SubscriptionDraft, Fault> {
    let id = n.to_string();
    let seats = 5 + (dice(&["seats", role.key, &id]).powi(3) * 400.0) as i64;
    let (starts_on, renews_on, ends_on) = match (turn, life.due) {
        (Turn::Begins, Some(due)) => (Some(today - Duration::days(365 - due)), Patch::Set(today + Duration::days(due)), Patch::Keep),
        (Turn::Begins, None) => (Some(today), Patch::Set(today + Duration::days(365 + (dice(&["renews", role.key, &id]) * 300.0) as i64)), Patch::Keep),
        (Turn::Renewed, _) => (None, Patch::Set(today + Duration::days(365)), Patch::Keep),
        (Turn::Ends, _) => (None, Patch::Clear, Patch::Set(today)),
    };
    Ok(SubscriptionDraft {
        external_id: word(&format!("S-{:04}", n + 1))?,
        customer: Some(CustomerRef::External(word(&external_id(n))?)),
        product: Some(word("Kanri Cloud")?),
        seats: Patch::Set(seats),
        amount_minor: Some(seats * 14_400),
        currency: Some(word("JPY")?),
        period_months: Some(12),
        starts_on,
        renews_on,
        ends_on,
        vendor_ref: Patch::Set(word(&vendor_ref(role, n))?),
    })
}
