//! What many measurements of one thing come down to.

/// Measurements of one thing, in one unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// All of them, in the order they were taken.
    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }

    /// The middle one, or the mean of the two in the middle. `None` without any.
    pub(crate) fn median(&self) -> Option<f64> {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        if sorted.len().is_multiple_of(2) {
            Some(f64::midpoint(
                *sorted.get(middle.checked_sub(1)?)?,
                *sorted.get(middle)?,
            ))
        } else {
            sorted.get(middle).copied()
        }
    }

    /// The smallest that at least `percent` of 100 do not exceed (nearest rank).
    pub(crate) fn percentile(&self, percent: usize) -> Option<f64> {
        let sorted = self.sorted();
        let rank = (sorted.len() * percent.min(100)).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        values.iter().copied().collect()
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(samples(&[]).median(), None);
        assert_eq!(samples(&[4.0]).median(), Some(4.0));
        assert_eq!(samples(&[9.0, 1.0, 5.0]).median(), Some(5.0));
        assert_eq!(samples(&[8.0, 1.0, 2.0, 4.0]).median(), Some(3.0));
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Samples = (1..=100).rev().map(f64::from).collect();
        assert_eq!(hundred.percentile(50), Some(50.0));
        assert_eq!(hundred.percentile(99), Some(99.0));
        assert_eq!(hundred.percentile(100), Some(100.0));
        assert_eq!(hundred.percentile(0), Some(1.0));
        assert_eq!(samples(&[3.0, 7.0]).percentile(99), Some(7.0));
        assert_eq!(samples(&[]).percentile(50), None);
    }
}
