//! Two ends, as every interval is shown.

use crate::kernel::number::thousandths;
use serde::Serialize;
use utoipa::ToSchema;

/// Two ends, in points; what lies between them, and how surely, the member says.
#[derive(Debug, Serialize, ToSchema)]
pub struct Interval {
    low: f64,
    high: f64,
}

impl Interval {
    /// From thousandths.
    pub fn of<N: Into<i64>>((low, high): (N, N)) -> Self {
        Self { low: thousandths(low), high: thousandths(high) }
    }
}
