//! Asks the machine what the ladder awaits: one probe at a time, in a task beside the other looks.
//!
//! A probe is tried again until it passes or its time is over; the last try says why it failed. A
//! script is run once: it may well try several times itself. Both end with the drill that began them.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bcdr_reach::probe::{self, Probe};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use super::{Ladder, Scripts, agent, ladder::Probed};
use crate::target::{AddressOrigin, CardAddress, ProbeKind, WaysIn};

/// Pause between two tries.
const TRY_PAUSE: Duration = Duration::from_millis(500);
/// Longest single try: a server that hangs is asked anew, since another process may listen then.
const TRY_LIMIT: Duration = Duration::from_secs(15);

/// The probe that is being made.
#[derive(Default)]
pub(crate) struct Prober {
    running: Option<Running>,
}

struct Running {
    began: Duration,
    task: JoinHandle<Result<String, String>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Prober {
    /// Begins the probe that is awaited, or tells the ladder what came of it.
    pub(crate) async fn go_on(
        &mut self,
        ladder: &mut Ladder,
        ways: impl FnOnce() -> Option<Arc<dyn WaysIn>>,
        scripts: &Scripts,
        timeout: Duration,
        now: Duration,
    ) {
        let Some(probe) = ladder.awaited_probe() else {
            self.running = None;
            return;
        };
        let Some(running) = &mut self.running else {
            let (began, probe, ways) = (now, probe.clone(), ways());
            let scripts = scripts.clone();
            let task = tokio::spawn(async move {
                if let ProbeKind::Script(script) = &probe {
                    return scripts.run(script, ways).await;
                }
                let ways = ways.ok_or("there is no way into the machine")?;
                ask(&probe, &*ways, Instant::now() + timeout).await
            });
            self.running = Some(Running { began, task });
            return;
        };
        if !running.task.is_finished() {
            return;
        }
        let outcome = (&mut running.task).await;
        let began = running.began;
        self.running = None;
        let outcome = outcome.unwrap_or_else(|error| Err(format!("the probe broke: {error}")));
        ladder.handle_probe(Probed { began, outcome }, now);
    }
}

/// Tries until the probe passes or the deadline is over.
async fn ask(probe: &ProbeKind, ways: &dyn WaysIn, deadline: Instant) -> Result<String, String> {
    let began = Instant::now();
    loop {
        let limit = (Instant::now() + TRY_LIMIT).min(deadline);
        let tried = match probe {
            ProbeKind::NetworkAddress => address(ways),
            ProbeKind::Port(port) => {
                within(limit, reached(ways, port.port, |at| port.at(at), limit)).await
            }
            ProbeKind::Page(page) => {
                within(limit, reached(ways, page.port, |at| page.at(at), limit)).await
            }
            ProbeKind::GuestAgent => within(limit, agent::ask(ways)).await,
            // It is not asked over the network, and never twice.
            ProbeKind::Script(_) => Err("a script is run, not asked".to_owned()),
        };
        let reason = match tried {
            Ok(observed) => return Ok(observed),
            Err(reason) => reason,
        };
        if Instant::now() + TRY_PAUSE >= deadline {
            let waited = began.elapsed().as_secs();
            return Err(format!("not seen within {waited} s: {reason}"));
        }
        sleep(TRY_PAUSE).await;
    }
}

async fn within(
    limit: Instant,
    work: impl Future<Output = Result<String, String>>,
) -> Result<String, String> {
    timeout_at(limit, work)
        .await
        .unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

/// Every card must have an address, and the machine must answer there.
fn address(ways: &dyn WaysIn) -> Result<String, String> {
    let cards = ways.addresses();
    let mut seen = Vec::new();
    for (number, card) in cards.iter().enumerate() {
        let which = match cards.len() {
            1 => "the machine".to_owned(),
            _ => format!("card {number} of the machine"),
        };
        match card {
            None => {
                return Err(format!(
                    "{which} asked for no address over DHCP and used none of its own"
                ));
            }
            Some(card) if !card.has_answered => {
                return Err(format!(
                    "{which} {} and does not answer there",
                    has_address(card)
                ));
            }
            Some(card) => seen.push(format!("{which} {} and answers there", has_address(card))),
        }
    }
    Ok(seen.join("; "))
}

fn has_address(card: &CardAddress) -> String {
    let address = card.address;
    match card.origin {
        AddressOrigin::Leased => format!("took {address} over DHCP"),
        AddressOrigin::Given => format!("is to have {address}"),
        AddressOrigin::Heard => format!("uses {address}"),
    }
}

/// One try of a port or a page, over a connection of the station.
async fn reached(
    ways: &dyn WaysIn,
    port: u16,
    probe: impl FnOnce(SocketAddr) -> Probe,
    limit: Instant,
) -> Result<String, String> {
    let known = ways.addresses().into_iter().flatten().next();
    let address = known.ok_or("the machine has no address yet")?.address;
    let stream = ways.connect(port).await?;
    probe::over(&probe(SocketAddr::from((address, port))), stream, limit)
        .await
        .map_err(|error| error.to_string())?
}
