//! What leaves a transaction: audit entries, events, jobs, remembered answers. All four are written in the transaction of
//! the change they speak of, or not at all.

mod answer;
mod api;
mod denial;
mod event;
mod flow;
mod job;
mod store;

pub use answer::Answer;
pub use api::{watch, write};
pub use denial::Denials;
pub use event::Event;
pub use flow::write_denials;
pub use job::{Job, JobKind};
pub use store::{Claimed, claim_jobs, enqueue, fail_jobs, finish_jobs, forget_expired, record_events, stamp_events, turn_day_once};
