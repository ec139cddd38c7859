//! Outcomes, as SQL.

use super::outcome::{OutcomeKind, Recorder, Told};
use crate::auth::{Tenant, Whole};
use crate::db::{Tx, sql};
use crate::health::AsKnown;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, OutcomeId, PartnerId, SubscriptionId, TypeId};
use crate::kernel::paging::{Page, Window};
use crate::kernel::time::Moment;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Date, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// An outcome to be kept.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of outcome")]
pub struct NewOutcome {
    pub id: OutcomeId,
    pub partner: PartnerId,
    pub customer: CustomerId,
    pub subscription: Option<SubscriptionId>,
    pub kind: OutcomeKind,
    pub occurred_on: NaiveDate,
    pub reason: Option<String>,
}

/// What makes an outcome one: whose, what, when.
pub type Once = (Uuid, Option<Uuid>, String, NaiveDate);

impl NewOutcome {
    /// Its natural key.
    pub fn once(&self) -> Once {
        (self.customer.uuid(), self.subscription.map(TypeId::uuid), self.kind.to_string(), self.occurred_on)
    }
}

#[derive(QueryableByName)]
struct KeptRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    subscription_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Date)]
    occurred_on: NaiveDate,
}

/// Keeps outcomes; answers which id stands for each natural key, ours or the one that was there. Where the standing one is taken back between
/// the two statements, its id is answered all the same.
pub async fn keep<S: Tenant>(tx: &Tx<S>, audience: &'static str, by: Uuid, list: &[NewOutcome]) -> Result<HashMap<Once, OutcomeId>, Fault> {
    tx.run(
        sql("INSERT INTO todoku.outcome (vendor_id, partner_id, id, customer_id, subscription_id, kind, occurred_on, reason, audience, recorded_at, recorded_by)
             SELECT {}, partner, id, customer, subscription, kind, occurred_on, reason, {}, {}, {}
             FROM unnest({}, {}, {}, {}, {}, {}, {}) AS u(partner, id, customer, subscription, kind, occurred_on, reason)
             ON CONFLICT (vendor_id, partner_id, customer_id, subscription_id, audience, kind, occurred_on) WHERE withdrawn_at IS NULL DO NOTHING")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Text, _>(audience)
        .bind::<Timestamptz, _>(tx.now())
        .bind::<SqlUuid, _>(by)
        .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.partner.uuid()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.id.uuid()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.customer.uuid()).collect::<Vec<_>>())
        .bind::<Array<Nullable<SqlUuid>>, _>(list.iter().map(|o| o.subscription.map(TypeId::uuid)).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(list.iter().map(|o| o.kind.as_str()).collect::<Vec<_>>())
        .bind::<Array<Date>, _>(list.iter().map(|o| o.occurred_on).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(list.iter().map(|o| o.reason.clone()).collect::<Vec<_>>()),
    )
    .await?;
    let rows: Vec<KeptRow> = tx
        .rows(
            sql("SELECT o.id, o.customer_id, o.subscription_id, o.kind, o.occurred_on FROM todoku.outcome o
                   JOIN (SELECT DISTINCT * FROM unnest({}, {}, {}, {}) AS u(partner, customer, kind, occurred_on)) u
                     ON o.partner_id = u.partner AND o.customer_id = u.customer AND o.kind = u.kind AND o.occurred_on = u.occurred_on
                 WHERE o.vendor_id = {} AND o.audience = {} ORDER BY o.withdrawn_at IS NULL, o.id")
            .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.partner.uuid()).collect::<Vec<_>>())
            .bind::<Array<SqlUuid>, _>(list.iter().map(|o| o.customer.uuid()).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(list.iter().map(|o| o.kind.as_str()).collect::<Vec<_>>())
            .bind::<Array<Date>, _>(list.iter().map(|o| o.occurred_on).collect::<Vec<_>>())
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Text, _>(audience),
        )
        .await?;
    // Of one key the last row stays: the one that stands.
    Ok(rows.into_iter().map(|row| ((row.customer_id, row.subscription_id, row.kind, row.occurred_on), OutcomeId::of(row.id))).collect())
}

// What is read of an outcome.
macro_rules! told {
    () => {
        "id, partner_id, customer_id, subscription_id, kind, occurred_on, reason, audience, recorded_at, withdrawn_at"
    };
}

#[derive(QueryableByName)]
struct ToldRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    subscription_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Date)]
    occurred_on: NaiveDate,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
    #[diesel(sql_type = Text)]
    audience: String,
    #[diesel(sql_type = Timestamptz)]
    recorded_at: Moment,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    withdrawn_at: Option<Moment>,
}

/// A stored value that is not what its column promises: our fault, not the caller's.
fn broken(e: impl std::fmt::Debug) -> Fault {
    Fault::internal(format!("a stored outcome is broken: {e:?}"))
}

impl ToldRow {
    fn read(self) -> Result<Told, Fault> {
        Ok(Told {
            id: OutcomeId::of(self.id),
            partner: PartnerId::of(self.partner_id),
            customer: CustomerId::of(self.customer_id),
            subscription: self.subscription_id.map(SubscriptionId::of),
            kind: self.kind.parse().map_err(broken)?,
            occurred_on: self.occurred_on,
            reason: self.reason.map(|reason| reason.parse().map_err(broken)).transpose()?,
            by: Recorder::of(&self.audience),
            recorded_at: self.recorded_at,
            withdrawn_at: self.withdrawn_at,
        })
    }
}

