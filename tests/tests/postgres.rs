//! PostgreSQL on a protected volume, killed in the middle of its transactions with everything around it,
//! and recovered at points: what was acknowledged outside is there, and nothing of after.
//!
//! Times are compared across processes, which is sound here because they are all of this machine's wall
//! clock. The capture stamps each write when it takes it: after COMMIT was sent that caused it, and
//! before the acknowledgement that waited for its flush. A point's time is its last write's. So what was
//! acknowledged before a point's time is at or before that write, and what was sent after it is not. The
//! gateway takes the capture's clock for earlier than its own by as long as the first message took, which
//! can make a point's time late, never early, by that: this is [`GREETING`].

use anyhow::{Context, ensure};
use bcdr_tests::{
    end_to_end::{
        fixture::{image, same_bytes, seed},
        host_disk::{HostDisk, left_below},
        lab::{Lab, wait_for},
        stamped::Dice,
    },
    postgres::{
        client::Client,
        history::{History, Micros, wall},
        inspect::{CLUSTER, check_pages, check_relations, check_running, recover_and_check},
        ledger::{self, Present},
        load::Load,
        opened::{OpenedPoint, Way},
        production::Production,
        programs::Programs,
        server::{Server, make_cluster},
    },
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::Path,
    time::{Duration, Instant},
};

const VOLUME_BYTES: u64 = 384 << 20;
const CLIENTS: usize = 3;
/// How long the first message from capture to gateway may take on a busy machine, in microseconds.
const GREETING: Micros = 250_000;

/// How often something is killed; `make soak` asks for more.
fn rounds() -> usize {
    std::env::var("BCDR_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10)
}

/// What is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    /// The server, with all its processes.
    Server,
    /// The protected machine, as by a power cut.
    Machine,
    Capture,
    Gateway,
    Cloud,
    /// Capture, gateway and cloud side at once.
    Roles,
}

const VICTIMS: [Victim; 6] = [
    Victim::Server,
    Victim::Machine,
    Victim::Capture,
    Victim::Gateway,
    Victim::Cloud,
    Victim::Roles,
];

impl Victim {
    fn roles(self) -> &'static [&'static str] {
        match self {
            Self::Server | Self::Machine => &[],
            Self::Capture => &["capture"],
            Self::Gateway => &["gateway"],
            Self::Cloud => &["cloud"],
            Self::Roles => &["capture", "gateway", "cloud"],
        }
    }
}

/// Victims in random order; each comes before any comes again.
fn victims(dice: &mut Dice, rounds: usize) -> Vec<Victim> {
    let mut drawn = Vec::new();
    while drawn.len() < rounds {
        let mut left = VICTIMS.to_vec();
        while !left.is_empty() {
            drawn.push(left.swap_remove(dice.below(left.len() as u64) as usize));
        }
    }
    drawn.truncate(rounds);
    drawn
}

/// A directory that PostgreSQL's user may enter.
fn work_directory() -> anyhow::Result<tempfile::TempDir> {
    let work = tempfile::tempdir()?;
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o711))?;
    Ok(work)
}

/// A point as the product lists it.
#[derive(Debug, Clone)]
struct Point {
    id: String,
    time: Micros,
}

/// All published points, oldest first.
fn points(lab: &Lab) -> anyhow::Result<Vec<Point>> {
    let listed = lab.json(&["point", "list", "lab", "--limit", "100000"])?;
    let items = listed["items"]
        .as_array()
        .or(listed.as_array())
        .context("a list of points")?;
    let read = |item: &serde_json::Value| {
        let text = |field: &str| item[field].as_str().context("a point has an id and a time");
        let time: jiff::Timestamp = text("time")?.parse()?;
        Ok(Point {
            id: text("id")?.to_owned(),
            time: time.as_microsecond(),
        })
    };
    items.iter().rev().map(read).collect()
}

/// Everything of the test, in the order in which it ends.
struct Site {
    load: Load,
    production: Production,
    lab: Lab,
    programs: Programs,
    dice: Dice,
    /// Points that were looked at.
    looked_at: usize,
    /// The first of them, with what it had.
    first: Option<(Point, Present)>,
    /// By how much the times of points were late at most.
    latest: Micros,
}

#[test]
fn what_was_acknowledged_is_there_at_every_point_and_nothing_of_after() -> anyhow::Result<()> {
    let seed = seed();
    let mut dice = Dice::new(seed);
    let work = work_directory()?;
    let programs = Programs::find()?;
    let source = image(work.path(), "disk.raw", VOLUME_BYTES)?;
    let lab = Lab::up(&work.path().join("lab"), &[("disk", &source)])?;
    lab.wait_continuous()?;
    let production = Production::begin(&programs, &lab.socket("disk")?, work.path())?;
    let load = Load::start(production.sockets()?, CLIENTS, &mut dice);
    let drawn = victims(&mut dice, rounds());
    let mut site = Site {
        load,
        production,
        lab,
        programs,
        dice,
        looked_at: 0,
        first: None,
        latest: 0,
    };
    for (round, victim) in drawn.into_iter().enumerate() {
        site.round(round, victim, work.path())
            .with_context(|| format!("seed {seed}, round {round}, {victim:?}"))?;
    }
    site.end(&source, work.path())
        .with_context(|| format!("seed {seed}, at the end"))?;
    let left = left_below(work.path())?;
    ensure!(left.is_empty(), "left behind: {left:#?}");
    Ok(())
}

