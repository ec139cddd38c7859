#!/usr/bin/env python3
"""The channel view of the saas run, computed again from the formulas alone (SCIENCE 2.2, 2.3, 2.6; DECISIONS 11).

Shares no code with Todoku. Usage: saas_expected.py DATA_FOLDER TODAY; prints JSON. What each account reports follows
from the SHA-256 of its id, by the rule in `account` below, which tests/it/saas.rs states as well.
"""

import csv
import hashlib
import json
import math
import sys
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

PARTNERS = 20
TOPS = 4
HALF_LIFE = 45
PARTNER_FIGURE = 0.8
CADENCE = {"high": 30, "low": 90, "tech": 180}
FIELDS = ["healthy", "watch", "at_risk", "unknown"]


def half_even(numerator, denominator):
    return None if denominator <= 0 else round(Fraction(numerator, denominator))


def account(row, measures):
    h = hashlib.sha256(row["customer_id"].encode()).digest()
    values = {m: float(row[m]) for i, m in enumerate(measures) if h[2 + i] >= 64}
    age = (h[0] * 256 + h[1]) % 121
    reports = []
    if h[12] >= 26:
        if h[16] < 128:
            reports.append((age + 30, {m: v * 0.5 for m, v in values.items()}))
        # A millionth less: of scores that lie halfway between two thousandths the last bit of a floating sum would decide.
        reports.append((age, {m: v * 0.999999 for m, v in values.items()}))
    return {
        "partner": (h[13] * 256 + h[14]) % PARTNERS,
        "value": 12000 * (1 + h[15] % 200),
        "reports": reports,
        "region": ["関東", "関西", "九州", ""][h[17] % 4],
        "segment": ["製造業", "小売業", "SaaS"][h[18] % 3],
        "product": ["Kanri", "Kaikei"][h[20] % 2],
        "touch_model": ["high", "low", "tech"][h[19] % 3],
        "stage": ["active", "active", "onboarding"][h[21] % 3],
    }


def score(reports, weights):
    known = total = mean = 0.0
    for measure, weight in weights:
        sum_f = sum_fx = 0.0
        for age, values in sorted(reports, key=lambda r: -r[0]):
            if measure in values:
                f = PARTNER_FIGURE * 2.0 ** (-age / HALF_LIFE)
                sum_f += f
                sum_fx += f * values[measure]
        total += weight
        if sum_f > 0:
            mass = weight * min(sum_f, 1.0)
            known += mass
            mean += mass * (sum_fx / sum_f)
    coverage = known / total
    return (round(mean / known * 1000) if coverage >= 0.15 else None), round(coverage * 1000)


def band(milli):
    if milli is None:
        return "unknown"
    return "at_risk" if milli < 60_000 else "watch" if milli < 70_000 else "healthy"


def quantiles(points):
    at = lambda hundredths: points[math.ceil(Fraction(len(points) * hundredths, 100)) - 1]
    return {"p10": at(10), "p25": at(25), "median": at(50), "p75": at(75), "p90": at(90)} if points else None


def quantiles_between(least, most):
    return {name: {"low": least[name], "high": most[name]} for name in least} if least else None


def rolled_up(accounts, key):
    groups = {}
    for a in accounts:
        for k in key(a):
            groups.setdefault("|".join(k), []).append(a)
    return {k: figures(of) for k, of in groups.items()}


