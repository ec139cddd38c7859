//! A customer's chronicle as SQL: everything that was said, with when it counted, and the versions of what a score depends on.

use super::broken;
use super::card::{Card, CardRow};
use crate::auth::Tenant;
use crate::db::{Tx, sql};
use crate::health::audience::read_for;
use crate::health::chronicle::{CaseStatement, Sighting, Stay};
use crate::health::circumstances::{Bought, Circumstances, Version};
use crate::health::scorecard::{Band, Purpose};
use crate::kernel::error::Fault;
use crate::kernel::id::{MeasureId, OverrideId, PartnerId, ReportId, ScorecardId, TypeId};
use crate::kernel::time::{Moment, Zone};
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Date, Double, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// Everything said about a partner's customers since a moment, superseded or not; in their order. `shared` alone is read for a partner.
pub async fn sightings<S: Tenant>(tx: &Tx<S>, partner: PartnerId, customers: Vec<Uuid>, zone: Zone, since: Moment, whole: bool) -> Result<HashMap<Uuid, Vec<Sighting>>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = SqlUuid)]
        measure_id: Uuid,
        #[diesel(sql_type = Text)]
        evidence: String,
        #[diesel(sql_type = Text)]
        audience: String,
        #[diesel(sql_type = Double)]
        value: f64,
        #[diesel(sql_type = Timestamptz)]
        observed_at: Moment,
        #[diesel(sql_type = BigInt)]
        arrival: i64,
        #[diesel(sql_type = Nullable<SqlUuid>)]
        report_id: Option<Uuid>,
        #[diesel(sql_type = Timestamptz)]
        received_at: Moment,
        #[diesel(sql_type = Nullable<Timestamptz>)]
        replaced_at: Option<Moment>,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT o.customer_id, o.measure_id, o.evidence, o.audience, o.value, o.observed_at, o.arrival, o.report_id, o.received_at, n.received_at AS replaced_at
                 FROM todoku.observation o LEFT JOIN todoku.status_report n ON n.vendor_id = o.vendor_id AND n.partner_id = o.partner_id AND n.replaces_id = o.report_id
                 WHERE o.vendor_id = {} AND o.partner_id = {} AND o.customer_id = ANY ({}) AND o.audience = ANY ({}) AND o.observed_at >= {} AND o.observed_at < {} ORDER BY o.arrival")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner.uuid())
            .bind::<Array<SqlUuid>, _>(customers)
            .bind::<Array<Text>, _>(read_for(whole).to_vec())
            .bind::<Timestamptz, _>(since)
            .bind::<Timestamptz, _>(tx.now() + chrono::Duration::days(1)),
        )
        .await?;
    let mut found: HashMap<Uuid, Vec<Sighting>> = HashMap::new();
    for row in rows {
        found.entry(row.customer_id).or_default().push(Sighting {
            measure: MeasureId::of(row.measure_id),
            class: row.evidence.parse().map_err(broken)?,
            shared: row.audience == "shared",
            value: row.value,
            observed_at: row.observed_at,
            day: zone.day_of(row.observed_at),
            arrival: row.arrival,
            report: row.report_id.map(ReportId::of),
            stay: Stay { from: row.received_at, to: row.replaced_at },
        });
    }
    found.values_mut().for_each(|all| all.sort_by(Sighting::order));
    Ok(found)
}

/// What a report said of its period, and of open cases when it spoke of them; with when it was in force.
pub type Statement = (NaiveDate, Stay, Option<CaseStatement>);

