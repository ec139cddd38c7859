//! Deeds of insight that have more than one door, or take more than one step.

mod figures;
mod learning;
mod list;
mod peers;
mod snapshot;

pub use figures::see;
pub use learning::{Backtest, Foretold, history, keep, seen_by_calibration};
pub use list::days_listed;
pub use peers::{compare_peers, keep_comparison};
pub use snapshot::{Survey, publish, survey};
