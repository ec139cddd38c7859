//! A support case as evidence: what a report says is open. The last statement about a customer tells all that is; the full case
//! comes with the success work.

use crate::kernel::text::{ExternalId, Label};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// A case that is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenCase {
    /// The reporter's own id of it.
    pub external_id: ExternalId,
    /// 1 (worst) to 4.
    pub severity: i32,
    /// The day it was opened.
    pub opened_on: NaiveDate,
    /// The day it is to be closed by; the last one that is not late.
    pub due_on: Option<NaiveDate>,
    /// What it is about, in the vendor's words; `cancel_intent` is an explicit intent to cancel.
    pub cause: Option<Label>,
}

/// The most open cases of a report.
pub const MAX_CASES: usize = 100;
