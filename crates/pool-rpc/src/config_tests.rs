use super::*;

fn config(url: &str) -> RpcConfig {
    RpcConfig::new(url.parse().unwrap(), Probe::Evm { chain_id: 1 })
}

#[test]
fn headers_are_checked_and_never_shown() {
    let secret = Secret::new("SECRETKEY");
    let good = config("http://SECRETKEY@h/SECRETKEY")
        .header("x-api-key", &secret)
        .unwrap();
    let shown = format!("{good:?} {:?}", good.headers);
    assert!(
        shown.contains("x-api-key") && !shown.contains("SECRETKEY"),
        "{shown}"
    );

    let refused = |name: &str, value: &str| config("http://h").header(name, &Secret::new(value)).unwrap_err();
    assert_eq!(
        refused("x y", "v"),
        ConfigError::HeaderName {
            name: "x y".to_owned()
        }
    );
    assert_eq!(
        refused("x", "SECRETKEY\n"),
        ConfigError::HeaderValue { name: "x".to_owned() }
    );
    assert_eq!(
        refused("Host", "v"),
        ConfigError::HeaderReserved {
            name: "Host".to_owned()
        }
    );
}

#[test]
fn impossible_combinations_are_refused() {
    let two = config("http://u:p@h")
        .header("authorization", &Secret::new("Bearer x"))
        .unwrap();
    assert_eq!(two.validate(), Err(ConfigError::TwoCredentials));
    let zero = Timeouts {
        response: Duration::ZERO,
        ..Timeouts::default()
    };
    let zero = config("http://h").timeouts(zero);
    assert_eq!(
        zero.validate(),
        Err(ConfigError::Zero {
            name: "the response time-out"
        })
    );
    let zero = config("http://h").max_response_bytes(0);
    assert_eq!(
        zero.validate(),
        Err(ConfigError::Zero {
            name: "the response size limit"
        })
    );
    assert_eq!(config("http://h").validate(), Ok(()));
}
