//! A scorecard on the wire.

use crate::directory::{CustomerState, TouchModel};
use crate::health::limit::{Condition, Limit};
use crate::health::scorecard::{Bands, CardState, Criteria, Group, LAST_RANK, Missing, Purpose, Scorecard, SourceWeights, Weighted};
use crate::health::soundness::MAX_MEASURES;
use crate::health::store::Card;
use crate::http::body::Faults;
use crate::intake::{Curve, CurveBody};
use crate::kernel::id::ScorecardId;
use crate::kernel::text::{Key, Label, Name};
use crate::kernel::time::Moment;
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;

crate::wire_words!(CardState, Purpose, Missing);

/// A measure with its weight, and how it is read where that differs from the catalogue.
#[derive(Deserr, Serialize, ToSchema, Clone)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(super) struct WeightedBody {
    /// The measure's key.
    measure: Key,
    /// 0, or 1e-100 to 1e100; weights are relative to their sum within the group.
    #[schema(minimum = 0, maximum = 1e100)]
    weight: f64,
    /// The group it belongs to; the top when left out.
    #[deserr(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Key>,
    /// From values to points; the catalogue's when left out.
    #[deserr(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    curve: Option<CurveBody>,
    /// 1-3,650; the catalogue's when left out.
    #[deserr(default)]
    #[schema(minimum = 1, maximum = 3650)]
    #[serde(skip_serializing_if = "Option::is_none")]
    half_life_days: Option<i32>,
    /// 1-3,650; the catalogue's when left out.
    #[deserr(default)]
    #[schema(minimum = 1, maximum = 3650)]
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_days: Option<i32>,
    /// What stands for it while too little is known; `exclude` when left out. It moves the score, never the coverage.
    #[deserr(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Missing>,
    /// Below this evidence (0-1) it counts as missing; 0 when left out.
    #[deserr(default)]
    #[schema(minimum = 0, maximum = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_evidence: Option<f64>,
}

/// Measures and groups that are weighed against each other first.
#[derive(Deserr, Serialize, ToSchema, Clone)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(super) struct GroupBody {
    key: Key,
    name_en: Name,
    name_ja: Name,
    /// Its weight among its neighbours: 0, or 1e-100 to 1e100.
    #[schema(minimum = 0, maximum = 1e100)]
    weight: f64,
    /// The group it belongs to; the top when left out. Nesting may go to any depth.
    #[deserr(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Key>,
}

/// The limits of the bands, in points. Said by where each begins, so that they can neither overlap nor leave a gap.
#[derive(Deserr, Serialize, ToSchema, Clone, Copy)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(super) struct BandsBody {
    /// Where `watch` begins; below is `at_risk`.
    #[schema(minimum = 0, maximum = 100, example = 40)]
    watch_from: f64,
    /// Where `healthy` begins.
    #[schema(minimum = 0, maximum = 100, example = 65)]
    healthy_from: f64,
}

/// How much a statement weighs by who made it: 0 to 1.
#[derive(Deserr, Serialize, ToSchema, Clone, Copy)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(super) struct SourceWeightsBody {
    /// A partner's figure; 0.8 by default.
    partner_figure: f64,
    /// A partner's opinion; 0.6 by default.
    partner_opinion: f64,
    /// The vendor's own systems; 1 by default.
    vendor: f64,
    /// The customer's own words; 1 by default.
    customer: f64,
    /// Somebody else; 0.6 by default.
    third_party: f64,
}

/// When a limit applies.
#[derive(Deserr, Serialize, ToSchema, Clone)]
#[deserr(error = Faults, tag = "kind", rename_all = lowercase, deny_unknown_fields)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum ConditionBody {
    /// A case of this severity or worse (1 is the worst) is open past its deadline.
    #[deserr(rename = "overdue_case")]
    OverdueCase {
        /// 1-4.
        severity: i32,
    },
    /// A case of this cause is open.
    #[deserr(rename = "open_case")]
    OpenCase {
        /// As reported.
        cause: Label,
    },
    /// The latest value of a measure lies within bounds: the customer's own or, where there is none or for a cap, anybody's.
    Latest {
        /// Any measure of the catalogue.
        measure: Key,
        /// In the measure's unit.
        #[deserr(default)]
        at_most: Option<f64>,
        /// In the measure's unit.
        #[deserr(default)]
        at_least: Option<f64>,
        /// 1-3,650 days an old value is looked back to.
        within_days: i32,
    },
}

/// A cap (`at_most`) or a floor (`at_least`), in points.
#[derive(Deserr, Serialize, ToSchema, Clone)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(super) struct LimitBody {
    /// Its name within the scorecard.
    key: Key,
    when: ConditionBody,
    /// The score is no more than this: this or `at_least`.
    #[deserr(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100)]
    at_most: Option<f64>,
    /// The score is no less than this.
    #[deserr(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100)]
    at_least: Option<f64>,
}

