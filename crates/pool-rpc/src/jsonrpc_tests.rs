use super::*;

/// `ok TEXT`, `CODE MESSAGE DATA` or the kind of malformation.
fn show(answer: Result<Answer, Malformed>) -> String {
    match answer {
        Ok(Ok(result)) => format!("ok {}", result.get()),
        Ok(Err(error)) => {
            format!(
                "{} {} {}",
                error.code,
                error.message,
                error.data.as_ref().map_or("-", |data| data.get())
            )
        }
        Err(malformed) => format!("{malformed:?}"),
    }
}

#[test]
fn parameters_are_the_same_written_and_given() {
    let written = RpcRequest::new("a", &("0x1", [1, 2])).unwrap();
    let given = RawValue::from_string(r#"["0x1",[1,2]]"#.to_owned()).unwrap();
    let given = RpcRequest::raw("a", Some(given));
    for request in [&written, &given, &written.clone()] {
        assert_eq!(request.params_text(), Some(r#"["0x1",[1,2]]"#));
        assert_eq!(request.params().map(RawValue::get), request.params_text());
    }
    let none = RpcRequest::raw("a", None);
    assert!(none.params().is_none() && none.params_text().is_none());
}

/// The short way is only shorter.
#[test]
fn a_plain_result_is_what_any_answer_with_it_is() {
    let results = [
        "null",
        "true",
        "-1.5e3",
        r#""0x1""#,
        r#""\u0022}""#,
        r#"[{"id":8,"result":1},"}"]"#,
        r#"{"error":null,"result":{}}"#,
        "",
        "1,2",
        r#"1,"error":null"#,
        r#"1,"result":2"#,
        r#"1,"id":8"#,
        r#"1},{"a":1"#,
        "\"\u{e9}\u{1f600}\"",
    ];
    let ends = [
        "}", " }", "}\n", "}\r\n \t", "}}", "} {}", "", "}]", "},", "}\u{b}",
    ];
    let mut rng = fastrand::Rng::with_seed(5);
    let mut plain = 0;
    for result in results {
        for end in ends {
            for id in ["7", "07", "70", "\"7\"", "7.0", "7e0", "-7", "null"] {
                let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}{end}"#);
                let mut bodies = vec![body.clone().into_bytes()];
                for _ in 0..100 {
                    let mut spoilt = body.clone().into_bytes();
                    let at = rng.usize(..spoilt.len());
                    match rng.u8(..3) {
                        0 => spoilt[at] = rng.u8(..),
                        1 => drop(spoilt.remove(at)),
                        _ => spoilt.insert(at, *rng.choice(br#"{}[]",:\ 7n"#).unwrap()),
                    }
                    bodies.push(spoilt);
                }
                for body in bodies {
                    let Some(result) = plain_result(&body, 7) else {
                        continue;
                    };
                    plain += 1;
                    for strict in [false, true] {
                        let any = show(decode_any(&body, 7, strict));
                        let body = String::from_utf8_lossy(&body);
                        assert_eq!(show(Ok(Ok(result.clone()))), any, "{body}");
                    }
                }
            }
        }
    }
    assert!(plain > 250, "{plain}");
    let usual = br#"{"jsonrpc":"2.0","id":7,"result":"0x1"}"#;
    assert!(plain_result(usual, 7).is_some() && plain_result(usual, 8).is_none());
}

#[test]
fn single_answers() {
    for (body, expected) in [
        (r#"{"jsonrpc":"2.0","id":7,"result":"0x1"}"#, "ok \"0x1\""),
        (
            r#"{"jsonrpc":"2.0","id":7,"result":{"a" : [1,  2]}}"#,
            r#"ok {"a" : [1,  2]}"#,
        ),
        (r#"{"jsonrpc":"2.0","id":7,"result":null}"#, "ok null"),
        (r#" {"id":7,"result":1,"error":null}"#, "ok 1"),
        (
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":3,"message":"no","data":"0x08"}}"#,
            "3 no \"0x08\"",
        ),
        (
            r#"{"id":7,"result":null,"error":{"code":-1,"message":"old"}}"#,
            "-1 old -",
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse"}}"#,
            "-32700 parse -",
        ),
        (
            r#"{"error":{"code":-32005,"message":"slow down"}}"#,
            "-32005 slow down -",
        ),
        (r#"{"error":"unauthorized"}"#, "0 unauthorized -"),
        (r#"{"id":7,"error":{"message":null}}"#, "0  -"),
        (r#"{"jsonrpc":"2.0","id":8,"result":"0x1"}"#, "UnknownId"),
        (r#"{"jsonrpc":"2.0","id":"7","result":"0x1"}"#, "UnknownId"),
        (
            r#"{"jsonrpc":"2.0","id":8,"error":{"code":3,"message":"no"}}"#,
            "UnknownId",
        ),
        (r#"{"jsonrpc":"2.0","id":null,"result":"0x1"}"#, "UnknownId"),
        (r#"{"jsonrpc":"2.0","result":"0x1"}"#, "UnknownId"),
        (r#"{"jsonrpc":"2.0","id":7}"#, "NoResult"),
        (
            r#"{"jsonrpc":"2.0","id":7,"result":1,"error":{"code":3,"message":"no"}}"#,
            "NoResult",
        ),
        (r#"[{"jsonrpc":"2.0","id":7,"result":1}]"#, "Shape"),
        ("<html>", "NotJsonRpc { line: 1, column: 1 }"),
        ("", "NotJsonRpc { line: 1, column: 0 }"),
        (
            r#"{"jsonrpc":"2.0","id":7,"result":1} x"#,
            "NotJsonRpc { line: 1, column: 37 }",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"result":1,"result":2}"#,
            "NotJsonRpc { line: 1, column: 43 }",
        ),
    ] {
        assert_eq!(show(decode(body.as_bytes(), 7, false)), expected, "{body}");
    }
}

#[test]
fn beside_an_error_status_only_json_rpc_counts() {
    assert_eq!(show(decode(br#"{"error":"bad gateway"}"#, 7, true)), "NoResult");
    let body = br#"{"jsonrpc":"2.0","id":7,"error":{"code":-32005,"message":"slow"}}"#;
    assert_eq!(show(decode(body, 7, true)), "-32005 slow -");
    assert!(matches!(
        decode_batch(br#"{"error":"bad gateway"}"#, 7, 2, true),
        Err(Malformed::NoResult)
    ));
}

fn show_batch(answer: Result<BatchAnswer, Malformed>) -> String {
    match answer {
        Ok(BatchAnswer::Items(items)) => items
            .into_iter()
            .map(|item| show(Ok(item)))
            .collect::<Vec<_>>()
            .join(" | "),
        Ok(BatchAnswer::Refused(error)) => format!("refused {}", show(Ok(Err(error)))),
        Err(malformed) => show(Err(malformed)),
    }
}

#[test]
fn batch_answers() {
    for (body, expected) in [
        (r#"[{"id":7,"result":1},{"id":8,"result":2}]"#, "ok 1 | ok 2"),
        (r#"[{"id":8,"result":2},{"id":7,"result":1}]"#, "ok 1 | ok 2"),
        (
            r#"[{"id":8,"error":{"code":3,"message":"no"}},{"id":7,"result":null}]"#,
            "ok null | 3 no -",
        ),
        (r#"[{"id":7,"result":1}]"#, "MissingId { missing: 1, of: 2 }"),
        ("[]", "MissingId { missing: 2, of: 2 }"),
        (r#"[{"id":7,"result":1},{"id":7,"result":2}]"#, "DuplicateId"),
        (r#"[{"id":7,"result":1},{"id":9,"result":2}]"#, "UnknownId"),
        (r#"[{"id":6,"result":1},{"id":8,"result":2}]"#, "UnknownId"),
        (r#"[{"id":7,"result":1},{"id":"8","result":2}]"#, "UnknownId"),
        (r#"[{"id":7,"result":1},{"id":null,"result":2}]"#, "UnknownId"),
        (r#"[{"id":7,"result":1},{"id":8}]"#, "NoResult"),
        (
            r#"[{"id":7,"result":1},{"id":null,"error":{"code":-32005,"message":"slow"}}]"#,
            "refused -32005 slow -",
        ),
        (
            r#"[{"id":7,"result":1},{"id":8,"result":1},{"id":null,"error":{"code":1,"message":"x"}}]"#,
            "UnknownId",
        ),
        (
            r#"{"id":null,"error":{"code":-32600,"message":"no batches"}}"#,
            "refused -32600 no batches -",
        ),
        (r#"{"id":7,"result":1}"#, "Shape"),
        ("[1]", "NotJsonRpc { line: 1, column: 2 }"),
    ] {
        assert_eq!(
            show_batch(decode_batch(body.as_bytes(), 7, 2, false)),
            expected,
            "{body}"
        );
    }
}

#[test]
fn an_error_shows_no_data_and_no_control_characters() {
    let error = ErrorObject {
        code: 3,
        message: format!("line\nbreak{}", "x".repeat(300)),
        data: Some(RawValue::from_string("\"SECRETKEY\"".to_owned()).unwrap()),
    };
    let shown = format!("{error} {error:?}");
    assert!(shown.starts_with("JSON-RPC error 3: line\\nbreakxxx"), "{shown}");
    assert!(
        shown.contains('…') && shown.contains("11 bytes of data") && !shown.contains("SECRETKEY"),
        "{shown}"
    );
}
