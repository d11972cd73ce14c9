//! What Prometheus sends elsewhere.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// A store that gets every sample as well.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteWrite {
    /// Where to push: `http` or `https`, without user, password or query, since Prometheus shows it.
    pub url: String,
    /// File that holds a bearer token. Either this, or `username` and `password_file`, or neither.
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
    /// User of basic authentication.
    #[serde(default)]
    pub username: Option<String>,
    /// File that holds the user's password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
}
