//! Evidence: an observation in force, as a score sees it.

use crate::intake::EvidenceClass;
use crate::kernel::id::{MeasureId, ReportId};
use crate::kernel::time::Moment;
use chrono::NaiveDate;

/// One observation in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// Which measure.
    pub measure: MeasureId,
    /// Who knows it.
    pub class: EvidenceClass,
    /// The value, in the measure's unit.
    pub value: f64,
    /// The day it was so, in the vendor's calendar.
    pub day: NaiveDate,
}

impl Evidence {
    /// An order that does not depend on when things arrived, so that sums come out the same to the last bit.
    pub fn order(a: &Self, b: &Self) -> std::cmp::Ordering {
        (a.measure, a.day, a.class).cmp(&(b.measure, b.day, b.class)).then(a.value.total_cmp(&b.value))
    }
}

/// How a piece of evidence came to be known. No score looks at it; whoever questions one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// When it was received.
    pub received_at: Moment,
    /// The report it was said in, in the revision that counts; `None` of an observation recorded by itself.
    pub report: Option<ReportId>,
}
