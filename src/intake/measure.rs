//! A measure: an entry of the vendor's catalogue of what may be observed.

use super::curve::Curve;
use crate::kernel::id::MeasureId;
use crate::kernel::text::{Key, Label, Name};
use crate::kernel::time::Moment;

crate::word_list! {
    /// What kind of statement its values are; an opinion weighs less (SCIENCE 2.2).
    Nature {
        /// Counted or measured.
        Figure = "figure",
        /// Judged.
        Opinion = "opinion",
    }
}

/// The measure a declared band becomes (DECISIONS 3).
pub const PARTNER_BAND: &str = "partner_band";

/// The measure of customer effort (CES), 1-7, 7 is easy. It has a cap of its own and needs no weight.
pub const EFFORT: &str = "effort";

/// A measure as it stands; it never changes.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Its id.
    pub id: MeasureId,
    /// Its key, by which reports name it.
    pub key: Key,
    /// English name.
    pub name_en: Name,
    /// Japanese name.
    pub name_ja: Name,
    /// The unit of its values.
    pub unit: Label,
    /// Figure or opinion.
    pub nature: Nature,
    /// From values to points.
    pub curve: Curve,
    /// Days after which an observation weighs half; `None` does not fade.
    pub half_life_days: Option<i32>,
    /// Days after which an observation counts no more.
    pub valid_days: i32,
    /// When it was created.
    pub created_at: Moment,
}
