//! Restores over the API, against a scripted gateway behind which a home does what it is told.

mod by_plan;

use crate::testing::{
    gateway::Gateway,
    site::Site,
    source::{Extra, Source, VOLUME_BYTES},
};
use bcdr_format::{
    Generation, SyncId,
    sync::{SyncEvent, SyncReason},
};
use bcdr_wire::{
    order::{
        Duty, HomeWork, InspectedVolume, Serving, SourceOrder, TaskOutcome, TaskReport, TaskState,
    },
    ship::ToGateway,
};
use serde_json::{Value, json};

/// The serial of home's disk.
const SERIAL: &str = "S1";

/// A source that does what its orders say, and the session it has.
struct Home {
    source: Source,
    gateway: Gateway,
    met: Generation,
    serving: Serving,
    task: Option<TaskReport>,
    /// The tasks it was given, in turn.
    works: Vec<HomeWork>,
    orders: Vec<SourceOrder>,
    /// Its disk.
    serial: String,
    /// Restores fail for good.
    fails: bool,
    /// With this code.
    fails_as: &'static str,
    /// It does not answer while it restores.
    hangs: bool,
    /// Bookmarks get lost.
    loses_markers: bool,
    /// Once it is put back it has to compare its disks with what is here, and never ends that.
    compares: bool,
}

impl Home {
    /// A group with two points: the first is what is put back to. The last word of the source is a
    /// heartbeat, which is no point.
    async fn replicated(site: &Site) -> (Self, String) {
        let mut source = site.group().await;
        let mut gateway = Gateway::connect(site, &source).await;
        let first = source.batch(0, 1);
        gateway.ship(&first).await;
        gateway.durable(source.end()).await;
        let point = source.end().to_string();
        let second = source.batch(0, 2);
        gateway.ship(&second).await;
        let heartbeat = source.batch_with(None, Extra::default());
        gateway.ship(&heartbeat).await;
        gateway.durable(source.end()).await;
        let mut home = Self {
            source,
            gateway,
            met: Generation::FIRST,
            serving: Serving::Writable,
            task: None,
            works: Vec::new(),
            orders: Vec::new(),
            serial: SERIAL.to_owned(),
            fails: false,
            fails_as: "device_failed",
            hangs: false,
            loses_markers: false,
            compares: false,
        };
        let connected = |group: &Value| group["capture"]["connected"] == true;
        home.until(site, "/api/v1/groups/lab", connected).await;
        (home, point)
    }

    /// Connects to the next process, and goes on after what that one holds.
    async fn reconnect(&mut self, site: &Site) {
        self.gateway = Gateway::connect(site, &self.source).await;
        let welcome = self.gateway.welcome.clone().unwrap();
        let held = welcome.held.unwrap();
        self.source.next = bcdr_format::Sequence(held.position.sequence.0 + 1);
        self.source.chain = welcome.chain;
        self.obey(welcome.order);
    }

