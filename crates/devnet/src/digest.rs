//! Hashes and their spelling in both dialects.

use sha3::Digest as _;

/// A 32-byte digest.
pub(crate) type Hash = [u8; 32];

/// Keccak-256 over the concatenation of `parts`.
pub(crate) fn keccak(parts: &[&[u8]]) -> Hash {
    let mut hasher = sha3::Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// SHA-256, the hash CometBFT names transactions by.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    sha2::Sha256::digest(bytes).into()
}

/// Bytes as EVM "data": `0x` and two lower-case digits per byte.
pub(crate) fn data(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("0x");
    push_hex(&mut text, bytes, b"0123456789abcdef");
    text
}

/// Bytes as CometBFT writes hashes: upper-case digits, no prefix.
pub(crate) fn upper_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hex(&mut text, bytes, b"0123456789ABCDEF");
    text
}

/// A number as EVM "quantity": `0x` and no leading zeros.
pub(crate) fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

/// Reads hexadecimal digits (an even number of them, no prefix) in either case.
pub(crate) fn parse_hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks_exact(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect()
}

fn push_hex(text: &mut String, bytes: &[u8], alphabet: &[u8; 16]) {
    for byte in bytes {
        text.push(char::from(alphabet[usize::from(byte >> 4)]));
        text.push(char::from(alphabet[usize::from(byte & 0xf)]));
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_published_ones() {
        // The Keccak-256 of nothing and the topic of ERC-20 `Transfer` are known to every EVM tool.
        assert_eq!(
            data(&keccak(&[])),
            "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
        assert_eq!(
            data(&keccak(&[b"Transfer(address,", b"address,uint256)"])),
            "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
        );
        assert_eq!(
            upper_hex(&sha256(b"abc")),
            "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
        );
    }

    #[test]
    fn hex_is_read_in_both_cases_and_refused_when_it_is_none() {
        assert_eq!(parse_hex("00fFa1"), Some(vec![0x00, 0xff, 0xa1]));
        assert_eq!(parse_hex(""), Some(vec![]));
        assert_eq!(parse_hex("abc"), None);
        assert_eq!(parse_hex("zz"), None);
        assert_eq!(quantity(0), "0x0");
        assert_eq!(quantity(4096), "0x1000");
    }
}
