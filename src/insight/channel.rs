//! Channels: each partner's own cell, and the same rolled up over everything below it.

use super::cell::Cell;
use crate::directory::Partner;
use crate::kernel::id::PartnerId;
use chrono::NaiveDate;
use std::collections::HashMap;

/// A partner with its figures.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Who.
    pub partner: Partner,
    /// Its own customers.
    pub own: Cell,
    /// Its own and those of everybody below it that the caller sees.
    pub rolled_up: Cell,
    /// The same at the close compared with; `None` where nothing of it had closed.
    pub before: Option<Cell>,
    /// The day its own figures are of; `None` where no day of it was turned or closed.
    pub scored_for: Option<NaiveDate>,
    /// The oldest such day among those rolled up.
    pub rolled_up_for: Option<NaiveDate>,
}

/// Who stands above whom, of the partners the caller sees; one whose parent is not seen is a root.
#[derive(Debug, Default)]
pub struct Tree(HashMap<PartnerId, Option<PartnerId>>);

impl Tree {
    /// From each partner and the one above it.
    pub fn of(partners: impl IntoIterator<Item = (PartnerId, Option<PartnerId>)>) -> Self {
        Self(partners.into_iter().collect())
    }

    /// A partner and all above it; a circle, which the directory refuses, would still end.
    pub fn upwards(&self, from: PartnerId) -> Vec<PartnerId> {
        let mut way = Vec::new();
        let mut next = Some(from);
        while let Some(at) = next.filter(|at| self.0.contains_key(at) && !way.contains(at)) {
            way.push(at);
            next = self.0.get(&at).copied().flatten();
        }
        way
    }
}

/// Rolls cells up over the partners the caller sees.
pub fn channels(partners: Vec<Partner>, cells: &HashMap<PartnerId, Cell>, closes: &HashMap<PartnerId, Cell>, days: &HashMap<PartnerId, NaiveDate>) -> Vec<Channel> {
    let tree = Tree::of(partners.iter().map(|partner| (partner.id, partner.parent_id)));
    let of_one = |partner: Partner| {
        let (own, scored_for) = (cells.get(&partner.id).copied().unwrap_or_default(), days.get(&partner.id).copied());
        Channel { own, rolled_up: Cell::default(), before: None, scored_for, rolled_up_for: None, partner }
    };
    let mut channels: Vec<Channel> = partners.into_iter().map(of_one).collect();
    let place: HashMap<PartnerId, usize> = channels.iter().enumerate().map(|(i, channel)| (channel.partner.id, i)).collect();
    for i in 0..channels.len() {
        let (now, then, day) = (channels[i].own, closes.get(&channels[i].partner.id), channels[i].scored_for);
        for at in tree.upwards(channels[i].partner.id).into_iter().filter_map(|above| place.get(&above).copied()) {
            let above = &mut channels[at];
            above.rolled_up += now;
            above.before = [above.before, then.copied()].into_iter().flatten().reduce(|a, b| a + b);
            above.rolled_up_for = above.rolled_up_for.into_iter().chain(day).min();
        }
    }
    channels
}
