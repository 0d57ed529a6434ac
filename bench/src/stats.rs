//! Medians.

use serde::Serialize;

/// The middle of some values, and how far they spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Spread {
    /// `None` of no values.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (lowest, highest) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[half - 1], values[half])
        } else {
            values[half]
        };
        Some(Self { median, lowest, highest })
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_median_is_the_middle_value_or_between_the_two() {
        let odd = Spread::of(vec![3.0, 1.0, 9.0]).unwrap();
        assert_eq!(odd, Spread { median: 3.0, lowest: 1.0, highest: 9.0 });
        assert!((Spread::of(vec![4.0, 1.0, 2.0, 9.0]).unwrap().median - 3.0).abs() < 1e-9);
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
