//! A process begins: what it finds on its disks, and what it must read again.

use super::{CaptureHost, INTENTS, JOURNAL, Process, TICK, backing_path, feed, short};
use crate::simulation::{
    context::{Context, Host},
    world::Event,
};
use bcdr_capture::{
    feed::FeedSession,
    intent::IntentRing,
    journal::{Journal, JournalIdentity, RecoverError, Recovered},
    start::{StartInput, SyncScope, plan_start},
    tap::TapCore,
};
use bcdr_disk::{Access, Storage};
use bcdr_format::{IncarnationId, SyncId};
use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
};

impl CaptureHost {
    /// Starts the process, or tries again later if the journal's disk does not let it.
    pub(crate) fn start(&mut self, cx: &mut Context) {
        if self.process.is_some() || self.held_down {
            return;
        }
        self.life.0 += 1;
        let life = self.life;
        match self.open_state(cx) {
            Ok(process) => {
                self.process = Some(process);
                self.drain(cx, life);
                cx.schedule.after(TICK, Event::CaptureTick { life });
                let call = cx.delay(0, 20_000);
                cx.schedule.after(call, Event::FeedCall { life });
            }
            Err(reason) => {
                cx.trace(|| format!("capture {} cannot start: {reason}", life.0));
                self.state.power_on();
                self.state.kill();
                let again = cx.delay(5_000, 50_000);
                cx.schedule.after(again, Event::CaptureStart);
            }
        }
    }

    fn open_state(&mut self, cx: &mut Context) -> Result<Process, String> {
        let storage: Arc<dyn Storage> = Arc::new(self.state.clone());
        let (mut journal, recovered) = self.recover(cx, &storage)?;
        let slots = self.settings.tap.window_records;
        let (ring, intents) = IntentRing::open(&*storage, Path::new(INTENTS), slots, self.boot)
            .map_err(|error| error.to_string())?;
        let members = self.members();
        let milliseconds = u64::try_from(cx.wall(Host::Capture).0 / 1000).unwrap_or_default();
        let plan = plan_start(&StartInput {
            recovered: &recovered,
            intents: &intents,
            evidence: self.evidence(),
            activity: self.activity(cx),
            members: &members,
            incarnation: IncarnationId::from_parts(milliseconds, cx.random_u128()),
            sync: SyncId::from_parts(milliseconds, cx.random_u128()),
            rejoin: None,
        });
        cx.trace(|| {
            format!(
                "capture {} starts: {plan:?}; intents {}",
                self.life.0,
                short(&intents)
            )
        });
        if plan.scope == SyncScope::Everything {
            // From here on a flushed write is safe because everything is read again.
            self.flushed = None;
        }
        cx.counters.note(match (&plan.scope, plan.start.sync) {
            (_, None) => "start: continued without a doubt",
            (SyncScope::Ranges(_), Some(_)) => "start: ranges read again",
            (SyncScope::Everything, Some(_)) => "start: everything compared",
        });
        if !recovered.unsettled.is_empty()
            || matches!(&plan.scope, SyncScope::Ranges(ranges) if !ranges.is_empty())
        {
            cx.counters.note("capture killed with an unsettled tail");
        }
        journal.set_members(members);
        let mut random = cx.random.fork();
        let tap = TapCore::new(
            self.settings.tap,
            self.ids.group,
            self.volumes(),
            plan,
            Box::new(move || u128::from(random.next_u64()) << 64 | u128::from(random.next_u64())),
            cx.moment(Host::Capture),
        );
        let open = |volume| self.backing.open(&backing_path(volume), Access::write());
        let volumes = self.settings.volumes.len();
        let files: Result<Vec<_>, _> = (0..volumes).map(open).collect();
        Ok(Process {
            tap,
            journal,
            ring,
            ring_begun: false,
            files: files.map_err(|error| error.to_string())?,
            io: BTreeMap::new(),
            requests: BTreeMap::new(),
            answered: vec![None; volumes],
            records: BTreeMap::new(),
            last_request: 0,
            queue: VecDeque::new(),
            queue_scheduled: false,
            journal_busy: false,
            trim: None,
            feed: FeedSession::new(recovered.lives, self.settings.tail_bytes),
            link: feed::FeedLink::default(),
            closing: false,
        })
    }

    fn recover(
        &mut self,
        cx: &mut Context,
        storage: &Arc<dyn Storage>,
    ) -> Result<(Journal, Recovered), String> {
        let identity = JournalIdentity {
            group: self.ids.group,
            stream: self.ids.stream,
        };
        let recovered = Journal::recover(
            Arc::clone(storage),
            Path::new(JOURNAL),
            identity,
            self.settings.journal,
        );
        let (journal, recovered) = match recovered {
            Ok(recovered) => recovered,
            Err(error @ RecoverError::Damaged { .. }) => {
                // Nothing here damages what was synced, so this is no crash's doing.
                cx.violated(format!(
                    "the journal does not recover from a crash: {error}"
                ));
                return Err(error.to_string());
            }
            Err(error) => return Err(error.to_string()),
        };
        cx.trace(|| {
            format!(
                "journal: newest {:?} settled {:?} last {} clean {} open {:?} unsettled {:?}",
                recovered.newest,
                recovered.settled,
                recovered.last_sequence,
                recovered.clean,
                recovered.open_sync,
                recovered.unsettled
            )
        });
        if recovered.last_sequence < self.appended {
            cx.counters.note("journal: tail lost with the power");
        }
        self.appended = recovered.last_sequence;
        let at_stake = self.flushed.filter(|_| self.flushed > self.acknowledged);
        if let Some(promised) = at_stake {
            cx.counters.note("flush promise checked against a journal");
            if recovered.last_sequence < promised.sequence {
                cx.violated(format!(
                    "a flush was answered for record {promised}, the journal ends at {}",
                    recovered.last_sequence
                ));
            }
        }
        Ok((journal, recovered))
    }
}