    /// Does what it is told, and reports, until `path` shows what is wanted.
    async fn until(&mut self, site: &Site, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            while let Some(message) = self.gateway.heard().await {
                match message {
                    ToGateway::Order(order) => {
                        self.obey(order);
                        self.compare().await;
                    }
                    ToGateway::PlaceMarker(marker) if !self.loses_markers => {
                        let marker = Some(marker);
                        let extra = Extra {
                            marker,
                            ..Extra::default()
                        };
                        let batch = self.source.batch_with(None, extra);
                        self.gateway.ship(&batch).await;
                    }
                    ToGateway::Refused(refusal) => panic!("refused: {refusal}"),
                    _ => {}
                }
            }
            self.gateway
                .stand_with(&self.source, self.met, self.serving, self.task.clone())
                .await;
            let seen = site.get(path).await.expect(200);
            if wanted(&seen) {
                return seen;
            }
        }
    }

    /// Begins to compare, before it says that it takes writes.
    async fn compare(&mut self) {
        let is_put_back = self.works.contains(&HomeWork::Restore);
        if !self.compares || !is_put_back || self.serving != Serving::Writable {
            return;
        }
        self.compares = false;
        let begin = SyncEvent::Begin {
            sync: SyncId::from_u128(6),
            reason: SyncReason::PowerLoss,
        };
        let extra = Extra {
            sync_events: vec![begin],
            ..Extra::default()
        };
        let batch = self.source.batch_with(None, extra);
        self.gateway.ship(&batch).await;
        self.gateway.durable(self.source.end()).await;
    }

    fn obey(&mut self, order: SourceOrder) {
        if order.generation < self.met {
            return;
        }
        self.met = order.generation;
        self.orders.push(order.clone());
        match order.duty {
            Duty::Serve => {
                self.serving = Serving::Writable;
                self.source.generation = order.generation;
            }
            Duty::StandBy => {}
            Duty::Quiesce | Duty::Hold { task: None } => self.serving = Serving::ReadOnly,
            Duty::Hold { task: Some(task) } => {
                self.serving = Serving::No;
                if self.task.as_ref().is_some_and(|known| known.id == task.id) {
                    return;
                }
                self.works.push(task.work);
                let working = TaskState::Working {
                    done_bytes: 1,
                    total_bytes: 2,
                };
                let state = match task.work {
                    HomeWork::Inspect => {
                        TaskState::Done(TaskOutcome::Inspected(vec![InspectedVolume {
                            volume: self.source.member.id,
                            identity: self.serial.clone(),
                            size_bytes: VOLUME_BYTES,
                            blank: false,
                        }]))
                    }
                    _ if self.hangs => working,
                    _ if self.fails => TaskState::Failed {
                        code: self.fails_as.to_owned(),
                        cause: "the disk cannot be written".to_owned(),
                        remedy: "replace it".to_owned(),
                    },
                    _ if task.confirmed[0].identity != self.serial => TaskState::Failed {
                        code: "wrong_disk".to_owned(),
                        cause: format!("device {} is not confirmed", self.serial),
                        remedy: "look at it".to_owned(),
                    },
                    _ => TaskState::Done(TaskOutcome::Restored {
                        fetched_bytes: 4096,
                        written_bytes: 4096,
                    }),
                };
                self.task = Some(TaskReport { id: task.id, state });
            }
        }
    }

    async fn over(&mut self, site: &Site, id: &str) -> Value {
        self.until(site, &path_of(id), |restore| restore["end"].is_string())
            .await
    }

    async fn at(&mut self, site: &Site, id: &str, step: &str, stage: &str) -> Value {
        self.until(site, &path_of(id), |restore| {
            restore["step"] == step && restore["stage"] == stage
        })
        .await
    }
}

fn path_of(id: &str) -> String {
    format!("/api/v1/restores/{id}")
}

fn wanted(point: &str) -> Value {
    json!({"group": "lab", "confirm": "lab", "at": point})
}

async fn start(site: &Site, point: &str) -> String {
    let started = site.post("/api/v1/restores", wanted(point)).await;
    started.expect(202)["id"].as_str().unwrap().to_owned()
}

async fn act(site: &Site, id: &str, verb: &str) -> Value {
    let path = format!("/api/v1/restores/{id}/actions/{verb}");
    site.post(&path, json!({})).await.expect(200)
}

fn allowed(shown: &Value, name: &str) -> bool {
    let actions = shown["allowed_actions"].as_array().unwrap();
    let action = actions.iter().find(|action| action["name"] == name);
    let action = action.unwrap_or_else(|| panic!("no {name} in {shown}"));
    assert!(action["allowed"] == true || action["remedy"].is_string());
    action["allowed"] == true
}

fn duties(home: &Home) -> Vec<&'static str> {
    let mut names: Vec<_> = home
        .orders
        .iter()
        .map(|order| match &order.duty {
            Duty::Serve => "serve",
            Duty::StandBy => "stand by",
            Duty::Quiesce => "quiesce",
            Duty::Hold { task: None } => "hold",
            Duty::Hold { task: Some(_) } => "work",
        })
        .collect();
    names.dedup();
    names
}

