//! The worker: claims jobs, runs each in a transaction of its own scope, settles it there; and keeps the schedule. Nothing is
//! sent while a transaction is open, and a job run twice changes nothing twice.

mod run;
mod schedule;

pub use run::{run_due, work};
pub use schedule::tick;