impl Site {
    fn round(&mut self, round: usize, victim: Victim, work: &Path) -> anyhow::Result<()> {
        let begun = Instant::now();
        let started = wall();
        let (before, after) = (150 + self.dice.below(250), 100 + self.dice.below(150));
        let kill_at = self.load.begun() + before as usize;
        self.load.allow((before + after) as usize);
        self.load.wait_begun(kill_at)?;
        // Not to wait for anything: the kill is to fall anywhere in a transaction.
        std::thread::sleep(Duration::from_micros(self.dice.below(8_000)));
        let killed_at = self.kill(victim)?;
        self.load.wait_idle()?;
        self.production.require_sound()?;
        self.lab.wait_continuous()?;
        self.lab.bookmark(&format!("round-{round}"))?;
        let worked = begun.elapsed();

        let all = points(&self.lab)?;
        let nearest = all.iter().rfind(|point| point.time <= killed_at);
        let nearest = nearest.context("no point is as old as the kill")?.clone();
        let of_round: Vec<_> = all.iter().filter(|point| point.time > started).collect();
        ensure!(!of_round.is_empty(), "the round has no point");
        let any = of_round[self.dice.below(of_round.len() as u64) as usize].clone();
        let mut found = Vec::new();
        for (point, way) in [(nearest, Way::Overlay), (any, Way::Export)] {
            let present = self
                .check_point(&point, way, work)
                .with_context(|| format!("point {} by {way:?}", point.id))?;
            found.push(present.len());
        }
        println!(
            "round {round}: {victim:?} killed among {} points, {found:?} of {} transactions at two of \
             them; {:.1} s, of that {:.1} s to look",
            of_round.len(),
            self.load.history().acknowledged(),
            begun.elapsed().as_secs_f64(),
            (begun.elapsed() - worked).as_secs_f64(),
        );
        Ok(())
    }

    /// Kills, and lets it return; returns when it was.
    fn kill(&mut self, victim: Victim) -> anyhow::Result<Micros> {
        match victim {
            Victim::Server => {
                let at = wall();
                self.production.kill_server()?;
                self.production.restart_server()?;
                Ok(at)
            }
            Victim::Machine => {
                let at = wall();
                self.production.cut_power()?;
                self.production.power_on()?;
                Ok(at)
            }
            Victim::Capture | Victim::Gateway | Victim::Cloud | Victim::Roles => {
                self.kill_roles(victim.roles())
            }
        }
    }

    fn kill_roles(&self, roles: &[&str]) -> anyhow::Result<Micros> {
        let pid = |role: &&str| self.lab.pid(role);
        let pids = roles.iter().map(pid).collect::<anyhow::Result<Vec<_>>>()?;
        let at = wall();
        for pid in &pids {
            let pid = Pid::from_raw(*pid).context("a process number")?;
            kill_process(pid, Signal::KILL)?;
        }
        for (role, old) in roles.iter().zip(&pids) {
            wait_for(&format!("{role} to be started anew"), || {
                Ok(self.lab.pid(role).is_ok_and(|pid| pid != *old))
            })?;
        }
        Ok(at)
    }

    fn check_point(&mut self, point: &Point, way: Way, work: &Path) -> anyhow::Result<Present> {
        let directory = work.join(format!("point-{}", self.looked_at));
        self.looked_at += 1;
        let (opened, disk) = OpenedPoint::open(&self.lab, "disk", &point.id, way, &directory)?;
        let present = recover_and_check(&self.programs, disk, &directory)?;
        opened.close()?;
        let history = self.load.history();
        history.check_prefix(&present)?;
        history.check_nothing_after(&present, point.time)?;
        history.check_acknowledged(&present, point.time - GREETING)?;
        self.latest = self.latest.max(lateness(&history, &present, point.time));
        if self.first.is_none() {
            self.first = Some((point.clone(), present.clone()));
        }
        Ok(present)
    }

    /// After the last round: a point holds just what production has, and the volume is the source.
    fn end(mut self, source: &Path, work: &Path) -> anyhow::Result<()> {
        self.lab.bookmark("end")?;
        let all = points(&self.lab)?;
        let last = all.last().context("no point is left")?.clone();
        let present = self.check_point(&last, Way::Overlay, work)?;
        let produced = ledger::present(&mut Client::connect(self.production.sockets()?)?)?;
        ensure!(
            present == produced && present.len() == self.load.history().acknowledged(),
            "the last point has {} transactions, production {}, acknowledged were {}",
            present.len(),
            produced.len(),
            self.load.history().acknowledged()
        );
        // Had a point come with another's content, the times would have told.
        let (first, early) = self.first.as_ref().context("no point was looked at")?;
        let history = self.load.history();
        ensure!(
            history.check_nothing_after(&present, first.time).is_err()
                && history
                    .check_acknowledged(early, last.time - GREETING)
                    .is_err(),
            "the first point could be the last, as far as times tell"
        );
        println!(
            "{} points looked at among {}; their times were late by {} us at most",
            self.looked_at,
            all.len(),
            self.latest
        );
        drop(self.load);
        self.production.shut_down()?;
        self.lab.bookmark("shut-down")?;
        let exported = work.join("exported.raw");
        self.lab.export("disk", "shut-down", &exported)?;
        same_bytes(&exported, source)?;
        self.lab.down()
    }
}

