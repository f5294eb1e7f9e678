//! Somebody who asks for something and leaves while it is being done.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::mpsc,
    task::Poll,
};

/// Runs a test on a runtime whose blocking work is done by one thread, one thing after the other.
pub(crate) fn one_after_the_other(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build();
    runtime.unwrap().block_on(test);
}

/// Begins something, leaves as soon as it waits for blocking work, and returns when what was begun of
/// that has come to its end. `meanwhile` is done before that work begins. For [`one_after_the_other`].
pub(crate) async fn leave<Output>(doing: impl Future<Output = Output>, meanwhile: impl FnOnce()) {
    let (open, gate) = mpsc::channel::<()>();
    let held = tokio::task::spawn_blocking(move || gate.recv());
    {
        let mut doing = pin!(doing);
        let waits = poll_fn(|context| Poll::Ready(doing.as_mut().poll(context).is_pending())).await;
        assert!(waits, "it was done at once");
    }
    meanwhile();
    open.send(()).unwrap();
    held.await.unwrap().unwrap();
    tokio::task::spawn_blocking(|| ()).await.unwrap();
}
