//! Rows of what we conclude, and of what a conclusion is made from.

mod card;
mod evidence;
mod standing;
mod subject;

use crate::kernel::error::Fault;

pub use card::{Card, activate_card, active_card, cards, insert_card, lock_card};
pub use evidence::{customers, evidence, last_reports, lock_customers, move_scoring_day, rates, running_subscriptions, scoring_day};
pub use standing::{Health, Standing, bands, health_of, healths, keep_standings};
pub use subject::{customers_named, lock_named, partners_of, seen_elsewhere, subscriptions_named};

/// A stored value that is not what its column promises: our fault, not the caller's.
fn broken(e: impl std::fmt::Debug) -> Fault {
    Fault::internal(format!("a stored value is broken: {e:?}"))
}
