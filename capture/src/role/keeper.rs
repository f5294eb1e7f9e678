//! The keeper of a group: one task that knows its orders, and has it served as they allow.
//!
//! It owns the group's order book and its mode: a ring thread that serves ([`serving`]), or none
//! ([`standing`]). A change of mode touches no other group. Invariant: an order is in the book before
//! anything is done about it.

mod serving;
mod standing;

use std::{panic, sync::Arc, time::Duration};

use bcdr_http::{Check, Health};
use bcdr_wire::{
    identity::IdentitySource,
    order::{SourceOrder, TaskReport},
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::CaptureError;
use crate::{
    config::{CaptureConfig, GroupConfig},
    group::{self, GroupContext, GroupError, RunningGroup},
    initial,
    local_api::GroupViews,
    nbd_tls::TlsExport,
    standing::{
        HeardOrder, Stance,
        book::OrderBook,
        decide::{Act, Mode, begins_writable, decide},
    },
};

/// How long a group that changes its mode waits for its volumes.
const CHANGE_PATIENCE: Duration = Duration::from_secs(5);

/// How a group began.
pub(super) enum Begun {
    /// Its ring thread serves.
    Serving(Box<RunningGroup>),
    /// Its orders have it stand.
    Standing,
    /// It is to serve writable, and cannot.
    Missing(GroupError),
}

/// Begins a group as its book says, which is read unless it is given. Blocks.
pub(super) fn begin(
    config: &CaptureConfig,
    group: &GroupConfig,
    context: &GroupContext,
    book: Option<OrderBook>,
) -> (Option<OrderBook>, Begun) {
    let open = || OrderBook::open(Arc::clone(&context.storage), &config.group_directory(group));
    let book = match book.map_or_else(open, Ok) {
        Ok(book) => book,
        Err(source) => {
            let error = GroupError::Orders {
                group: group.name.clone(),
                source: Box::new(source),
            };
            return (None, Begun::Missing(error));
        }
    };
    // An order that was kept is a past.
    let no_past = || initial::no_past(&*context.storage, config, group);
    let begun = if let Some(source) = book.order().is_none().then(no_past).flatten() {
        let group = group.name.clone();
        Begun::Missing(GroupError::NoPast { group, source })
    } else if begins_writable(book.order()) {
        group::start(config, group, context)
            .map_or_else(Begun::Missing, |group| Begun::Serving(Box::new(group)))
    } else {
        Begun::Standing
    };
    (Some(book), begun)
}

/// What all keepers share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) config: Arc<CaptureConfig>,
    pub(super) context: GroupContext,
    pub(super) health: Health,
    pub(super) identity: watch::Receiver<Option<IdentitySource>>,
    pub(super) views: watch::Sender<GroupViews>,
    pub(super) exports: watch::Sender<Vec<TlsExport>>,
    /// Cancelled when groups are to end.
    pub(super) stop: CancellationToken,
}

/// What follows when a mode has ended.
enum Next {
    /// Nothing: the capture stops.
    End,
    /// The group begins anew, as its book says.
    Begin,
    /// It has begun.
    Begun(Begun),
}

/// The keeper. See the module's description.
pub(super) struct Keeper {
    shared: Shared,
    /// The group's place in the configuration.
    index: usize,
    /// None while it cannot be read.
    book: Option<OrderBook>,
    told: mpsc::UnboundedSender<HeardOrder>,
    orders: mpsc::UnboundedReceiver<HeardOrder>,
    stance: watch::Sender<Stance>,
    /// An order that could not be made durable, and the word of it.
    unkept: Option<(SourceOrder, Check)>,
    /// How a task ended, while that could not be made durable: it is not done again in this process.
    unwritten: Option<TaskReport>,
}

impl Keeper {
    pub(super) fn new(shared: Shared, index: usize, book: Option<OrderBook>) -> Self {
        let (told, orders) = mpsc::unbounded_channel();
        let stance = Stance {
            order: book.as_ref().and_then(OrderBook::order).cloned(),
            task: book.as_ref().and_then(OrderBook::task).cloned(),
            ..Stance::default()
        };
        Self {
            shared,
            index,
            book,
            told,
            orders,
            stance: watch::Sender::new(stance),
            unkept: None,
            unwritten: None,
        }
    }

