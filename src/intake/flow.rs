//! Deeds of intake: adding to the catalogue, from the API and when a vendor is founded.

use super::curve::Curve;
use super::measure::{EFFORT, Measure, Nature, PARTNER_BAND};
use super::store;
use crate::auth::{StaffScope, Tenant};
use crate::db::Tx;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::TypeId;
use crate::ledger::{Event, record_events};
use serde_json::json;
use uuid::Uuid;

/// Adds a measure: 409 when its key is taken or the catalogue is full.
pub async fn add_measure(tx: &Tx<StaffScope>, caller: Uuid, measure: &Measure) -> Result<(), Fault> {
    if store::measures(tx).await?.len() >= store::MAX_CATALOGUE {
        return Err(Fault::of(Code::StateConflict));
    }
    if !store::insert_measure(tx, measure).await? {
        return Err(Fault::of(Code::AlreadyExists));
    }
    let event = Event { kind: "measure.created", subject: measure.id.uuid(), partner: None, data: json!({ "key": measure.key }) };
    record_events(tx, caller, &[event]).await
}

/// The catalogue a new vendor starts with: key, names, unit, nature, half-life (SCIENCE 2.2).
pub fn starter_measures<S: Tenant>(tx: &Tx<S>) -> Result<Vec<Measure>, Fault> {
    let rows: [(&str, &str, &str, &str, Nature, i32); 7] = [
        (PARTNER_BAND, "Partner's own judgement", "パートナーの判断", "points", Nature::Opinion, 45),
        ("adoption", "Adoption", "定着度", "points", Nature::Figure, 45),
        ("seats_used", "Seats in use", "利用席率", "percent", Nature::Figure, 30),
        ("support_load", "Support load", "サポート負荷", "points", Nature::Figure, 30),
        ("csat", "Satisfaction", "顧客満足度", "points", Nature::Figure, 90),
        ("sentiment", "Sentiment", "温度感", "points", Nature::Opinion, 45),
        (EFFORT, "Effort (CES)", "顧客努力指標", "1-7", Nature::Figure, 90),
    ];
    let broken = |e: crate::kernel::text::Broken| Fault::internal(format!("a starter measure is broken: {e:?}"));
    rows.into_iter()
        .map(|(key, name_en, name_ja, unit, nature, half_life)| {
            Ok(Measure {
                id: tx.new_id(),
                key: key.parse().map_err(broken)?,
                name_en: name_en.parse().map_err(broken)?,
                name_ja: name_ja.parse().map_err(broken)?,
                unit: unit.parse().map_err(broken)?,
                nature,
                curve: if key == EFFORT { Curve::LinearClamped { zero: 1.0, full: 7.0 } } else { Curve::identity() },
                half_life_days: Some(half_life),
                valid_days: 365,
                created_at: tx.now(),
            })
        })
        .collect()
}
