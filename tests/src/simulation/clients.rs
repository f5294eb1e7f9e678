//! The applications: clients that write, zero, trim, flush and read, each one thing at a time.
//!
//! They crowd a few places, so that writes overlap, neighbour each other within one unit, and race.
//! A client whose server dies asks for something else later; what it had asked for is lost.

use super::{
    capture::{CaptureHost, ClientId, Wanted},
    context::Context,
    schedule::Micros,
    settings::Settings,
    world::Event,
};
use bcdr_disk::SeededRandom;

/// All clients.
#[derive(Debug)]
pub(crate) struct Clients {
    random: SeededRandom,
    /// Whether each waits for an answer.
    waiting: Vec<bool>,
    pause: Micros,
    /// Operations asked for that change something.
    pub(crate) writes: u64,
    /// They ask for nothing more.
    pub(crate) quiet: bool,
    hot: Vec<(usize, u32)>,
}

impl Clients {
    pub(crate) fn new(settings: &Settings, random: &mut SeededRandom) -> Self {
        let mut random = random.fork();
        let hot = (0..4)
            .map(|_| {
                let volume = random.index(settings.volumes.len());
                (
                    volume,
                    random.below(u64::from(settings.volumes[volume].sectors)) as u32,
                )
            })
            .collect();
        Self {
            random,
            waiting: vec![false; settings.clients],
            pause: settings.pause,
            writes: 0,
            quiet: false,
            hot,
        }
    }

    /// Wakes all of them.
    pub(crate) fn begin(&mut self, cx: &mut Context) {
        for client in 0..self.waiting.len() {
            let delay = self.random.below(self.pause);
            cx.schedule.after(
                delay,
                Event::Client {
                    client: ClientId(client),
                },
            );
        }
    }

    /// The server died: nobody waits any more.
    pub(crate) fn server_died(&mut self, cx: &mut Context) {
        for client in 0..self.waiting.len() {
            if std::mem::take(&mut self.waiting[client]) {
                let delay = 1_000 + self.random.below(5_000);
                cx.schedule.after(
                    delay,
                    Event::Client {
                        client: ClientId(client),
                    },
                );
            }
        }
    }

    /// A client was answered, or its pause is over.
    pub(crate) fn wake(&mut self, cx: &mut Context, client: ClientId, capture: &mut CaptureHost) {
        let ClientId(index) = client;
        if index >= self.waiting.len() {
            return;
        }
        if std::mem::take(&mut self.waiting[index]) {
            // Sometimes at once, so that one operation depends on the answer to another.
            let pause = if self.random.below(3) == 0 {
                0
            } else {
                self.random.below(self.pause)
            };
            return cx.schedule.after(pause, Event::Client { client });
        }
        if self.quiet {
            return;
        }
        let wanted = self.choose(cx);
        if !capture.serves() {
            let again = 1_000 + self.random.below(5_000);
            return cx.schedule.after(again, Event::Client { client });
        }
        self.waiting[index] = true;
        if !matches!(wanted, Wanted::Flush { .. } | Wanted::Read { .. }) {
            self.writes += 1;
            cx.counters.note("writes");
        }
        capture.request(cx, client, wanted);
    }

    fn choose(&mut self, cx: &Context) -> Wanted {
        let sizes = cx.oracle.sizes();
        let fua = self.random.below(16) == 0;
        let kind = self.random.below(100);
        if kind >= 92 {
            return Wanted::Flush {
                volume: self.random.index(sizes.len()),
            };
        }
        let longest = match kind {
            0..70 => [1, 1, 2, 8, 8, 16, 32, 100][self.random.index(8)],
            70..84 => [8, 16, 32, 128][self.random.index(4)],
            _ => 64,
        };
        let (volume, first, sectors) = self.place(&sizes, longest);
        match kind {
            0..70 => Wanted::Write {
                volume,
                first,
                sectors,
                fua,
            },
            70..78 => Wanted::Zero {
                volume,
                first,
                sectors,
                unmap: self.random.coin(),
                fua,
            },
            78..84 => Wanted::Trim {
                volume,
                first,
                sectors,
            },
            _ => Wanted::Read {
                volume,
                first,
                sectors,
            },
        }
    }

    fn place(&mut self, sizes: &[u32], longest: u32) -> (usize, u32, u32) {
        let (volume, first) = if self.random.below(5) < 3 {
            let (volume, around) = self.hot[self.random.index(self.hot.len())];
            let near = u64::from(around) + self.random.below(24);
            (volume, near as u32 % sizes[volume])
        } else {
            let volume = self.random.index(sizes.len());
            (volume, self.random.below(u64::from(sizes[volume])) as u32)
        };
        let sectors = 1 + self.random.below(u64::from(longest)) as u32;
        (volume, first, sectors.min(sizes[volume] - first))
    }
}
