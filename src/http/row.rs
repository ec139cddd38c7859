//! What batches share: the answer of one row, and the answer of the whole.

use crate::http::body::Faults;
use crate::http::json::Node;
use crate::http::problem::ProblemField;
use crate::http::query::Param;
use crate::kernel::change::Upserted;
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::text::Broken;
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;

crate::word_list! {
    /// What became of a row.
    Outcome {
        /// It was not there.
        Created = "created",
        /// It was there and changed.
        Updated = "updated",
        /// It was there and as described.
        Unchanged = "unchanged",
        /// It was refused, for the reasons given.
        Rejected = "rejected",
    }
}
crate::wire_words!(Outcome);

impl From<Upserted> for Outcome {
    fn from(outcome: Upserted) -> Self {
        match outcome {
            Upserted::Created => Self::Created,
            Upserted::Updated => Self::Updated,
            Upserted::Unchanged => Self::Unchanged,
        }
    }
}

/// Why a row was refused.
#[derive(Serialize, ToSchema)]
pub struct Rejection {
    /// The code of a problem.
    #[schema(example = "reference-not-found")]
    pub code: &'static str,
    /// Everything wrong with the row; pointers lead from the root of the body.
    pub errors: Vec<ProblemField>,
}

impl Rejection {
    /// Of a row of the body's `member`.
    pub fn of(fault: &Fault, member: &str, index: usize) -> Self {
        let errors = faults_of_row(fault, member, index).into_iter().map(|field| ProblemField::new(field.pointer, field.code)).collect();
        Self { code: fault.code.slug(), errors }
    }
}

/// The most faults told of one row, as long as few rows are refused; of the others the first is told. So the answer, which may
/// be remembered for days, stays of the size of its rows.
const MAX_ROW_FAULTS: usize = 10;
/// From this row of the batch on, only the first.
const TOLD_IN_FULL: usize = 1_000;

/// What is wrong with a row, with pointers from the root of the body; the row itself where no member is to blame.
fn faults_of_row(fault: &Fault, member: &str, index: usize) -> Vec<FieldFault> {
    let row = format!("/{member}/{index}");
    if fault.fields.is_empty() {
        return vec![FieldFault { pointer: row, code: Broken::Contradiction }];
    }
    let told = if index < TOLD_IN_FULL { MAX_ROW_FAULTS } else { 1 };
    fault.fields.iter().take(told).map(|field| FieldFault { pointer: format!("{row}{}", field.pointer), code: field.code }).collect()
}

/// How many rows came to what.
#[derive(Serialize, ToSchema, Default)]
pub struct Counts {
    /// It was not there.
    pub created: usize,
    /// It was there and changed.
    pub updated: usize,
    /// It was there and as described.
    pub unchanged: usize,
    /// It was refused.
    pub rejected: usize,
}

impl Counts {
    /// Counts them.
    pub fn of(outcomes: impl Iterator<Item = Outcome>) -> Self {
        outcomes.fold(Self::default(), |mut counts, outcome| {
            match outcome {
                Outcome::Created => counts.created += 1,
                Outcome::Updated => counts.updated += 1,
                Outcome::Unchanged => counts.unchanged += 1,
                Outcome::Rejected => counts.rejected += 1,
            }
            counts
        })
    }
}

/// How many rows name what is not there for the caller.
pub fn foreign<T>(results: &[Result<T, Fault>]) -> usize {
    results.iter().filter(|result| matches!(result, Err(fault) if matches!(fault.code, Code::ReferenceNotFound | Code::ReadOnlyHere))).count()
}

/// The most faults an atomic batch is refused with.
const MAX_SHOWN: usize = 100;

/// The fault of an atomic batch with refused rows, a pointer each.
pub fn batch_rejected<'a>(member: &str, refused: impl Iterator<Item = (usize, &'a Fault)>) -> Option<Fault> {
    let fields: Vec<FieldFault> = refused.flat_map(|(index, fault)| faults_of_row(fault, member, index)).take(MAX_SHOWN).collect();
    (!fields.is_empty()).then(|| Fault { fields, ..Fault::of(Code::BatchRejected) })
}

/// Decodes the rows of a batch, each for itself.
pub fn decode_rows<T: Deserr<Faults>, D>(rows: &mut Vec<Node>, draft: impl Fn(T) -> Result<D, Fault>) -> Vec<Result<D, Fault>> {
    std::mem::take(rows).into_iter().map(|row| crate::http::body::decode::<T>(row).map_err(Fault::invalid).and_then(&draft)).collect()
}

/// A yes-or-no parameter.
pub fn yes(parameter: &Option<Param<bool>>) -> bool {
    *parameter == Some(Param(true))
}
