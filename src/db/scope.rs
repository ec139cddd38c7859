//! What a scope is to the database: a login role and the settings that row policies read. Scopes themselves are made in
//! `auth`, where their fields are private; nobody else implements [`Scope`] (a shape test says so).

use std::fmt::Write;
use std::sync::Arc;
use uuid::Uuid;

/// The kind of caller, one login role and one pool each (SECURITY b.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Login {
    /// A partner's client: its own rows, and its visible descendants'.
    Partner,
    /// The vendor's own people and systems.
    Staff,
    /// Jobs: one partner per transaction.
    Worker,
    /// Sign-in: credentials and signing keys.
    Auth,
    /// What is found out over a whole vendor; the worker process alone.
    Analyst,
}

impl Login {
    /// Every login there is.
    pub const ALL: [Login; 5] = [Login::Partner, Login::Staff, Login::Worker, Login::Auth, Login::Analyst];

    /// The role's name without its prefix.
    pub fn name(self) -> &'static str {
        match self {
            Login::Partner => "partner",
            Login::Staff => "staff",
            Login::Worker => "worker",
            Login::Auth => "auth",
            Login::Analyst => "analyst",
        }
    }
}

/// The settings row policies read; all of them are local to one transaction.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `app.vendor`: whose rows.
    pub vendor: Option<Uuid>,
    /// `app.partner`: the partner that acts (writes).
    pub partner: Option<Uuid>,
    /// `app.partners`: the partners whose customers may be seen.
    pub partners: Arc<[Uuid]>,
    /// `app.totals`: the partners whose totals may be seen.
    pub totals: Arc<[Uuid]>,
    /// `app.system`: work across tenants, for claiming jobs and looking up credentials.
    pub system: Option<&'static str>,
}

impl Settings {
    /// The `SET LOCAL` statements. Only hyphenated hexadecimal and fixed words go in, so nothing can be injected.
    pub(super) fn prefix(&self) -> String {
        let mut text = String::new();
        let one = |v: Option<Uuid>| v.map(|v| v.hyphenated().to_string()).unwrap_or_default();
        let many = |v: &[Uuid]| {
            let ids: Vec<String> = v.iter().map(|v| v.hyphenated().to_string()).collect();
            if ids.is_empty() { String::new() } else { format!("{{{}}}", ids.join(",")) }
        };
        for (name, value) in [
            ("vendor", one(self.vendor)),
            ("partner", one(self.partner)),
            ("partners", many(&self.partners)),
            ("totals", many(&self.totals)),
            ("system", self.system.unwrap_or_default().to_owned()),
        ] {
            if !value.is_empty() {
                let _ = write!(text, "SET LOCAL app.{name}='{value}';");
            }
        }
        text
    }
}

/// Authority that can become a transaction.
pub trait Scope: Send + Sync + 'static {
    /// Which role runs it.
    fn login(&self) -> Login;
    /// What its row policies see.
    fn settings(&self) -> Settings;
}
