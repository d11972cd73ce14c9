//! Secrets that somebody wrote into the spec. They would end up in generated, committed files.

use std::path::Path;

use crate::{
    problem::Problem,
    yaml::{Document, Kind, Node},
};

/// Keys that hold a secret elsewhere, with the key to use here.
const SECRET_KEYS: [(&str, &str); 14] = [
    ("api_url", "api_url_file"),
    ("slack_api_url", "api_url_file"),
    ("webhook_url", "webhook_url_file"),
    ("bot_token", "bot_token_file"),
    ("api_key", "api_key_file"),
    ("routing_key", "routing_key_file"),
    ("service_key", "routing_key_file"),
    ("auth_password", "auth_password_file"),
    ("password", "auth_password_file"),
    ("auth_secret", "auth_password_file"),
    ("credentials", "credentials_file"),
    ("bearer_token", "credentials_file"),
    ("token", "credentials_file"),
    ("secret", "credentials_file"),
];

/// Parts of addresses that are secrets themselves.
const SECRET_ADDRESSES: [&str; 8] = [
    "hooks.slack.com/",
    "discord.com/api/webhooks/",
    "discordapp.com/api/webhooks/",
    "api.telegram.org/bot",
    "webhook.office.com/",
    "logic.azure.com",
    "api.powerplatform.com",
    "events.pagerduty.com/integration/",
];

/// Reports every inline secret, without quoting it.
pub(in crate::spec) fn inline_secrets(document: &Document, file: &Path, problems: &mut Vec<Problem>) {
    for section in ["receivers", "prometheus/remote_write"] {
        if let Some(section) = document.find(section) {
            walk(section, file, problems);
        }
    }
}

fn walk(node: &Node, file: &Path, problems: &mut Vec<Problem>) {
    match &node.kind {
        Kind::Sequence(items) => items.iter().for_each(|item| walk(item, file, problems)),
        Kind::Scalar { text, .. } => {
            if let Some(why) = secret_address(text) {
                problems.push(
                    Problem::new(file, format!("a secret in the spec: {why}"))
                        .at(node.place.line, node.place.column)
                        .remedy(
                            "put it into a file of its own and name that file (`api_url_file`, `url_file`, `credentials_file`), or post to \
                             a relay of your own on this host that knows the address; generated files are committed",
                        ),
                );
            }
        }
        Kind::Mapping(entries) => {
            for entry in entries {
                let secret = SECRET_KEYS.iter().find(|(key, _)| *key == entry.key);
                match (secret, &entry.value.kind) {
                    (Some((key, instead)), Kind::Scalar { .. }) => problems.push(
                        Problem::new(file, format!("a secret in the spec: `{key}`"))
                            .at(entry.key_place.line, entry.key_place.column)
                            .remedy(format!(
                                "put it into a file of its own and name that file with `{instead}`"
                            )),
                    ),
                    _ => walk(&entry.value, file, problems),
                }
            }
        }
    }
}

/// Why an address mustn't be shown, if so.
fn secret_address(text: &str) -> Option<&'static str> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some("an address with user and password");
    }
    if SECRET_ADDRESSES.iter().any(|part| rest.contains(part)) {
        return Some("an address that lets whoever knows it post messages");
    }
    if rest.contains(['?', '#']) {
        return Some("an address with a query, which may hold a key");
    }
    rest.split('/')
        .skip(1)
        .any(is_token)
        .then_some("an address whose path looks like it holds a token")
}

/// Shortest part of a path that may be a token.
const TOKEN_LENGTH: usize = 16;
/// Least changes between small letters, capitals and digits within a token. A name, even `AlertmanagerWebhookV2`, has fewer
/// than a random text, a hash or a UUID; a capital that begins a word is no change.
const TOKEN_CHANGES: usize = 4;

fn is_token(segment: &str) -> bool {
    let letters: Vec<char> = segment.chars().filter(char::is_ascii_alphanumeric).collect();
    let changes = letters.windows(2).filter(|pair| {
        let class = |c: char| (c.is_ascii_digit(), c.is_ascii_uppercase());
        let begins_a_word = pair[0].is_ascii_uppercase() && pair[1].is_ascii_lowercase();
        class(pair[0]) != class(pair[1]) && !begins_a_word
    });
    segment.len() >= TOKEN_LENGTH && changes.count() >= TOKEN_CHANGES
}
