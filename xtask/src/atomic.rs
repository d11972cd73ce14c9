//! Files that are either the old or the new version, never half of one.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes to a temporary file beside `path` and renames it. Creates missing folders.
///
/// The file gets the usual permissions of a new file: containers read the generated ones as another user.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<()> {
    write_with_mode(path, contents, 0o644)
}

/// Like [`write()`], but only the owner may read the file.
pub(crate) fn write_private(path: &Path, contents: &[u8]) -> Result<()> {
    write_with_mode(path, contents, 0o600)
}

fn write_with_mode(path: &Path, contents: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().context("a file needs a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempfile_in(folder)
        .with_context(|| format!("can't write in {}", folder.display()))?;
    file.write_all(contents)
        .with_context(|| format!("can't write {}", path.display()))?;
    file.persist(path)
        .with_context(|| format!("can't replace {}", path.display()))?;
    Ok(())
}

/// Like [`write()`], but leaves an equal file alone. True when the file changed.
pub(crate) fn write_if_changed(path: &Path, contents: &[u8]) -> Result<bool> {
    if std::fs::read(path).is_ok_and(|old| old == contents) {
        return Ok(false);
    }
    write(path, contents)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_file_is_left_alone_and_no_scraps_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.yml");
        assert!(write_if_changed(&path, b"one").unwrap());
        assert!(!write_if_changed(&path, b"one").unwrap());
        assert!(write_if_changed(&path, b"two").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn others_may_read_generated_files_but_not_private_ones() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (open, private) = (dir.path().join("open"), dir.path().join("private"));
        write(&open, b"").unwrap();
        write_private(&private, b"").unwrap();
        // The umask may take rights away from the first, never add some.
        assert_eq!(mode(&open) & 0o600, 0o600);
        assert_eq!(mode(&private), 0o600);
    }
}
