//! The one table of authority: every operation, the OAuth scope it needs and who may call it. The API document, the guard
//! and the isolation matrix are made from it; an operation without a row has no type, so its handler does not compile.

use super::scope::{Grant, StaffScope, TenantScope};
use std::fmt;
use std::str::FromStr;

macro_rules! permissions {
    ($($name:ident = $text:literal, $says:literal;)*) => {
        /// An OAuth scope (DECISIONS 17).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each one says what it allows")]
        pub enum Permission { $($name,)* }
        impl Permission {
            /// Every scope there is.
            pub const ALL: &'static [Permission] = &[$(Permission::$name,)*];
            /// As it stands in tokens.
            pub fn as_str(self) -> &'static str { match self { $(Permission::$name => $text,)* } }
            /// What it allows.
            pub fn says(self) -> &'static str { match self { $(Permission::$name => $says,)* } }
        }
    };
}

permissions! {
    CustomersRead = "customers:read", "Read partners, customers, subscriptions, their reports and outcomes.";
    CustomersWrite = "customers:write", "Create and change customers and subscriptions.";
    ReportsWrite = "reports:write", "Submit status reports.";
    ObservationsWrite = "observations:write", "Submit observations.";
    SurveysWrite = "surveys:write", "Of a survey tool alone, beside observations:write: what it submits are its customers' own words.";
    HealthRead = "health:read", "Read health scores, explanations, measures and scorecards.";
    InsightsRead = "insights:read", "Read figures over many customers.";
    ExportsCreate = "exports:create", "Publish reports that stay.";
    PartnersManage = "partners:manage", "Create and change partners and currency rates.";
    ClientsManage = "clients:manage", "Create clients and their credentials, and revoke them.";
    ScorecardsManage = "scorecards:manage", "Create measures and scorecards, activate scorecards, set scores by hand.";
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = crate::kernel::text::Broken;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|p| p.as_str() == text).ok_or(crate::kernel::text::Broken::NotInSet)
    }
}

impl Permission {
    /// What the vendor's own people and systems get when nothing else is said. Whose word an observation is follows the credential (DECISIONS 3): who speaks for
    /// the customers is named, and is nobody by default.
    pub const FOR_STAFF: &'static [Permission] = &[
        Permission::CustomersRead,
        Permission::CustomersWrite,
        Permission::ReportsWrite,
        Permission::ObservationsWrite,
        Permission::HealthRead,
        Permission::InsightsRead,
        Permission::ExportsCreate,
        Permission::PartnersManage,
        Permission::ClientsManage,
        Permission::ScorecardsManage,
    ];
    /// What a partner's client may be given; the rest is the vendor's.
    pub const FOR_PARTNERS: &'static [Permission] =
        &[Permission::CustomersRead, Permission::CustomersWrite, Permission::ReportsWrite, Permission::ObservationsWrite, Permission::HealthRead, Permission::InsightsRead];
}

/// A set of OAuth scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u16);

const _: () = assert!(Permission::ALL.len() <= u16::BITS as usize, "a set has a bit for each scope");

impl Permissions {
    /// Those that are named; names of no scope are left out.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().filter_map(|name| name.parse().ok()).collect()
    }
    /// Whether it is among them.
    pub fn has(self, permission: Permission) -> bool {
        self.0 & 1 << permission as u16 != 0
    }
    /// Each of them, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.has(*permission))
    }
    /// Those that are in the other set, too.
    pub fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |set, permission| set | 1 << permission as u16))
    }
}

/// Which kind of caller an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A partner's client or the vendor's.
    Any,
    /// The vendor's alone.
    Vendor,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The `operationId` of the API document.
    pub id: &'static str,
    /// The OAuth scope needed.
    pub permission: Permission,
    /// The kind of caller.
    pub who: Who,
    /// Whether it changes something.
    pub writes: bool,
    /// Whether it demands `If-Match`.
    pub if_match: bool,
}

/// An operation, as a type.
pub trait Action: 'static {
    /// Its row.
    const RULE: Rule;
    /// The authority a call of it gets.
    type Scope: Grant;
}

macro_rules! scope_of {
    (Any) => {
        TenantScope
    };
    (Vendor) => {
        StaffScope
    };
}

macro_rules! actions {
    ($($name:ident $id:literal $permission:ident $who:ident $kind:ident;)*) => {
        /// The operations, one type each.
        pub mod op {
            use super::*;
            $(
                #[doc = concat!("The operation `", $id, "`.")]
                #[derive(Debug)]
                pub struct $name;
                impl Action for $name {
                    const RULE: Rule = Rule {
                        id: $id,
                        permission: Permission::$permission,
                        who: Who::$who,
                        writes: !matches!(Kind::$kind, Kind::Read),
                        if_match: matches!(Kind::$kind, Kind::Change),
                    };
                    type Scope = scope_of!($who);
                }
            )*
        }
        /// Every row.
        pub const TABLE: &[Rule] = &[$(<op::$name as Action>::RULE,)*];
    };
}

/// How an operation treats what is there.
#[allow(dead_code, reason = "matched in a macro")]
enum Kind {
    /// Looks.
    Read,
    /// Adds, or upserts by a natural key.
    Write,
    /// Changes one version into the next, so it names the one it saw.
    Change,
}