/// Which customers a scorecard is for; an empty or missing list fits everybody.
#[derive(Deserr, Serialize, ToSchema, Clone, Default)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(super) struct CriteriaBody {
    #[deserr(default)]
    #[schema(required = false)]
    segments: Vec<Label>,
    /// Where the customer stands in its life.
    #[deserr(default)]
    #[schema(required = false)]
    stages: Vec<CustomerState>,
    #[deserr(default)]
    #[schema(required = false)]
    touch_models: Vec<TouchModel>,
    #[deserr(default)]
    #[schema(required = false)]
    business_models: Vec<Label>,
    /// With a running subscription to one of them.
    #[deserr(default)]
    #[schema(required = false)]
    products: Vec<Label>,
}

/// A scorecard.
#[derive(Serialize, ToSchema)]
pub(super) struct ScorecardView {
    id: ScorecardId,
    name: String,
    state: CardState,
    purpose: Purpose,
    /// Its place within the purpose: the lowest whose criteria fit a customer applies; 1000 is for everybody.
    rank: i32,
    criteria: CriteriaBody,
    measures: Vec<WeightedBody>,
    groups: Vec<GroupBody>,
    bands: BandsBody,
    /// How far beyond its limit a better band begins for a customer that closed the day before in a worse one, in points.
    hysteresis: f64,
    /// Below this coverage (0-1) the answer is `unknown`.
    coverage_floor: f64,
    source_weights: SourceWeightsBody,
    /// Caps and floors, applied in order.
    limits: Vec<LimitBody>,
    /// From this value per year on a second person approves overrides; the vendor's alone to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    override_approval_from_minor: Option<i64>,
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
}

impl ScorecardView {
    /// The view of a scorecard; `inside` for the vendor's own people.
    pub(super) fn of(card: &Card, inside: bool) -> Self {
        let p = &card.policy;
        let s = p.source_weights;
        let criteria = p.criteria.clone();
        Self {
            id: card.id,
            name: card.name.clone(),
            state: card.state,
            purpose: card.purpose,
            rank: card.rank,
            criteria: CriteriaBody {
                segments: criteria.segments,
                stages: criteria.stages,
                touch_models: criteria.touch_models,
                business_models: criteria.business_models,
                products: criteria.products,
            },
            measures: p.measures.iter().map(WeightedBody::from).collect(),
            groups: p.groups.iter().map(GroupBody::from).collect(),
            bands: BandsBody { watch_from: p.bands.watch_from, healthy_from: p.bands.healthy_from },
            hysteresis: p.hysteresis,
            coverage_floor: p.coverage_floor,
            source_weights: SourceWeightsBody {
                partner_figure: s.partner_figure,
                partner_opinion: s.partner_opinion,
                vendor: s.vendor,
                customer: s.customer,
                third_party: s.third_party,
            },
            limits: p.limits.iter().map(LimitBody::from).collect(),
            override_approval_from_minor: p.override_approval_from_minor.filter(|_| inside),
            version: card.version,
            created_at: card.created_at,
        }
    }
}

impl From<&Weighted> for WeightedBody {
    fn from(item: &Weighted) -> Self {
        Self {
            measure: item.measure.clone(),
            weight: item.weight,
            group: item.group.clone(),
            curve: item.curve.as_ref().map(CurveBody::from),
            half_life_days: item.half_life_days,
            valid_days: item.valid_days,
            missing: Some(item.missing).filter(|missing| *missing != Missing::Exclude),
            minimum_evidence: Some(item.minimum_evidence).filter(|least| *least != 0.0),
        }
    }
}

impl From<&WeightedBody> for Weighted {
    fn from(body: &WeightedBody) -> Self {
        Self {
            group: body.group.clone(),
            curve: body.curve.as_ref().map(Curve::from),
            half_life_days: body.half_life_days,
            valid_days: body.valid_days,
            missing: body.missing.unwrap_or(Missing::Exclude),
            minimum_evidence: body.minimum_evidence.unwrap_or(0.0),
            ..Self::plain(body.measure.clone(), body.weight)
        }
    }
}

impl From<&Group> for GroupBody {
    fn from(g: &Group) -> Self {
        Self { key: g.key.clone(), name_en: g.name_en.clone(), name_ja: g.name_ja.clone(), weight: g.weight, parent: g.parent.clone() }
    }
}

impl From<&GroupBody> for Group {
    fn from(g: &GroupBody) -> Self {
        Self { key: g.key.clone(), name_en: g.name_en.clone(), name_ja: g.name_ja.clone(), weight: g.weight, parent: g.parent.clone() }
    }
}

