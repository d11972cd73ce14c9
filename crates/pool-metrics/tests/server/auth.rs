//! Credentials.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pool_metrics::{Auth, PrometheusBridge, RoutesBuilder};

use crate::support::{SetPool, ask, ask_with, serve};

#[tokio::test]
async fn without_credentials_only_the_probes_answer_and_say_no_more_than_they_must() {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = SetPool::attach(bridge.metrics(), "eth", &["a"]);
    pool.set(|pool, _| pool.slots_usable = 0);
    let auth = Auth::bearer("s3cret").unwrap();
    let running = serve(RoutesBuilder::from(&bridge).auth(auth).build()).await;
    let addr = running.addrs[0];
    for path in ["/", "/metrics", "/pools", "/pools?format=html"] {
        for headers in [
            &[][..],
            &[("authorization", "Bearer s3crets")],
            &[("authorization", "Basic czNjcmV0")],
        ] {
            let reply = ask_with(addr, "GET", path, headers).await;
            assert_eq!(reply.status(), 401, "{path}");
            assert_eq!(
                reply.header("www-authenticate"),
                Some("bearer realm=\"connection pools\"")
            );
            assert_eq!(reply.text(), "credentials are needed\n");
        }
        let known = [("authorization", "Bearer s3cret")];
        assert_eq!(ask_with(addr, "GET", path, &known).await.status(), 200, "{path}");
        assert_eq!(ask_with(addr, "HEAD", path, &known).await.status(), 200, "{path}");
    }
    assert_eq!(ask(addr, "GET", "/healthz").await.status(), 200);
    let reply = ask(addr, "GET", "/readyz").await;
    assert_eq!((reply.status(), reply.text()), (503, "not ready\n"));
    let reply = ask_with(addr, "GET", "/readyz", &[("authorization", "Bearer s3cret")]).await;
    assert_eq!(reply.text(), "not ready: pool eth has no usable endpoint\n");
}

#[tokio::test]
async fn a_token_for_prometheus_and_a_password_for_people() {
    let bridge = PrometheusBridge::new().unwrap();
    let auth = Auth::bearer("s3cret")
        .unwrap()
        .or(Auth::basic("ops", "pass").unwrap());
    let running = serve(RoutesBuilder::from(&bridge).auth(auth).build()).await;
    let addr = running.addrs[0];
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    for (credentials, status) in [
        ("Bearer s3cret", 200),
        (basic("ops:pass").as_str(), 200),
        (basic("ops:word").as_str(), 401),
        (basic("pass:ops").as_str(), 401),
    ] {
        let reply = ask_with(addr, "GET", "/metrics", &[("authorization", credentials)]).await;
        assert_eq!(reply.status(), status, "{credentials}");
    }
    let reply = ask(addr, "GET", "/").await;
    assert!(
        reply
            .head
            .contains("www-authenticate: basic realm=\"connection pools\", charset=\"utf-8\"")
    );
    assert!(
        reply
            .head
            .contains("www-authenticate: bearer realm=\"connection pools\"")
    );
}
