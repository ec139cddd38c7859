//! What we conclude: scorecards, evidence weighed and faded, scores with coverage and interval, their exact explanation.
//! Reports and observations are accepted here, because the reporter gets the new health in the reply.

mod api;
mod audience;
mod bias;
mod change;
mod chronicle;
mod circumstances;
mod evidence;
mod flow;
mod input;
mod job;
mod limit;
mod manual;
mod point;
mod quality;
mod score;
mod scorecard;
mod silence;
mod soundness;
mod source;
mod store;
mod trend;

pub use api::{ByHand, PointQuery, SourceView, routes};
pub use audience::SHARED;
pub use bias::{Estimate, Model as BiasModel, Pair, estimate as estimate_bias};
pub use chronicle::AsKnown;
pub use evidence::Evidence;
pub use flow::{
    Accepted, ObservationDraft, Past, Seen, Sight, Subject, cards_at, estimate_biases, first_fitting, keep_analysis, keep_flags, past, quality_flags, record_observations, rescore,
    sight, starter_scorecard, submit_reports,
};
pub use job::{Rescoring, closing_day, hold_customers, is_ahead, turn_day};
pub use point::Times;
pub use score::{Known, Part, Score, Scorer};
pub use scorecard::{Band, Bands, CardMeasure, CardState, Criteria, Missing, Purpose, Scorecard, SourceWeights, Weighted};
pub use source::Sources;
pub use store::{Card, Health, card, health_of};
