//! How old a group's newest point was during an hour: the core of the RPO's history.
//!
//! Sans I/O. Invariant: nothing is under-stated. The time between two samples counts with an age that
//! grew all along, a second or a day of it alike; and a part of the time is put into a bucket by the
//! greatest age it holds.

use crate::catalog::Document;
use bcdr_format::{GroupId, Timestamp};
use bcdr_report::RpoPeriod;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

const HOUR_MICROSECONDS: i64 = 3_600_000_000;
/// Two samples further apart than this have a time between them in which nobody measured.
const BLIND_AFTER: Duration = Duration::from_secs(5);
/// The longest time without measurement that is entered, in hours; the clock may have jumped.
const BLIND_HOURS_MAX: i64 = 31 * 24;

/// What was measured of a group in one hour of the wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hour {
    pub(crate) group: GroupId,
    /// Hours since 1970.
    pub(crate) hour: i64,
    /// When its first part began.
    pub(crate) from: Timestamp,
    /// When its last part ended.
    pub(crate) to: Timestamp,
    /// The age at that moment, in milliseconds.
    pub(crate) last_age_ms: u64,
    /// The greatest age, in milliseconds.
    pub(crate) worst_ms: u64,
    /// Milliseconds in which nobody measured.
    pub(crate) blind_ms: u64,
    /// Milliseconds of time by bucket of age.
    pub(crate) buckets: BTreeMap<u16, u64>,
}

impl Document for Hour {
    const COLLECTION: &'static str = "rpo_hours";

    fn key(&self) -> String {
        Self::key_of(self.group, self.hour)
    }
}

impl Hour {
    pub(crate) fn key_of(group: GroupId, hour: i64) -> String {
        format!("{group}/{:010}", hour.max(0))
    }

    /// Takes in what another part of the same hour holds.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.from = self.from.min(other.from);
        if other.to >= self.to {
            self.to = other.to;
            self.last_age_ms = other.last_age_ms;
        }
        self.worst_ms = self.worst_ms.max(other.worst_ms);
        self.blind_ms = self.blind_ms.saturating_add(other.blind_ms);
        for (bucket, time) in &other.buckets {
            let held = self.buckets.entry(*bucket).or_default();
            *held = held.saturating_add(*time);
        }
    }
}

pub(crate) fn hour_of(at: Timestamp) -> i64 {
    at.0.div_euclid(HOUR_MICROSECONDS)
}

/// The last sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// When, by the wall clock.
    pub(crate) at: Timestamp,
    /// The age of the newest point then, in milliseconds.
    pub(crate) age_ms: u64,
}

/// What lies between the last sample and this one, by hour. `elapsed` is the time between them by
/// a clock that cannot be set.
///
/// An age grows by the time that passes, until a newer point is published and it falls. Where it did
/// not fall, all of it is known. Where it did, nobody saw how old the point was just before: at most as
/// old as if that had been at the very end, and that is what counts.
pub(crate) fn between(group: GroupId, last: Sample, this: Sample, elapsed: Duration) -> Vec<Hour> {
    let span_ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
    let blind = elapsed > BLIND_AFTER;
    let longest = BLIND_HOURS_MAX * HOUR_MICROSECONDS / 1000;
    let skipped = (span_ms - longest).max(0);
    let end_ms = this.at.0.div_euclid(1000);
    let mut begin_ms = end_ms - (span_ms - skipped);
    // A sample that is older than a point could have become since the last one is believed as well.
    let entered = (span_ms - skipped).unsigned_abs();
    let mut age_ms = last
        .age_ms
        .saturating_add(skipped.unsigned_abs())
        .max(this.age_ms.saturating_sub(entered));
    let mut hours = Vec::new();
    while begin_ms < end_ms {
        let hour = hour_of(Timestamp(begin_ms * 1000));
        let part_end = ((hour + 1) * (HOUR_MICROSECONDS / 1000)).min(end_ms);
        let time = (part_end - begin_ms).unsigned_abs();
        let is_last = part_end == end_ms;
        let mut buckets = BTreeMap::new();
        grow(&mut buckets, age_ms, time);
        age_ms = age_ms.saturating_add(time);
        hours.push(Hour {
            group,
            hour,
            from: Timestamp(begin_ms * 1000),
            to: Timestamp(part_end * 1000),
            last_age_ms: if is_last { this.age_ms } else { age_ms },
            worst_ms: age_ms,
            blind_ms: if blind { time } else { 0 },
            buckets,
        });
        begin_ms = part_end;
    }
    hours
}

