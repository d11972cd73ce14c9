//! Free text made fit to be shown.

/// Longer reasons are cut: a node may answer a check with a page of HTML.
const LONGEST: usize = 300;

/// Takes out what must not be shown: of URLs everything but the scheme, since providers put keys into path, query,
/// credentials and sometimes the host's name; and control characters. Whoever made the text should have done so already;
/// this is the second door.
pub(super) fn mask(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ')' | '`'));
        shown.push_str(before);
        shown.push('…');
        rest = &after[end.unwrap_or(after.len())..];
    }
    shown.push_str(rest);
    let mut clean: String = shown
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST + 1)
        .collect();
    if clean.chars().count() > LONGEST {
        clean.pop();
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_keep_their_scheme_only() {
        for (text, shown) in [
            ("check failed: no route", "check failed: no route"),
            (
                "GET https://u:KEY@KEY.rpc.io/v2/KEY?k=KEY failed",
                "GET https://… failed",
            ),
            ("(wss://h/KEY) and \"http://KEY\"", "(wss://…) and \"http://…\""),
            ("https://KEY", "https://…"),
            ("://", "://…"),
            ("a\nb\u{1b}[31mc", "a b [31mc"),
        ] {
            assert_eq!(mask(text), shown);
        }
    }

    #[test]
    fn a_page_of_text_is_cut_between_characters() {
        let shown = mask(&"ü".repeat(10_000));
        assert_eq!(shown.chars().count(), LONGEST + 1);
        assert!(shown.ends_with("ü…"));
        assert_eq!(mask(&"x".repeat(LONGEST)), "x".repeat(LONGEST));
    }
}
