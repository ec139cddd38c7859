//! Deeds of health that have more than one door.

mod card;
mod observation;
mod report;
mod scoring;

pub use card::{activate, add_scorecard, starter_scorecard};
pub use observation::{ObservationDraft, Recorded, Subject, record_observations};
pub use report::{Accepted, submit_reports};
pub use scoring::{policy, rescore};

/// The view of health from what its partner may see (DECISIONS 2).
pub const SHARED: &str = "shared";
/// The view from all evidence; the vendor's alone.
pub const VENDOR: &str = "vendor";
