//! An endpoint's own secrets, taken out of what its node says.
//!
//! Providers repeat the key in their error messages ("invalid project id 0123..."), whole or its first letters, as it
//! was sent or encoded once more, and such a message travels into errors, logs and health reasons.

use std::{fmt, ops::Range, sync::OnceLock};

use serde_json::value::RawValue;

use crate::rules::RULES;

/// So many bytes of a secret in a row are never shown. What is shorter is a word such as `v2` or `rpc`, which occurs in
/// honest messages.
const PIECE: usize = 8;

/// Bits of the filter before the search.
const FILTER: usize = 1 << 14;

/// Removes secrets, and each part of one that is at least eight bytes long: in either case, percent-encoded or with JSON's
/// escapes.
///
/// What the table of errors looks for is never removed: a URL with `execution` in its path must not change what "execution
/// reverted" means.
pub(crate) struct Redactor {
    /// The pieces of all secrets in lower case, sorted.
    pieces: Vec<u64>,
    /// Tells of most bytes that no piece ends there.
    filter: Vec<u64>,
}

impl Default for Redactor {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            filter: vec![0; FILTER / 64],
        }
    }
}

impl Redactor {
    /// Adds a text; what is shorter than eight bytes is left out.
    pub(crate) fn add(&mut self, text: &str) {
        let common = common();
        let new = pieces(text.as_bytes()).filter(|piece| common.binary_search(piece).is_err());
        self.pieces.extend(new);
        self.pieces.sort_unstable();
        self.pieces.dedup();
        for piece in &self.pieces {
            let bit = bit(*piece);
            self.filter[bit / 64] |= 1 << (bit % 64);
        }
    }

    /// The message with `***` where a secret was.
    pub(crate) fn clean(&self, message: String) -> String {
        match self.find(&message) {
            found if found.is_empty() => message,
            found => without(&message, found),
        }
    }

    /// The same for JSON. What is no JSON any more without its secrets is dropped.
    pub(crate) fn clean_json(&self, data: Box<RawValue>) -> Option<Box<RawValue>> {
        match self.find(data.get()) {
            found if found.is_empty() => Some(data),
            found => RawValue::from_string(without(data.get(), found)).ok(),
        }
    }

    /// Where pieces stand.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.pieces.is_empty() {
            return found;
        }
        let bytes = text.as_bytes();
        self.find_in(plain(bytes), &mut found);
        if bytes.contains(&b'%') {
            self.find_in(Decoded::new(bytes, percent), &mut found);
        }
        if bytes.contains(&b'\\') {
            self.find_in(Decoded::new(bytes, escape), &mut found);
        }
        found
    }

    fn find_in(&self, letters: impl Iterator<Item = Letter>, found: &mut Vec<Range<usize>>) {
        let mut piece = 0;
        let mut starts = [0; PIECE];
        for (index, Letter { byte, at }) in letters.enumerate() {
            piece = push(piece, byte);
            starts[index % PIECE] = at.start;
            if index + 1 >= PIECE && self.holds(piece) {
                let start = starts[(index + 1) % PIECE];
                match found.last_mut() {
                    Some(last) if (last.start..=last.end).contains(&start) => last.end = at.end,
                    _ => found.push(start..at.end),
                }
            }
        }
    }

    fn holds(&self, piece: u64) -> bool {
        let bit = bit(piece);
        self.filter[bit / 64] & (1 << (bit % 64)) != 0 && self.pieces.binary_search(&piece).is_ok()
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} pieces)", self.pieces.len())
    }
}

const fn push(piece: u64, byte: u8) -> u64 {
    (piece << 8) | byte.to_ascii_lowercase() as u64
}

const fn bit(piece: u64) -> usize {
    (piece.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 50) as usize % FILTER
}

/// Every eight bytes in a row, in lower case; none that has a blank at an end.
fn pieces(text: &[u8]) -> impl Iterator<Item = u64> {
    text.windows(PIECE)
        .filter(|piece| ![piece[0], piece[PIECE - 1]].contains(&b' '))
        .map(|piece| piece.iter().fold(0, |piece, byte| push(piece, *byte)))
}

/// Pieces of the words by which errors are told apart; sorted.
fn common() -> &'static [u64] {
    static COMMON: OnceLock<Vec<u64>> = OnceLock::new();
    COMMON.get_or_init(|| {
        let words = RULES.iter().flat_map(|rule| rule.words);
        let mut common: Vec<u64> = words.flat_map(|word| pieces(word.as_bytes())).collect();
        common.sort_unstable();
        common.dedup();
        common
    })
}

/// The text with `***` in each of these places, which may overlap.
fn without(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.sort_unstable_by_key(|place| place.start);
    let mut clean = String::with_capacity(text.len());
    let mut end = 0;
    for place in found {
        if place.start > end || clean.is_empty() {
            clean.push_str(&text[end..text.floor_char_boundary(place.start).max(end)]);
            clean.push_str("***");
        }
        end = end.max(text.ceil_char_boundary(place.end));
    }
    clean.push_str(&text[end..]);
    clean
}

/// A byte of what is meant, and where it is written.
struct Letter {
    byte: u8,
    at: Range<usize>,
}

fn plain(bytes: &[u8]) -> impl Iterator<Item = Letter> {
    bytes.iter().enumerate().map(|(at, byte)| Letter {
        byte: *byte,
        at: at..at + 1,
    })
}

