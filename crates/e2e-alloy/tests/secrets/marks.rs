//! Secrets that are easily told from everything else, and the search for them.

use std::{borrow::Cow, collections::HashMap};

use base64::{Engine as _, alphabet, engine};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

pub(crate) const USER: &str = "uSr8kQ2vLx7Tn4Wz";
pub(crate) const PASSWORD: &str = "pW5%2Fd-9Gm3YcRj6HbZ";
pub(crate) const PATH: &str = "pTh0sVf6NqK1xBd8Ue";
pub(crate) const QUERY: &str = "qRy4Jw7ZtCa2MgX5Lo";
pub(crate) const HEADER: &str = "hDr9/Pe3SyVk6+FnT1Iu==";
pub(crate) const BEARER: &str = "bRr7Hx2KdQo5WvN8Ez";
pub(crate) const PROXY_USER: &str = "xUs3Bg6YlRm9TcJ4Pk";
pub(crate) const PROXY_PASSWORD: &str = "xPw1Dn8FzSq5VaH7Ot";
pub(crate) const FROM_ENV: &str = "eNv6Mj4GyXb0LrC2Wi";
pub(crate) const FROM_FILE: &str = "fLe5Tk9QwZu3HoS7Np";
pub(crate) const DATABASE: &str = "dBp2Vc8JhEy6XmK4Rs";
/// What a hasty hand puts where it does not belong.
pub(crate) const MISPLACED: &str = "mSp7Rb3NgUw9FzD5Qa";
/// The same, as some providers' keys are.
pub(crate) const NUMBER: &str = "7308519264073185";

const ALL: [(&str, &str); 13] = [
    ("the URL's user", USER),
    ("the URL's password", PASSWORD),
    ("the URL's path", PATH),
    ("the URL's query", QUERY),
    ("a header", HEADER),
    ("a bearer token", BEARER),
    ("the proxy's user", PROXY_USER),
    ("the proxy's password", PROXY_PASSWORD),
    ("a value of ${ENV}", FROM_ENV),
    ("a value of ${file:}", FROM_FILE),
    ("the database's password", DATABASE),
    ("a misplaced key", MISPLACED),
    ("a key of digits", NUMBER),
];

/// So many letters in a row give a secret away.
const PIECE: usize = 8;

/// Finds the marks in texts.
pub(crate) struct Search {
    pieces: HashMap<[u8; PIECE], &'static str>,
    /// Which letters pieces begin with: most texts are through quickly.
    begins: [bool; 256],
}

impl Search {
    pub(crate) fn new() -> Self {
        let mut pieces = HashMap::new();
        let mut begins = [false; 256];
        for (name, mark) in ALL {
            let encoded = utf8_percent_encode(mark, NON_ALPHANUMERIC).to_string();
            let decoded = percent_decode_str(mark).decode_utf8().unwrap();
            for form in [mark, &encoded, &decoded] {
                for piece in form.to_ascii_lowercase().as_bytes().windows(PIECE) {
                    let piece: [u8; PIECE] = piece.try_into().unwrap();
                    begins[usize::from(piece[0]) ^ (usize::from(piece[1]) * 3 % 256)] = true;
                    pieces.insert(piece, name);
                }
            }
        }
        Self { pieces, begins }
    }

    /// Which secrets a text gives away, and the text around.
    pub(crate) fn find(&self, text: &str) -> Option<String> {
        views(text).iter().find_map(|view| {
            let view = view.to_ascii_lowercase();
            let (at, name) = view.windows(PIECE).enumerate().find_map(|(at, piece)| {
                let begins = self.begins[usize::from(piece[0]) ^ (usize::from(piece[1]) * 3 % 256)];
                let name = begins.then(|| self.pieces.get(piece))?;
                Some((at, *name?))
            })?;
            let around = &view[at.saturating_sub(120)..view.len().min(at + 60)];
            Some(format!("{name} in …{}…", String::from_utf8_lossy(around)))
        })
    }
}

/// A text as it is, and as whoever reads it may decode it.
fn views(text: &str) -> Vec<Cow<'_, [u8]>> {
    let once = percent_decode_str(text).collect::<Vec<u8>>();
    let twice = percent_encoding::percent_decode(&once).collect::<Vec<u8>>();
    let mut views = vec![
        Cow::Borrowed(text.as_bytes()),
        once.into(),
        twice.into(),
        unescaped(text).into_bytes().into(),
        bytes_of_lists(text).into(),
    ];
    views.extend(base64s(text).map(Cow::Owned));
    views
}

/// Without backslashes, and with `\u0041` and `\x41` as the letters they mean.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = match rest.as_bytes().first() {
            Some(b'u') => rest.get(1..5),
            Some(b'x') => rest.get(1..3),
            _ => None,
        };
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if let (Some(digits), Some(letter)) = (digits, code.and_then(char::from_u32)) {
            plain.push(letter);
            rest = &rest[1 + digits.len()..];
        }
    }
    plain + rest
}

/// What `Debug` makes of bytes: `[112, 97, 115, 115]`.
fn bytes_of_lists(text: &str) -> Vec<u8> {
    text.split([',', '[', ']', ' ', '\n'])
        .filter(|part| !part.is_empty())
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// What might be base64, decoded.
fn base64s(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let lenient = engine::GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(engine::DecodePaddingMode::Indifferent);
    let engine = engine::GeneralPurpose::new(&alphabet::STANDARD, lenient);
    text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/-_".contains(c))
        .filter(|word| word.len() >= 12)
        .flat_map(move |word| {
            let word = word.replace('-', "+").replace('_', "/");
            // a piece of base64 may begin anywhere
            let decode = |skip| engine.decode(cut(word.get(skip..)?)).ok();
            (0..4).filter_map(decode).collect::<Vec<_>>()
        })
}

/// A last letter that stands for too little is no reason to decode nothing.
fn cut(word: &str) -> &str {
    if word.len() % 4 == 1 {
        &word[..word.len() - 1]
    } else {
        word
    }
}

#[test]
fn every_form_is_found() {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    let search = Search::new();
    assert_eq!(
        search.find("https://node.example/v2/… is unhealthy: HTTP status 401"),
        None
    );
    for (name, mark) in ALL {
        let quoted = mark
            .chars()
            .map(|c| format!("\\u{:04x}", u32::from(c)))
            .collect::<String>();
        let hexed = mark
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect::<String>();
        for form in [
            mark.to_owned(),
            mark.to_uppercase(),
            mark[3..11].to_owned(),
            utf8_percent_encode(mark, NON_ALPHANUMERIC).to_string(),
            utf8_percent_encode(&hexed, NON_ALPHANUMERIC).to_string(),
            quoted,
            STANDARD.encode(mark),
            URL_SAFE_NO_PAD.encode(format!("user:{mark}")),
            format!("{:?}", mark.as_bytes()),
            format!("{:#?}", mark.as_bytes()),
        ] {
            let text = format!("https://node.example/{form} failed");
            assert!(
                search.find(&text).is_some_and(|found| found.starts_with(name)),
                "{text}"
            );
        }
    }
}
