//! Subscriptions.

use super::{maybe, word};
use crate::auth::Tenant;
use crate::db::{Tx, sql};
use crate::directory::subscription::Subscription;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, PartnerId, SubscriptionId, TypeId};
use crate::kernel::paging::{Page, Window};
use crate::kernel::text::ExternalId;
use crate::kernel::time::Moment;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Date, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = Text)]
    external_id: String,
    #[diesel(sql_type = Text)]
    product: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    seats: Option<i64>,
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Integer)]
    period_months: i32,
    #[diesel(sql_type = Date)]
    starts_on: NaiveDate,
    #[diesel(sql_type = Nullable<Date>)]
    renews_on: Option<NaiveDate>,
    #[diesel(sql_type = Nullable<Date>)]
    ends_on: Option<NaiveDate>,
    #[diesel(sql_type = Nullable<Text>)]
    vendor_ref: Option<String>,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: Moment,
    #[diesel(sql_type = Timestamptz)]
    updated_at: Moment,
}

impl Row {
    fn read(self) -> Result<Subscription, Fault> {
        Ok(Subscription {
            id: SubscriptionId::of(self.id),
            partner_id: PartnerId::of(self.partner_id),
            customer_id: CustomerId::of(self.customer_id),
            external_id: word(self.external_id)?,
            product: word(self.product)?,
            seats: self.seats,
            amount_minor: self.amount_minor,
            currency: word(self.currency)?,
            period_months: self.period_months,
            starts_on: self.starts_on,
            renews_on: self.renews_on,
            ends_on: self.ends_on,
            vendor_ref: maybe(self.vendor_ref)?,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// Locks one of the acting partner's own subscriptions by its external id.
pub async fn lock<S: Tenant>(tx: &Tx<S>, external_id: &ExternalId) -> Result<Option<Subscription>, Fault> {
    let row: Option<Row> = tx
        .row(
            sql("SELECT partner_id, id, customer_id, external_id, product, seats, amount_minor, currency, period_months, starts_on, renews_on, ends_on,
                   vendor_ref, version, created_at, updated_at
                 FROM todoku.subscription WHERE vendor_id = {} AND partner_id = {} AND external_id = {} FOR NO KEY UPDATE")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(tx.scope().acts()?)
            .bind::<Text, _>(external_id.to_string()),
        )
        .await?;
    row.map(Row::read).transpose()
}

/// Visible subscriptions, in order of partner and id.
pub async fn list<S: Tenant>(
    tx: &Tx<S>,
    partner: Option<PartnerId>,
    customer: Option<CustomerId>,
    window: &Window<(Uuid, Uuid)>,
) -> Result<Page<Subscription, (Uuid, Uuid)>, Fault> {
    let (after_partner, after_id) = window.after.unzip();
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT partner_id, id, customer_id, external_id, product, seats, amount_minor, currency, period_months, starts_on, renews_on, ends_on,
                   vendor_ref, version, created_at, updated_at
                 FROM todoku.subscription WHERE vendor_id = {} AND ({}::uuid[] IS NULL OR partner_id = ANY ({}))
                   AND ({}::uuid IS NULL OR partner_id = {}) AND ({}::uuid IS NULL OR customer_id = {}) AND ({}::uuid IS NULL OR (partner_id, id) > ({}, {}))
                 ORDER BY partner_id, id LIMIT {}")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
            .bind::<Nullable<SqlUuid>, _>(partner.map(TypeId::uuid))
            .bind::<Nullable<SqlUuid>, _>(partner.map(TypeId::uuid))
            .bind::<Nullable<SqlUuid>, _>(customer.map(TypeId::uuid))
            .bind::<Nullable<SqlUuid>, _>(customer.map(TypeId::uuid))
            .bind::<Nullable<SqlUuid>, _>(after_partner)
            .bind::<Nullable<SqlUuid>, _>(after_partner)
            .bind::<Nullable<SqlUuid>, _>(after_id)
            .bind::<BigInt, _>(window.limit + 1),
        )
        .await?;
    let rows = rows.into_iter().map(Row::read).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, window, |s| (s.partner_id.uuid(), s.id.uuid())))
}

/// Adds a subscription; `false` when its external id is taken.
pub async fn insert<S: Tenant>(tx: &Tx<S>, s: &Subscription) -> Result<bool, Fault> {
    let done = tx
        .run(
            sql("INSERT INTO todoku.subscription (vendor_id, partner_id, id, customer_id, external_id, product, seats, amount_minor, currency, period_months,
                   starts_on, renews_on, ends_on, vendor_ref, version, created_at, updated_at)
                 VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) ON CONFLICT (vendor_id, partner_id, external_id) DO NOTHING")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(s.partner_id.uuid())
            .bind::<SqlUuid, _>(s.id.uuid())
            .bind::<SqlUuid, _>(s.customer_id.uuid())
            .bind::<Text, _>(s.external_id.to_string())
            .bind::<Text, _>(s.product.to_string())
            .bind::<Nullable<BigInt>, _>(s.seats)
            .bind::<BigInt, _>(s.amount_minor)
            .bind::<Text, _>(s.currency.to_string())
            .bind::<Integer, _>(s.period_months)
            .bind::<Date, _>(s.starts_on)
            .bind::<Nullable<Date>, _>(s.renews_on)
            .bind::<Nullable<Date>, _>(s.ends_on)
            .bind::<Nullable<Text>, _>(s.vendor_ref.as_ref().map(ToString::to_string))
            .bind::<BigInt, _>(s.version)
            .bind::<Timestamptz, _>(s.created_at)
            .bind::<Timestamptz, _>(s.updated_at),
        )
        .await?;
    Ok(done == 1)
}

/// Writes a locked subscription back.
pub async fn update<S: Tenant>(tx: &Tx<S>, s: &Subscription) -> Result<(), Fault> {
    tx.run(
        sql("UPDATE todoku.subscription SET product = {}, seats = {}, amount_minor = {}, currency = {}, period_months = {}, starts_on = {}, renews_on = {},
               ends_on = {}, vendor_ref = {}, version = {}, updated_at = {} WHERE vendor_id = {} AND partner_id = {} AND id = {}")
        .bind::<Text, _>(s.product.to_string())
        .bind::<Nullable<BigInt>, _>(s.seats)
        .bind::<BigInt, _>(s.amount_minor)
        .bind::<Text, _>(s.currency.to_string())
        .bind::<Integer, _>(s.period_months)
        .bind::<Date, _>(s.starts_on)
        .bind::<Nullable<Date>, _>(s.renews_on)
        .bind::<Nullable<Date>, _>(s.ends_on)
        .bind::<Nullable<Text>, _>(s.vendor_ref.as_ref().map(ToString::to_string))
        .bind::<BigInt, _>(s.version)
        .bind::<Timestamptz, _>(s.updated_at)
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(s.partner_id.uuid())
        .bind::<SqlUuid, _>(s.id.uuid()),
    )
    .await
    .map(drop)
}
