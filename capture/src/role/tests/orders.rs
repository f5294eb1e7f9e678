//! The whole role under orders: real clients, a gateway in the hands of the test.

use super::*;
use crate::{
    standing::book::OrderBook,
    test_gateway::{Gateway, Heard, Replica, Session, order},
    test_site::RawSession,
};
use bcdr_disk::Storage;
use bcdr_format::{Position, RestoreId};
use bcdr_nbd::{Allocation, NbdError, client::ClientError};
use bcdr_wire::{
    feed::{CaptureReport, ToCapture, Tracking},
    order::{
        Duty, HomeTask, HomeWork, InspectedVolume, OrderNumber, Serving, SourceOrder, TaskOutcome,
        TaskReport, TaskState,
    },
};
use std::path::PathBuf;

/// NBD's numbers.
const EPERM: u32 = 1;
const READ_ONLY: u16 = 2;
const WRITE: u16 = 1;

/// A role with one group of one volume, and its gateway.
struct Rig {
    site: Site,
    gateway: Gateway,
    stop: CancellationToken,
    role: tokio::task::JoinHandle<Result<(), CaptureError>>,
}

impl Rig {
    fn new(remembered: Option<SourceOrder>) -> Self {
        let (site, gateway) = Self::site();
        prepared(&site.config);
        Self::begin(site, gateway, remembered)
    }

    fn site() -> (Site, Gateway) {
        let mut site = Site::new(Engine::Auto, 1);
        let authority = TestAuthority::new();
        let (gateway, address) = Gateway::new(&authority);
        site.config.gateways = vec![address];
        site.config.identity =
            authority.write_identity(CertificateRole::Capture, site.directory.path());
        site.config.local_api_socket = Some(site.directory.path().join("api.sock"));
        (site, gateway)
    }

    fn begin(site: Site, gateway: Gateway, remembered: Option<SourceOrder>) -> Self {
        if let Some(order) = remembered {
            book(&site).remember(&order).unwrap();
        }
        let (stop, role) = start(&site);
        Self {
            site,
            gateway,
            stop,
            role,
        }
    }

    /// The same where nothing says that the group was ever served.
    fn without_a_past() -> Self {
        let (site, gateway) = Self::site();
        Self::begin(site, gateway, None)
    }

    /// Stops the role in order and starts it anew.
    async fn restart(&mut self) {
        self.stop.cancel();
        (&mut self.role).await.unwrap().unwrap();
        (self.stop, self.role) = start(&self.site);
    }

    async fn finish(self) {
        self.stop.cancel();
        self.role.await.unwrap().unwrap();
    }

    async fn api(&self, path: &str) -> String {
        let socket = self.site.config.local_api_socket.as_deref().unwrap();
        asked(socket, path).await
    }
}

fn start(
    site: &Site,
) -> (
    CancellationToken,
    tokio::task::JoinHandle<Result<(), CaptureError>>,
) {
    let stop = CancellationToken::new();
    let role = tokio::spawn(run(site.config.clone(), stop.clone()));
    (stop, role)
}

fn group_directory(site: &Site) -> PathBuf {
    site.config.group_directory(&site.config.groups[0])
}

fn book(site: &Site) -> OrderBook {
    let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
    OrderBook::open(storage, &group_directory(site)).unwrap()
}

/// The next report that is as it should be; no record may come before it.
async fn reported(session: &mut Session, what: impl Fn(&CaptureReport) -> bool) -> CaptureReport {
    loop {
        match session.hear().await {
            Heard::Report(report) if what(&report) => return report,
            Heard::Report(_) => {}
            Heard::Records(_) | Heard::Opening(_) => panic!("it feeds"),
        }
    }
}

fn stands(generation: u64, serving: Serving) -> impl Fn(&CaptureReport) -> bool {
    move |report| report.standing.generation.0 == generation && report.standing.serving == serving
}

fn block(byte: u8) -> Bytes {
    Bytes::from(vec![byte; 4096])
}

