//! Deeds of health that have more than one door.

mod bias;
mod card;
mod kept;
mod manual;
mod observation;
mod past;
mod quality;
mod replay;
mod report;
mod rulebook;
mod scoring;
mod simulation;

pub use bias::{estimate_biases, keep_analysis, told_to_partner};
pub use card::{activate, add_scorecard, retire, starter_scorecard};
pub use kept::kept;
pub use manual::{OverrideDraft, approve, own_divergence, set_by_hand, withdraw};
pub use observation::{ObservationDraft, Recorded, Subject, record_observations};
pub use past::{Past, Seen, Sight, first_fitting, past, sight};
pub use quality::{keep_flags, quality_flags};
pub use replay::{Asked, Dossier, dossier};
pub use report::{Accepted, submit_reports};
pub use rulebook::{Rulebook, cards_at, rulebook};
pub use scoring::rescore;
pub use simulation::{Figure, Moved, Simulation, simulate};
