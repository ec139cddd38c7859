//! The formulas on simulated panels and on real accounts whose truth is known: bias, interval, ranking, calibration, back-test. No database.
//! `cargo test --test science -- --nocapture` prints the measured figures.

mod backtest;
mod calibration;
mod example;
mod panel;
mod scoring;
mod world;
