use super::*;

#[test]
fn the_signature_is_the_one_that_the_robot_computes() {
    // printf '1800000000000\nSEC0123' | openssl dgst -sha256 -hmac SEC0123 -binary | base64
    assert_eq!(signature("SEC0123", 1_800_000_000_000), EXPECTED);
}

const EXPECTED: &str = "kFFjZ5mX6MbeOgwIzqXaQnzYpxA675G3ok9K7j03ptU=";

#[test]
fn only_errcode_zero_means_taken() {
    assert_eq!(taken(r#"{"errcode":0,"errmsg":"ok"}"#), Ok(()));
    let refused = taken(r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#);
    assert!(refused.unwrap_err().contains("45009: api freq"));
    assert!(taken("<html>").unwrap_err().contains("check its URL"));
}

#[test]
fn names_make_no_link() {
    assert_eq!(plain("seen: [x](http://y) <b>"), "seen:  x  http://y   b ");
}
