//! The web console as the real listener serves it, built or not.

use crate::testing::site::{Answer, Site};

const PAGES: [(&str, &str); 1] = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];

async fn open(site: &Site, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    site.send_with(method, path, None, headers).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.headers.get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

fn is_built() -> bool {
    bcdr_console::find("index.html").is_some()
}

/// What goes with every file, word for word as the console's README says it.
fn assert_guarded(answer: &Answer) {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
        connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    assert_eq!(header(answer, "content-security-policy"), policy);
    assert_eq!(header(answer, "x-content-type-options"), "nosniff");
    assert_eq!(header(answer, "referrer-policy"), "no-referrer");
    assert_eq!(header(answer, "cross-origin-opener-policy"), "same-origin");
}

#[tokio::test]
async fn a_browser_is_given_the_page_for_every_path_of_the_console() {
    let site = Site::start().await;
    for path in ["/", "/groups", "/groups/lab/timeline?at=1", "/apis"] {
        let page = open(&site, "GET", path, &PAGES).await;
        if !is_built() {
            assert_eq!(page.status, 503, "{path}");
            assert_eq!(header(&page, "content-type"), "text/plain; charset=utf-8");
            let text = String::from_utf8_lossy(&page.body);
            assert!(text.contains("make console"), "{text}");
            continue;
        }
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&page, "cache-control"), "no-cache");
        assert_guarded(&page);
        assert_eq!(
            page.body,
            bcdr_console::find("index.html").unwrap().bytes,
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_file_of_the_console_is_served_and_kept_for_ever_when_its_name_changes_with_it() {
    let site = Site::start().await;
    for name in bcdr_console::names().filter(|name| *name != "index.html") {
        let file = open(&site, "GET", &format!("/{name}"), &[]).await;
        assert_eq!(file.status, 200, "{name}");
        assert_guarded(&file);
        let asset = bcdr_console::find(name).unwrap();
        assert_eq!(file.body, asset.bytes, "{name}");
        assert_eq!(header(&file, "content-type"), asset.media_type, "{name}");
        let kept = if name.starts_with("assets/") {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        assert_eq!(header(&file, "cache-control"), kept, "{name}");
    }
    for path in [
        "/assets/none.js",
        "/assets/../index.html",
        "/assets/..%2findex.html",
    ] {
        let none = open(&site, "GET", path, &PAGES).await;
        none.problem(404, "no_such_path");
    }
}

#[tokio::test]
async fn what_is_not_the_consoles_is_never_answered_with_its_page() {
    let site = Site::start().await;
    for path in [
        "/api",
        "/api/v1/nothing",
        "/api/v2/groups",
        "//api/v1/groups/lab/nothing",
        "/openapi.json/x",
        "/metrics/x",
    ] {
        let none = open(&site, "GET", path, &PAGES).await;
        none.problem(404, "no_such_path");
    }
    for (method, headers) in [("GET", &[][..]), ("POST", &PAGES[..]), ("DELETE", &PAGES)] {
        let none = open(&site, method, "/groups", headers).await;
        none.problem(404, "no_such_path");
    }
    let any = open(&site, "GET", "/groups", &[("accept", "*/*")]).await;
    any.problem(404, "no_such_path");
    let groups = open(&site, "GET", "/api/v1/groups", &PAGES).await;
    groups.problem(401, "token_missing");
    assert_eq!(header(&groups, "cache-control"), "no-store");
    let method = site.send("PATCH", "/api/v1/groups", None, &PAGES).await;
    method.problem(405, "method_not_allowed");
    let document = open(&site, "GET", "/openapi.json", &PAGES).await;
    assert_eq!(document.expect(200)["openapi"], "3.1.0");
    assert_eq!(open(&site, "GET", "/livez", &PAGES).await.status, 200);
}