fn refused_as(outcome: Result<(), ClientError>) -> Option<NbdError> {
    match outcome {
        Err(ClientError::Refused { source, .. }) => Some(source),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_under_an_order_to_stand_by_is_read_only_and_tells_so() {
    let rig = Rig::new(Some(order(3, Duty::StandBy)));
    let socket = rig.site.socket(0).to_owned();
    let client = entered(&socket).await;
    assert_eq!(client.read(0, 4096).await.unwrap()[..], [0; 4096]);
    assert_eq!(client.read(512, 1024).await.unwrap()[..], [0; 1024]);
    let refused = tokio::task::spawn_blocking(move || {
        let mut raw = RawSession::enter(&socket);
        (raw.flags & READ_ONLY, raw.ask(WRITE, 0, 512, &[7; 512]))
    });
    assert_eq!(refused.await.unwrap(), (READ_ONLY, EPERM));

    let mut session = rig.gateway.called().await;
    assert_eq!(session.hello, None);
    session.welcome_under(order(3, Duty::StandBy), None).await;
    let report = reported(&mut session, stands(3, Serving::ReadOnly)).await;
    assert_eq!(report.tracking, Tracking::Standing);
    assert_eq!(report.volumes[0].size_bytes, VOLUME_BYTES);
    let status = rig.api("/status").await;
    for words in [
        "\"duty\":\"StandBy\"",
        "\"serving\":\"ReadOnly\"",
        "\"generation\":3",
    ] {
        assert!(status.contains(words), "{words}: {status}");
    }

    // One of an older generation changes nothing; it came before the one that is waited for.
    session.say(ToCapture::Order(order(2, Duty::Serve))).await;
    session.say(ToCapture::Order(order(4, Duty::Quiesce))).await;
    reported(&mut session, stands(4, Serving::ReadOnly)).await;
    assert!(rig.site.contents(0).iter().all(|byte| *byte == 0));

    session.say(ToCapture::Order(order(5, Duty::Serve))).await;
    let mut session = rig.gateway.called().await;
    let opening = session.hello.unwrap();
    assert_eq!((opening.ordinal.0, opening.continues), (1, None));
    session.welcome_under(order(5, Duty::Serve), None).await;
    // Its connection ended with the mode.
    assert!(client.read(0, 512).await.is_err());
    let client = entered(rig.site.socket(0)).await;
    client.write(0, block(9), true).await.unwrap();
    let mut replica = Replica::default();
    replica
        .catch_up(&mut session, 0, &rig.site.contents(0))
        .await;
    drop(client);
    assert_eq!(book(&rig.site).order(), Some(&order(5, Duty::Serve)));
    rig.finish().await;
}

/// As where the state directory's file system was not mounted after a restart in the middle of a restore.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_without_a_past_is_served_only_after_it_was_told_to() {
    let rig = Rig::without_a_past();
    let mut session = rig.gateway.called().await;
    assert_eq!(session.hello, None, "it began to serve");
    let tried = Client::connect(rig.site.socket(0), "", ClientOptions::default()).await;
    assert!(tried.is_err(), "it is served");
    let said = rig.api("/readyz").await;
    assert!(said.contains("is not mounted"), "{said}");
    assert!(!group_directory(&rig.site).exists());

    // The cloud side knows what is under way.
    let held = order(2, Duty::Hold { task: None });
    session.welcome_under(held.clone(), None).await;
    session.say(ToCapture::Order(held)).await;
    reported(&mut session, stands(2, Serving::ReadOnly)).await;
    session.say(ToCapture::Order(order(3, Duty::Serve))).await;
    let session = rig.gateway.called().await;
    assert!(session.hello.is_some());
    let client = entered(rig.site.socket(0)).await;
    assert!(!client.export().is_read_only());
    drop((client, session));
    rig.finish().await;
}

/// As where the gateway was cut off from the cloud side before a restore began, which another gateway told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_without_a_past_obeys_no_order_that_a_gateway_only_remembers() {
    let rig = Rig::without_a_past();
    let mut session = rig.gateway.called().await;
    session.welcome_under(order(1, Duty::Serve), None).await;
    // Three reports of a second each: the order was heard before the first of them.
    for _ in 0..3 {
        reported(&mut session, stands(0, Serving::No)).await;
    }
    let tried = Client::connect(rig.site.socket(0), "", ClientOptions::default()).await;
    assert!(tried.is_err(), "it is served");
    // Nor is another one kept, which would make the next of its kind count.
    session.connection.close(0_u32.into(), b"over");
    let mut session = rig.gateway.called().await;
    session.welcome_under(order(1, Duty::StandBy), None).await;
    for _ in 0..3 {
        reported(&mut session, stands(0, Serving::No)).await;
    }
    assert!(!group_directory(&rig.site).exists());

    // The gateway has a session with the cloud side again, where the order is the same.
    session.say(ToCapture::Order(order(1, Duty::Serve))).await;
    let session = rig.gateway.called().await;
    assert!(session.hello.is_some());
    let client = entered(rig.site.socket(0)).await;
    assert!(!client.export().is_read_only());
    drop((client, session));
    rig.finish().await;
}

