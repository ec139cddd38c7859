//! Channels: each partner's own cell, and the same rolled up over everything below it.

use super::cell::Cell;
use crate::directory::Partner;
use crate::kernel::id::PartnerId;
use chrono::NaiveDate;
use std::collections::{HashMap, HashSet};

/// A partner with its figures.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Who.
    pub partner: Partner,
    /// Its own customers.
    pub own: Cell,
    /// Its own and those of everybody below it that the caller sees.
    pub rolled_up: Cell,
    /// The same at the close compared with.
    pub before: Cell,
    /// The day its own figures are scored for.
    pub scored_for: NaiveDate,
    /// The oldest such day among those rolled up.
    pub rolled_up_for: NaiveDate,
}

/// Rolls cells up over the partners the caller sees; one whose parent is not seen is a root. A partner whose day was never
/// turned is scored for `today`.
pub fn roll_up(
    partners: Vec<Partner>,
    cells: &HashMap<PartnerId, Cell>,
    closes: &HashMap<PartnerId, Cell>,
    days: &HashMap<PartnerId, NaiveDate>,
    today: NaiveDate,
) -> Vec<Channel> {
    let own = |cells: &HashMap<PartnerId, Cell>, id| cells.get(&id).copied().unwrap_or_default();
    let mut channels: Vec<Channel> = partners
        .into_iter()
        .map(|partner| {
            let day = days.get(&partner.id).copied().unwrap_or(today);
            Channel { own: own(cells, partner.id), rolled_up: Cell::default(), before: Cell::default(), scored_for: day, rolled_up_for: day, partner }
        })
        .collect();
    let place: HashMap<PartnerId, usize> = channels.iter().enumerate().map(|(i, channel)| (channel.partner.id, i)).collect();
    for i in 0..channels.len() {
        let (now, then, day) = (channels[i].own, own(closes, channels[i].partner.id), channels[i].scored_for);
        // Every partner adds to itself and to all above it; a circle, which the directory refuses, would still end.
        let mut passed = HashSet::new();
        let mut next = Some(i);
        while let Some(at) = next.filter(|at| passed.insert(*at)) {
            channels[at].rolled_up += now;
            channels[at].before += then;
            channels[at].rolled_up_for = channels[at].rolled_up_for.min(day);
            next = channels[at].partner.parent_id.and_then(|parent| place.get(&parent).copied());
        }
    }
    channels
}
