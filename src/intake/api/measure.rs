//! `/v1/measures`.

use crate::auth::{Call, Json, WriteQuery, op};
use crate::http::body::Faults;
use crate::intake::curve::{Curve, Knot};
use crate::intake::flow::add_measure;
use crate::intake::measure::{Measure, Nature};
use crate::intake::store;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{MeasureId, TypeId};
use crate::kernel::text::{Broken, Key, Label, Name};
use crate::kernel::time::Moment;
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, get, post};
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

crate::wire_words!(Nature);

/// Mounts the catalogue.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list).service(create);
}

/// How values become points: 0-100, high is good.
#[derive(Deserr, Serialize, ToSchema, Clone)]
#[deserr(error = Faults, tag = "kind", rename_all = lowercase, deny_unknown_fields)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CurveBody {
    /// Straight lines between knots.
    Piecewise {
        /// At least two, ascending.
        knots: Vec<KnotBody>,
    },
    /// Level from each knot to the next.
    Step {
        /// At least one, ascending.
        knots: Vec<KnotBody>,
    },
    /// 0 points at `zero`, 100 at `full`.
    #[deserr(rename = "linear_clamped")]
    LinearClamped {
        /// Where points begin.
        zero: f64,
        /// Where they end.
        full: f64,
    },
    /// As `linear_clamped`, between `least` and `most` points: a value beyond has no further effect.
    #[deserr(rename = "linear_bounded")]
    LinearBounded {
        /// Where points begin.
        zero: f64,
        /// Where they end.
        full: f64,
        /// The fewest points.
        least: f64,
        /// The most points.
        most: f64,
    },
    /// 100 points above 0, none at 0 and below.
    Boolean,
    /// Points by how the measure moves: the robust slope of its values, per 30 days.
    Trend {
        /// The slope of 0 points and worse.
        falling: f64,
        /// The slope of 100 points and better.
        rising: f64,
        /// Days looked back, 14-365.
        window_days: i32,
    },
}

/// A point of a curve.
#[derive(Deserr, Serialize, ToSchema, Clone, Copy)]
#[deserr(error = Faults, deny_unknown_fields)]
pub struct KnotBody {
    /// In the measure's unit.
    at: f64,
    /// 0-100.
    points: f64,
}

impl From<&CurveBody> for Curve {
    fn from(body: &CurveBody) -> Self {
        let knots = |given: &[KnotBody]| given.iter().map(|k| Knot { at: k.at, points: k.points }).collect();
        match body {
            CurveBody::Piecewise { knots: given } => Self::Piecewise { knots: knots(given) },
            CurveBody::Step { knots: given } => Self::Step { knots: knots(given) },
            CurveBody::LinearClamped { zero, full } => Self::LinearClamped { zero: *zero, full: *full },
            CurveBody::LinearBounded { zero, full, least, most } => Self::LinearBounded { zero: *zero, full: *full, least: *least, most: *most },
            CurveBody::Boolean => Self::Boolean,
            CurveBody::Trend { falling, rising, window_days } => Self::Trend { falling: *falling, rising: *rising, window_days: *window_days },
        }
    }
}

impl From<&Curve> for CurveBody {
    fn from(curve: &Curve) -> Self {
        let knots = |given: &[Knot]| given.iter().map(|k| KnotBody { at: k.at, points: k.points }).collect();
        match curve {
            Curve::Piecewise { knots: given } => Self::Piecewise { knots: knots(given) },
            Curve::Step { knots: given } => Self::Step { knots: knots(given) },
            Curve::LinearClamped { zero, full } => Self::LinearClamped { zero: *zero, full: *full },
            Curve::LinearBounded { zero, full, least, most } => Self::LinearBounded { zero: *zero, full: *full, least: *least, most: *most },
            Curve::Boolean => Self::Boolean,
            Curve::Trend { falling, rising, window_days } => Self::Trend { falling: *falling, rising: *rising, window_days: *window_days },
        }
    }
}

