//! When something will be full: a straight line through what was measured lately.

use std::{collections::VecDeque, time::Duration};

/// How far back is looked.
const WINDOW: Duration = Duration::from_secs(300);
/// Fewer samples, or a shorter span, say nothing about the future.
const SAMPLES_MIN: usize = 5;
const SPAN_MIN: Duration = Duration::from_secs(30);
/// Most samples that are kept.
const SAMPLES_MAX: usize = 600;

/// How full something was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When, by the monotonic clock.
    pub at: Duration,
    /// Bytes in use.
    pub used: u64,
    /// Bytes in all.
    pub capacity: u64,
}

/// What was measured lately.
#[derive(Debug, Clone, Default)]
pub struct Filling(VecDeque<Sample>);

impl Filling {
    /// Adds a sample. One of another capacity begins anew: it is another thing, or was emptied.
    pub fn add(&mut self, sample: Sample) {
        let known = self.0.back();
        if known.is_some_and(|last| last.capacity != sample.capacity || last.at > sample.at) {
            self.0.clear();
        }
        self.0.push_back(sample);
        while self.0.len() > SAMPLES_MAX
            || self
                .0
                .front()
                .is_some_and(|first| sample.at.saturating_sub(first.at) > WINDOW)
        {
            self.0.pop_front();
        }
    }

    /// Nothing is known any more.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    /// In how long it is full, if it goes on like this; none when it is not getting fuller, or when
    /// too little was measured.
    pub fn full_in(&self) -> Option<Duration> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let span = last.at.saturating_sub(first.at);
        if self.0.len() < SAMPLES_MIN || span < SPAN_MIN {
            return None;
        }
        if last.used >= last.capacity {
            return Some(Duration::ZERO);
        }
        let count = self.0.len() as f64;
        let x = |sample: &Sample| sample.at.saturating_sub(first.at).as_secs_f64();
        let y = |sample: &Sample| sample.used as f64;
        let mean_x = self.0.iter().map(x).sum::<f64>() / count;
        let mean_y = self.0.iter().map(y).sum::<f64>() / count;
        let mut covariance = 0.0;
        let mut variance = 0.0;
        for sample in &self.0 {
            covariance += (x(sample) - mean_x) * (y(sample) - mean_y);
            variance += (x(sample) - mean_x).powi(2);
        }
        let slope = covariance / variance;
        if slope <= 0.0 || slope.is_nan() {
            return None;
        }
        let room = (last.capacity - last.used) as f64;
        Duration::try_from_secs_f64(room / slope).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filling(used: impl Fn(u64) -> u64, seconds: u64) -> Filling {
        let mut filling = Filling::default();
        for second in (0..=seconds).step_by(5) {
            filling.add(Sample {
                at: Duration::from_secs(second),
                used: used(second),
                capacity: 10_000,
            });
        }
        filling
    }

    #[test]
    fn a_straight_line_is_followed_to_its_end() {
        let full_in = filling(|second| 1000 + 10 * second, 100).full_in().unwrap();
        assert!((full_in.as_secs_f64() - 800.0).abs() < 1e-6, "{full_in:?}");
        assert_eq!(filling(|_| 10_000, 60).full_in(), Some(Duration::ZERO));
    }

    #[test]
    fn what_empties_or_stands_still_or_is_hardly_known_is_not_forecast() {
        assert_eq!(filling(|second| 5000 - second, 100).full_in(), None);
        assert_eq!(filling(|_| 5000, 100).full_in(), None);
        assert_eq!(filling(|second| 10 * second, 25).full_in(), None);
    }

    #[test]
    fn only_what_was_measured_lately_counts() {
        // It rose long ago, and stands since.
        let stands = filling(|second| 10 * second.min(500), 1000);
        assert_eq!(stands.full_in(), None);
        let mut emptied = filling(|second| 10 * second, 100);
        emptied.add(Sample {
            at: Duration::from_secs(105),
            used: 0,
            capacity: 20_000,
        });
        assert_eq!(emptied.full_in(), None);
    }
}