/// What every report about a partner's customers said; in order of arrival.
pub async fn statements<S: Tenant>(tx: &Tx<S>, partner: PartnerId, customers: Vec<Uuid>) -> Result<HashMap<Uuid, Vec<Statement>>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = Date)]
        period_end: NaiveDate,
        #[diesel(sql_type = Nullable<Jsonb>)]
        open_cases: Option<serde_json::Value>,
        #[diesel(sql_type = Timestamptz)]
        received_at: Moment,
        #[diesel(sql_type = Nullable<Timestamptz>)]
        replaced_at: Option<Moment>,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT r.customer_id, r.period_end, r.open_cases, r.received_at, n.received_at AS replaced_at
                 FROM todoku.status_report r LEFT JOIN todoku.status_report n ON n.vendor_id = r.vendor_id AND n.partner_id = r.partner_id AND n.replaces_id = r.id
                 WHERE r.vendor_id = {} AND r.partner_id = {} AND r.customer_id = ANY ({}) ORDER BY r.received_at, r.id")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner.uuid())
            .bind::<Array<SqlUuid>, _>(customers),
        )
        .await?;
    let mut found: HashMap<Uuid, Vec<Statement>> = HashMap::new();
    for (arrival, row) in rows.into_iter().enumerate() {
        let stay = Stay { from: row.received_at, to: row.replaced_at };
        let cases = row.open_cases.map(serde_json::from_value).transpose().map_err(Fault::internal)?;
        let cases = cases.map(|cases| CaseStatement { day: row.period_end, cases, arrival: arrival as i64, stay });
        found.entry(row.customer_id).or_default().push((row.period_end, stay, cases));
    }
    Ok(found)
}

/// What customers of a partner were and had bought, by customer.
pub async fn circumstances<S: Tenant>(tx: &Tx<S>, partner: PartnerId, customers: Vec<Uuid>) -> Result<HashMap<Uuid, Circumstances>, Fault> {
    #[derive(QueryableByName)]
    struct Was {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
        #[diesel(sql_type = Text)]
        state: String,
        #[diesel(sql_type = Text)]
        touch_model: String,
        #[diesel(sql_type = Nullable<Text>)]
        segment: Option<String>,
        #[diesel(sql_type = Nullable<Text>)]
        business_model: Option<String>,
        #[diesel(sql_type = Timestamptz)]
        known_from: Moment,
        #[diesel(sql_type = Nullable<Timestamptz>)]
        known_to: Option<Moment>,
    }
    #[derive(QueryableByName)]
    struct Had {
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = Text)]
        product: String,
        #[diesel(sql_type = Date)]
        starts_on: NaiveDate,
        #[diesel(sql_type = Nullable<Date>)]
        ends_on: Option<NaiveDate>,
        #[diesel(sql_type = Timestamptz)]
        known_from: Moment,
        #[diesel(sql_type = Nullable<Timestamptz>)]
        known_to: Option<Moment>,
    }
    let (versions, purchases): (Vec<Was>, Vec<Had>) = futures_util::try_join!(
        tx.rows(
            sql("SELECT id, state, touch_model, segment, business_model, known_from, known_to FROM todoku.customer_version
                 WHERE vendor_id = {} AND partner_id = {} AND id = ANY ({}) ORDER BY known_from")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner.uuid())
            .bind::<Array<SqlUuid>, _>(customers.clone()),
        ),
        tx.rows(
            sql("SELECT s.customer_id, v.product, v.starts_on, v.ends_on, v.known_from, v.known_to FROM todoku.subscription s
                   JOIN todoku.subscription_version v ON v.vendor_id = s.vendor_id AND v.partner_id = s.partner_id AND v.id = s.id
                 WHERE s.vendor_id = {} AND s.partner_id = {} AND s.customer_id = ANY ({}) ORDER BY v.known_from, v.id")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner.uuid())
            .bind::<Array<SqlUuid>, _>(customers),
        ),
    )?;
    let mut found: HashMap<Uuid, Circumstances> = HashMap::new();
    for row in versions {
        let (stage, touch_model) = (row.state.parse().map_err(broken)?, row.touch_model.parse().map_err(broken)?);
        let stay = Stay { from: row.known_from, to: row.known_to };
        found.entry(row.id).or_default().versions.push(Version { stage, touch_model, segment: row.segment, business_model: row.business_model, stay });
    }
    for row in purchases {
        let stay = Stay { from: row.known_from, to: row.known_to };
        found.entry(row.customer_id).or_default().purchases.push(Bought { product: row.product, starts_on: row.starts_on, ends_on: row.ends_on, stay });
    }
    Ok(found)
}

#[derive(QueryableByName)]
struct StayRow {
    #[diesel(sql_type = Timestamptz)]
    known_from: Moment,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    known_to: Option<Moment>,
}

impl From<StayRow> for Stay {
    fn from(row: StayRow) -> Self {
        Self { from: row.known_from, to: row.known_to }
    }
}

/// Every scorecard that was ever in force, with when; by purpose and rank.
pub async fn cards_in_time<S: Tenant>(tx: &Tx<S>) -> Result<Vec<(Card, Stay)>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(embed)]
        card: CardRow,
        #[diesel(embed)]
        stay: StayRow,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT s.id, s.name, s.state, s.purpose, s.rank, s.policy, s.version, s.created_at, v.known_from, v.known_to FROM todoku.scorecard s
                   JOIN todoku.scorecard_version v ON v.vendor_id = s.vendor_id AND v.id = s.id
                 WHERE s.vendor_id = {} AND v.state = 'active' ORDER BY s.purpose, s.rank, v.known_from")
            .bind::<SqlUuid, _>(tx.scope().vendor()),
        )
        .await?;
    rows.into_iter().map(|row| Ok((row.card.read()?, row.stay.into()))).collect()
}

