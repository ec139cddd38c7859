//! What became of customers: renewed, lost, more or less. The touchstone of every forecast.

mod api;
mod flow;
mod outcome;
pub mod retention;
mod store;

pub use api::routes;
pub use flow::record_outcomes;
pub use outcome::{OutcomeDraft, OutcomeKind};
pub use store::{Settled, settled};
