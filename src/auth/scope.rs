//! Scopes: authority as a type. Fields are private to this module; a scope is made from a verified caller, from a job
//! the worker has claimed, or by the operator at the machine, and by nothing else.

use super::principal::Caller;
use super::tenancy::Tenancy;
use crate::db::{Login, Scope, Settings};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, TypeId, VendorId};
use std::sync::Arc;
use uuid::Uuid;

/// A scope inside one vendor: what stores that serve several kinds of caller accept.
pub trait Tenant: Scope {
    /// The vendor.
    fn vendor(&self) -> Uuid;
    /// The partner whose rows may be written.
    fn acts(&self) -> Result<Uuid, Fault>;
    /// The partners whose customers may be seen; `None` means the whole vendor.
    fn visible(&self) -> Option<Vec<Uuid>>;
    /// The partners whose totals may be seen; `None` means the whole vendor.
    fn totals(&self) -> Option<Vec<Uuid>>;
    /// Which view of health this scope reads: `shared` or `vendor` (DECISIONS 2).
    fn audience(&self) -> &'static str;
}

/// A scope that reads the whole vendor, what only the vendor knows among it.
pub trait Whole: Tenant {}

impl Whole for StaffScope {}
impl Whole for AnalystScope {}

#[derive(Debug, Clone)]
enum Sees {
    Vendor,
    Partners { customers: Arc<[Uuid]>, totals: Arc<[Uuid]> },
}

/// The scope of an API call that partners and the vendor may both make.
#[derive(Debug, Clone)]
pub struct TenantScope {
    vendor: Uuid,
    acts: Option<Uuid>,
    sees: Sees,
}

/// The scope of an API call that only the vendor may make.
#[derive(Debug, Clone)]
pub struct StaffScope {
    vendor: Uuid,
    acts: Option<Uuid>,
}

/// The scope of a job: one partner.
#[derive(Debug, Clone)]
pub struct WorkerScope {
    vendor: Uuid,
    partner: Uuid,
}

/// The turn of a vendor's day: its partners' ids, and jobs for them.
#[derive(Debug, Clone)]
pub struct ScheduleScope {
    vendor: Uuid,
}

/// What a caller was refused is written down in its name; it sees nothing.
#[derive(Debug, Clone)]
pub struct WitnessScope {
    vendor: Uuid,
    partner: Option<Uuid>,
}

/// Work across tenants with ids alone: claiming jobs, looking up credentials.
#[derive(Debug, Clone)]
pub struct SystemScope {
    login: Login,
}

/// Finding out over a whole vendor: reads it, and writes what it found.
#[derive(Debug, Clone)]
pub struct AnalystScope {
    vendor: Uuid,
}

/// How a scope is granted to a verified caller. `wanted` is the partner it asks to act for.
pub trait Grant: Tenant + Sized {
    /// The scope, or why not.
    fn grant(caller: &Caller, tenancy: &Tenancy, wanted: Option<PartnerId>) -> Result<Self, Fault>;
}

/// The direct partner staff act for: the one asked for, else the first.
fn staff_acts(caller: &Caller, tenancy: &Tenancy, wanted: Option<PartnerId>) -> Result<Option<Uuid>, Fault> {
    let vendor = caller.vendor().uuid();
    match wanted {
        None => Ok(tenancy.first_direct(vendor)),
        Some(partner) => match tenancy.is_direct(vendor, partner.uuid()) {
            None => Err(Fault::of(Code::NotFound)),
            Some(false) => Err(Fault::of(Code::ReadOnlyHere)),
            Some(true) => Ok(Some(partner.uuid())),
        },
    }
}

