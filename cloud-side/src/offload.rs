//! Blocking work away from the runtime's threads.

/// Runs `work` on a thread that may block and gives back what it returns. A panic in it goes on in
/// the caller.
pub(crate) async fn offload<Output: Send + 'static>(
    work: impl FnOnce() -> Output + Send + 'static,
) -> Output {
    match tokio::task::spawn_blocking(work).await {
        Ok(output) => output,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that ends cancels blocking work; whoever waits ends with it.
            Err(_) => std::future::pending().await,
        },
    }
}