/// What narrows a list of outcomes.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    /// Only this customer's.
    pub customer: Option<CustomerId>,
    /// Only of this kind.
    pub kind: Option<OutcomeKind>,
    /// Only of this day and later ones.
    pub from: Option<NaiveDate>,
    /// Only of this day and earlier ones.
    pub to: Option<NaiveDate>,
}

/// Visible outcomes, those taken back among them: newest day first, then in order of id.
pub async fn list<S: Tenant>(tx: &Tx<S>, filter: &Filter, window: &Window<(NaiveDate, Uuid)>) -> Result<Page<Told, (NaiveDate, Uuid)>, Fault> {
    let (after_day, after_id) = window.after.unzip();
    let (customer, kind) = (filter.customer.map(TypeId::uuid), filter.kind.map(|kind| kind.to_string()));
    let rows: Vec<ToldRow> = tx
        .rows(
            sql(concat!(
                "SELECT ",
                told!(),
                " FROM todoku.outcome
                 WHERE vendor_id = {} AND ({}::uuid[] IS NULL OR partner_id = ANY ({})) AND ({}::uuid IS NULL OR customer_id = {}) AND ({}::text IS NULL OR kind = {})
                   AND ({}::date IS NULL OR occurred_on >= {}) AND ({}::date IS NULL OR occurred_on <= {})
                   AND ({}::date IS NULL OR occurred_on <= {} AND (occurred_on < {} OR id > {})) ORDER BY occurred_on DESC, id LIMIT {}"
            ))
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
            .bind::<Nullable<SqlUuid>, _>(customer)
            .bind::<Nullable<SqlUuid>, _>(customer)
            .bind::<Nullable<Text>, _>(kind.clone())
            .bind::<Nullable<Text>, _>(kind)
            .bind::<Nullable<Date>, _>(filter.from)
            .bind::<Nullable<Date>, _>(filter.from)
            .bind::<Nullable<Date>, _>(filter.to)
            .bind::<Nullable<Date>, _>(filter.to)
            .bind::<Nullable<Date>, _>(after_day)
            .bind::<Nullable<Date>, _>(after_day)
            .bind::<Nullable<Date>, _>(after_day)
            .bind::<Nullable<SqlUuid>, _>(after_id)
            .bind::<BigInt, _>(window.limit + 1),
        )
        .await?;
    let rows = rows.into_iter().map(ToldRow::read).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, window, |told| (told.occurred_on, told.id.uuid())))
}

/// A visible outcome. Keys begin with the partner: whoever sees the whole vendor looks under each of its partners.
pub async fn by_id<S: Tenant>(tx: &Tx<S>, id: OutcomeId) -> Result<Option<Told>, Fault> {
    let row: Option<ToldRow> = tx
        .row(
            sql(concat!(
                "SELECT ",
                told!(),
                " FROM todoku.outcome
                 WHERE vendor_id = {} AND partner_id = ANY (coalesce({}::uuid[], array(SELECT p.id FROM todoku.partner p WHERE p.vendor_id = {}))) AND id = {}"
            ))
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(id.uuid()),
        )
        .await?;
    row.map(ToldRow::read).transpose()
}

/// Takes an outcome back; `false` when that was done before.
pub async fn withdraw<S: Tenant>(tx: &Tx<S>, told: &Told, by: Uuid) -> Result<bool, Fault> {
    let done = tx
        .run(
            sql("UPDATE todoku.outcome SET withdrawn_at = {}, withdrawn_by = {} WHERE vendor_id = {} AND partner_id = {} AND id = {} AND withdrawn_at IS NULL")
                .bind::<Timestamptz, _>(tx.now())
                .bind::<SqlUuid, _>(by)
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(told.partner.uuid())
                .bind::<SqlUuid, _>(told.id.uuid()),
        )
        .await?;
    Ok(done == 1)
}

/// What became of a customer, for whoever learns from it.
#[derive(QueryableByName, Debug, Clone)]
#[allow(missing_docs, reason = "the columns of outcome")]
pub struct Settled {
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub customer_id: Uuid,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    pub lost: bool,
    #[diesel(sql_type = Date)]
    pub occurred_on: NaiveDate,
}

/// Every outcome, from a day on where one is given, that had happened and was known at a point, by partner and customer: one of each customer and day, lost when all that ended
/// was lost. Where the vendor and the partner speak of the same day, the vendor's word counts.
pub async fn settled<S: Whole>(tx: &Tx<S>, since: Option<NaiveDate>, at: AsKnown) -> Result<Vec<Settled>, Fault> {
    tx.rows(
        sql("SELECT partner_id, customer_id, coalesce(bool_and(kind = 'churned') FILTER (WHERE audience = 'vendor'), bool_and(kind = 'churned')) AS lost, occurred_on FROM todoku.outcome
             WHERE vendor_id = {} AND ({}::date IS NULL OR occurred_on >= {}) AND occurred_on <= {} AND recorded_at <= {} AND (withdrawn_at IS NULL OR withdrawn_at > {})
             GROUP BY partner_id, customer_id, occurred_on ORDER BY partner_id, customer_id, occurred_on")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Nullable<Date>, _>(since)
        .bind::<Nullable<Date>, _>(since)
        .bind::<Date, _>(at.on)
        .bind::<Timestamptz, _>(at.known_at)
        .bind::<Timestamptz, _>(at.known_at),
    )
    .await
}