impl From<&Limit> for LimitBody {
    fn from(limit: &Limit) -> Self {
        let when = match limit.when.clone() {
            Condition::OverdueCase { severity } => ConditionBody::OverdueCase { severity },
            Condition::OpenCase { cause } => ConditionBody::OpenCase { cause },
            Condition::Latest { measure, at_most, at_least, within_days } => ConditionBody::Latest { measure, at_most, at_least, within_days },
        };
        Self { key: limit.key.clone(), when, at_most: limit.at_most, at_least: limit.at_least }
    }
}

impl From<&LimitBody> for Limit {
    fn from(body: &LimitBody) -> Self {
        let when = match body.when.clone() {
            ConditionBody::OverdueCase { severity } => Condition::OverdueCase { severity },
            ConditionBody::OpenCase { cause } => Condition::OpenCase { cause },
            ConditionBody::Latest { measure, at_most, at_least, within_days } => Condition::Latest { measure, at_most, at_least, within_days },
        };
        Self { key: body.key.clone(), when, at_most: body.at_most, at_least: body.at_least }
    }
}

/// A scorecard to be: a draft until it is activated.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(super) struct NewScorecard {
    #[schema(example = "churn 2026")]
    pub(super) name: Name,
    /// `churn` when left out.
    #[deserr(default)]
    pub(super) purpose: Option<Purpose>,
    /// 1-1,000; 1,000, the one for everybody, when left out. Activating it retires the active one of the same purpose and rank.
    #[deserr(default)]
    #[schema(minimum = 1, maximum = 1000)]
    pub(super) rank: Option<i32>,
    /// For whom; not for the one for everybody.
    #[deserr(default)]
    criteria: Option<CriteriaBody>,
    /// 1-100 measures of the catalogue.
    measures: Vec<WeightedBody>,
    /// At most 100.
    #[deserr(default)]
    #[schema(required = false)]
    groups: Vec<GroupBody>,
    /// 40 and 65 when left out.
    #[deserr(default)]
    bands: Option<BandsBody>,
    /// 3 when left out.
    #[deserr(default)]
    #[schema(minimum = 0, maximum = 20)]
    hysteresis: Option<f64>,
    /// 0.15 when left out.
    #[deserr(default)]
    #[schema(minimum = 0, maximum = 1)]
    coverage_floor: Option<f64>,
    #[deserr(default)]
    source_weights: Option<SourceWeightsBody>,
    /// Any number, applied in order. When left out: 60 for a severity-1 case past its deadline, 55 for a latest `effort` of 3 or less within 90 days if the catalogue has
    /// that measure, 30 for an open case of cause `cancel_intent`.
    #[deserr(default)]
    limits: Option<Vec<LimitBody>>,
    /// A customer's value per year, in minor units of the reporting currency, from which on a second person must approve an override.
    #[deserr(default)]
    #[schema(minimum = 0)]
    override_approval_from_minor: Option<i64>,
}

impl NewScorecard {
    /// Its place among the scorecards of its purpose.
    pub(super) fn rank(&self) -> i32 {
        self.rank.unwrap_or(LAST_RANK)
    }

    /// The policy it describes; a cap that is there by default looks at no measure the catalogue does not have. Of too long lists one more than allowed is
    /// taken, which is enough to refuse them.
    pub(super) fn policy(&self, known: impl Fn(&Key) -> bool) -> Scorecard {
        let defaults = Scorecard::with(self.measures.iter().take(MAX_MEASURES + 1).map(Weighted::from).collect());
        let criteria = self.criteria.clone().unwrap_or_default();
        Scorecard {
            groups: self.groups.iter().take(MAX_MEASURES + 1).map(Group::from).collect(),
            bands: self.bands.map_or(defaults.bands, |b| Bands { watch_from: b.watch_from, healthy_from: b.healthy_from }),
            coverage_floor: self.coverage_floor.unwrap_or(defaults.coverage_floor),
            source_weights: self.source_weights.map_or(defaults.source_weights, |s| SourceWeights {
                partner_figure: s.partner_figure,
                partner_opinion: s.partner_opinion,
                vendor: s.vendor,
                customer: s.customer,
                third_party: s.third_party,
            }),
            limits: match &self.limits {
                Some(limits) => limits.iter().map(Limit::from).collect(),
                None => defaults.limits.iter().filter(|limit| limit.measure().is_none_or(&known)).cloned().collect(),
            },
            criteria: Criteria {
                segments: criteria.segments,
                stages: criteria.stages,
                touch_models: criteria.touch_models,
                business_models: criteria.business_models,
                products: criteria.products,
            },
            hysteresis: self.hysteresis.unwrap_or(defaults.hysteresis),
            override_approval_from_minor: self.override_approval_from_minor,
            ..defaults
        }
    }
}
