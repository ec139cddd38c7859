//! Deeds of insight that have more than one door, or take more than one step.

mod figures;
mod learning;
mod list;
mod peers;
mod snapshot;
mod totals;

pub use figures::{moment_of, see};
pub use learning::{Backtest, Foretold, Loss, check_calibrations, history, keep, keep_checks, seen_by_calibration};
pub use list::days_listed;
pub use peers::{compare_peers, keep_comparison};
pub use snapshot::{Survey, publish, survey};
pub use totals::{MonthTotals, month_totals};