/// How long before a point's time the first transaction that it lacks was acknowledged.
fn lateness(history: &History, present: &Present, time: Micros) -> Micros {
    let early = |by: &Micros| history.check_acknowledged(present, time - by).is_err();
    let steps = (0..GREETING).step_by(100);
    steps.take_while(early).last().map_or(0, |by| by + 100)
}

/// A server on an image of its own, without any lab, and its clients.
struct Alone {
    // In the order in which they end.
    load: Load,
    server: Server,
    _disk: HostDisk,
}

impl Alone {
    fn begin(work: &Path, dice: &mut Dice) -> anyhow::Result<Self> {
        let programs = Programs::find()?;
        let file = image(work, "alone.raw", VOLUME_BYTES)?;
        let disk = HostDisk::attach_file(work, "alone", &file)?;
        disk.format()?;
        disk.mount()?;
        let data = disk.directory().join(CLUSTER);
        make_cluster(&programs, &data)?;
        let server = Server::start(&programs, &data, work)?;
        ledger::make(&mut Client::connect(server.sockets())?)?;
        let load = Load::start(server.sockets(), CLIENTS, dice);
        Ok(Self {
            load,
            server,
            _disk: disk,
        })
    }

    /// Does something with the server stopped in order.
    fn while_stopped(
        self,
        work: &Path,
        act: impl FnOnce(&Programs, &Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let (programs, data) = (
            self.server.programs().clone(),
            self.server.data().to_owned(),
        );
        self.server.stop()?;
        act(&programs, &data)?;
        let server = Server::start(&programs, &data, work)?;
        Ok(Self { server, ..self })
    }
}

/// Flips bits of the last tuple of an index's first leaf.
fn damage_index(file: &Path) -> anyhow::Result<()> {
    /// A page, and at the end of one what links it to its neighbours.
    const PAGE: u64 = 8192;
    const LINKS: u64 = 16;
    let file = fs::File::options().read(true).write(true).open(file)?;
    // The first page says where the root is; tuples fill a page from its end.
    let at = 2 * PAGE - LINKS - 16;
    let mut bytes = [0; 16];
    file.read_exact_at(&mut bytes, at)?;
    file.write_all_at(&bytes.map(|byte| byte ^ 0x41), at)?;
    Ok(file.sync_all()?)
}

/// The checks above are worth what they find.
#[test]
fn the_checks_see_what_is_planted_and_a_panic_leaves_nothing() -> anyhow::Result<()> {
    let work = work_directory()?;
    let work = work.path();
    let mut alone = Alone::begin(work, &mut Dice::new(seed()))?;
    alone.load.allow(150);
    alone.load.wait_idle()?;
    let history = alone.load.history();
    let whole = check_running(&alone.server)?;
    history.check_prefix(&whole)?;
    let mut client = Client::connect(alone.server.sockets())?;
    let answer = client.query("SELECT pg_relation_filepath('transfers_pkey')")?;
    let index = answer.rows.concat().concat();

    alone = alone.while_stopped(work, |programs, data| {
        check_pages(programs, data)?;
        damage_index(&data.join(&index))?;
        let checked = check_pages(programs, data);
        ensure!(checked.is_err(), "a damaged page has a good checksum");
        // From here on only amcheck can see it.
        let data = data.to_str().context("test paths are UTF-8")?;
        programs.run("pg_checksums", ["--disable", "--pgdata", data])
    })?;
    let checked = check_relations(&alone.server);
    ensure!(
        checked.is_err(),
        "amcheck finds no fault in a damaged index"
    );

    let mut client = Client::connect(alone.server.sockets())?;
    client.query("REINDEX TABLE transfers")?;
    check_running(&alone.server)?;
    // The first acknowledged transaction, and nothing else, goes missing.
    let (first, number) = whole.first().context("nothing was committed")?;
    for table in ["transfers", "entries"] {
        client.query(&format!(
            "DELETE FROM {table} WHERE client = {first} AND number = {number}"
        ))?;
    }
    let without = ledger::present(&mut client)?;
    ensure!(without.len() + 1 == whole.len(), "more than one is missing");
    ensure!(
        history.check_prefix(&without).is_err(),
        "a hole is a prefix"
    );
    let checked = ledger::check_invariants(&mut client);
    ensure!(checked.is_err(), "balances do without a transfer");

    alone.load.allow(1000);
    alone.load.wait_begun(160)?;
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _dropped_by_the_panic = alone;
        panic!("as planned");
    }));
    ensure!(unwound.is_err(), "there was no panic");
    let left = left_below(work)?;
    ensure!(left.is_empty(), "left behind: {left:#?}");
    Ok(())
}
