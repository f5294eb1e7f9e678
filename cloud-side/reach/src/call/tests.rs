use super::*;
use crate::testing::{self, Server};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn loopback() -> Networks {
    Networks::allowing(vec!["127.0.0.0/8".parse().unwrap()])
}

fn call(method: Method, url: &str) -> Call {
    Call::new(method, url, &Trust::System, loopback())
        .unwrap()
        .with_header(
            HeaderName::from_static("authorization"),
            HeaderValue::from_static("Basic eDp5"),
        )
        .with_body("{\"down\":false}".to_owned())
}

async fn made(call: &Call, tries: u32) -> CallReport {
    let retry = Retry {
        per_try: SECOND * 30,
        pause: Duration::from_millis(2),
        longest_pause: Duration::from_millis(8),
        deadline: SECOND * 60,
        tries: Some(tries),
    };
    make(call, &retry, &CancellationToken::new()).await
}

#[tokio::test]
async fn a_call_is_made_as_it_was_written_and_judged_by_what_was_expected() {
    let server = Server::http(|_, _| testing::status(202, "taken")).await;
    let url = server.url("/servers/dr1?force=1");
    let put = call(Method::PUT, &url);
    let report = made(&put, 1).await;
    assert_eq!(report.outcome, Outcome::Answered, "{report:?}");
    assert_eq!(
        (report.status, report.answer.as_str()),
        (Some(202), "taken")
    );
    let request = &server.requests()[0];
    for part in [
        "PUT /servers/dr1?force=1 HTTP/1.1\r\n",
        "authorization: Basic eDp5\r\n",
        "content-length: 14\r\n",
        "\r\n\r\n{\"down\":false}",
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
    let other = made(&put.expecting("204".parse().unwrap()), 3).await;
    assert!(
        matches!(&other.outcome, Outcome::Refused(cause) if cause.contains("status 202, not 204")),
        "{other:?}"
    );
    assert_eq!(other.tries, 1);
}

#[tokio::test]
async fn only_what_does_no_harm_twice_is_sent_again() {
    let answer = |count| testing::status(if count % 2 == 1 { 503 } else { 200 }, "");
    let server = Server::http(move |count, _| answer(count)).await;
    let put = made(&call(Method::PUT, &server.url("/")), 5).await;
    assert_eq!((put.outcome, put.tries), (Outcome::Answered, 2));
    let post = made(&call(Method::POST, &server.url("/")), 5).await;
    assert!(matches!(post.outcome, Outcome::Refused(_)), "{post:?}");
    assert_eq!(server.requests().len(), 3);

    // Who hangs up may have done it before.
    let cutting = Server::http(|_, _| String::new()).await;
    let post = made(&call(Method::POST, &cutting.url("/")), 3).await;
    assert!(
        matches!(&post.outcome, Outcome::InDoubt(cause) if cause.contains("look there before")),
        "{post:?}"
    );
    assert_eq!(post.tries, 1);
    let again = made(&call(Method::POST, &cutting.url("/")).repeatable(), 3).await;
    assert!(matches!(again.outcome, Outcome::GivenUp(_)), "{again:?}");
    assert_eq!(again.tries, 3);

    // Who does not take the connection has done nothing.
    let closed = format!("http://127.0.0.1:{}/", testing::closed_port().await);
    let refused = made(&call(Method::POST, &closed), 3).await;
    assert!(
        matches!(refused.outcome, Outcome::GivenUp(_)),
        "{refused:?}"
    );
    assert_eq!(refused.tries, 3);
}

#[tokio::test]
async fn an_address_that_is_not_listed_is_not_called() {
    let server = Server::http(|_, _| testing::status(200, "")).await;
    let url = server.url("/");
    let call = Call::new(Method::GET, &url, &Trust::System, Networks::default()).unwrap();
    let report = made(&call, 3).await;
    assert!(
        matches!(&report.outcome, Outcome::Refused(cause) if cause.contains("may not be called")),
        "{report:?}"
    );
    assert_eq!(server.requests().len(), 0);
    for url in ["ftp://h/", "https://user:word@h/", "no"] {
        let refused = Call::new(Method::GET, url, &Trust::System, Networks::default());
        let error = refused.err().map(|error| error.to_string()).unwrap();
        assert!(!error.contains("word@"), "{error}");
    }
}