/// A measure.
#[derive(Serialize, ToSchema)]
struct MeasureView {
    id: MeasureId,
    key: Key,
    name_en: Name,
    name_ja: Name,
    unit: Label,
    nature: Nature,
    curve: CurveBody,
    /// Days after which an observation weighs half; absent = does not fade.
    half_life_days: Option<i32>,
    /// Days after which an observation counts no more.
    valid_days: i32,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
}

impl From<&Measure> for MeasureView {
    fn from(m: &Measure) -> Self {
        Self {
            id: m.id,
            key: m.key.clone(),
            name_en: m.name_en.clone(),
            name_ja: m.name_ja.clone(),
            unit: m.unit.clone(),
            nature: m.nature,
            curve: (&m.curve).into(),
            half_life_days: m.half_life_days,
            valid_days: m.valid_days,
            created_at: m.created_at,
        }
    }
}

/// The catalogue.
#[derive(Serialize, ToSchema)]
struct MeasureList {
    /// In order of key.
    data: Vec<MeasureView>,
}

/// List the measures of the catalogue
///
/// All of them, in order of key.
#[utoipa::path(operation_id = "list_measures", tag = "Measures", responses((status = 200, description = "The catalogue", body = MeasureList)))]
#[get("/v1/measures")]
async fn list(call: Call<op::ListMeasures>) -> Result<HttpResponse, Fault> {
    let found = call.read(async |tx| store::measures(tx).await).await?;
    Ok(HttpResponse::Ok().json(MeasureList { data: found.iter().map(MeasureView::from).collect() }))
}

/// A measure to be; it cannot be changed afterwards.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct NewMeasure {
    #[schema(example = "logins_per_seat")]
    key: Key,
    #[schema(example = "Logins per seat")]
    name_en: Name,
    #[schema(example = "席あたりログイン数")]
    name_ja: Name,
    #[schema(example = "per week")]
    unit: Label,
    nature: Nature,
    /// Values are taken as 0-100 points when left out.
    #[deserr(default)]
    curve: Option<CurveBody>,
    /// 1-3,650; does not fade when left out.
    #[deserr(default)]
    #[schema(minimum = 1, maximum = 3650)]
    half_life_days: Option<i32>,
    /// 1-3,650; 365 when left out.
    #[deserr(default)]
    #[schema(minimum = 1, maximum = 3650)]
    valid_days: Option<i32>,
}

/// Create a measure
///
/// It cannot be changed afterwards.
#[utoipa::path(operation_id = "create_measure", tag = "Measures", params(WriteQuery), request_body = NewMeasure, responses((status = 201, description = "Created", body = MeasureView)))]
#[post("/v1/measures")]
async fn create(call: Call<op::CreateMeasure, (), WriteQuery, Json<NewMeasure>>) -> Result<HttpResponse, Fault> {
    let new = &call.body.0;
    let curve = new.curve.as_ref().map_or_else(Curve::identity, Curve::from);
    let mut faults: Vec<FieldFault> = curve.faults().into_iter().map(|(place, code)| FieldFault { pointer: format!("/curve{place}"), code }).collect();
    let mut demand = |holds: bool, pointer: &str| {
        if !holds {
            faults.push(FieldFault { pointer: pointer.to_owned(), code: Broken::OutOfRange });
        }
    };
    demand(new.half_life_days.is_none_or(|days| (1..=3650).contains(&days)), "/half_life_days");
    demand(new.valid_days.is_none_or(|days| (1..=3650).contains(&days)), "/valid_days");
    if !faults.is_empty() {
        return Err(Fault::invalid(faults));
    }
    ledger::write(&call, async |tx| {
        let measure = Measure {
            id: tx.new_id(),
            key: new.key.clone(),
            name_en: new.name_en.clone(),
            name_ja: new.name_ja.clone(),
            unit: new.unit.clone(),
            nature: new.nature,
            curve,
            half_life_days: new.half_life_days,
            valid_days: new.valid_days.unwrap_or(365),
            created_at: tx.now(),
        };
        add_measure(tx, call.caller.caller_id(), &measure).await?;
        Ok(Answer::json(201, &MeasureView::from(&measure))?.about([measure.id.uuid()]))
    })
    .await
}
