//! The query of whatever is read as of a day and as known at a moment, and nothing else is asked of.

use crate::auth::{Query, Tenant};
use crate::db::Tx;
use crate::directory::calendar;
use crate::health::chronicle::AsKnown;
use crate::health::point::Times;
use crate::http::body::{Day, Faults, Instant};
use crate::http::query::Param;
use crate::kernel::error::Fault;
use crate::kernel::time::Moment;
use deserr::Deserr;
use utoipa::IntoParams;

/// Of which time.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PointQuery {
    /// The day of the vendor's calendar it is asked for: as it stood when that day ended; today when left out.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    as_of: Option<Param<Day>>,
    /// What was known at this moment, at least 60 seconds ago; the latest when left out. With both times the same question has the
    /// same answer for ever.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    known_at: Option<Param<Instant>>,
}
impl Query for PointQuery {}

impl PointQuery {
    /// The point meant, and the moment of its knowledge: the end of its day, or `known_at` where that is earlier. What has versions is read as it
    /// stood at that moment.
    pub async fn point<S: Tenant>(&self, tx: &Tx<S>) -> Result<(AsKnown, Moment), Fault> {
        let vendor = calendar(tx).await?;
        let at = Times::of(("as_of", &self.as_of), ("known_at", &self.known_at)).resolve(&vendor, tx.now())?;
        Ok((at, at.moment(vendor.zone)))
    }
}
