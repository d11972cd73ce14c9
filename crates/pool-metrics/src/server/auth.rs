//! Who may read.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// Why credentials can't be asked for. No message holds anything of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The token is empty: everybody would know it. Give one with at least 16 random characters.
    #[error(
        "the bearer token is empty; give one of random characters, for instance from `openssl rand -hex 32`"
    )]
    EmptyToken,
    /// No client could send such a token. Use visible ASCII without spaces.
    #[error("the bearer token holds a space or a character outside visible ASCII, which no header can carry")]
    Token,
    /// There is no name or it holds a colon, which ends it. Choose another.
    #[error(
        "the user's name for basic authentication must not be empty nor hold a colon or a control character"
    )]
    User,
    /// The password is empty. Give one of random characters.
    #[error(
        "the password for basic authentication is empty or holds a control character; give one of random characters"
    )]
    Password,
}

/// Credentials, one of which a request must bring. Only their SHA-256 is kept; they are compared in constant time.
#[derive(Clone)]
pub struct Auth {
    accepted: Vec<(Scheme, [u8; 32])>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Bearer,
    Basic,
}

impl Auth {
    /// `Authorization: Bearer TOKEN`, as Prometheus sends it with `authorization: {credentials_file: …}`.
    ///
    /// # Errors
    /// [`AuthError`] for a token that is empty or that no header can carry.
    pub fn bearer(token: &str) -> Result<Self, AuthError> {
        if token.is_empty() {
            return Err(AuthError::EmptyToken);
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AuthError::Token);
        }
        Ok(Self::accepting(Scheme::Bearer, token.as_bytes()))
    }

    /// User and password, which browsers ask for: the status page can then be opened by a person.
    ///
    /// # Errors
    /// [`AuthError`] for an empty name or password, and for characters that don't go into them.
    pub fn basic(user: &str, password: &str) -> Result<Self, AuthError> {
        let odd = |text: &str| text.is_empty() || text.chars().any(char::is_control);
        if odd(user) || user.contains(':') {
            return Err(AuthError::User);
        }
        if odd(password) {
            return Err(AuthError::Password);
        }
        Ok(Self::accepting(
            Scheme::Basic,
            format!("{user}:{password}").as_bytes(),
        ))
    }

    /// Accepts those credentials as well: a token for Prometheus and a password for people, or an old and a new token.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.accepted.extend(other.accepted);
        self
    }

    fn accepting(scheme: Scheme, credentials: &[u8]) -> Self {
        Self {
            accepted: vec![(scheme, Sha256::digest(credentials).into())],
        }
    }

    /// Whether the request brings one of the credentials. How long it takes does not tell which one was nearly right.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let Some((scheme, given)) = headers.get(header::AUTHORIZATION).and_then(given) else {
            return false;
        };
        let given: [u8; 32] = Sha256::digest(given).into();
        let known = self.accepted.iter().filter(|(accepted, _)| *accepted == scheme);
        let found = known.fold(Choice::from(0), |found, (_, digest)| found | digest.ct_eq(&given));
        found.into()
    }

    /// What to ask for in a 401.
    pub(super) fn challenges(&self) -> impl Iterator<Item = HeaderValue> {
        let accepts = |wanted| self.accepted.iter().any(|(scheme, _)| *scheme == wanted);
        let basic = r#"Basic realm="connection pools", charset="UTF-8""#;
        let bearer = r#"Bearer realm="connection pools""#;
        [(Scheme::Basic, basic), (Scheme::Bearer, bearer)]
            .map(|(scheme, text)| accepts(scheme).then(|| HeaderValue::from_static(text)))
            .into_iter()
            .flatten()
    }
}

/// The scheme and what was sent with it, decoded.
fn given(header: &HeaderValue) -> Option<(Scheme, Vec<u8>)> {
    let (scheme, credentials) = header.to_str().ok()?.split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        Some((Scheme::Bearer, credentials.into()))
    } else if scheme.eq_ignore_ascii_case("basic") {
        Some((Scheme::Basic, STANDARD.decode(credentials).ok()?))
    } else {
        None
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes = self.accepted.iter().map(|(scheme, _)| scheme);
        f.debug_list().entries(schemes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(auth: &Auth, header: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, header.parse().unwrap());
        auth.admits(&headers)
    }

    #[test]
    fn only_the_credentials_open() {
        let auth = Auth::bearer("s3cret").unwrap();
        assert!(admits(&auth, "Bearer s3cret") && admits(&auth, "bearer  s3cret"));
        let basic = STANDARD.encode("s3cret");
        for wrong in [
            "Bearer s3cre",
            "Bearer s3crets",
            "Bearer S3cret",
            "Bearer ",
            "Bearer",
            "s3cret",
            "Token s3cret",
            &format!("Basic {basic}"),
        ] {
            assert!(!admits(&auth, wrong), "{wrong}");
        }
        assert!(!auth.admits(&HeaderMap::new()));
    }

    #[test]
    fn several_credentials_open_each_by_its_scheme() {
        let auth = Auth::bearer("one").unwrap();
        let auth = auth.or(Auth::bearer("two").unwrap());
        let auth = auth.or(Auth::basic("ops", "pass:wörd").unwrap());
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for right in ["Bearer one", "Bearer two", &basic("ops:pass:wörd")] {
            assert!(admits(&auth, right), "{right}");
        }
        for wrong in [
            "Bearer ops:pass:wörd",
            &basic("ops:pass"),
            &basic("one"),
            "Basic %%%",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                header::AUTHORIZATION,
                HeaderValue::from_bytes(wrong.as_bytes()).unwrap(),
            );
            assert!(!auth.admits(&headers), "{wrong}");
        }
        assert_eq!(auth.challenges().count(), 2);
    }

    #[test]
    fn what_nobody_could_send_or_everybody_knows_is_refused() {
        assert_eq!(Auth::bearer("").unwrap_err(), AuthError::EmptyToken);
        for token in [" ", "a b", "a\n", "tökens"] {
            assert_eq!(Auth::bearer(token).unwrap_err(), AuthError::Token, "{token:?}");
        }
        for user in ["", "a:b", "a\n"] {
            assert_eq!(Auth::basic(user, "x").unwrap_err(), AuthError::User, "{user:?}");
        }
        assert_eq!(Auth::basic("a", "").unwrap_err(), AuthError::Password);
    }

    #[test]
    fn nothing_of_the_credentials_shows() {
        let auth = Auth::bearer("s3cret")
            .unwrap()
            .or(Auth::basic("ops", "s3cret").unwrap());
        assert_eq!(format!("{auth:?}"), "[Bearer, Basic]");
    }
}