/// An order that the cloud side gave is a past, also one that lets it take no writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_was_told_to_stand_hears_what_a_gateway_remembers_from_then_on() {
    let rig = Rig::without_a_past();
    let mut session = rig.gateway.called().await;
    let first = order(2, Duty::StandBy);
    session.welcome_under(first.clone(), None).await;
    session.say(ToCapture::Order(first)).await;
    reported(&mut session, stands(2, Serving::ReadOnly)).await;
    session.connection.close(0_u32.into(), b"over");
    let mut session = rig.gateway.called().await;
    session.welcome_under(order(3, Duty::StandBy), None).await;
    // Three reports of a second each: the order was heard before the first of them.
    let mut last = reported(&mut session, |_| true).await;
    for _ in 0..2 {
        last = reported(&mut session, |_| true).await;
    }
    assert!(stands(3, Serving::ReadOnly)(&last), "{last:?}");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_order_to_serve_begins_a_group_without_a_past() {
    let mut rig = Rig::without_a_past();
    let mut session = rig.gateway.called().await;
    assert_eq!(session.hello, None);
    session.welcome_under(order(1, Duty::Serve), None).await;
    session.say(ToCapture::Order(order(1, Duty::Serve))).await;
    let session = rig.gateway.called().await;
    assert!(session.hello.is_some());
    let client = entered(rig.site.socket(0)).await;
    client.write(0, block(1), true).await.unwrap();
    drop((client, session));
    // From then on it has one, and asks nobody.
    rig.restart().await;
    let client = entered(rig.site.socket(0)).await;
    assert!(!client.export().is_read_only());
    drop(client);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_to_stand_by_does_not_cut_who_serves_and_ends_the_feed() {
    let mut rig = Rig::new(None);
    let client = entered(rig.site.socket(0)).await;
    let mut session = rig.gateway.called().await;
    session.welcome(None).await;
    client.write(0, block(1), true).await.unwrap();
    let mut replica = Replica::default();
    replica
        .catch_up(&mut session, 0, &rig.site.contents(0))
        .await;

    session.say(ToCapture::Order(order(2, Duty::StandBy))).await;
    while let Heard::Records(records) = session.hear().await {
        replica.apply(records);
    }
    reported(&mut session, stands(2, Serving::Writable)).await;
    client.write(4096, block(2), true).await.unwrap();
    // What is written is journaled, and not fed.
    let written = |report: &CaptureReport| report.journaled == Some(report.sequenced);
    for _ in 0..2 {
        reported(&mut session, written).await;
    }
    let held = session.position();
    session.say(ToCapture::Order(order(2, Duty::Serve))).await;
    let mut session = rig.gateway.called().await;
    assert_eq!(session.hello.unwrap().ordinal.0, 1, "it is the same life");
    session.welcome_under(order(2, Duty::Serve), held).await;
    session.opening = None;
    replica
        .catch_up(&mut session, 0, &rig.site.contents(0))
        .await;
    assert_eq!(client.read(4096, 4096).await.unwrap(), block(2));

    // Who starts under it is read-only.
    session.say(ToCapture::Order(order(3, Duty::StandBy))).await;
    while !matches!(session.hear().await, Heard::Report(report) if stands(3, Serving::Writable)(&report))
    {
    }
    drop(client);
    rig.restart().await;
    let mut session = rig.gateway.called().await;
    assert_eq!(session.hello, None);
    session.welcome_under(order(3, Duty::StandBy), None).await;
    reported(&mut session, stands(3, Serving::ReadOnly)).await;
    rig.finish().await;
}

/// It was down when production moved, so its memory is of no help.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_comes_back_stands_by_unless_it_has_been_written_to() {
    let mut rig = Rig::new(Some(order(1, Duty::Serve)));
    let client = entered(rig.site.socket(0)).await;
    assert!(!client.export().is_read_only());
    let mut session = rig.gateway.called().await;
    session.welcome_under(order(2, Duty::StandBy), None).await;
    let mut session = rig.gateway.called().await;
    assert_eq!(session.hello, None);
    session.welcome_under(order(2, Duty::StandBy), None).await;
    reported(&mut session, stands(2, Serving::ReadOnly)).await;

    session.say(ToCapture::Order(order(3, Duty::Serve))).await;
    let mut session = rig.gateway.called().await;
    assert!(session.hello.is_some());
    session.welcome_under(order(3, Duty::Serve), None).await;
    rig.restart().await;
    let client = entered(rig.site.socket(0)).await;
    client.write(4096, block(2), true).await.unwrap();
    // The ring thread shows its counters with each tick.
    while !rig.api("/status").await.contains("\"writes\":1") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut session = rig.gateway.called().await;
    session.welcome_under(order(4, Duty::StandBy), None).await;
    reported(&mut session, stands(4, Serving::Writable)).await;
    client.write(8192, block(3), true).await.unwrap();
    rig.finish().await;
}

