//! What leaves a transaction: audit entries, events, jobs, remembered answers. All four are written in the transaction of
//! the change they speak of, or not at all.

mod answer;
mod api;
mod event;
mod job;
mod store;

pub use answer::Answer;
pub use api::write;
pub use event::Event;
pub use job::{Job, JobKind};
pub use store::{Claimed, claim_jobs, enqueue, fail_job, finish_job, forget_expired, record_events, stamp_events, turn_day_once};
