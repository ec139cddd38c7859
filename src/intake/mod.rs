//! What we are told: the catalogue of measures, observations, and the reports partners make. Reading and keeping; what is
//! concluded from it, and the doors that answer with a conclusion, are in `health`.

mod api;
mod case;
mod curve;
mod flow;
mod measure;
mod observation;
mod report;
mod store;

pub use api::{CurveBody, routes};
pub use case::{MAX_CASES, OpenCase};
pub use curve::{Curve, Knot};
pub use flow::{add_measure, starter_measures};
pub use measure::{EFFORT, Measure, Nature, PARTNER_BAND};
pub use observation::{EvidenceClass, NewObservation, check_value, observation_outcome};
pub use report::{DeclaredBand, Head, Reading, ReportDraft, content_hash};
pub use store::{NewReport, Seen, heads, insert_measure, insert_observations, insert_reports, keep_partitions, known_observations, measures, subjects_by_vendor_ref};