impl Grant for TenantScope {
    fn grant(caller: &Caller, tenancy: &Tenancy, wanted: Option<PartnerId>) -> Result<Self, Fault> {
        let vendor = caller.vendor().uuid();
        let Some(own) = caller.partner() else {
            return Ok(Self { vendor, acts: staff_acts(caller, tenancy, wanted)?, sees: Sees::Vendor });
        };
        let own = own.uuid();
        let (customers, totals) = tenancy.visible(vendor, own);
        match wanted.map(TypeId::uuid) {
            Some(other) if other != own && totals.contains(&other) => return Err(Fault::of(Code::ReadOnlyHere)),
            Some(other) if other != own => return Err(Fault::of(Code::NotFound)),
            _ => {}
        }
        Ok(Self { vendor, acts: Some(own), sees: Sees::Partners { customers, totals } })
    }
}

impl Grant for StaffScope {
    fn grant(caller: &Caller, tenancy: &Tenancy, wanted: Option<PartnerId>) -> Result<Self, Fault> {
        if caller.partner().is_some() {
            return Err(Fault::of(Code::InsufficientScope));
        }
        Ok(Self { vendor: caller.vendor().uuid(), acts: staff_acts(caller, tenancy, wanted)? })
    }
}

impl StaffScope {
    /// The operator at the machine, for one vendor: whoever may read the configuration may do this.
    pub fn operator(vendor: VendorId) -> Self {
        Self { vendor: vendor.uuid(), acts: None }
    }
}

impl StaffScope {
    /// The operator acting for a partner of the vendor: how the demo's partners come to their past.
    pub fn operator_for(vendor: VendorId, partner: PartnerId) -> Self {
        Self { vendor: vendor.uuid(), acts: Some(partner.uuid()) }
    }
}

impl WorkerScope {
    /// The scope of a job the worker has claimed.
    pub fn for_job(vendor: Uuid, partner: Uuid) -> Self {
        Self { vendor, partner }
    }

    /// The partner.
    pub fn partner(&self) -> Uuid {
        self.partner
    }
}

impl ScheduleScope {
    /// For a vendor whose day turns.
    pub fn for_vendor(vendor: VendorId) -> Self {
        Self { vendor: vendor.uuid() }
    }
}

impl Scope for ScheduleScope {
    fn login(&self) -> Login {
        Login::Worker
    }
    fn settings(&self) -> Settings {
        Settings { vendor: Some(self.vendor), system: Some(Login::Worker.name()), ..Settings::default() }
    }
}

impl Tenant for ScheduleScope {
    fn vendor(&self) -> Uuid {
        self.vendor
    }
    fn acts(&self) -> Result<Uuid, Fault> {
        Err(Fault::internal("the schedule acts for nobody"))
    }
    fn visible(&self) -> Option<Vec<Uuid>> {
        Some(Vec::new())
    }
    fn totals(&self) -> Option<Vec<Uuid>> {
        Some(Vec::new())
    }
    fn audience(&self) -> &'static str {
        "shared"
    }
}

impl AnalystScope {
    /// For a vendor whose day is analysed.
    pub fn for_vendor(vendor: VendorId) -> Self {
        Self { vendor: vendor.uuid() }
    }
}

impl Scope for AnalystScope {
    fn login(&self) -> Login {
        Login::Analyst
    }
    fn settings(&self) -> Settings {
        Settings { vendor: Some(self.vendor), ..Settings::default() }
    }
}

impl Tenant for AnalystScope {
    fn vendor(&self) -> Uuid {
        self.vendor
    }
    fn acts(&self) -> Result<Uuid, Fault> {
        Err(Fault::internal("the analyst acts for nobody"))
    }
    fn visible(&self) -> Option<Vec<Uuid>> {
        None
    }
    fn totals(&self) -> Option<Vec<Uuid>> {
        None
    }
    fn audience(&self) -> &'static str {
        "vendor"
    }
}

impl SystemScope {
    /// For the worker: claiming and settling jobs, stamping events.
    pub fn worker() -> Self {
        Self { login: Login::Worker }
    }

    /// For sign-in: credentials, keys, and the tenancy authority needs.
    pub fn auth() -> Self {
        Self { login: Login::Auth }
    }
}