#[tokio::test]
async fn a_restore_bookmarks_holds_and_serves_again_and_its_undo_is_another_one() {
    let site = Site::start().await;
    let (mut home, point) = Home::replicated(&site).await;
    let preview = format!("/api/v1/groups/lab/restore-preview?at={point}");
    let preview = home.until(&site, &preview, |_| true).await;
    assert!(allowed(&preview, "start"), "{preview}");
    assert_eq!(preview["volumes"][0]["may_differ_bytes"], 4096);

    let before = home.source.end();
    let id = start(&site, &point).await;
    let restore = home.over(&site, &id).await;
    assert_eq!(restore["end"], "restored", "{restore}");
    assert_eq!(restore["point"], point);
    assert_eq!(restore["undo_label"], format!("before-{id}"));
    assert_ne!(restore["undo_point"], before.to_string());
    assert_eq!(home.works, [HomeWork::Inspect, HomeWork::Restore]);
    let told = duties(&home);
    assert_eq!(told[..3], ["quiesce", "hold", "work"], "{told:?}");
    let serves = told.iter().position(|duty| *duty == "serve");
    assert_eq!(serves, Some(told.len() - 1), "{told:?}");
    // It was held under the second generation, and serves under a newer one.
    assert_eq!(home.met, Generation(3));
    let now = site.get("/api/v1/groups/lab/placement").await.expect(200);
    assert_eq!(
        (&now["state"], &now["generation"]),
        (&json!("source_active"), &json!(3))
    );
    let job = restore["job"].as_str().unwrap();
    let job = site.get(&format!("/api/v1/jobs/{job}")).await.expect(200);
    assert_eq!(
        (&job["kind"], &job["state"]),
        (&json!("restore"), &json!("succeeded"))
    );
    let label = restore["undo_label"].as_str().unwrap();
    let bookmark = format!("/api/v1/groups/lab/points/{label}");
    let bookmark = site.get(&bookmark).await.expect(200);
    assert_eq!(bookmark["id"], restore["undo_point"]);

    assert!(allowed(&restore, "undo") && !allowed(&restore, "cancel"));
    let undo = format!("/api/v1/restores/{id}/actions/undo");
    site.post(&undo, json!({"confirm": "la"}))
        .await
        .problem(422, "not_confirmed");
    let undone = site.post(&undo, json!({"confirm": "lab"})).await;
    let undone = undone.expect(202)["id"].as_str().unwrap().to_owned();
    let undone = home.over(&site, &undone).await;
    assert_eq!(undone["end"], "restored", "{undone}");
    assert_eq!(undone["undoes"], id);
    assert_eq!(undone["point"], restore["undo_point"]);
    let list = site.get("/api/v1/restores?group=lab").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_start_is_confirmed_repeated_and_refused_while_another_is_on_its_way() {
    let site = Site::start().await;
    let (mut home, point) = Home::replicated(&site).await;
    home.hangs = true;
    let mut unconfirmed = wanted(&point);
    unconfirmed["confirm"] = "yes".into();
    site.post("/api/v1/restores", unconfirmed)
        .await
        .problem(422, "not_confirmed");
    site.post("/api/v1/restores", wanted("nowhere"))
        .await
        .problem(404, "point_not_found");
    let key = [("idempotency-key", "one")];
    let body = || Some(wanted(&point));
    let first = site.send("POST", "/api/v1/restores", body(), &key).await;
    let again = site.send("POST", "/api/v1/restores", body(), &key).await;
    let id = first.expect(202)["id"].as_str().unwrap().to_owned();
    assert_eq!(again.expect(202)["id"], id);
    home.at(&site, &id, "restore_disks", "working").await;
    site.post("/api/v1/restores", wanted(&point))
        .await
        .problem(409, "placement_job_running");
    let planned = json!({"group": "lab", "confirm": "lab", "mode": "planned"});
    site.post("/api/v1/failovers", planned)
        .await
        .problem(409, "restore_on_its_way");
    let undo = format!("/api/v1/restores/{id}/actions/undo");
    site.post(&undo, json!({"confirm": "lab"}))
        .await
        .problem(409, "restore_not_over");
}

#[tokio::test]
async fn without_its_source_nothing_is_begun_and_a_bookmark_that_is_lost_gives_the_source_back() {
    let site = Site::start().await;
    let (mut home, point) = Home::replicated(&site).await;
    // Nothing is reported after the start: what was heard before does not count.
    let id = start(&site, &point).await;
    let restore = site
        .until(&path_of(&id), |restore| restore["end"].is_string())
        .await;
    assert_eq!(restore["end"], "failed");
    assert_eq!(restore["failure"]["code"], "source_unreachable");
    assert!(!allowed(&restore, "undo"));

    home.loses_markers = true;
    let id = start(&site, &point).await;
    home.at(&site, &id, "place_bookmark", "working").await;
    act(&site, &id, "cancel").await;
    let restore = home.over(&site, &id).await;
    assert_eq!(restore["end"], "cancelled", "{restore}");
    assert_eq!(home.works, []);
    assert_eq!(home.serving, Serving::Writable);
    assert_eq!(home.met, Generation(3));
}

#[tokio::test]
async fn a_disk_that_fails_blocks_it_and_both_ways_lead_on() {
    for cancels in [false, true] {
        let site = Site::start().await;
        let (mut home, point) = Home::replicated(&site).await;
        home.fails = true;
        let id = start(&site, &point).await;
        let blocked = home.at(&site, &id, "restore_disks", "blocked").await;
        assert_eq!(blocked["failure"]["code"], "home_failed");
        assert!(allowed(&blocked, "cancel") && allowed(&blocked, "retry"));
        let placement = site.get("/api/v1/groups/lab/placement").await.expect(200);
        assert_eq!(placement["state"], "restoring");
        home.fails = false;
        act(&site, &id, if cancels { "cancel" } else { "retry" }).await;
        let restore = home.over(&site, &id).await;
        let end = if cancels { "put_back" } else { "restored" };
        assert_eq!(restore["end"], end, "{restore}");
        assert_eq!(home.works.len(), 3, "{:?}", home.works);
        assert_eq!(home.serving, Serving::Writable);
        let job = restore["job"].as_str().unwrap();
        let job = site.get(&format!("/api/v1/jobs/{job}")).await.expect(200);
        let state = if cancels { "cancelled" } else { "succeeded" };
        assert_eq!(job["state"], state);
    }
}

#[tokio::test]
async fn a_disk_that_was_replaced_in_the_middle_is_confirmed_and_both_ways_lead_on() {
    for cancels in [false, true] {
        let site = Site::start().await;
        let (mut home, point) = Home::replicated(&site).await;
        home.fails = true;
        let id = start(&site, &point).await;
        home.at(&site, &id, "restore_disks", "blocked").await;
        home.fails = false;
        home.serial = "S2".to_owned();
        act(&site, &id, if cancels { "cancel" } else { "retry" }).await;
        let step = if cancels {
            "put_back_disks"
        } else {
            "restore_disks"
        };
        let other = |shown: &Value| {
            shown["step"] == step
                && shown["stage"] == "blocked"
                && shown["failure"]["code"] == "other_disk"
        };
        let blocked = home.until(&site, &path_of(&id), other).await;
        let failure = &blocked["failure"];
        assert!(
            failure["cause"].as_str().unwrap().contains("S2"),
            "{failure}"
        );
        let remedy = failure["remedy"].as_str().unwrap();
        assert!(
            remedy.contains(&format!("bcdr restore retry {id} --disk")),
            "{failure}"
        );
        let path = format!("{}/actions/confirm_disks", path_of(&id));
        let disks = |volume: &str| json!({"disks": [{"volume": volume, "serial": "S2"}]});
        site.post(&path, disks("nowhere"))
            .await
            .problem(404, "volume_not_found");
        site.post(&path, disks("root")).await.expect(200);
        let restore = home.over(&site, &id).await;
        let end = if cancels { "put_back" } else { "restored" };
        assert_eq!(restore["end"], end, "{restore}");
    }
}

#[tokio::test]
async fn a_point_of_which_something_is_lost_has_its_ways_out() {
    let site = Site::start().await;
    let (mut home, point) = Home::replicated(&site).await;
    home.fails = true;
    home.fails_as = "unreadable";
    let id = start(&site, &point).await;
    let blocked = home.at(&site, &id, "restore_disks", "blocked").await;
    assert_eq!(blocked["failure"]["code"], "point_unreadable", "{blocked}");
    let remedy = blocked["failure"]["remedy"].as_str().unwrap();
    assert!(
        remedy.contains(&format!("bcdr restore cancel {id}")),
        "{remedy}"
    );
    act(&site, &id, "cancel").await;
    let blocked = home.at(&site, &id, "put_back_disks", "blocked").await;
    let remedy = blocked["failure"]["remedy"].as_str().unwrap();
    assert!(!remedy.contains("bcdr restore cancel"), "{remedy}");
    assert!(
        remedy.contains("bcdr failover start lab --mode emergency"),
        "{remedy}"
    );
}

#[tokio::test]
async fn a_source_lost_in_mid_restore_is_failed_over_and_a_rollback_gives_it_back_to_the_restore() {
    let site = Site::start().await;
    let (mut home, point) = Home::replicated(&site).await;
    home.hangs = true;
    let id = start(&site, &point).await;
    let working = home.at(&site, &id, "restore_disks", "working").await;
    let bookmark = working["undo_point"].clone();
    let emergency = json!({"group": "lab", "confirm": "lab", "mode": "emergency"});
    let failover = site.post("/api/v1/failovers", emergency).await.expect(202);
    let aside = site.get(&path_of(&id)).await.expect(200);
    assert_eq!(aside["set_aside"], true);
    assert!(!allowed(&aside, "cancel"));
    let cancel = format!("/api/v1/restores/{id}/actions/cancel");
    site.post(&cancel, json!({}))
        .await
        .problem(409, "restore_set_aside");
    let path = format!("/api/v1/failovers/{}", failover["id"].as_str().unwrap());
    let awaits = |failover: &Value| failover["step"] == "await_commit";
    let waiting = home.until(&site, &path, awaits).await;
    // The newest good point is what the source held before the restore.
    assert_eq!(waiting["point"], bookmark);
    home.hangs = false;
    site.post(
        &format!("{path}/actions/rollback"),
        json!({"confirm": "lab"}),
    )
    .await
    .expect(200);
    let blocked = home.at(&site, &id, "restore_disks", "blocked").await;
    assert_eq!(blocked["failure"]["code"], "set_aside");
    assert_ne!(home.serving, Serving::Writable);
    act(&site, &id, "retry").await;
    assert_eq!(home.over(&site, &id).await["end"], "restored");
    assert_eq!(home.serving, Serving::Writable);
}

/// The process ends wherever the restore is, and the next one goes on; both ways.
#[tokio::test]
async fn a_restore_goes_on_in_the_next_process_wherever_it_was() {
    for cancels in [false, true] {
        let mut site = Site::start().await;
        let (mut home, point) = Home::replicated(&site).await;
        let id = start(&site, &point).await;
        let mut seen: Vec<String> = Vec::new();
        let restore = loop {
            let last = seen.last().cloned();
            let restore = home
                .until(&site, &path_of(&id), |restore| {
                    restore["end"].is_string() || last.as_deref() != restore["step"].as_str()
                })
                .await;
            if restore["end"].is_string() {
                break restore;
            }
            let step = restore["step"].as_str().unwrap().to_owned();
            if cancels && step == "restore_disks" {
                act(&site, &id, "cancel").await;
            }
            seen.push(step);
            site.stop().await;
            site.resume().await;
            home.reconnect(&site).await;
        };
        let end = if cancels { "put_back" } else { "restored" };
        assert_eq!(restore["end"], end, "{seen:?}: {restore}");
        assert_eq!(home.serving, Serving::Writable);
        let job = restore["job"].as_str().unwrap();
        // The job follows what it is about.
        let over = |job: &Value| job["state"] != "running";
        let job = site.until(&format!("/api/v1/jobs/{job}"), over).await;
        let state = if cancels { "cancelled" } else { "succeeded" };
        assert_eq!(job["state"], state);
    }
}
