//! `/v1/partners/{partner_id}/quality`: what stands out in how a partner reports, for the vendor and for that partner. Facts, with what
//! would improve them; no score changes by them.

use super::point::PointQuery;
use crate::auth::{Call, Tenant, op};
use crate::directory;
use crate::health::quality::{FlagKind, MIN_CHARACTERS, MIN_CUSTOMERS, MIN_DUE, MIN_PEERS, MIN_POINTS, SAME_TEXT_SHARE, TOP_FROM, TOP_SHARE, UNCHANGED_SHARE, WINDOW};
use crate::health::store::{self, QualityFlag};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::PartnerId;
use crate::kernel::number::{round, thousandths};
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

crate::wire_words!(FlagKind);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_quality);
}

/// What stands out in how a partner reports.
#[derive(Serialize, ToSchema)]
struct FlagView {
    kind: FlagKind,
    /// The day it was found, or its figures last changed.
    #[schema(value_type = String, format = Date)]
    found_on: NaiveDate,
    /// The figures, the reports that follow another, or the comments looked at.
    n: i32,
    /// Those of them that stand out.
    count: i32,
    /// `count` of `n`, 0-1.
    share: f64,
    /// The median share of the other partners with enough to compare; absent without any. The vendor's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<f64>,
    /// The customers one text is about; for `identical_texts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    customers: Option<i32>,
    /// What would improve it.
    advice: &'static str,
    /// The same in Japanese.
    advice_ja: &'static str,
}

/// How a partner reports.
#[derive(Serialize, ToSchema)]
struct QualityAnswer {
    partner_id: PartnerId,
    /// By kind; empty when nothing stands out.
    data: Vec<FlagView>,
    /// What is counted, and who sees it.
    rule: String,
    /// The same in Japanese.
    rule_ja: String,
}

/// What is counted, and who sees it, in English and Japanese.
fn rule() -> (String, String) {
    let percent = |share: f64| round(share * 100.0);
    let (tops, unchanged, same) = (percent(TOP_SHARE), percent(UNCHANGED_SHARE), percent(SAME_TEXT_SHARE));
    (
        format!(
            "Counted each day over {WINDOW} days; what stands out is a fact and no accusation, and changes no score. `too_many_tops`: {tops} % of at least {MIN_POINTS} figures \
             at {TOP_FROM} points or more, where the median of at least {MIN_PEERS} other partners is below half. `no_change`: {unchanged} % of at least {MIN_DUE} reports that \
             follow another bear the same figures, where the median of others, if there are {MIN_PEERS}, is below half. `identical_texts`: one comment of at least \
             {MIN_CHARACTERS} characters for {MIN_CUSTOMERS} customers and {same} % of the comments. A partner sees its own, without the figures of others."
        ),
        format!(
            "直近 {WINDOW} 日間を毎日集計します。目立つ点を事実として示すもので、非難ではなく、スコアには影響しません。`too_many_tops`: {MIN_POINTS} 件以上の値の {tops} % 以上が \
             {TOP_FROM} 点以上で、他のパートナー {MIN_PEERS} 社以上の中央値が半分未満の場合。`no_change`: 前回に続く報告 {MIN_DUE} 件以上の {unchanged} % 以上が前回と同じ値で、\
             他社（{MIN_PEERS} 社以上ある場合）の中央値が半分未満の場合。`identical_texts`: {MIN_CHARACTERS} 文字以上の同じコメントが顧客 {MIN_CUSTOMERS} 社以上かつ全コメントの {same} % \
             以上を占める場合。パートナーには自社分のみを、他社の数値を除いて表示します。"
        ),
    )
}

/// What would improve it, in English and Japanese.
fn advice(kind: FlagKind) -> (&'static str, &'static str) {
    match kind {
        FlagKind::TooManyTops => (
            "Nearly all figures are at the top of their measure. Use the whole of it, so that good and best can be told apart.",
            "値のほとんどが尺度の上限です。尺度全体を使うと、良好な状態と最良の状態を区別できます。",
        ),
        FlagKind::NoChange => (
            "Nearly all reports repeat the figures of the one before. Look them up anew, and say what changed since the last report, or that nothing did.",
            "報告のほとんどが前回と同じ値です。値を都度確認し、前回から変わった点、または変化がないことを記載してください。",
        ),
        FlagKind::IdenticalTexts => (
            "One comment serves for several customers. Write what is true of each, or leave the comment out.",
            "同じコメントが複数の顧客に使われています。顧客ごとの状況を記載するか、コメントを省略してください。",
        ),
    }
}

/// Read what stands out in how a partner reports
///
/// Nearly all figures at the top, reports that repeat the one before, one text for many customers: with the figures behind it and what would improve it.
/// For the vendor, and for the partner itself.
#[utoipa::path(
    operation_id = "get_partner_quality",
    tag = "Health",
    params(("partner_id" = PartnerId, Path), PointQuery),
    responses((status = 200, description = "What stands out", body = QualityAnswer))
)]
#[get("/v1/partners/{partner_id}/quality")]
async fn get_quality(call: Call<op::GetPartnerQuality, PartnerId, PointQuery>) -> Result<HttpResponse, Fault> {
    let whole = call.scope().visible().is_none();
    call.is_told_of(call.path)?;
    let found = call
        .read(async |tx| {
            let partner = directory::partner_of(tx, call.path).await?.ok_or(Fault::of(Code::NotFound))?;
            let (_, moment) = call.query.point(tx).await?;
            store::newest_flags(tx, partner.id, moment).await
        })
        .await?;
    let view = |f: QualityFlag| {
        let kind: FlagKind = f.kind.parse().ok()?;
        let (advice, advice_ja) = advice(kind);
        let peers = f.peers.filter(|_| whole).map(thousandths);
        Some(FlagView { kind, found_on: f.found_on, n: f.n, count: f.counted, share: thousandths(f.share), peers, customers: f.customers, advice, advice_ja })
    };
    let data = found.into_iter().filter(|f| f.n > 0).filter_map(view).collect();
    let (rule, rule_ja) = rule();
    Ok(HttpResponse::Ok().json(QualityAnswer { partner_id: call.path, data, rule, rule_ja }))
}
