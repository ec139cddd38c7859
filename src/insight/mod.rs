//! Figures over many customers: cells and their roll-up over the tree of partners, and the lists that say where to look
//! first. Costs go by the number of cells, never of customers.

mod api;
pub mod backtest;
pub mod calibration;
mod cell;
mod channel;
mod check;
mod dimension;
mod draft;
mod flow;
mod folds;
mod later;
mod lesson;
mod logistic;
pub mod model;
mod month;
mod peers;
mod place;
mod rollup;
mod store;
mod totals;
mod verdict;

pub use api::routes;
pub use cell::Cell;
pub use flow::{check_calibrations, compare_peers, keep_checks, keep_comparison};
pub use store::{close_cells, close_lists, fold};
