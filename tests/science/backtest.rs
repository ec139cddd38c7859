//! Rules of the back-test that hold for generated inputs.
use proptest::prelude::*;
use todoku::insight::backtest::{auc, calibration_error, calibration_table, top_decile_lift};

fn cases() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    prop::collection::vec((-20i32..20, any::<bool>()), 2..80).prop_map(|v| v.into_iter().map(|(r, h)| (f64::from(r) / 4.0, h)).unzip())
}

proptest! {
    #[test]
    fn auc_is_a_share_of_ordered_pairs((risk, happened) in cases()) {
        let Ok(a) = auc(&risk, &happened) else { return Ok(()) };
        prop_assert!((0.0..=1.0).contains(&a.auc));
        if let Some((low, high)) = a.interval {
            prop_assert!(low <= a.auc && a.auc <= high);
        }
        let (mut right, mut pairs) = (0.0, 0.0);
        for i in (0..risk.len()).filter(|i| happened[*i]) {
            for j in (0..risk.len()).filter(|j| !happened[*j]) {
                right += if risk[i] > risk[j] { 1.0 } else if risk[i] == risk[j] { 0.5 } else { 0.0 };
                pairs += 1.0;
            }
        }
        prop_assert!((a.auc - right / pairs).abs() < 1e-12);
    }

    #[test]
    fn auc_sees_only_the_order_and_both_sides_alike((risk, happened) in cases()) {
        let Ok(a) = auc(&risk, &happened) else { return Ok(()) };
        let stretched: Vec<f64> = risk.iter().map(|r| r.exp() * 3.0 - 7.0).collect();
        prop_assert_eq!(auc(&stretched, &happened).unwrap(), a);
        let flipped: Vec<bool> = happened.iter().map(|h| !h).collect();
        let b = auc(&risk, &flipped).unwrap();
        prop_assert!((a.auc + b.auc - 1.0).abs() < 1e-12);
        prop_assert!((a.standard_error.unwrap_or(0.0) - b.standard_error.unwrap_or(0.0)).abs() < 1e-12);
    }

    #[test]
    fn lift_has_its_bounds_and_ignores_the_order_of_cases((risk, happened) in cases(), turn in 0usize..80) {
        let Ok(lift) = top_decile_lift(&risk, &happened) else { return Ok(()) };
        let (n, k) = (risk.len(), happened.iter().filter(|h| **h).count());
        let best = k.min(n.div_ceil(10)) as f64 / n.div_ceil(10) as f64 * n as f64 / k as f64;
        prop_assert!((0.0..=best + 1e-12).contains(&lift));
        let (mut r, mut h) = (risk.clone(), happened.clone());
        r.rotate_left(turn % n);
        h.rotate_left(turn % n);
        prop_assert_eq!(top_decile_lift(&r, &h).unwrap(), lift);
    }

    #[test]
    fn tables_add_up(cases in prop::collection::vec((0.0f64..=1.0, any::<bool>()), 1..80)) {
        let (p, h): (Vec<f64>, Vec<bool>) = cases.into_iter().unzip();
        let table = calibration_table(&p, &h).unwrap();
        prop_assert_eq!(table.iter().map(|b| b.n).sum::<usize>(), p.len());
        for bin in table.iter().filter(|b| b.n > 0) {
            let (mean, (low, high)) = (bin.predicted.unwrap(), bin.interval.unwrap());
            prop_assert!(bin.from - 1e-9 <= mean && mean <= bin.to + 1e-9);
            prop_assert!(low <= bin.observed.unwrap() && bin.observed.unwrap() <= high);
        }
        prop_assert!((0.0..=1.0).contains(&calibration_error(&p, &h).unwrap()));
    }
}