def figures(accounts):
    n = len(accounts)
    value = sum(a["value"] for a in accounts)
    known = [a for a in accounts if a["score"] is not None]
    k = len(known)
    thousandth = lambda x: None if x is None else x / 1000
    share = lambda part, whole: thousandth(half_even(part * 1000, whole))
    interval = None
    if k >= 2:
        total = sum(a["score"] for a in known)
        spread = k * sum(a["score"] ** 2 for a in known) - total * total
        half = 1.959964 * math.sqrt(spread / (k * (k - 1)) / k * ((n - k) / (n - 1)))
        interval = {"low": round(max(total / k - half, 0.0)) / 1000, "high": round(min(total / k + half, 100_000.0)) / 1000}
    heard = [a for a in accounts if a["reports"]]
    fresh = [a for a in heard if a["reports"][-1][0] <= CADENCE[a["touch_model"]]]
    return {
        "customers": n,
        "value_minor": value,
        "value_unconverted": 0,
        "bands": {b: {"customers": sum(a["band"] == b for a in accounts), "value_minor": sum(a["value"] for a in accounts if a["band"] == b)} for b in FIELDS},
        "known_share": {"count": share(k, n), "value": share(sum(a["value"] for a in known), value)},
        "mean_health": thousandth(half_even(sum(a["score"] for a in known), k)),
        "value_weighted_health": thousandth(half_even(sum(a["score"] * a["value"] for a in known), sum(a["value"] for a in known))),
        "value_weighted_health_bounds": {end: thousandth(half_even(sum(a["score"] * a["value"] for a in known) + (value - sum(a["value"] for a in known)) * unheard, value))
                                         for end, unheard in (("low", 0), ("high", 100_000))},
        "health_quantiles": quantiles(sorted(a["score"] // 1000 for a in known)),
        "health_quantiles_bounds": quantiles_between(*(quantiles(sorted([a["score"] // 1000 for a in known] + [unheard] * (n - k))) for unheard in (0, 100))),
        "mean_health_interval": interval,
        "mean_health_bounds": {end: thousandth(half_even(sum(a["score"] for a in known) + (n - k) * unheard, n)) for end, unheard in (("low", 0), ("high", 100_000))},
        "share_at_risk": share(sum(a["band"] == "at_risk" for a in accounts), k),
        "share_at_risk_bounds": {end: share(sum(a["band"] == "at_risk" for a in accounts) + more, n) for end, more in (("low", 0), ("high", n - k))},
        "mean_coverage": thousandth(half_even(sum(a["coverage"] for a in accounts), n)),
        "freshness": {
            "report_rate": {"count": share(len(fresh), n), "value": share(sum(a["value"] for a in fresh), value)},
            "mean_report_age_days": thousandth(half_even(sum(a["reports"][-1][0] for a in heard) * 1000, len(heard))),
            "heard": len(heard),
        },
    }


def main():
    folder, today = Path(sys.argv[1]), date.fromisoformat(sys.argv[2])
    assert today - timedelta(days=150) > date(2000, 1, 1)
    with open(folder / "hand_weights.csv", encoding="utf-8") as f:
        weights = [(row["measure"], float(row["hand_weight"])) for row in csv.DictReader(f)]
    with open(folder / "measures.csv", encoding="utf-8") as f:
        reader = csv.DictReader(f)
        measures = reader.fieldnames[1:]
        accounts = [account(row, measures) for row in reader]
    for a in accounts:
        a["score"], a["coverage"] = score(a["reports"], weights) if a["reports"] else (None, 0)
        a["band"] = band(a["score"])
    partners = {}
    for p in range(PARTNERS):
        below = {q for q in range(PARTNERS) if q == p or (p < TOPS and q >= TOPS and q % TOPS == p)}
        partners[f"P{p:02}"] = {"own": figures([a for a in accounts if a["partner"] == p]), "rolled_up": figures([a for a in accounts if a["partner"] in below])}
    above = lambda p: [f"P{p:02}"] + ([f"P{p % TOPS:02}"] if p >= TOPS else [])
    of = {
        "partner": lambda a: [f"P{a['partner']:02}"],
        "channel": lambda a: above(a["partner"]),
        **{name: (lambda a, name=name: [a[name]]) for name in ("region", "segment", "touch_model", "product", "stage")},
    }
    rollups = {f"by={name}": rolled_up(accounts, lambda a: [(k,) for k in of[name](a)]) for name in of}
    for by in of:
        for cross in of:
            if by != cross:
                rollups[f"by={by}&cross={cross}"] = rolled_up(accounts, lambda a: [(k, j) for k in of[by](a) for j in of[cross](a)])
    print(json.dumps({"partners": partners, "total": figures(accounts), "rollups": rollups}))


main()
