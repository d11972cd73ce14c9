use super::*;

/// The example of EIP-155.
const LEGACY: &str = "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";
const LEGACY_HASH: &str = "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788";

fn error(hex: &str) -> RawTxError {
    RawTx::evm(hex).unwrap_err()
}

#[test]
fn a_legacy_transaction_has_its_published_hash() {
    let tx = RawTx::evm(LEGACY).unwrap();
    assert_eq!(tx.hash(), LEGACY_HASH);
    assert_eq!(format!("{tx:?}"), format!("RawTx({LEGACY_HASH})"));
    assert_eq!(
        RawTx::evm(&LEGACY[2..].to_uppercase()).unwrap().hash(),
        LEGACY_HASH
    );
}

#[test]
fn a_typed_transaction_is_hashed_with_its_type() {
    let raw = [0x02, 0xc2, 0x01, 0x80];
    let tx = RawTx::evm_bytes(&raw).unwrap();
    assert_eq!(tx.digest(), &keccak(&[&raw]));
}

#[test]
fn blobs_are_no_part_of_the_name() {
    let inner = [0xc3, 0x01, 0x02, 0x03];
    let plain = RawTx::evm_bytes(&[&[0x03][..], &inner].concat()).unwrap();
    // [inner, [blob], [commitment], [proof]]
    let sidecar = [0xc1, 0xaa_u8 & 0x7f, 0xc1, 0x05, 0xc1, 0x06];
    let list = [&[0xc0 + 10][..], &inner, &sidecar].concat();
    let wrapped = RawTx::evm_bytes(&[&[0x03][..], &list].concat()).unwrap();
    assert_eq!(plain.hash(), wrapped.hash());
    assert_ne!(
        plain.submit().request().params().unwrap().get(),
        wrapped.submit().request().params().unwrap().get()
    );
}

#[test]
fn what_is_no_transaction_is_refused_before_it_is_sent() {
    assert_eq!(error(""), RawTxError::Empty);
    assert_eq!(error("0x"), RawTxError::Empty);
    assert_eq!(RawTx::evm_bytes(&[]).unwrap_err(), RawTxError::Empty);
    assert_eq!(RawTx::comet_bytes(&[]).unwrap_err(), RawTxError::Empty);
    assert_eq!(error("0xf86g"), RawTxError::NotHex { at: 5 });
    assert_eq!(error("0xc28"), RawTxError::NotHex { at: 5 });
    assert_eq!(error("0xÄÄ"), RawTxError::NotHex { at: 2 });
    for hex in [
        "0x00c0",
        "0x80",
        "0x02",
        "0x0280",
        &LEGACY[..LEGACY.len() - 2],
        &format!("{LEGACY}00"),
    ] {
        assert!(matches!(error(hex), RawTxError::NotTx { .. }), "{hex}");
    }
    assert_eq!(error("0x71c0"), RawTxError::Type { type_id: 0x71 });
}

#[test]
fn a_comet_transaction_is_named_by_sha_256() {
    let tx = RawTx::comet_bytes(b"abc").unwrap();
    assert_eq!(
        tx.hash(),
        "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
    );
    assert_eq!(tx.submit().request().params().unwrap().get(), r#"{"tx":"YWJj"}"#);
}

#[test]
fn a_node_must_name_it_as_we_do() {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let tx = RawTx::evm(LEGACY).unwrap();
    assert!(tx.is_named_by(&raw(&format!(
        "\"{}\"",
        LEGACY_HASH.to_uppercase().replace('X', "x")
    ))));
    assert!(!tx.is_named_by(&raw("\"0x33\"")) && !tx.is_named_by(&raw("null")));
    assert!(tx.is_shown_by(&raw(&format!("{{\"hash\":\"{LEGACY_HASH}\"}}"))));
    assert!(!tx.is_shown_by(&raw("null")) && !tx.is_shown_by(&raw("{\"hash\":\"0x00\"}")));
    let tx = RawTx::comet_bytes(b"abc").unwrap();
    assert!(tx.is_named_by(&raw(&format!(
        "{{\"code\":0,\"hash\":\"{}\"}}",
        tx.hash().to_lowercase()
    ))));
    assert!(!tx.is_named_by(&raw("{\"code\":0}")));
}