/// Writes block after block until one is refused, and gives how many were answered and why it ended.
async fn load(client: Client, first: u64, every: u64) -> (u64, Option<NbdError>) {
    for round in 0.. {
        let offset = (first + round * every) * 4096 % VOLUME_BYTES;
        let outcome = client.write(offset, block(round as u8 | 1), false).await;
        if outcome.is_err() {
            return (round, refused_as(outcome));
        }
    }
    unreachable!("there is no last round")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiesced_group_feeds_every_answered_write_and_takes_no_other() {
    let rig = Rig::new(None);
    let client = entered(rig.site.socket(0)).await;
    let mut session = rig.gateway.called().await;
    session.welcome(None).await;
    let mut replica = Replica::default();
    replica
        .catch_up(&mut session, 0, &rig.site.contents(0))
        .await;
    let writers: Vec<_> = (0..4)
        .map(|first| tokio::spawn(load(client.clone(), first, 4)))
        .collect();
    // In the middle of the load.
    let mut heard = 0;
    while heard < 200 {
        if let Heard::Records(records) = session.hear().await {
            heard += records.len();
            replica.apply(records);
        }
    }
    session.say(ToCapture::Order(order(1, Duty::Quiesce))).await;
    let last = loop {
        match session.hear().await {
            Heard::Records(records) => replica.apply(records),
            Heard::Report(report) if stands(1, Serving::ReadOnly)(&report) => {
                assert_eq!(report.settled, Some(report.sequenced));
                break report.sequenced;
            }
            Heard::Report(_) | Heard::Opening(_) => {}
        }
    };
    let mut answered = 0;
    for writer in writers {
        let (writes, refused) = writer.await.unwrap();
        assert_eq!(refused, Some(NbdError::Shutdown));
        answered += writes;
    }
    assert!(answered > 0);
    let position = |session: &Session| session.position().map(|held| held.position);
    while position(&session) < Some(last) {
        if let Heard::Records(records) = session.hear().await {
            replica.apply(records);
        }
    }
    // All that was written has arrived, and nothing is written any more: not by clients, nor by us.
    let disk = rig.site.contents(0);
    assert!(replica.volumes[&0] == disk);
    assert_eq!(client.read(0, 4096).await.unwrap()[..], disk[..4096]);
    let refused = client.write_zeroes(0, 4096, false, false).await;
    assert_eq!(refused_as(refused), Some(NbdError::Shutdown));
    let late = entered(rig.site.socket(0)).await;
    assert!(late.export().is_read_only());
    let report = reported(&mut session, |_| true).await;
    assert_eq!(report.sequenced, last);
    assert!(rig.site.contents(0) == disk);

    hold_and_serve_again(rig, session, last, client).await;
}

/// The group is ended in order and stands; an order to serve goes on where it was.
async fn hold_and_serve_again(rig: Rig, mut session: Session, last: Position, client: Client) {
    let hold = order(2, Duty::Hold { task: None });
    let held = session.position();
    session.say(ToCapture::Order(hold.clone())).await;
    let mut session = rig.gateway.called().await;
    assert_eq!(session.hello, None);
    assert!(client.read(0, 512).await.is_err(), "it was disconnected");
    session.welcome_under(hold, held).await;
    let report = reported(&mut session, stands(2, Serving::ReadOnly)).await;
    assert_eq!(report.sequenced, last);
    let reader = entered(rig.site.socket(0)).await;
    assert!(reader.export().is_read_only());

    session.say(ToCapture::Order(order(2, Duty::Serve))).await;
    let mut session = rig.gateway.called().await;
    let opening = session.hello.unwrap();
    assert_eq!(opening.ordinal.0, 2);
    assert_eq!(opening.continues, Some(last), "it goes on without a copy");
    session.welcome_under(order(2, Duty::Serve), held).await;
    let client = entered(rig.site.socket(0)).await;
    client.write(0, block(77), true).await.unwrap();
    let found = loop {
        if let Heard::Records(records) = session.hear().await
            && let Some(found) = records.iter().find_map(|record| record.body.payload())
        {
            break found.clone();
        }
    };
    assert!(
        found == block(77),
        "the first data it feeds is what was written"
    );
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_cannot_be_kept_is_not_obeyed_until_it_is() {
    let rig = Rig::new(Some(order(1, Duty::Serve)));
    let client = entered(rig.site.socket(0)).await;
    let mut session = rig.gateway.called().await;
    session.welcome(None).await;
    client.write(0, block(1), true).await.unwrap();
    // In the place where the book is replaced there is something that cannot be removed.
    let obstacle = group_directory(&rig.site).join("orders.json.incomplete");
    std::fs::create_dir(&obstacle).unwrap();
    session.say(ToCapture::Order(order(2, Duty::Quiesce))).await;
    while !rig
        .api("/readyz")
        .await
        .contains(&named("orders of group lab"))
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.write(4096, block(2), true).await.unwrap();
    assert_eq!(book(&rig.site).order(), Some(&order(1, Duty::Serve)));
    std::fs::remove_dir(&obstacle).unwrap();
    while !matches!(session.hear().await, Heard::Report(report) if stands(2, Serving::ReadOnly)(&report))
    {
    }
    assert_eq!(book(&rig.site).order(), Some(&order(2, Duty::Quiesce)));
    let refused = client.write(8192, block(3), true).await;
    assert_eq!(refused_as(refused), Some(NbdError::Shutdown));
    assert!(
        !rig.api("/readyz")
            .await
            .contains(&named("orders of group lab"))
    );
    rig.finish().await;
}

/// One of several orders of the same generation.
fn numbered(generation: u64, number: u64, duty: Duty) -> SourceOrder {
    SourceOrder {
        number: OrderNumber(number),
        ..order(generation, duty)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_tells_an_earlier_order_undoes_nothing() {
    let rig = Rig::new(None);
    let client = entered(rig.site.socket(0)).await;
    let mut session = rig.gateway.called().await;
    session
        .welcome_under(numbered(1, 3, Duty::Serve), None)
        .await;
    client.write(0, block(1), true).await.unwrap();
    let quiesce = numbered(1, 5, Duty::Quiesce);
    session.say(ToCapture::Order(quiesce.clone())).await;
    let quiet = |heard: &Heard| matches!(heard, Heard::Report(report) if stands(1, Serving::ReadOnly)(report) && report.standing.order == OrderNumber(5));
    while !quiet(&session.hear().await) {}
    session
        .say(ToCapture::Order(numbered(1, 4, Duty::Serve)))
        .await;
    // It has heard the earlier one when it obeys what came after it.
    session
        .say(ToCapture::Order(numbered(1, 6, Duty::Quiesce)))
        .await;
    let heard = |heard: &Heard| matches!(heard, Heard::Report(report) if report.standing.order == OrderNumber(6));
    while !heard(&session.hear().await) {}
    let refused = client.write(4096, block(2), true).await;
    assert_eq!(refused_as(refused), Some(NbdError::Shutdown));
    assert_eq!(
        book(&rig.site).order(),
        Some(&numbered(1, 6, Duty::Quiesce))
    );
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_order_does_not_make_a_start_count_as_one_that_serves() {
    let rig = Rig::new(Some(numbered(1, 5, Duty::Serve)));
    let mut session = rig.gateway.called().await;
    session
        .welcome_under(numbered(1, 4, Duty::Serve), None)
        .await;
    // Production went elsewhere while it was away: it has taken no write and serves none.
    session
        .say(ToCapture::Order(numbered(2, 6, Duty::StandBy)))
        .await;
    let stood = |heard: &Heard| matches!(heard, Heard::Report(report) if stands(2, Serving::ReadOnly)(report));
    let mut told_writable = 0;
    loop {
        // A change of mode may end the session.
        match session.try_hear().await {
            Ok(heard) if stood(&heard) => break,
            // The order is remembered before it is obeyed.
            Ok(Heard::Report(report)) if stands(2, Serving::Writable)(&report) => {
                told_writable += 1;
                assert!(told_writable < 50, "it goes on serving");
            }
            Ok(_) => {}
            Err(_) => {
                session = rig.gateway.called().await;
                session
                    .welcome_under(numbered(2, 6, Duty::StandBy), None)
                    .await;
            }
        }
    }
    rig.finish().await;
}

fn inspect(id: u128) -> Duty {
    Duty::Hold {
        task: Some(HomeTask {
            id: RestoreId::from_u128(id),
            work: HomeWork::Inspect,
            confirmed: Vec::new(),
        }),
    }
}

fn inspected(report: &CaptureReport, id: u128) -> Option<Vec<InspectedVolume>> {
    match &report.standing.task {
        Some(TaskReport {
            id: of,
            state: TaskState::Done(TaskOutcome::Inspected(volumes)),
        }) if *of == RestoreId::from_u128(id) => Some(volumes.clone()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_done_once_and_its_outcome_is_told_again() {
    let mut rig = Rig::new(Some(order(1, inspect(1))));
    let mut session = rig.gateway.called().await;
    session.welcome_under(order(1, inspect(1)), None).await;
    let done = |id| move |report: &CaptureReport| inspected(report, id).is_some();
    let report = reported(&mut session, done(1)).await;
    let first = inspected(&report, 1).unwrap();
    assert_eq!((first[0].blank, first[0].size_bytes), (true, VOLUME_BYTES));
    reported(&mut session, stands(1, Serving::ReadOnly)).await;

    // The disk is another one now, and nobody looks at it for the same task.
    let path = rig.site.config.groups[0].volumes[0].path.clone();
    let disk = File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&disk, &[1], VOLUME_BYTES - 1).unwrap();
    rig.restart().await;
    let mut session = rig.gateway.called().await;
    session.welcome_under(order(1, inspect(1)), None).await;
    let report = reported(&mut session, stands(1, Serving::ReadOnly)).await;
    assert_eq!(inspected(&report, 1), Some(first.clone()));

    session.say(ToCapture::Order(order(1, inspect(2)))).await;
    let report = reported(&mut session, done(2)).await;
    let second = inspected(&report, 2).unwrap();
    assert!(!second[0].blank);
    assert_eq!(second[0].identity, first[0].identity);
    // What is a hole is told, and what is not.
    let client = entered(rig.site.socket(0)).await;
    let extents = client.block_status(0, VOLUME_BYTES as u32).await.unwrap();
    let total: u64 = extents.iter().map(|extent| extent.length).sum();
    assert_eq!(total, VOLUME_BYTES);
    assert_eq!(extents[0].allocation, Allocation::HOLE);
    assert_eq!(extents.last().unwrap().allocation, Allocation::DATA);
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_orders_cannot_be_read_is_not_served() {
    let site = Site::new(Engine::Auto, 1);
    std::fs::create_dir_all(group_directory(&site)).unwrap();
    std::fs::write(group_directory(&site).join("orders.json"), "?").unwrap();
    let error = run(site.config.clone(), CancellationToken::new())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("orders.json"), "{error}");
    assert!(!site.socket(0).exists());
}
