//! The page in `docs/`: each suite writes between its own two marks, and leaves the rest to people. So does the README's
//! table of figures.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use super::{Image, machine::Machine};

/// Where the page's pictures lie.
const IMAGES: &str = "docs/images/bench";

/// Replaces a suite's part of a page, and its pictures.
///
/// # Errors
/// When the page has no place for the suite, or a file can't be written.
pub fn publish(
    root: &Path,
    page: &str,
    suite: &str,
    machine: &Machine,
    text: &str,
    images: &[Image],
) -> Result<()> {
    let path = root.join(page);
    let old = fs::read_to_string(&path).with_context(|| format!("can't read {page}"))?;
    let body = format!("Measured {machine}.\n\n{}", text.trim_end());
    let Some(new) = replace_between(&old, suite, &body) else {
        bail!(
            "{page} has no lines `{}` and `{}`, between which the suite writes",
            begin(suite),
            end(suite)
        );
    };
    let folder = root.join(IMAGES);
    fs::create_dir_all(&folder).with_context(|| format!("can't make {IMAGES}"))?;
    for image in images {
        replace(&folder.join(&image.name), image.svg.as_bytes())?;
    }
    replace(&path, new.as_bytes())
}

/// Writes a file whole or not at all.
///
/// # Errors
/// When it can't be written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, bytes).with_context(|| format!("can't write {}", Path::new(&beside).display()))?;
    fs::rename(&beside, path).with_context(|| format!("can't write {}", path.display()))
}

fn begin(suite: &str) -> String {
    format!("<!-- bench {suite}: begin, written by `cargo xtask bench` -->")
}

fn end(suite: &str) -> String {
    format!("<!-- bench {suite}: end -->")
}

/// The page with another body between the marks of this name; `None` when it has none.
pub(super) fn replace_between(page: &str, name: &str, body: &str) -> Option<String> {
    let (begin, end) = (begin(name), end(name));
    let (head, rest) = page.split_once(&begin)?;
    let (_, tail) = rest.split_once(&end)?;
    Some(format!("{head}{begin}\n\n{}\n\n{end}{tail}", body.trim_end()))
}

/// What stands between the marks of this name.
pub(super) fn between<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&begin(name))?;
    rest.split_once(&end(name)).map(|(body, _)| body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_writes_between_its_own_marks_only() {
        let (begin, end) = (begin("trace"), end("trace"));
        let page = format!("# Page\n{begin}\nold\n{end}\nby hand\n");
        let new = replace_between(&page, "trace", "new").unwrap();
        assert_eq!(new, format!("# Page\n{begin}\n\nnew\n\n{end}\nby hand\n"));
        assert_eq!(between(&new, "trace"), Some("\n\nnew\n\n"));
        assert_eq!(replace_between(&page, "pool", "new"), None);
    }
}
