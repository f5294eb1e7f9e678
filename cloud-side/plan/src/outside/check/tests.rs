use crate::{Kind, Mode, Plan};

/// A plan with one step that does this.
fn plan(what: &str) -> Plan {
    let text = format!("name = \"p\"\n[[steps]]\nid = \"s\"\n{what}\n");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn codes(what: &str) -> Vec<&'static str> {
    match plan(what).check(|_| true) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(|fault| fault.code).collect(),
    }
}

const SCRIPT: &str = "do.script = { program = \"x\", timeout_seconds = 5, EXTRA }";
const CALL: &str =
    "do.call = { method = \"PUT\", url = \"https://lb\", within_seconds = 5, EXTRA }";
const DNS: &str = "do.dns = { server = \"ns1\", zone = \"Example.org.\", name = \"www.example.org\", \
                   ttl_seconds = 60, key = \"k\", EXTRA }";
const PAGE: &str =
    "do.probe = { within_seconds = 5, target.http = { url = \"https://h/\", EXTRA } }";

#[test]
fn what_reaches_outside_is_judged_by_its_document() {
    let with = |form: &str, extra: &str| codes(&form.replace("EXTRA", extra));
    for (form, extra, wanted) in [
        (
            SCRIPT,
            "environment = { A_1 = \"x\" }, secrets = { B = \"s\" }",
            None,
        ),
        (
            SCRIPT,
            "environment = { LD_PRELOAD = \"/x\" }",
            Some("environment"),
        ),
        (SCRIPT, "secrets = { PATH = \"s\" }", Some("environment")),
        (
            SCRIPT,
            "environment = { BCDR_RUN = \"x\" }",
            Some("environment"),
        ),
        (
            SCRIPT,
            "environment = { \"1A\" = \"x\" }",
            Some("environment"),
        ),
        (SCRIPT, "secrets = { A = \"../s\" }", Some("secrets")),
        (
            SCRIPT,
            "environment = { A = \"x\" }, secrets = { A = \"s\" }",
            Some("secrets"),
        ),
        (SCRIPT, "arguments = [\"a\\u0000\"]", Some("arguments")),
        (
            CALL,
            "body = \"${BCDR_RUN}\", headers = { accept = \"*/*\" }",
            None,
        ),
        (
            CALL,
            "body = \"${BCDR_GROUP_X_POINT}\"",
            Some("placeholder"),
        ),
        (CALL, "headers = { Host = \"x\" }", Some("headers")),
        (CALL, "headers = { a = \"x\\ny\" }", Some("headers")),
        (
            CALL,
            "secret_headers = { \"a b\" = \"s\" }",
            Some("headers"),
        ),
        (
            CALL,
            "secret_headers = { a = \"/s\" }",
            Some("secret_headers"),
        ),
        (CALL, "expected = [\"204\", \"300-200\"]", Some("expected")),
        (DNS, "record = \"A\", values = [\"192.0.2.7\"]", None),
        (
            DNS,
            "record = \"A\", values = [\"2001:db8::7\"]",
            Some("values"),
        ),
        (
            DNS,
            "record = \"AAAA\", values = [\"192.0.2.7\"]",
            Some("values"),
        ),
        (
            DNS,
            "record = \"CNAME\", values = [\"a.b\", \"c.d\"]",
            Some("values"),
        ),
        (
            DNS,
            "record = \"CNAME\", values = [\"a\"], within_seconds = 0",
            Some("within_seconds"),
        ),
        (
            PAGE,
            "expected = [\"401\"], connect_to = \"127.0.0.1:8080\"",
            None,
        ),
        (PAGE, "expected = [\"ok\"]", Some("expected")),
    ] {
        let wanted: Vec<_> = wanted.into_iter().collect();
        assert_eq!(with(form, extra), wanted, "{extra}");
    }
    let elsewhere = DNS
        .replace("www.example.org", "www.notexample.org")
        .replace("EXTRA", "record = \"A\", values = [\"192.0.2.7\"]");
    assert_eq!(codes(&elsewhere), ["name"]);
    let patience = |seconds: u32| with(CALL, &format!("answer_seconds = {seconds}"));
    assert_eq!(patience(5), [""; 0]);
    // Longer than the whole call is tried, it would say nothing.
    assert_eq!(patience(6), ["answer_seconds"]);
    assert_eq!(patience(0), ["answer_seconds"]);
    let get = CALL.replace("PUT", "GET").replace("EXTRA", "body = \"x\"");
    assert_eq!(codes(&get), ["body"]);
}

#[test]
fn groups_that_scripts_cannot_tell_apart_are_refused() {
    let text = "name = \"p\"\n[[steps]]\nid = \"a\"\ndo.group = { name = \"a-b\" }\n\
                [[steps]]\nid = \"b\"\ndo.group = { name = \"A_b\" }\n";
    let two: Plan = toml::from_str(text).unwrap();
    assert!(two.check(|_| true).is_ok());
    let script = SCRIPT.replace(", EXTRA", "");
    let three: Plan = toml::from_str(&format!("{text}[[steps]]\nid = \"s\"\n{script}\n")).unwrap();
    assert_eq!(three.check(|_| true).unwrap_err()[0].code, "group_names");
}

#[test]
fn every_kind_that_reaches_outside_is_left_out_of_drills_unless_it_says_otherwise() {
    let record = "record = \"A\", values = [\"192.0.2.7\"]";
    let tcp = "do.probe = { within_seconds = 5, target.tcp = { host = \"h\", port = 1 }, EXTRA }";
    let hook = "do.webhook = { url = \"https://h\", secret = \"s\", within_seconds = 5, EXTRA }";
    let dns = DNS.replace("EXTRA", &format!("{record}, EXTRA"));
    for form in [SCRIPT, CALL, &dns, tcp, hook] {
        for (extra, runs) in [("in_drill = false", false), ("in_drill = true", true)] {
            let plan = plan(&form.replace("EXTRA", extra));
            let checked = plan.check(|_| true).unwrap();
            let left_out = |mode| crate::Selection::default().leaves_out(&plan, &checked, mode, 0);
            assert_eq!(left_out(Mode::Drill).is_none(), runs, "{form}");
            assert_eq!(left_out(Mode::Emergency), None);
            assert_eq!(left_out(Mode::Planned), None);
        }
        let unsaid = plan(&form.replace(", EXTRA", ""));
        assert!(unsaid.steps[0].kind.is_left_out_of_drills(), "{form}");
    }
}

#[test]
fn a_call_that_could_do_harm_twice_is_told_from_one_that_could_not() {
    for (method, extra, repeatable) in [
        ("PUT", "", true),
        ("DELETE", "", true),
        ("GET", "", true),
        ("POST", "", false),
        ("PATCH", "", false),
        ("POST", "repeatable = true", true),
    ] {
        let text = CALL.replace("PUT", method).replace("EXTRA", extra);
        let plan = plan(&text.replace(", }", " }"));
        let Kind::Call(call) = &plan.steps[0].kind else {
            panic!("it is a call");
        };
        assert_eq!(call.may_be_repeated(), repeatable, "{method} {extra}");
    }
}
