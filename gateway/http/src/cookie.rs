//! The cookie of a session, and what a request with one has to show besides it.
//!
//! Invariant: a cookie never suffices for a change. A browser sends it by itself, so a request that
//! changes something also carries a header that no form and no other site can add.

use axum::http::{HeaderMap, HeaderValue, Method, header};

use crate::problem::Problem;
use crate::token::Token;

/// The name of the cookie. The prefix makes browsers refuse one that is not secure, has a domain, or
/// a narrower path.
const NAME: &str = "__Host-bcdr-session";
/// The header that a request with a cookie carries when it changes something.
const REQUEST_HEADER: &str = "x-bcdr-request";

/// The `Set-Cookie` header that gives a session to a browser, until it is closed.
pub fn session_cookie(session: &Token) -> HeaderValue {
    let text = format!(
        "{NAME}={}; Path=/; Secure; HttpOnly; SameSite=Strict",
        session.expose()
    );
    HeaderValue::try_from(text).expect("a token is plain ASCII")
}

/// The `Set-Cookie` header that takes a session away.
pub fn ended_session_cookie() -> HeaderValue {
    let text = format!("{NAME}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    HeaderValue::try_from(text).expect("it is plain ASCII")
}

/// The session that a request's cookies name; `None` when there is none, or not exactly one.
pub fn session_of(headers: &HeaderMap) -> Option<Token> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == NAME)
        .map(|(_, value)| value);
    let value = found.next()?;
    if found.next().is_some() {
        return None;
    }
    Token::parse(value)
}

/// Whether a cookie of that name came, whatever it holds.
pub(crate) fn is_present(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .any(|pair| pair.trim().split('=').next() == Some(NAME))
}

/// Refuses what a page of another address may have made a browser send.
///
/// # Errors
/// 403 `csrf`.
pub fn from_own_pages(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    if let Some(site) = text("sec-fetch-site")
        && site != "same-origin"
    {
        return Err(refused(format!(
            "the browser says that it comes from another address (Sec-Fetch-Site: {site:?})"
        )));
    }
    let host = text("host").unwrap_or("");
    if let Some(origin) = text("origin")
        && (host.is_empty() || origin != format!("https://{host}"))
    {
        return Err(refused(format!(
            "it comes from a page of {origin:?}, not of this address"
        )));
    }
    Ok(())
}

/// Refuses a change that only a cookie stands for.
///
/// # Errors
/// 403 `csrf`.
pub(crate) fn check(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    let marked = headers.get(REQUEST_HEADER).is_some_and(|one| one == "1");
    if !marked {
        return Err(refused(
            "a change by a signed-in browser needs the header X-BCDR-Request: 1",
        ));
    }
    from_own_pages(headers)
}

fn refused(cause: impl std::fmt::Display) -> Problem {
    let mut problem = Problem::forbidden("this request may not come from the console");
    problem.code = "csrf".to_owned();
    problem.type_ = "urn:bcdr:problem:csrf".to_owned();
    problem.title = "Not from the console".to_owned();
    problem
        .cause(cause)
        .remedy("use the console at this address, or a token in the header Authorization")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_cookie_is_read_back_and_is_for_this_host_only() {
        let token = Token::generate().unwrap();
        let set = session_cookie(&token);
        let set = set.to_str().unwrap();
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
            assert!(set.split("; ").any(|part| part == attribute), "{set}");
        }
        assert!(!set.contains("Domain"));
        let sent = format!("a=b; {}", set.split(';').next().unwrap());
        let read = session_of(&headers(&[("cookie", &sent)])).unwrap();
        assert_eq!(read.hash(), token.hash());
        let twice = headers(&[("cookie", &sent), ("cookie", &sent)]);
        assert!(session_of(&twice).is_none() && is_present(&twice));
        assert!(session_of(&headers(&[("cookie", "x__Host-bcdr-session=1")])).is_none());
        assert!(
            ended_session_cookie()
                .to_str()
                .unwrap()
                .contains("Max-Age=0")
        );
    }

    #[test]
    fn a_change_needs_the_header_and_the_own_origin() {
        let good = [("x-bcdr-request", "1"), ("host", "dr.example:7440")];
        let with = |more: &[(&'static str, &str)]| {
            let mut all = good.to_vec();
            all.extend_from_slice(more);
            check(&Method::POST, &headers(&all))
        };
        assert!(with(&[]).is_ok());
        assert!(with(&[("sec-fetch-site", "same-origin")]).is_ok());
        assert!(with(&[("origin", "https://dr.example:7440")]).is_ok());
        for bad in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
            ("origin", "https://dr.example"),
            ("origin", "http://dr.example:7440"),
            ("origin", "null"),
        ] {
            let refused = with(&[bad]).unwrap_err();
            assert_eq!(
                (refused.status, refused.code.as_str()),
                (403, "csrf"),
                "{bad:?}"
            );
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            assert!(check(&method, &headers(&[("host", "x")])).is_err());
        }
        let other = headers(&[("x-bcdr-request", "0")]);
        assert!(check(&Method::POST, &other).is_err());
        let elsewhere = headers(&[("sec-fetch-site", "cross-site")]);
        assert!(check(&Method::GET, &elsewhere).is_ok());
    }
}
