//! Todoku (届く, "it arrives"): a gateway through which partners report on the end customers they serve, and the vendor
//! sees health across all channels.
//!
//! The order of the modules below is the import order: a module uses only what stands above it. Knowledge runs up, news
//! runs down as events of the ledger. What is absent on purpose: repository traits, a service layer, a DI container,
//! generic CRUD, `utils`. The invariants:
//! - the only way to the database is a `Tx` over a `Scope`; the only way to a `Scope` is a passed policy check (`auth`);
//! - state, audit, event and job share one transaction;
//! - "now" is a parameter; noun files have no I/O, no clock, no randomness.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::todo, clippy::dbg_macro)]

pub mod kernel;
pub mod config;
pub mod telemetry;
pub mod db;
pub mod state;
pub mod http;
pub mod auth;
pub mod ledger;
pub mod directory;
pub mod intake;
pub mod health;
pub mod revenue;
pub mod insight;
pub mod worker;
pub mod app;
pub mod boot;
pub mod command;
