//! The two times of a read: `as_of`, what was true then, and `known_at`, what was known then (DECISIONS 5).

use crate::directory::Vendor;
use crate::health::chronicle::AsKnown;
use crate::http::body::{Day, Instant};
use crate::http::query::Param;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::text::Broken;
use crate::kernel::time::Moment;
use chrono::{Duration, NaiveDate};

/// Writing transactions are cut after 30 s: what is older than this is all there and never becomes more.
const SETTLED: Duration = Duration::seconds(60);

/// A day and a moment that were asked for, each with the parameter it came by.
pub struct Times<'a> {
    /// The day.
    pub on: Option<(&'a str, NaiveDate)>,
    /// The moment.
    pub known_at: Option<(&'a str, Moment)>,
}

impl<'a> Times<'a> {
    /// From parameters of these names.
    pub fn of(on: (&'a str, &Option<Param<Day>>), known_at: (&'a str, &Option<Param<Instant>>)) -> Self {
        Self { on: on.1.as_ref().map(|day| (on.0, day.0.0)), known_at: known_at.1.as_ref().map(|at| (known_at.0, at.0.0)) }
    }

    /// Whether neither time was given: what holds now.
    pub fn are_now(&self) -> bool {
        self.on.is_none() && self.known_at.is_none()
    }

    /// The point meant where what is read must stay as it is: what is not said is the last moment at which no writing goes on any more, and the last day that
    /// had ended by then. `None` where that lies before the vendor was founded.
    pub fn settle(&self, vendor: &Vendor, now: Moment) -> Result<Option<AsKnown>, Fault> {
        self.resolve(vendor, now)?;
        let known_at = self.known_at.map_or(now - SETTLED, |(_, at)| at);
        let on = self.on.map_or(vendor.zone.day_of(known_at) - Duration::days(1), |(_, on)| on);
        let is_here = known_at >= vendor.founded_at && on >= vendor.zone.day_of(vendor.founded_at);
        Ok(is_here.then_some(AsKnown { on, known_at }))
    }

    /// The point meant; now where nothing is said. A day that has not come, one before the vendor was founded and a moment at which
    /// writing may still go on are refused.
    pub fn resolve(&self, vendor: &Vendor, now: Moment) -> Result<AsKnown, Fault> {
        let mut faults = Vec::new();
        let mut demand = |holds: bool, pointer: &str, code| {
            if !holds {
                faults.push(FieldFault { pointer: pointer.to_owned(), code })
            }
        };
        if let Some((name, at)) = self.known_at {
            demand(at <= now - SETTLED, name, Broken::InTheFuture);
            demand(at >= vendor.founded_at, name, Broken::OutOfRange);
        }
        if let Some((name, on)) = self.on {
            demand(on <= vendor.zone.day_of(now), name, Broken::InTheFuture);
            demand(on >= vendor.zone.day_of(vendor.founded_at), name, Broken::OutOfRange);
        }
        if !faults.is_empty() {
            return Err(Fault::invalid(faults));
        }
        let known_at = self.known_at.map_or(now, |(_, at)| at);
        Ok(AsKnown { on: self.on.map_or(vendor.zone.day_of(known_at), |(_, on)| on), known_at })
    }
}
