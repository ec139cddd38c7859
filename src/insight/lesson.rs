//! What a calibration taught, as it is kept and told: by the names of the measures, and in a word.

use super::verdict::{Calibration, Verdict};
use crate::kernel::text::Key;
use serde::{Deserialize, Serialize};

/// What was learned of each measure, by name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lesson {
    /// The keys of the measures, in the order of the weights.
    pub measures: Vec<Key>,
    /// The answer.
    pub calibration: Calibration,
}

crate::word_list! {
    /// What the gate said of a calibration.
    VerdictWord {
        /// Order and probabilities may be used.
        Accepted = "accepted",
        /// The order alone may be used.
        RankingOnly = "ranking_only",
        /// The hand weights stay.
        Refused = "refused",
    }
}

impl VerdictWord {
    /// In a word.
    pub fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Accepted => Self::Accepted,
            Verdict::RankingOnly { .. } => Self::RankingOnly,
            Verdict::Refused(_) => Self::Refused,
        }
    }
}