    /// Has the group served until the capture stops, or its ring thread ends unasked.
    ///
    /// # Errors
    /// If its ring thread failed.
    pub(super) async fn run(mut self, mut begun: Begun) -> Result<(), CaptureError> {
        loop {
            let next = match begun {
                Begun::Serving(group) => self.serve(*group).await?,
                Begun::Standing => self.stand(None).await?,
                Begun::Missing(error) => self.stand(Some(error)).await?,
            };
            begun = match next {
                Next::End => return Ok(()),
                Next::Begin => self.begin(CHANGE_PATIENCE).await?,
                Next::Begun(begun) => begun,
            };
        }
    }

    fn group(&self) -> &GroupConfig {
        &self.shared.config.groups[self.index]
    }

    async fn begin(&mut self, lock_patience: Duration) -> Result<Begun, CaptureError> {
        let (config, index) = (Arc::clone(&self.shared.config), self.index);
        let context = GroupContext {
            lock_patience,
            ..self.shared.context.clone()
        };
        let book = self.book.take();
        let beginning = move || begin(&config, &config.groups[index], &context, book);
        let (book, begun) = tokio::task::spawn_blocking(beginning).await?;
        let known = self.book.is_none() && book.is_some();
        self.book = book;
        if known {
            self.show_book();
        }
        Ok(begun)
    }

    fn show_book(&self) {
        let order = self.book.as_ref().and_then(OrderBook::order).cloned();
        let task = self.book.as_ref().and_then(OrderBook::task).cloned();
        self.stance.send_if_modified(|stance| {
            let changed = stance.order != order || (stance.task.is_none() && task.is_some());
            if changed {
                stance.order = order;
                stance.task = task;
            }
            changed
        });
    }

    /// Takes an order: makes it durable, shows it, and tells what to do about it; nothing about one
    /// that is not obeyed.
    async fn hear(&mut self, order: SourceOrder, mode: Mode) -> Option<Act> {
        let name = self.group().name.clone();
        let Some(book) = &self.book else {
            tracing::warn!(
                group = name,
                ?order,
                "an order waits until the earlier ones can be read"
            );
            return None;
        };
        let decision = match decide(book.order(), &order, mode) {
            Ok(decision) => decision,
            Err(older) => {
                tracing::warn!(group = name, ?order, %older, "an order is ignored");
                return None;
            }
        };
        if decision.remember {
            let kept = order.clone();
            let written = self.with_book(move |book| book.remember(&kept)).await;
            if let Err(error) = written {
                self.not_kept(order, &error.to_string());
                return None;
            }
            tracing::info!(group = name, ?order, "the source has an order");
        }
        if let Some((_, check)) = self.unkept.take() {
            check.remove();
        }
        self.show_book();
        Some(decision.act)
    }

    /// An order that is not durable is not obeyed, and tried again.
    fn not_kept(&mut self, order: SourceOrder, error: &str) {
        let name = self.group().name.clone();
        tracing::error!(
            group = name,
            ?order,
            error,
            "an order cannot be kept, so it is not obeyed"
        );
        let check = match self.unkept.take() {
            Some((_, check)) => check,
            None => {
                let name = format!("orders of group {name}");
                self.shared.health.ready_check(name)
            }
        };
        check.fail(format!("an order cannot be kept: {error}"));
        self.unkept = Some((order, check));
    }

    /// The order that could not be kept, to be heard again.
    fn unkept(&self) -> Option<SourceOrder> {
        self.unkept.as_ref().map(|(order, _)| order.clone())
    }

    /// Works on the book where that may block. There must be one.
    async fn with_book<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut OrderBook) -> T + Send + 'static,
    ) -> T {
        let mut book = self
            .book
            .take()
            .expect("whoever works on the book has seen it");
        let working = tokio::task::spawn_blocking(move || {
            let done = work(&mut book);
            (book, done)
        });
        match working.await {
            Ok((book, done)) => {
                self.book = Some(book);
                done
            }
            Err(error) => panic::resume_unwind(error.into_panic()),
        }
    }
}
