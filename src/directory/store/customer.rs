//! Customers.

use super::{maybe, word};
use crate::auth::Tenant;
use crate::db::{Sql, Tx, sql};
use crate::directory::customer::{Customer, CustomerState};
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, PartnerId, TypeId};
use crate::kernel::paging::{Page, Window};
use crate::kernel::text::ExternalId;
use crate::kernel::time::Moment;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    partner_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    external_id: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Text)]
    touch_model: String,
    #[diesel(sql_type = Nullable<Text>)]
    corporate_number: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    segment: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    region: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    business_model: Option<String>,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: Moment,
    #[diesel(sql_type = Timestamptz)]
    updated_at: Moment,
}

impl Row {
    fn read(self) -> Result<Customer, Fault> {
        Ok(Customer {
            id: CustomerId::of(self.id),
            partner_id: PartnerId::of(self.partner_id),
            external_id: word(self.external_id)?,
            name: word(self.name)?,
            state: word(self.state)?,
            touch_model: word(self.touch_model)?,
            corporate_number: maybe(self.corporate_number)?,
            segment: maybe(self.segment)?,
            region: maybe(self.region)?,
            business_model: maybe(self.business_model)?,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

#[derive(QueryableByName)]
struct PartnerRow {
    #[diesel(sql_type = SqlUuid)]
    partner_id: Uuid,
}

/// The partner a visible customer belongs to. For a partner the lookup goes by its own key columns, so that another's id and
/// one that never existed take the same path; only the vendor has a table of whose an id is.
pub async fn locate<S: Tenant>(tx: &Tx<S>, id: CustomerId) -> Result<Option<PartnerId>, Fault> {
    let statement = match tx.scope().visible() {
        Some(partners) => sql("SELECT partner_id FROM todoku.customer WHERE vendor_id = {} AND partner_id = ANY ({}) AND id = {}")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Array<SqlUuid>, _>(partners)
            .bind::<SqlUuid, _>(id.uuid()),
        None => {
            sql("SELECT partner_id FROM todoku.customer_locator WHERE vendor_id = {} AND customer_id = {}").bind::<SqlUuid, _>(tx.scope().vendor()).bind::<SqlUuid, _>(id.uuid())
        }
    };
    let row: Option<PartnerRow> = tx.row(statement).await?;
    Ok(row.map(|row| PartnerId::of(row.partner_id)))
}

fn one(tx: &Tx<impl Tenant>, partners: Vec<Uuid>, id: CustomerId) -> Sql {
    sql("SELECT partner_id, id, external_id, name, state, touch_model, corporate_number, segment, region, business_model, version, created_at, updated_at
         FROM todoku.customer WHERE vendor_id = {} AND partner_id = ANY ({}) AND id = {}")
    .bind::<SqlUuid, _>(tx.scope().vendor())
    .bind::<Array<SqlUuid>, _>(partners)
    .bind::<SqlUuid, _>(id.uuid())
}

/// A visible customer.
pub async fn by_id<S: Tenant>(tx: &Tx<S>, id: CustomerId) -> Result<Option<Customer>, Fault> {
    let partners = match tx.scope().visible() {
        Some(partners) => partners,
        None => locate(tx, id).await?.map(TypeId::uuid).into_iter().collect(),
    };
    let row: Option<Row> = tx.row(one(tx, partners, id)).await?;
    row.map(Row::read).transpose()
}

/// Locks one of the acting partner's own customers, by id or by external id.
pub async fn lock<S: Tenant>(tx: &Tx<S>, id: Option<CustomerId>, external_id: Option<&ExternalId>) -> Result<Option<Customer>, Fault> {
    let statement = match (id, external_id) {
        (Some(id), _) => sql("SELECT partner_id, id, external_id, name, state, touch_model, corporate_number, segment, region, business_model, version, created_at, updated_at
                 FROM todoku.customer WHERE vendor_id = {} AND partner_id = {} AND id = {} FOR NO KEY UPDATE")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(tx.scope().acts()?)
        .bind::<SqlUuid, _>(id.uuid()),
        (None, Some(external_id)) => {
            sql("SELECT partner_id, id, external_id, name, state, touch_model, corporate_number, segment, region, business_model, version, created_at, updated_at
                 FROM todoku.customer WHERE vendor_id = {} AND partner_id = {} AND external_id = {} FOR NO KEY UPDATE")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(tx.scope().acts()?)
            .bind::<Text, _>(external_id.as_str().to_owned())
        }
        (None, None) => return Ok(None),
    };
    let row: Option<Row> = tx.row(statement).await?;
    row.map(Row::read).transpose()
}

/// Filters of a list.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only this partner's.
    pub partner: Option<PartnerId>,
    /// Only with this external id.
    pub external_id: Option<ExternalId>,
    /// Only in this state.
    pub state: Option<CustomerState>,
    /// Only changed after this moment.
    pub updated_after: Option<Moment>,
}

/// Visible customers, in order of partner and id.
pub async fn list<S: Tenant>(tx: &Tx<S>, filter: &Filter, window: &Window<(Uuid, Uuid)>) -> Result<Page<Customer, (Uuid, Uuid)>, Fault> {
    let (after_partner, after_id) = window.after.unzip();
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT partner_id, id, external_id, name, state, touch_model, corporate_number, segment, region, business_model, version, created_at, updated_at
                 FROM todoku.customer WHERE vendor_id = {} AND ({}::uuid[] IS NULL OR partner_id = ANY ({}))
                   AND ({}::uuid IS NULL OR partner_id = {}) AND ({}::text IS NULL OR external_id = {}) AND ({}::text IS NULL OR state = {})
                   AND ({}::timestamptz IS NULL OR updated_at > {}) AND ({}::uuid IS NULL OR (partner_id, id) > ({}, {}))
                 ORDER BY partner_id, id LIMIT {}")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
            .bind::<Nullable<Array<SqlUuid>>, _>(tx.scope().visible())
            .bind::<Nullable<SqlUuid>, _>(filter.partner.map(TypeId::uuid))
            .bind::<Nullable<SqlUuid>, _>(filter.partner.map(TypeId::uuid))
            .bind::<Nullable<Text>, _>(filter.external_id.as_ref().map(ToString::to_string))
            .bind::<Nullable<Text>, _>(filter.external_id.as_ref().map(ToString::to_string))
            .bind::<Nullable<Text>, _>(filter.state.map(CustomerState::as_str))
            .bind::<Nullable<Text>, _>(filter.state.map(CustomerState::as_str))
            .bind::<Nullable<Timestamptz>, _>(filter.updated_after)
            .bind::<Nullable<Timestamptz>, _>(filter.updated_after)
            .bind::<Nullable<SqlUuid>, _>(after_partner)
            .bind::<Nullable<SqlUuid>, _>(after_partner)
            .bind::<Nullable<SqlUuid>, _>(after_id)
            .bind::<BigInt, _>(window.limit + 1),
        )
        .await?;
    let rows = rows.into_iter().map(Row::read).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, window, |customer| (customer.partner_id.uuid(), customer.id.uuid())))
}

/// Adds a customer; `false` when its external id is taken.
pub async fn insert<S: Tenant>(tx: &Tx<S>, customer: &Customer) -> Result<bool, Fault> {
    let done = tx
        .run(
            sql(
                "INSERT INTO todoku.customer (vendor_id, partner_id, id, external_id, name, state, touch_model, corporate_number, segment, region, business_model, version, created_at, updated_at)
                 VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) ON CONFLICT (vendor_id, partner_id, external_id) DO NOTHING",
            )
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(customer.partner_id.uuid())
            .bind::<SqlUuid, _>(customer.id.uuid())
            .bind::<Text, _>(customer.external_id.to_string())
            .bind::<Text, _>(customer.name.to_string())
            .bind::<Text, _>(customer.state.as_str())
            .bind::<Text, _>(customer.touch_model.as_str())
            .bind::<Nullable<Text>, _>(customer.corporate_number.as_ref().map(ToString::to_string))
            .bind::<Nullable<Text>, _>(customer.segment.as_ref().map(ToString::to_string))
            .bind::<Nullable<Text>, _>(customer.region.as_ref().map(ToString::to_string))
            .bind::<Nullable<Text>, _>(customer.business_model.as_ref().map(ToString::to_string))
            .bind::<BigInt, _>(customer.version)
            .bind::<Timestamptz, _>(customer.created_at)
            .bind::<Timestamptz, _>(customer.updated_at),
        )
        .await?;
    Ok(done == 1)
}

/// Writes a locked customer back.
pub async fn update<S: Tenant>(tx: &Tx<S>, customer: &Customer) -> Result<(), Fault> {
    tx.run(
        sql("UPDATE todoku.customer SET name = {}, state = {}, touch_model = {}, corporate_number = {}, segment = {}, region = {}, business_model = {}, version = {}, updated_at = {}
             WHERE vendor_id = {} AND partner_id = {} AND id = {}")
        .bind::<Text, _>(customer.name.to_string())
        .bind::<Text, _>(customer.state.as_str())
        .bind::<Text, _>(customer.touch_model.as_str())
        .bind::<Nullable<Text>, _>(customer.corporate_number.as_ref().map(ToString::to_string))
        .bind::<Nullable<Text>, _>(customer.segment.as_ref().map(ToString::to_string))
        .bind::<Nullable<Text>, _>(customer.region.as_ref().map(ToString::to_string))
        .bind::<Nullable<Text>, _>(customer.business_model.as_ref().map(ToString::to_string))
        .bind::<BigInt, _>(customer.version)
        .bind::<Timestamptz, _>(customer.updated_at)
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(customer.partner_id.uuid())
        .bind::<SqlUuid, _>(customer.id.uuid()),
    )
    .await
    .map(drop)
}
