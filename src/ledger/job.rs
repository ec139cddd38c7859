//! Work to be done after the transaction: ids only, one partner each, idempotent. Retired names stay readable.

use chrono::NaiveDate;
use uuid::Uuid;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Score the given customers of a partner again, both views; all of them when none is given.
    Rescore,
    /// Score the given customers again in the vendor's view alone.
    RescoreFull,
    /// Close a partner's cells of yesterday and score its customers for the new day.
    Daily,
}

impl JobKind {
    /// Every kind there is.
    pub const ALL: [JobKind; 3] = [JobKind::Rescore, JobKind::RescoreFull, JobKind::Daily];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            JobKind::Rescore => "health.rescore",
            JobKind::RescoreFull => "health.rescore_full",
            JobKind::Daily => "health.daily",
        }
    }

    /// The kind with a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A job to be enqueued in the caller's transaction.
#[derive(Debug, Clone)]
pub struct Job {
    /// What.
    pub kind: JobKind,
    /// The partner whose rows it works on.
    pub partner: Uuid,
    /// The things it works on.
    pub subjects: Vec<Uuid>,
    /// The day it is for; a day's job exists once.
    pub day: Option<NaiveDate>,
}