/// Reads one encoded byte or character off the front: what it means, and how many bytes it takes.
type Decode = fn(&[u8]) -> Option<(char, usize)>;

/// A text with its encoded characters decoded, and the rest as it is.
struct Decoded<'a> {
    bytes: &'a [u8],
    at: usize,
    decode: Decode,
    /// What is left of a decoded character in UTF-8, last byte first, and where it is written.
    pending: (Vec<u8>, Range<usize>),
}

impl<'a> Decoded<'a> {
    fn new(bytes: &'a [u8], decode: Decode) -> Self {
        Self {
            bytes,
            at: 0,
            decode,
            pending: (Vec::new(), 0..0),
        }
    }
}

impl Iterator for Decoded<'_> {
    type Item = Letter;

    fn next(&mut self) -> Option<Letter> {
        if let Some(byte) = self.pending.0.pop() {
            let at = self.pending.1.clone();
            return Some(Letter { byte, at });
        }
        let start = self.at;
        let byte = *self.bytes.get(start)?;
        let Some((meant, taken)) = (self.decode)(&self.bytes[start..]) else {
            self.at += 1;
            let at = start..self.at;
            return Some(Letter { byte, at });
        };
        self.at += taken;
        let mut utf8 = [0; 4];
        let utf8 = meant.encode_utf8(&mut utf8).bytes().rev();
        self.pending = (utf8.collect(), start..self.at);
        self.next()
    }
}

/// `%2F`; of what is not ASCII only its bytes are known, and they are no characters.
fn percent(text: &[u8]) -> Option<(char, usize)> {
    match text {
        [b'%', high, low, ..] => {
            let digit = |digit: &u8| char::from(*digit).to_digit(16);
            let byte = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
            byte.is_ascii().then_some((char::from(byte), 3))
        }
        _ => None,
    }
}

/// `\/`, `\u002f` and what else JSON may write instead of a character.
fn escape(text: &[u8]) -> Option<(char, usize)> {
    match text {
        [b'\\', b'u', digits @ ..] => {
            let digits = std::str::from_utf8(digits.get(..4)?).ok()?;
            let code = u32::from_str_radix(digits, 16).ok()?;
            Some((char::from_u32(code)?, 6))
        }
        [b'\\', short, ..] => {
            let meant = match short {
                b'n' => '\n',
                b't' => '\t',
                b'r' => '\r',
                b'"' | b'\\' | b'/' => char::from(*short),
                _ => return None,
            };
            Some((meant, 2))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let mut redactor = Redactor::default();
        secrets.iter().for_each(|secret| redactor.add(secret));
        redactor
    }

    #[test]
    fn secrets_leave_messages_and_short_words_stay() {
        let redactor = redactor(&["SECRETKEY", "prefix-SECRETKEY", "v2"]);
        for (said, expected) in [
            ("no SECRETKEY in prefix-SECRETKEY of v2", "no *** in *** of v2"),
            ("SECRETKEY", "***"),
            ("a secretke of it", "a *** of it"),
            ("SECRETK is too short", "SECRETK is too short"),
            ("é%53ECRETKEY%é", "é***%é"),
            (r"\u0053ECRETKE\u0059\/x", r"***\/x"),
            (r"SECRETKEY\uD800", r"***\uD800"),
            ("%5", "%5"),
        ] {
            assert_eq!(redactor.clean(said.to_owned()), expected, "{said}");
        }
        assert!(!format!("{redactor:?}").contains("SECRET"));
    }

    #[test]
    fn json_stays_json() {
        let redactor = redactor(&["SECRETKEY", "1234567890"]);
        let json = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let clean = |text: &str| redactor.clean_json(json(text)).map(|data| data.get().to_owned());
        assert_eq!(clean(r#"{"v2":1}"#).as_deref(), Some(r#"{"v2":1}"#));
        assert_eq!(
            clean(r#"{"see":"http:\/\/h\/\u0053ECRETKEY"}"#).as_deref(),
            Some(r#"{"see":"http:\/\/h\/***"}"#)
        );
        assert_eq!(clean("[1234567890]"), None);
    }

    #[test]
    fn places_may_overlap_and_cut_characters() {
        let redactor = redactor(&["ééééé", "abcdefghij", "ghijklmnop"]);
        assert_eq!(redactor.clean("xéééééx".to_owned()), "x***x");
        assert_eq!(redactor.clean("<abcdefghijklmnop>".to_owned()), "<***>");
        assert_eq!(redactor.clean("%61bcdefg% abcdefgh".to_owned()), "%61bcdefg% ***");
    }

    #[test]
    fn what_errors_are_told_by_stays() {
        let redactor = redactor(&["execution reverted", "my-execution-node"]);
        let said = "execution reverted: on my-execution-node";
        assert_eq!(redactor.clean(said.to_owned()), "execution reverted: on ***");
    }

    #[test]
    fn a_huge_message_is_cleaned_at_once() {
        let redactor = redactor(&["0123456789abcdef0123456789abcdef", "abcdefgh-ijkl-mnop"]);
        let said = format!("{}0123456789abcdef", "89abcde-".repeat(1_000_000));
        assert!(redactor.clean(said).ends_with("89abcde-***"));
    }
}