/// When a scorecard was in force, in order.
pub async fn card_in_time<S: Tenant>(tx: &Tx<S>, card: ScorecardId) -> Result<Vec<Stay>, Fault> {
    let rows: Vec<StayRow> = tx
        .rows(
            sql("SELECT known_from, known_to FROM todoku.scorecard_version WHERE vendor_id = {} AND id = {} AND state = 'active' ORDER BY known_from")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(card.uuid()),
        )
        .await?;
    Ok(rows.into_iter().map(Stay::from).collect())
}

/// The bands a customer closed in, each with the first day and when it was closed; in order.
pub async fn closes<S: Tenant>(tx: &Tx<S>, partner: PartnerId, customer: Uuid, audience: &'static str, purpose: Purpose) -> Result<Vec<(NaiveDate, Moment, Band)>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Date)]
        closed_on: NaiveDate,
        #[diesel(sql_type = Timestamptz)]
        closed_at: Moment,
        #[diesel(sql_type = Text)]
        band: String,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT closed_on, closed_at, band FROM todoku.band_change
                 WHERE vendor_id = {} AND partner_id = {} AND customer_id = {} AND audience = {} AND purpose = {} ORDER BY closed_on")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(partner.uuid())
            .bind::<SqlUuid, _>(customer)
            .bind::<Text, _>(audience)
            .bind::<Text, _>(purpose.as_str()),
        )
        .await?;
    rows.into_iter().map(|row| Ok((row.closed_on, row.closed_at, row.band.parse().map_err(broken)?))).collect()
}

/// A score set by a person, with its days.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of health_override")]
pub struct SetByHand {
    pub id: OverrideId,
    pub score: i32,
    pub expires_on: NaiveDate,
    pub stay: Stay,
}

/// The overrides of a customer that ever counted, oldest first; no partner may read them.
pub async fn set_by_hand<S: Tenant>(tx: &Tx<S>, customer: Uuid, purpose: Purpose) -> Result<Vec<SetByHand>, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
        #[diesel(sql_type = Integer)]
        score: i32,
        #[diesel(sql_type = Date)]
        expires_on: NaiveDate,
        #[diesel(sql_type = Timestamptz)]
        counts_from: Moment,
        #[diesel(sql_type = Nullable<Timestamptz>)]
        withdrawn_at: Option<Moment>,
    }
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT id, score, expires_on, counts_from, withdrawn_at FROM todoku.health_override
                 WHERE vendor_id = {} AND customer_id = {} AND purpose = {} AND counts_from IS NOT NULL ORDER BY id")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(customer)
            .bind::<Text, _>(purpose.as_str()),
        )
        .await?;
    let read = |row: Row| SetByHand { id: OverrideId::of(row.id), score: row.score, expires_on: row.expires_on, stay: Stay { from: row.counts_from, to: row.withdrawn_at } };
    Ok(rows.into_iter().map(read).collect())
}
