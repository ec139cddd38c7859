//! The worker: claims jobs, runs each in a transaction of its own scope, settles it there; and keeps the schedule. Nothing is
//! sent while a transaction is open, and a job run twice changes nothing twice.

mod run;
mod schedule;
mod witness;

pub use run::{run_due, work};
pub use schedule::{analyse_days, tick};
pub use witness::{witness, write_denials};