fn ids(ids: &Arc<[Uuid]>) -> Option<Vec<Uuid>> {
    Some(ids.to_vec())
}

impl Scope for TenantScope {
    fn login(&self) -> Login {
        match self.sees {
            Sees::Vendor => Login::Staff,
            Sees::Partners { .. } => Login::Partner,
        }
    }
    fn settings(&self) -> Settings {
        let mut settings = Settings { vendor: Some(self.vendor), partner: self.acts, ..Settings::default() };
        if let Sees::Partners { customers, totals } = &self.sees {
            settings.partners = customers.clone();
            settings.totals = totals.clone();
        }
        settings
    }
}

impl Tenant for TenantScope {
    fn vendor(&self) -> Uuid {
        self.vendor
    }
    fn acts(&self) -> Result<Uuid, Fault> {
        self.acts.ok_or(Fault::of(Code::ReadOnlyHere))
    }
    fn visible(&self) -> Option<Vec<Uuid>> {
        match &self.sees {
            Sees::Vendor => None,
            Sees::Partners { customers, .. } => ids(customers),
        }
    }
    fn totals(&self) -> Option<Vec<Uuid>> {
        match &self.sees {
            Sees::Vendor => None,
            Sees::Partners { totals, .. } => ids(totals),
        }
    }
    fn audience(&self) -> &'static str {
        match self.sees {
            Sees::Vendor => "vendor",
            Sees::Partners { .. } => "shared",
        }
    }
}

impl Scope for StaffScope {
    fn login(&self) -> Login {
        Login::Staff
    }
    fn settings(&self) -> Settings {
        Settings { vendor: Some(self.vendor), partner: self.acts, ..Settings::default() }
    }
}

impl Tenant for StaffScope {
    fn vendor(&self) -> Uuid {
        self.vendor
    }
    fn acts(&self) -> Result<Uuid, Fault> {
        self.acts.ok_or(Fault::of(Code::ReadOnlyHere))
    }
    fn visible(&self) -> Option<Vec<Uuid>> {
        None
    }
    fn totals(&self) -> Option<Vec<Uuid>> {
        None
    }
    fn audience(&self) -> &'static str {
        "vendor"
    }
}

impl Scope for WorkerScope {
    fn login(&self) -> Login {
        Login::Worker
    }
    fn settings(&self) -> Settings {
        // A job settles itself in the transaction of its effect.
        Settings { vendor: Some(self.vendor), partner: Some(self.partner), system: Some(Login::Worker.name()), ..Settings::default() }
    }
}

impl Tenant for WorkerScope {
    fn vendor(&self) -> Uuid {
        self.vendor
    }
    fn acts(&self) -> Result<Uuid, Fault> {
        Ok(self.partner)
    }
    fn visible(&self) -> Option<Vec<Uuid>> {
        Some(vec![self.partner])
    }
    fn totals(&self) -> Option<Vec<Uuid>> {
        Some(vec![self.partner])
    }
    fn audience(&self) -> &'static str {
        "vendor"
    }
}

impl WitnessScope {
    /// Of a verified caller.
    pub fn of(caller: &Caller) -> Self {
        Self { vendor: caller.vendor().uuid(), partner: caller.partner().map(TypeId::uuid) }
    }

    /// The vendor.
    pub fn vendor(&self) -> Uuid {
        self.vendor
    }

    /// The partner; none for the vendor's own.
    pub fn partner(&self) -> Option<Uuid> {
        self.partner
    }
}

impl Scope for WitnessScope {
    fn login(&self) -> Login {
        if self.partner.is_some() { Login::Partner } else { Login::Staff }
    }
    fn settings(&self) -> Settings {
        Settings { vendor: Some(self.vendor), partner: self.partner, ..Settings::default() }
    }
}

impl Scope for SystemScope {
    fn login(&self) -> Login {
        self.login
    }
    fn settings(&self) -> Settings {
        Settings { system: Some(self.login.name()), ..Settings::default() }
    }
}
