//! Pure words every area shares: ids, time, text, numbers, money, paging, faults. No I/O, no clock, no randomness.

pub mod change;
pub mod code;
pub mod error;
pub mod hash;
pub mod id;
pub mod money;
pub mod number;
pub mod paging;
pub mod share;
pub mod text;
pub mod time;