actions! {
    // operation             id                            scope              who    kind
    ListPartners             "list_partners"               CustomersRead      Any    Read;
    GetPartner               "get_partner"                 CustomersRead      Any    Read;
    CreatePartner            "create_partner"              PartnersManage     Vendor Write;
    UpdatePartner            "update_partner"              PartnersManage     Vendor Change;
    ListClients              "list_clients"                ClientsManage      Vendor Read;
    CreateClient             "create_client"               ClientsManage      Vendor Write;
    RevokeClient             "revoke_client"               ClientsManage      Vendor Write;
    ListCredentials          "list_credentials"            ClientsManage      Vendor Read;
    AddCredential            "add_credential"              ClientsManage      Vendor Write;
    RevokeCredential         "revoke_credential"           ClientsManage      Vendor Write;
    SetCurrencyRate          "set_currency_rate"           PartnersManage     Vendor Write;
    ListCustomers            "list_customers"              CustomersRead      Any    Read;
    UpsertCustomer           "upsert_customer"             CustomersWrite     Any    Write;
    GetCustomer              "get_customer"                CustomersRead      Any    Read;
    UpdateCustomer           "update_customer"             CustomersWrite     Any    Change;
    ListSubscriptions        "list_subscriptions"          CustomersRead      Any    Read;
    UpsertSubscription       "upsert_subscription"         CustomersWrite     Any    Write;
    ListMeasures             "list_measures"               HealthRead         Any    Read;
    CreateMeasure            "create_measure"              ScorecardsManage   Vendor Write;
    SubmitObservation        "submit_observation"          ObservationsWrite  Any    Write;
    SubmitObservationBatch   "submit_observation_batch"    ObservationsWrite  Any    Write;
    ListScorecards           "list_scorecards"             HealthRead         Any    Read;
    GetScorecard             "get_scorecard"               HealthRead         Any    Read;
    CreateScorecard          "create_scorecard"            ScorecardsManage   Vendor Write;
    ActivateScorecard        "activate_scorecard"          ScorecardsManage   Vendor Change;
    RetireScorecard          "retire_scorecard"            ScorecardsManage   Vendor Change;
    CalibrateScorecard       "calibrate_scorecard"         ScorecardsManage   Vendor Write;
    ListCalibrations         "list_calibrations"           HealthRead         Vendor Read;
    BacktestScorecard        "backtest_scorecard"          HealthRead         Vendor Read;
    ListStatusReports        "list_status_reports"         CustomersRead      Any    Read;
    SubmitStatusReport       "submit_status_report"        ReportsWrite       Any    Write;
    SubmitStatusReportBatch  "submit_status_report_batch"  ReportsWrite       Any    Write;
    GetCustomerHealth        "get_customer_health"         HealthRead         Any    Read;
    ExplainCustomerHealth    "explain_customer_health"     HealthRead         Any    Read;
    ExplainCustomerHealthChange "explain_customer_health_change" HealthRead Any  Read;
    GetCustomerHealthHistory "get_customer_health_history" HealthRead         Any    Read;
    GetChurnProbability      "get_churn_probability"       HealthRead         Vendor Read;
    GetPartnerBias           "get_partner_bias"            HealthRead         Any    Read;
    GetPartnerQuality        "get_partner_quality"         HealthRead         Any    Read;
    ListOverrides            "list_overrides"              HealthRead         Vendor Read;
    CreateOverride           "create_override"             ScorecardsManage   Vendor Write;
    ApproveOverride          "approve_override"            ScorecardsManage   Vendor Write;
    WithdrawOverride         "withdraw_override"           ScorecardsManage   Vendor Write;
    RecordOutcome            "record_outcome"              ReportsWrite       Any    Write;
    RecordOutcomeBatch       "record_outcome_batch"        ReportsWrite       Any    Write;
    ListOutcomes             "list_outcomes"               CustomersRead      Any    Read;
    GetOutcome               "get_outcome"                 CustomersRead      Any    Read;
    WithdrawOutcome          "withdraw_outcome"            ReportsWrite       Any    Write;
    ListChannels             "list_channels"               InsightsRead       Any    Read;
    ListAtRisk               "list_at_risk"                InsightsRead       Any    Read;
    GetPortfolio             "get_portfolio"               InsightsRead       Any    Read;
    GetRollUp                "get_roll_up"                 InsightsRead       Any    Read;
    GetPartnerPeers          "get_partner_peers"           InsightsRead       Any    Read;
    ListDivergences          "list_divergences"            InsightsRead       Vendor Read;
    SetDivergenceOwner       "set_divergence_owner"        ScorecardsManage   Vendor Write;
    CreateSnapshot           "create_snapshot"             ExportsCreate      Vendor Write;
    ListSnapshots            "list_snapshots"              InsightsRead       Vendor Read;
    GetSnapshot              "get_snapshot"                InsightsRead       Vendor Read;
    GetSnapshotReport        "get_snapshot_report"         InsightsRead       Vendor Read;
    SimulateScorecard        "simulate_scorecard"          ScorecardsManage   Vendor Read;
}

/// The row of an operation by its id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    TABLE.iter().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_the_scopes_it_names_and_no_other() {
        for one in Permission::ALL {
            let alone = Permissions::named([one.as_str(), one.as_str(), "", "no:scope"]);
            assert_eq!(alone.iter().collect::<Vec<_>>(), [*one]);
            let others: Permissions = Permission::ALL.iter().copied().filter(|other| other != one).collect();
            assert!(alone.has(*one) && !others.has(*one) && alone.within(others) == Permissions::default());
        }
        assert_eq!(Permissions::named(["no:scope"]), Permissions::default());
    }
}
