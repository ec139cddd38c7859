//! Who plays in the demo: names, partners with their habits, customers with their fortunes. Everything comes from the dice,
//! and the dice from names: the same demo every time.

use crate::kernel::hash::sha256_of;

/// A number in 0..1 that depends on nothing but the words.
pub fn dice(words: &[&str]) -> f64 {
    let parts: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let hash = sha256_of(&parts);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    (u64::from_be_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
}

/// One of a list.
pub fn pick<'a>(list: &[&'a str], words: &[&str]) -> &'a str {
    list[(dice(words) * list.len() as f64) as usize % list.len()]
}

/// A partner of the demo and how it behaves.
pub struct Role {
    /// The vendor's id of it.
    pub key: &'static str,
    /// Its name.
    pub name: &'static str,
    /// `direct`, `distributor` or `reseller`.
    pub kind: &'static str,
    /// The one above it.
    pub parent: Option<&'static str>,
    /// What that one sees.
    pub parent_sees: &'static str,
    /// How many customers it serves.
    pub customers: usize,
    /// Days between its reports about a customer.
    pub rhythm: i64,
    /// How often it lets a report fall, 0-1.
    pub lax: f64,
    /// By how many points it speaks too well.
    pub rosy: f64,
    /// The day of the year after which it is silent.
    pub silent_after: i64,
}

const NEVER: i64 = 10_000;

/// The cast: direct business, two distributors, twelve resellers, 400 customers.
pub const CAST: [Role; 15] = [
    Role { key: "direct", name: "", kind: "direct", parent: None, parent_sees: "nothing", customers: 44, rhythm: 14, lax: 0.05, rosy: 0.0, silent_after: NEVER },
    Role {
        key: "D-EAST",
        name: "東日本ITディストリビューション株式会社",
        kind: "distributor",
        parent: None,
        parent_sees: "nothing",
        customers: 18,
        rhythm: 30,
        lax: 0.10,
        rosy: 3.0,
        silent_after: NEVER,
    },
    Role {
        key: "D-WEST",
        name: "西日本システム流通株式会社",
        kind: "distributor",
        parent: None,
        parent_sees: "nothing",
        customers: 14,
        rhythm: 30,
        lax: 0.15,
        rosy: 5.0,
        silent_after: NEVER,
    },
    Role {
        key: "R-01",
        name: "株式会社ひかり販売",
        kind: "reseller",
        parent: Some("D-EAST"),
        parent_sees: "customers",
        customers: 38,
        rhythm: 30,
        lax: 0.08,
        rosy: 2.0,
        silent_after: NEVER,
    },
    Role {
        key: "R-02",
        name: "みちのくソリューションズ株式会社",
        kind: "reseller",
        parent: Some("D-EAST"),
        parent_sees: "customers",
        customers: 31,
        rhythm: 30,
        lax: 0.20,
        rosy: 12.0,
        silent_after: NEVER,
    },
    Role {
        key: "R-03",
        name: "Kanto Business Partners K.K.",
        kind: "reseller",
        parent: Some("D-EAST"),
        parent_sees: "customers",
        customers: 35,
        rhythm: 14,
        lax: 0.05,
        rosy: 0.0,
        silent_after: NEVER,
    },
    Role {
        key: "R-04",
        name: "有限会社北の杜事務機",
        kind: "reseller",
        parent: Some("D-EAST"),
        parent_sees: "totals",
        customers: 17,
        rhythm: 30,
        lax: 0.25,
        rosy: 6.0,
        silent_after: 240,
    },
    Role {
        key: "R-05",
        name: "信越オフィスサポート株式会社",
        kind: "reseller",
        parent: Some("D-EAST"),
        parent_sees: "customers",
        customers: 24,
        rhythm: 45,
        lax: 0.10,
        rosy: 4.0,
        silent_after: NEVER,
    },
    Role {
        key: "R-06",
        name: "株式会社サンライズ情報",
        kind: "reseller",
        parent: Some("D-EAST"),
        parent_sees: "customers",
        customers: 29,
        rhythm: 30,
        lax: 0.12,
        rosy: 8.0,
        silent_after: NEVER,
    },
    Role {
        key: "R-07",
        name: "浪速ビジネスシステム株式会社",
        kind: "reseller",
        parent: Some("D-WEST"),
        parent_sees: "customers",
        customers: 36,
        rhythm: 30,
        lax: 0.10,
        rosy: 3.0,
        silent_after: NEVER,
    },
    Role {
        key: "R-08",
        name: "瀬戸内クラウド株式会社",
        kind: "reseller",
        parent: Some("D-WEST"),
        parent_sees: "customers",
        customers: 26,
        rhythm: 14,
        lax: 0.04,
        rosy: -2.0,
        silent_after: NEVER,
    },
    Role {
        key: "R-09",
        name: "Kyushu Digital Works Co., Ltd.",
        kind: "reseller",
        parent: Some("D-WEST"),
        parent_sees: "customers",
        customers: 27,
        rhythm: 30,
        lax: 0.18,
        rosy: 14.0,
        silent_after: NEVER,
    },
    Role {
        key: "R-10",
        name: "株式会社まほろば商会",
        kind: "reseller",
        parent: Some("D-WEST"),
        parent_sees: "nothing",
        customers: 15,
        rhythm: 60,
        lax: 0.30,
        rosy: 5.0,
        silent_after: NEVER,
    },
    Role {
        key: "R-11",
        name: "琉球オフィスワークス合同会社",
        kind: "reseller",
        parent: Some("D-WEST"),
        parent_sees: "totals",
        customers: 13,
        rhythm: 30,
        lax: 0.15,
        rosy: 7.0,
        silent_after: 290,
    },
    Role {
        key: "R-12",
        name: "株式会社三本の矢",
        kind: "reseller",
        parent: Some("D-WEST"),
        parent_sees: "customers",
        customers: 33,
        rhythm: 30,
        lax: 0.09,
        rosy: 1.0,
        silent_after: NEVER,
    },
];

