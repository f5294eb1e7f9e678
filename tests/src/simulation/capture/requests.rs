//! Clients' requests on their way to the tap, and the answers on their way back.

use super::{CaptureHost, Life};
use crate::simulation::{
    context::{Context, Host},
    oracle::{Effect, End, Expectation, OpId, Promise},
    stamp::{self, SECTOR},
    world::Event,
};
use bcdr_capture::{
    Payload,
    tap::{Reply, ReplyError, ReplyValue, Request, RequestId, TapState},
};
use bcdr_format::Position;

/// Names a client of the protected volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientId(pub(crate) usize);

/// What a client wants, in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Write {
        volume: usize,
        first: u32,
        sectors: u32,
        fua: bool,
    },
    Zero {
        volume: usize,
        first: u32,
        sectors: u32,
        unmap: bool,
        fua: bool,
    },
    Trim {
        volume: usize,
        first: u32,
        sectors: u32,
    },
    Flush {
        volume: usize,
    },
    Read {
        volume: usize,
        first: u32,
        sectors: u32,
    },
}

/// What was asked, as the oracle knows it.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Change {
        operation: OpId,
        volume: usize,
        fua: bool,
    },
    Flush {
        promise: Promise,
        records: Option<Position>,
    },
    Read {
        expected: Expectation,
    },
}

/// A request that has not been answered.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    client: ClientId,
    asked: Asked,
}

impl CaptureHost {
    /// A client asks for something; `false` if nobody serves it.
    pub(crate) fn request(&mut self, cx: &mut Context, client: ClientId, wanted: Wanted) -> bool {
        if !self.serves() {
            return false;
        }
        let life = self.life;
        let record_sectors = self.settings.record_sectors();
        let bytes = |sectors: u32| u64::from(sectors) * SECTOR as u64;
        let mut issue = |effect, volume, first, sectors| {
            cx.oracle
                .issue(effect, volume, first, sectors, sectors <= record_sectors)
        };
        let (asked, request) = match wanted {
            Wanted::Write {
                volume,
                first,
                sectors,
                fua,
            } => {
                let operation = issue(Effect::Stamp, volume, first, sectors);
                let payload =
                    Payload::copied_from(&stamp::stamped(operation.0, volume, first, sectors));
                let (number, offset) = (super::number(volume), bytes(first));
                let request = Request::Write {
                    volume: number,
                    offset,
                    payload,
                    fua,
                };
                (
                    Asked::Change {
                        operation,
                        volume,
                        fua,
                    },
                    request,
                )
            }
            Wanted::Zero {
                volume,
                first,
                sectors,
                unmap,
                fua,
            } => {
                let operation = issue(Effect::Zero, volume, first, sectors);
                let request = Request::WriteZeroes {
                    volume: super::number(volume),
                    offset: bytes(first),
                    length: bytes(sectors),
                    may_unmap: unmap,
                    fua,
                };
                (
                    Asked::Change {
                        operation,
                        volume,
                        fua,
                    },
                    request,
                )
            }
            Wanted::Trim {
                volume,
                first,
                sectors,
            } => {
                let operation = issue(Effect::Zero, volume, first, sectors);
                let (number, offset, length) =
                    (super::number(volume), bytes(first), bytes(sectors));
                let request = Request::Trim {
                    volume: number,
                    offset,
                    length,
                    fua: false,
                };
                (
                    Asked::Change {
                        operation,
                        volume,
                        fua: false,
                    },
                    request,
                )
            }
            Wanted::Flush { volume } => {
                let promise = cx.oracle.flush_issued(volume);
                let records = self
                    .process(life)
                    .and_then(|process| process.answered[volume]);
                (
                    Asked::Flush { promise, records },
                    Request::Flush {
                        volume: super::number(volume),
                    },
                )
            }
            Wanted::Read {
                volume,
                first,
                sectors,
            } => {
                let expected = cx.oracle.read_issued(volume, first, sectors);
                let request = Request::Read {
                    volume: super::number(volume),
                    offset: bytes(first),
                    length: sectors * SECTOR as u32,
                };
                (Asked::Read { expected }, request)
            }
        };
        cx.trace(|| match &asked {
            Asked::Change { operation, .. } => {
                format!(
                    "client {} asks {wanted:?} as operation {}",
                    client.0, operation.0
                )
            }
            _ => format!("client {} asks {wanted:?}", client.0),
        });
        let now = cx.moment(Host::Capture);
        let Some(process) = self.process(life) else {
            return false;
        };
        process.last_request += 1;
        let id = process.last_request;
        process.requests.insert(id, Pending { client, asked });
        process.tap.request(now, RequestId(id), request);
        self.drain(cx, life);
        true
    }

    /// The tap answers: the answer goes on its way.
    pub(super) fn reply(&mut self, cx: &mut Context, life: Life, reply: Reply) {
        let untracked = matches!(self.state(cx), Some(TapState::Untracked { .. }));
        let Some(process) = self.process(life) else {
            return;
        };
        let pending = process.requests.get(&reply.request.0);
        // What the product vouches for, it vouches for now, whether or not the answer arrives.
        let vouched = match (&reply.result, pending.map(|pending| &pending.asked)) {
            (Ok(_), Some(Asked::Flush { records, .. })) => *records,
            (
                Ok(_),
                Some(Asked::Change {
                    operation,
                    fua: true,
                    ..
                }),
            ) => process.records.get(operation).copied(),
            _ => None,
        };
        if !untracked && vouched.is_some() {
            self.flushed = self.flushed.max(vouched);
            cx.counters.note("flush promised");
        }
        let delay = cx.delay(0, 120);
        cx.schedule.after(delay, Event::Answer { life, reply });
    }

    /// An answer arrives at its client.
    pub(crate) fn answer(&mut self, cx: &mut Context, life: Life, reply: Reply) {
        let Some(process) = self.process(life) else {
            return;
        };
        let Some(Pending { client, asked }) = process.requests.remove(&reply.request.0) else {
            cx.violated(format!("{:?} was answered twice", reply.request));
            return;
        };
        match (asked, &reply.result) {
            (
                Asked::Change {
                    operation,
                    volume,
                    fua,
                },
                Ok(_),
            ) => {
                let record = process.records.remove(&operation);
                let answered = &mut process.answered[volume];
                *answered = (*answered).max(record);
                cx.oracle.ended(operation, End::Done);
                if fua {
                    cx.oracle.forced(operation);
                }
            }
            (Asked::Change { operation, .. }, Err(error)) => {
                process.records.remove(&operation);
                if *error == ReplyError::Invalid {
                    cx.violated(format!("operation {} was called invalid", operation.0));
                }
                cx.oracle.ended(operation, End::Failed);
            }
            (Asked::Flush { promise, .. }, Ok(_)) => cx.oracle.flush_done(&promise),
            (Asked::Read { expected }, Ok(ReplyValue::Data(payload))) => {
                let cells = stamp::cells(payload, expected.volume(), expected.first());
                cx.counters.note("read checked");
                let checked = cx.oracle.check_read(&expected, &cells);
                cx.check(checked, "read");
            }
            (Asked::Read { .. }, Ok(ReplyValue::Done)) => {
                cx.violated("a read was answered without data");
            }
            (Asked::Flush { .. } | Asked::Read { .. }, Err(_)) => {}
        }
        cx.schedule.after(0, Event::Client { client });
    }
}
