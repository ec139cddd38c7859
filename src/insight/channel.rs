//! Channels: each partner's own cell, and the same rolled up over everything below it.

use super::cell::Cell;
use crate::directory::Partner;
use crate::kernel::id::PartnerId;
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
}

/// Rolls cells up over the partners the caller sees; one whose parent is not seen is a root.
pub fn roll_up(partners: Vec<Partner>, cells: &HashMap<PartnerId, Cell>, closes: &HashMap<PartnerId, Cell>) -> Vec<Channel> {
    let own = |cells: &HashMap<PartnerId, Cell>, id| cells.get(&id).copied().unwrap_or_default();
    let mut channels: Vec<Channel> =
        partners.into_iter().map(|partner| Channel { own: own(cells, partner.id), rolled_up: Cell::default(), before: Cell::default(), partner }).collect();
    let place: HashMap<PartnerId, usize> = channels.iter().enumerate().map(|(i, channel)| (channel.partner.id, i)).collect();
    for i in 0..channels.len() {
        let (now, then) = (channels[i].own, own(closes, channels[i].partner.id));
        // Every partner adds to itself and to all above it; a circle, which the directory refuses, would still end.
        let mut passed = HashSet::new();
        let mut next = Some(i);
        while let Some(at) = next.filter(|at| passed.insert(*at)) {
            channels[at].rolled_up += now;
            channels[at].before += then;
            next = channels[at].partner.parent_id.and_then(|parent| place.get(&parent).copied());
        }
    }
    channels
}