/// Enters an age that grows by `time` milliseconds from `from`.
fn grow(buckets: &mut BTreeMap<u16, u64>, from: u64, time: u64) {
    let to = from.saturating_add(time);
    let mut at = from;
    while at < to {
        let next = upper(bucket(at)).saturating_add(1).min(to);
        *buckets.entry(bucket(at)).or_default() += next - at;
        at = next;
    }
}

/// What is known of a part of the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Milliseconds in which it was measured.
    pub(crate) measured_ms: u64,
    /// The period, the time in which nobody measured included.
    pub(crate) period: RpoPeriod,
}

/// The part of the time that hours give; none without any time in them.
pub(crate) fn part(hours: &[Hour]) -> Option<Part> {
    let period = period(hours)?;
    let times = hours.iter().flat_map(|hour| hour.buckets.values());
    let whole = times.fold(0, |whole: u64, time| whole.saturating_add(*time));
    Some(Part {
        measured_ms: whole.saturating_sub(period.blind_ms),
        period,
    })
}

/// The measured period that hours give; none without any time in them.
pub(crate) fn period(hours: &[Hour]) -> Option<RpoPeriod> {
    let mut all = hours.first()?.clone();
    hours[1..].iter().for_each(|hour| all.merge(hour));
    let whole: u128 = all.buckets.values().map(|time| u128::from(*time)).sum();
    let mut passed = 0;
    let mut p95_ms = None;
    for (bucket, time) in &all.buckets {
        passed += u128::from(*time);
        if passed * 100 >= whole * 95 && whole > 0 {
            p95_ms = Some(upper(*bucket).min(all.worst_ms));
            break;
        }
    }
    Some(RpoPeriod {
        from: crate::clock::readable(all.from),
        to: crate::clock::readable(all.to),
        worst_ms: all.worst_ms,
        p95_ms: p95_ms?,
        blind_ms: all.blind_ms,
    })
}

/// Buckets are exact below 16 ms; above, eight of them double the age.
fn bucket(age_ms: u64) -> u16 {
    if age_ms < 16 {
        return age_ms as u16;
    }
    let exponent = age_ms.ilog2();
    let part = (age_ms >> (exponent - 3)) & 7;
    16 + ((exponent - 4) * 8) as u16 + part as u16
}

