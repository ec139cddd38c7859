//! Cells, lists, calibrations, places among peers and snapshots, as SQL.

mod calibration;
mod cell;
mod list;
mod peers;
mod snapshot;
mod totals;

pub use calibration::{Kept, calibrations, checked, checks, keep_calibration, keep_check, usable_calibrations};
pub use cell::{Days, close_cells, closes, closes_by_day, days_at, fold, groups, groups_of_days, scoring_days};
pub use list::{ByValue, Divergent, Gap, Listed, Position, UNKNOWN_BESIDE, by_value, close_lists, divergences};
pub use peers::{Stood, compare_once, is_compared, keep_stood, stood};
pub use snapshot::{Snapshot, keep_snapshot, next_number, report_of, snapshot, snapshots};
pub use totals::{keep_totals, month_totals};
