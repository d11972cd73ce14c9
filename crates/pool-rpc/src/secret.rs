//! Values that must never be shown, and their removal from text that others wrote.

use std::fmt;

use serde_json::value::RawValue;

/// A text that must never be shown: an API key, a password, a header's value. `Debug` and `Display` print `***`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into_boxed_str())
    }

    /// The text itself. Hand it only to what must have it, never to a log, an error or a label.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Shorter parts are words such as `v2` or `rpc`, which occur in honest messages.
const SHORTEST: usize = 8;

/// Removes an endpoint's own secrets from what its node says.
///
/// Providers repeat the key in their error messages ("invalid project id 0123..."), and such a message travels into
/// errors and logs.
#[derive(Default)]
pub(crate) struct Redactor {
    secrets: Vec<Secret>,
}

impl Redactor {
    /// Adds a text; what is shorter than eight bytes is left out.
    pub(crate) fn add(&mut self, text: &str) {
        if text.len() >= SHORTEST && !self.secrets.iter().any(|known| known.expose() == text) {
            self.secrets.push(Secret::new(text));
            // The longest first: a secret that holds another is removed as a whole.
            self.secrets
                .sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        }
    }

    /// The message with each secret replaced by `***`.
    pub(crate) fn clean(&self, message: String) -> String {
        self.secrets.iter().fold(message, |message, secret| {
            if message.contains(secret.expose()) {
                message.replace(secret.expose(), "***")
            } else {
                message
            }
        })
    }

    /// The same for JSON. What is no JSON any more without its secrets is dropped.
    pub(crate) fn clean_json(&self, data: Box<RawValue>) -> Option<Box<RawValue>> {
        if self
            .secrets
            .iter()
            .any(|secret| data.get().contains(secret.expose()))
        {
            RawValue::from_string(self.clean(data.get().to_owned())).ok()
        } else {
            Some(data)
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing() {
        let secret = Secret::new("SECRETKEY");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }

    #[test]
    fn secrets_leave_messages_and_short_words_stay() {
        let mut redactor = Redactor::default();
        redactor.add("SECRETKEY");
        redactor.add("prefix-SECRETKEY");
        redactor.add("v2");
        assert_eq!(
            redactor.clean("no SECRETKEY in prefix-SECRETKEY of v2".to_owned()),
            "no *** in *** of v2"
        );
        assert!(!format!("{redactor:?}").contains("SECRET"));
        let json = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let clean = |text: &str| redactor.clean_json(json(text)).map(|data| data.get().to_owned());
        assert_eq!(clean(r#"{"v2":1}"#).as_deref(), Some(r#"{"v2":1}"#));
        assert_eq!(
            clean(r#"{"see":"http://h/SECRETKEY"}"#).as_deref(),
            Some(r#"{"see":"http://h/***"}"#)
        );
        redactor.add("1234567890");
        assert!(redactor.clean_json(json("[1234567890]")).is_none());
    }
}
