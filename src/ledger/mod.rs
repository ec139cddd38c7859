//! What leaves a transaction: audit entries, events, jobs, remembered answers. All four are written in the transaction of
//! the change they speak of, or not at all. What was refused changed nothing: it is written down beside.

mod answer;
mod api;
mod denial;
mod event;
mod job;
mod store;

pub use answer::Answer;
pub use api::{watch, write};
pub use denial::{Denial, Denials};
pub use event::Event;
pub use job::{Job, JobKind};
pub use store::{Claimed, STAMPED, claim_jobs, enqueue, fail_jobs, finish_jobs, forget_expired, record_denials, record_events, stamp_events, turn_day_once};
