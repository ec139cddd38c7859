//! Rows of what we conclude, and of what a conclusion is made from.

mod bias;
mod card;
mod chronicle;
mod evidence;
mod manual;
mod quality;
mod standing;

use crate::kernel::error::Fault;

pub use bias::{Bias, all_biases, analyse_day_once, is_analysed, keep_biases, newest_biases, observed_customers, standing_biases};
pub use card::{Card, activate_card, active_cards, card, cards, insert_card, lock_card, retire_card};
pub use chronicle::{SetByHand, card_in_time, cards_in_time, circumstances, closes, set_by_hand, sightings, statements};
pub use evidence::{
    Counted, Facts, Priced, counted, customers, evidence, evidence_known, last_reports, lock_customers, move_scoring_day, open_cases, rates, running_subscriptions, scoring_day,
};
pub use manual::{approve_override, at_stake, insert_override, lock_override, overrides, overrides_in_force, set_divergence_owner, withdraw_override};
pub use quality::{QualityFlag, commonest_comments, keep_flags, newest_flags, repeats, standing_flags, values_given};
pub use standing::{Groups, Health, Standing, before, briefs, close_bands, health_of, healths, keep_standings};

/// A stored value that is not what its column promises: our fault, not the caller's.
fn broken(e: impl std::fmt::Debug) -> Fault {
    Fault::internal(format!("a stored value is broken: {e:?}"))
}