/// The greatest age of a bucket, in milliseconds.
fn upper(bucket: u16) -> u64 {
    if bucket < 16 {
        return bucket.into();
    }
    let above = u32::from(bucket) - 16;
    let (exponent, part) = (above / 8 + 4, u64::from(above % 8));
    let next = u128::from(9 + part) << (exponent - 3);
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn sample(seconds: i64, age_ms: u64) -> Sample {
        Sample {
            at: Timestamp(seconds * SECOND),
            age_ms,
        }
    }

    fn parts(last: Sample, this: Sample) -> Vec<Hour> {
        let elapsed = Duration::from_micros((this.at.0 - last.at.0).unsigned_abs());
        between(GroupId::from_u128(1), last, this, elapsed)
    }

    #[test]
    fn buckets_hold_their_ages_and_are_narrow() {
        let mut ages: Vec<u64> = (0..64)
            .flat_map(|shift| [1 << shift, (1 << shift) + 1])
            .collect();
        ages.extend([0, 15, 16, 17, 1000, 1999, u64::MAX]);
        for age in ages {
            let most = upper(bucket(age));
            assert!(most >= age && most - age <= age / 8, "{age}: {most}");
            assert!(
                most == u64::MAX || bucket(most + 1) == bucket(age) + 1,
                "{age}"
            );
        }
    }

    #[test]
    fn regular_samples_give_worst_and_p95() {
        let mut hours = Vec::new();
        for second in 0..1000 {
            let age = if second % 50 == 49 { 8000 } else { 500 };
            hours.extend(parts(sample(second, 400), sample(second + 1, age)));
        }
        let period = period(&hours).unwrap();
        assert_eq!(period.worst_ms, 8000);
        // Each second begins with 400 ms and grows until its sample is taken.
        assert!((1350..=1535).contains(&period.p95_ms), "{period:?}");
        assert_eq!(period.blind_ms, 0);
        assert_eq!(period.to.as_second(), 1000);
    }

    #[test]
    fn an_age_grows_between_two_samples_and_its_worst_is_before_the_next_point() {
        // Published just before the second sample: the point before it was almost 3.4 s old then.
        let hours = parts(sample(10, 400), sample(13, 100));
        assert_eq!((hours[0].worst_ms, hours[0].last_age_ms), (3400, 100));
        assert_eq!(hours[0].blind_ms, 0);
        let time: u64 = hours[0].buckets.values().sum();
        assert_eq!(time, 3000);
        assert!(!hours[0].buckets.contains_key(&bucket(100)));
        // Nothing was published: what was measured is the worst, and no more than that.
        let hours = parts(sample(10, 400), sample(13, 3400));
        assert_eq!(hours[0].worst_ms, 3400);
        // Over the end of an hour each part has its own worst.
        let hours = parts(sample(3598, 1000), sample(3602, 50));
        let worst: Vec<u64> = hours.iter().map(|hour| hour.worst_ms).collect();
        assert_eq!(worst, [3000, 5000]);
        assert_eq!(hours[0].last_age_ms, 3000);
    }

    #[test]
    fn a_time_without_measurement_counts_with_an_age_that_grew_all_along() {
        // Nine tenths of the time good, one tenth blind: its end is the worst.
        let mut hours = Vec::new();
        for second in 0..900 {
            hours.extend(parts(sample(second, 400), sample(second + 1, 400)));
        }
        hours.extend(parts(sample(900, 400), sample(1000, 300)));
        let period = period(&hours).unwrap();
        assert_eq!((period.worst_ms, period.blind_ms), (100_400, 100_000));
        assert!((50_000..=60_000).contains(&period.p95_ms), "{period:?}");
    }

    #[test]
    fn parts_fall_into_their_hours_and_merge() {
        let hours = parts(sample(3500, 100), sample(7300, 200));
        let numbers: Vec<i64> = hours.iter().map(|hour| hour.hour).collect();
        assert_eq!(numbers, [0, 1, 2]);
        let time: u64 = hours.iter().flat_map(|hour| hour.buckets.values()).sum();
        assert_eq!(time, 3_800_000);
        assert_eq!(hours[2].last_age_ms, 200);
        assert_eq!(hours[2].worst_ms, 3_800_100);
        let mut first = hours[0].clone();
        first.merge(&parts(sample(10, 7), sample(11, 9))[0]);
        assert_eq!(
            (first.from, first.to),
            (Timestamp(10 * SECOND), Timestamp(3600 * SECOND))
        );
        assert_eq!(first.last_age_ms, hours[0].last_age_ms);
    }

    #[test]
    fn a_clock_that_jumped_ten_years_enters_a_month_at_most() {
        let hours = parts(sample(0, 0), sample(315_360_000, 5));
        assert!(hours.len() as i64 <= BLIND_HOURS_MAX + 1, "{}", hours.len());
        assert_eq!(hours.last().unwrap().worst_ms, 315_360_000_000);
        assert!(period(&[]).is_none());
    }
}
