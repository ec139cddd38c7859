//! The vendor: the tenant root.

use super::word;
use crate::auth::{StaffScope, SystemScope, Tenant};
use crate::db::{Tx, sql};
use crate::kernel::error::Fault;
use crate::kernel::id::{TypeId, VendorId};
use crate::kernel::money::Currency;
use crate::kernel::text::Name;
use crate::kernel::time::{Moment, Zone};
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Date, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

/// A vendor's calendar and money.
#[derive(Debug, Clone, Copy)]
pub struct Vendor {
    /// Its id.
    pub id: VendorId,
    /// Its calendar.
    pub zone: Zone,
    /// Its reporting currency.
    pub currency: Currency,
    /// Whether it is a live one, not a sandbox.
    pub live: bool,
    /// Since when it is here; nothing was known before.
    pub founded_at: Moment,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    time_zone: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Text)]
    realm: String,
    #[diesel(sql_type = Timestamptz)]
    created_at: Moment,
}

impl Row {
    fn read(self) -> Result<Vendor, Fault> {
        Ok(Vendor { id: VendorId::of(self.id), zone: word(self.time_zone)?, currency: word(self.currency)?, live: self.realm == "live", founded_at: self.created_at })
    }
}

/// The calendar and money of this scope's vendor.
pub async fn calendar<S: Tenant>(tx: &Tx<S>) -> Result<Vendor, Fault> {
    let row: Option<Row> = tx.row(sql("SELECT id, time_zone, currency, realm, created_at FROM todoku.vendor WHERE id = {}").bind::<SqlUuid, _>(tx.scope().vendor())).await?;
    row.ok_or_else(|| Fault::internal("the scope's vendor is gone"))?.read()
}

/// Every active vendor, for the schedule.
pub async fn all(tx: &Tx<SystemScope>) -> Result<Vec<Vendor>, Fault> {
    let rows: Vec<Row> = tx.rows(sql("SELECT id, time_zone, currency, realm, created_at FROM todoku.vendor WHERE state = 'active' ORDER BY id")).await?;
    rows.into_iter().map(Row::read).collect()
}

/// Adds a vendor; its scope is already its own.
pub async fn insert(tx: &Tx<StaffScope>, name: &Name, zone: Zone, currency: Currency, live: bool) -> Result<(), Fault> {
    tx.run(
        sql("INSERT INTO todoku.vendor (id, name, time_zone, currency, realm, state, created_at, updated_at) VALUES ({}, {}, {}, {}, {}, 'active', {}, {})")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Text, _>(name.as_str().to_owned())
            .bind::<Text, _>(zone.name())
            .bind::<Text, _>(currency.to_string())
            .bind::<Text, _>(if live { "live" } else { "sandbox" })
            .bind::<Timestamptz, _>(tx.now())
            .bind::<Timestamptz, _>(tx.now()),
    )
    .await
    .map(drop)
}

/// Sets the rate of a currency from a day on, or corrects it.
pub async fn set_rate(tx: &Tx<StaffScope>, currency: Currency, from: NaiveDate, rate_nano: i64) -> Result<(), Fault> {
    tx.run(
        sql("INSERT INTO todoku.currency_rate (vendor_id, currency, valid_from, rate_nano, created_at) VALUES ({}, {}, {}, {}, {})
             ON CONFLICT (vendor_id, currency, valid_from) DO UPDATE SET rate_nano = excluded.rate_nano")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Text, _>(currency.to_string())
        .bind::<Date, _>(from)
        .bind::<BigInt, _>(rate_nano)
        .bind::<Timestamptz, _>(tx.now()),
    )
    .await
    .map(drop)
}
