//! Cells, lists, calibrations and places among peers, as SQL.

mod calibration;
mod cell;
mod list;
mod peers;

pub use calibration::{Kept, calibrations, keep_calibration, usable_calibration};
pub use cell::{Group, close_cells, closes, closes_by_day, days_at, fold, groups, groups_at, scoring_days};
pub use list::{Divergent, Gap, Listed, Position, by_value, divergences};
pub use peers::{Stood, compare_once, is_compared, keep_stood, stood};
