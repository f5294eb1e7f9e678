//! What commands do to the sites of the model.

use super::{
    world::{Party, World},
    *,
};
use crate::receive::PointId;

/// The generation a command carries.
pub(super) fn generation_of(action: &Action) -> Option<Generation> {
    match action {
        Action::QuiesceSource { generation }
        | Action::Fence { generation, .. }
        | Action::BootInstance { generation, .. }
        | Action::StopInstance { generation }
        | Action::ReleaseSource { generation }
        | Action::HoldHome { generation }
        | Action::QuiesceTarget { generation }
        | Action::CopyRound { generation, .. }
        | Action::RestoreDisks { generation, .. }
        | Action::FinalDelta { generation, .. }
        | Action::BootHome { generation }
        | Action::ResumeForward { generation }
        | Action::StopHome { generation }
        | Action::RestartTarget { generation, .. }
        | Action::HoldSource { generation }
        | Action::AdoptGeneration { generation } => Some(*generation),
        _ => None,
    }
}

impl Party {
    /// Takes an order: none if this site knows something newer.
    fn obey(&mut self, generation: Generation, serves: bool, takes_old: bool) -> Option<()> {
        if !self.alive || (generation < self.met && !takes_old) {
            return None;
        }
        self.met = self.met.max(generation);
        self.serving = serves.then_some(generation);
        if serves {
            // What differs is compared and sent again under the generation it serves under now.
            self.wrote_under = generation;
        }
        Some(())
    }
}

impl World {
    /// The command takes effect; none if it is refused where it arrives.
    pub(super) fn carry_out(
        &mut self,
        action: &Action,
        mutation: Option<Mutation>,
    ) -> Option<StepResult> {
        let takes_old = mutation == Some(Mutation::OldGenerationTaken);
        match action {
            Action::QuiesceSource { generation }
            | Action::HoldHome { generation }
            | Action::StopHome { generation }
            | Action::HoldSource { generation } => {
                self.source.obey(*generation, false, takes_old)?;
            }
            Action::ReleaseSource { generation } | Action::BootHome { generation } => {
                self.source.obey(*generation, true, takes_old)?;
            }
            Action::StopInstance { generation } | Action::QuiesceTarget { generation } => {
                self.target.obey(*generation, false, takes_old)?;
            }
            Action::BootInstance { generation, .. } | Action::RestartTarget { generation, .. } => {
                self.target.obey(*generation, true, takes_old)?;
            }
            Action::AdoptGeneration { generation } => {
                let serves = self.target.serving.is_some();
                self.target.obey(*generation, serves, takes_old)?;
            }
            Action::ProbeSource if self.source.alive => {
                return Some(StepResult::Probed(Probe::Seen {
                    generation: self.source.met,
                    serving: match self.source.serving {
                        Some(_) => Serving::Writable,
                        None => Serving::ReadOnly,
                    },
                }));
            }
            Action::DrainSource => return self.drain(),
            Action::Fence { generation, .. } => return Some(self.fence(*generation, mutation)),
            Action::PinPoint { .. } => return self.pin(),
            Action::InspectHome if mutation == Some(Mutation::OverwriteBeforeConfirmed) => {
                self.overwrite();
            }
            Action::CopyRound { generation, .. } => {
                self.home_takes(*generation, takes_old)?;
                self.overwrite();
            }
            Action::RestoreDisks { generation, .. } => {
                self.home_takes(*generation, takes_old)?;
                self.home.whole = mutation != Some(Mutation::RestoreNotProven);
            }
            Action::FinalDelta { generation, .. } => {
                self.home_takes(*generation, takes_old)?;
                self.overwrite();
                let is_still = self.target.serving.is_none();
                self.home.whole = is_still && mutation != Some(Mutation::DigestsNotCompared);
            }
            Action::CompareDigests { .. } => {
                let skipped = mutation == Some(Mutation::DigestsNotCompared);
                return Some(StepResult::Compared {
                    equal: self.home.whole || skipped,
                    detail: String::new(),
                });
            }
            _ => {}
        }
        Some(testing::good_answer(action))
    }

    fn drain(&mut self) -> Option<StepResult> {
        // What is drained passes the fence like everything that ships.
        let is_fenced_out = self.source.wrote_under < self.receiver;
        if !self.source.alive || self.source.serving.is_some() || is_fenced_out {
            return None;
        }
        self.received = self.written;
        Some(StepResult::Drained {
            position: testing::position(u64::from(self.received)),
        })
    }

    fn fence(&mut self, generation: Generation, mutation: Option<Mutation>) -> StepResult {
        if mutation == Some(Mutation::PinBeforeFence) {
            return StepResult::Fenced { generation };
        }
        self.receiver = self.receiver.max(generation);
        StepResult::Fenced {
            generation: self.receiver,
        }
    }

    fn pin(&mut self) -> Option<StepResult> {
        let Some(PlacementJob::Failover(job)) = self.placement.job() else {
            // A late copy of a job that is over pins nothing that anybody uses.
            return None;
        };
        if job.turned_back.is_some() || !job.progress.begun(Step::PinPoint) {
            return None;
        }
        let pinned = (job.id, self.received);
        if let Some(before) = self.pin
            && before.0 == pinned.0
            && before != pinned
        {
            self.pin_moved = true;
        }
        self.pin = Some(pinned);
        Some(StepResult::Pinned {
            point: PointId(testing::position(u64::from(self.received))),
            time: testing::NOW,
        })
    }

    fn home_takes(&mut self, generation: Generation, takes_old: bool) -> Option<()> {
        if self.source.serving.is_some() {
            return None;
        }
        self.source.obey(generation, false, takes_old)
    }

    fn overwrite(&mut self) {
        self.home.whole = false;
        self.home.overwritten_unconfirmed |= !self.home.confirmed;
    }
}
