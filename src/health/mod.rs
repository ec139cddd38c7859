//! What we conclude: scorecards, evidence weighed and faded, scores with coverage and interval, their exact explanation.
//! Reports and observations are accepted here, because the reporter gets the new health in the reply.

mod api;
mod evidence;
mod flow;
mod job;
mod score;
mod scorecard;
mod store;

pub use api::routes;
pub use evidence::Evidence;
pub use flow::{Accepted, ObservationDraft, Subject, record_observations, rescore, starter_scorecard, submit_reports};
pub use job::{Rescoring, hold_customers, is_ahead, turn_day};
pub use score::{Part, Score, score};
pub use scorecard::{Bands, Scorecard, SourceWeights, Weighted};
