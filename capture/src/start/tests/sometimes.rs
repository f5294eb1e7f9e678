//! Counters of what random lives ran into: a test in which they stay at zero proves nothing.

macro_rules! sometimes {
    ($($name:ident),* $(,)?) => {
        /// How often the interesting things happened.
        #[derive(Debug, Default, Clone)]
        pub(super) struct Sometimes { $(pub(super) $name: u64),* }
        impl Sometimes {
            pub(super) fn add(&mut self, other: &Self) { $(self.$name += other.$name;)* }
            pub(super) fn never_happened(&self) -> Vec<&'static str> {
                let mut never = Vec::new();
                $(if self.$name == 0 { never.push(stringify!($name)); })*
                never
            }
        }
    };
}

sometimes!(
    clean_starts,
    killed_starts,
    killed_with_ranges,
    power_loss_starts,
    untracked,
    resumed,
    forks,
    opened_above,
    failed_writes,
    foreign_writes,
    published,
    journal_reads,
    intervals_ended,
    seams,
    seams_refused,
    seams_elsewhere,
    seams_healed,
);
