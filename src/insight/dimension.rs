//! Dimensions: what customers may be grouped by, and the facets their cells are kept under.

crate::word_list! {
    /// What figures are grouped by.
    Dimension {
        /// Each partner's own customers.
        Partner = "partner",
        /// A partner's own customers and those of everybody below it: groups lie within each other and do not sum to the whole.
        Channel = "channel",
        /// The customer's region.
        Region = "region",
        /// The customer's segment.
        Segment = "segment",
        /// How closely it is looked after.
        TouchModel = "touch_model",
        /// The product of its largest subscription.
        Product = "product",
        /// Where it stands in its life as a customer.
        Stage = "stage",
    }
}

impl Dimension {
    /// Whether its groups are partners, which every cell has, and not a part of the facet.
    pub fn is_of_partners(self) -> bool {
        matches!(self, Self::Partner | Self::Channel)
    }
}

/// Under which grouping cells are kept: by nothing, one dimension, or two in the order of [`Dimension`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facet(&'static str);

impl Facet {
    /// All customers of a partner.
    pub const ALL: Self = Self("all");

    /// The facet that holds what is grouped by one dimension alone.
    pub fn by(one: Dimension) -> Self {
        if one.is_of_partners() { Self::ALL } else { Self(one.as_str()) }
    }

    /// The facet that holds what is grouped by these; `None` for a dimension crossed with itself.
    pub fn of(by: Dimension, cross: Option<Dimension>) -> Option<Self> {
        use Dimension::{Product, Region, Segment, Stage, TouchModel};
        let Some(cross) = cross else { return Some(Self::by(by)) };
        Some(match (by.min(cross), by.max(cross)) {
            (one, other) if one == other => return None,
            (partners, one) if partners.is_of_partners() => Self::by(one),
            (Region, Segment) => Self("region segment"),
            (Region, TouchModel) => Self("region touch_model"),
            (Region, Product) => Self("region product"),
            (Region, Stage) => Self("region stage"),
            (Segment, TouchModel) => Self("segment touch_model"),
            (Segment, Product) => Self("segment product"),
            (Segment, Stage) => Self("segment stage"),
            (TouchModel, Product) => Self("touch_model product"),
            (TouchModel, Stage) => Self("touch_model stage"),
            (Product, Stage) => Self("product stage"),
            _ => return None,
        })
    }

    /// As it is kept.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_two_dimensions_cross_in_either_order_and_none_with_itself() {
        for by in Dimension::ALL.iter().copied() {
            assert!(Facet::of(by, None).is_some());
            for cross in Dimension::ALL.iter().copied() {
                let crossed = Facet::of(by, Some(cross));
                assert_eq!(crossed, Facet::of(cross, Some(by)));
                assert_eq!(crossed.is_none(), by == cross, "{by} {cross}");
            }
        }
        assert_eq!(Facet::of(Dimension::Segment, Some(Dimension::Region)).map(Facet::as_str), Some("region segment"));
        assert_eq!(Facet::of(Dimension::Channel, Some(Dimension::Stage)).map(Facet::as_str), Some("stage"));
        assert_eq!([None, Some(Dimension::Channel)].map(|cross| Facet::of(Dimension::Partner, cross)), [Some(Facet::ALL); 2]);
    }
}