const PLACES: [&str; 32] = [
    "青葉",
    "三河",
    "北斗",
    "信濃",
    "瀬戸",
    "筑紫",
    "武蔵",
    "日向",
    "能登",
    "出雲",
    "若狭",
    "播磨",
    "相模",
    "常陸",
    "越後",
    "飛騨",
    "伊勢",
    "丹波",
    "肥後",
    "讃岐",
    "安芸",
    "津軽",
    "十勝",
    "阿蘇",
    "吉野",
    "富士見",
    "朝日",
    "みなと",
    "ひばり",
    "さくら",
    "つばさ",
    "あかつき",
];
const TRADES: [&str; 20] = [
    "製作所",
    "商事",
    "運輸",
    "食品",
    "建設",
    "電機",
    "印刷",
    "薬品",
    "精密工業",
    "フーズ",
    "住宅",
    "システムズ",
    "観光",
    "繊維",
    "金属",
    "物流",
    "設備",
    "化学",
    "農園",
    "不動産",
];
const WORDS: [&str; 12] = ["Aoba", "Hokuto", "Pacific", "Sakura", "Fuji", "Orient", "Nippon Bay", "Midori", "Asahi", "Kobe", "Tokai", "Setouchi"];
const LINES: [&str; 8] = ["Logistics", "Trading", "Foods", "Precision", "Textile", "Hotels", "Engineering", "Pharma"];
const SEGMENTS: [&str; 5] = ["製造業", "卸売・小売", "サービス業", "建設業", "医療・福祉"];
const REGIONS: [&str; 6] = ["北海道・東北", "関東", "中部", "近畿", "中国・四国", "九州・沖縄"];

/// A customer's name: mostly Japanese with its legal form before or behind, some English.
pub fn company(key: &str, number: usize) -> String {
    let n = number.to_string();
    let words = |part: &str| dice(&["company", key, &n, part]);
    if words("english") < 0.08 {
        let form = if words("form") < 0.5 { "K.K." } else { "Co., Ltd." };
        return format!("{} {} {form}", pick(&WORDS, &["word", key, &n]), pick(&LINES, &["line", key, &n]));
    }
    let body = format!("{}{}", pick(&PLACES, &["place", key, &n]), pick(&TRADES, &["trade", key, &n]));
    match words("form") {
        form if form < 0.55 => format!("株式会社{body}"),
        form if form < 0.90 => format!("{body}株式会社"),
        form if form < 0.96 => format!("有限会社{body}"),
        _ => format!("{body}合同会社"),
    }
}

/// A customer's segment and region.
pub fn place(key: &str, number: usize) -> (&'static str, &'static str) {
    let n = number.to_string();
    (pick(&SEGMENTS, &["segment", key, &n]), pick(&REGIONS, &["region", key, &n]))
}

/// How a customer really does on a day, 0-100: a level of its own, a slow drift, and for some a fall.
pub fn fortune(key: &str, number: usize, day: i64) -> f64 {
    let n = number.to_string();
    let roll = |part: &str| dice(&["fortune", key, &n, part]);
    let level = 45.0 + 45.0 * roll("level");
    let season = 7.0 * ((day as f64 / 58.0) + std::f64::consts::TAU * roll("phase")).sin();
    let falls_from = 60.0 + 420.0 * roll("fall");
    let fall = if roll("falls") < 0.22 { ((day as f64 - falls_from) * 0.45).clamp(0.0, 60.0) } else { 0.0 };
    let noise = 6.0 * (dice(&["noise", key, &n, &day.to_string()]) - 0.5);
    (level + season - fall + noise).clamp(2.0, 98.0)
}

/// What a partner writes about it.
pub fn words(score: f64, words: &[&str]) -> &'static str {
    let list: &[&str] = match score {
        s if s < 35.0 => &[
            "担当者から返事が来るまで三日かかりました。更新は検討させていただきたいとのこと。",
            "利用部門が一つ減りました。経営会議で費用対効果を問われているそうです。",
            "ログイン数が先月の半分。現場では表計算に戻っているとのこと。",
        ],
        s if s < 60.0 => &[
            "定例会は予定どおり。二つ目の部署への展開は止まっています。",
            "操作研修を希望されました。来月実施します。",
            "Renewal is likely, but the new manager has not seen the product yet.",
        ],
        _ => {
            &["導入は順調です。来月から第二工場でも使い始めます。", "月次締めが二日早くなったとのこと。事例取材も前向きです。", "Usage is growing; they asked for ten more seats."]
        }
    };
    pick(list, words)
}
