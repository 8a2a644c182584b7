//! What the measurements do with their numbers.

/// Of turns: the middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How many times the others, turn by turn: the middle one.
pub(crate) fn median_ratio(ones: &[f64], others: &[f64]) -> f64 {
    let ratios = ones.iter().zip(others).map(|(one, other)| one / other);
    median(ratios.collect())
}

/// The greatest and the mean difference of probabilities; of nothing, or of unequal numbers of texts, no number.
pub(crate) fn differences(ones: &[[f64; 3]], others: &[[f64; 3]]) -> (f64, f64) {
    if ones.len() != others.len() {
        return (f64::NAN, f64::NAN);
    }
    let differences: Vec<f64> = ones
        .as_flattened()
        .iter()
        .zip(others.as_flattened())
        .map(|(one, other)| (one - other).abs())
        .collect();
    let sum: f64 = differences.iter().sum();
    let max = differences.iter().copied().fold(f64::NAN, f64::max);
    (max, sum / differences.len() as f64)
}
