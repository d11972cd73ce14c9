//! Log files of the supervised services: bounded in size, shown from the end.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A log larger than this is moved aside; one older file is kept, so a service holds at most twice as much.
pub(crate) const CAP: u64 = 5 * 1024 * 1024;

/// The log of one service.
pub(crate) fn path(state_dir: &Path, service: &str) -> PathBuf {
    state_dir.join("logs").join(format!("{service}.log"))
}

/// Opens a log to append to. The service writes to it directly: its output survives the supervisor's death.
pub(crate) fn open(state_dir: &Path, service: &str) -> Result<File> {
    let path = path(state_dir, service);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
    }
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("can't open {}", path.display()))
}

/// Copies an oversized log to `<name>.log.1` and empties it.
///
/// Renaming would not do: the service goes on writing to the file that it has open. What it writes between copy
/// and emptying is lost, a few lines at most.
pub(crate) fn rotate(path: &Path, cap: u64) -> Result<bool> {
    let Ok(meta) = std::fs::metadata(path) else {
        return Ok(false);
    };
    if meta.len() <= cap {
        return Ok(false);
    }
    let old = path.with_extension("log.1");
    std::fs::copy(path, &old).with_context(|| format!("can't copy {}", path.display()))?;
    let file = File::options()
        .write(true)
        .open(path)
        .with_context(|| format!("can't open {}", path.display()))?;
    file.set_len(0)
        .with_context(|| format!("can't empty {}", path.display()))?;
    Ok(true)
}

/// The last lines; fewer when the log is shorter, none when there is no log.
pub(crate) fn tail(path: &Path, lines: usize) -> Vec<String> {
    const WINDOW: u64 = 256 * 1024;
    let read = || -> std::io::Result<(Vec<u8>, bool)> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let cut = length > WINDOW;
        file.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
        let mut bytes = Vec::new();
        file.take(WINDOW).read_to_end(&mut bytes)?;
        Ok((bytes, cut))
    };
    let Ok((bytes, cut)) = read() else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&bytes);
    // A window that begins amid a line would show half of it.
    let all: Vec<&str> = text.lines().skip(usize::from(cut)).collect();
    all[all.len().saturating_sub(lines)..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}

/// Hands out what is added to a log; starts over when the log was rotated.
#[derive(Debug)]
pub(crate) struct Follower {
    path: PathBuf,
    offset: u64,
}

impl Follower {
    /// From the present end on.
    pub(crate) fn from_end(path: PathBuf) -> Self {
        let offset = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        Self { path, offset }
    }

    /// Copies what was added since the last call. True when there was something.
    pub(crate) fn copy_new(&mut self, out: &mut impl Write) -> Result<bool> {
        let Ok(mut file) = File::open(&self.path) else {
            return Ok(false);
        };
        let length = file.metadata()?.len();
        if length < self.offset {
            self.offset = 0;
        }
        if length == self.offset {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        self.offset += std::io::copy(&mut file.take(length - self.offset), out)?;
        out.flush()?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oversized_log_is_moved_aside_while_its_writer_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path(), "svc").unwrap();
        let log = path(dir.path(), "svc");
        writer.write_all(b"one\ntwo\n").unwrap();
        assert!(!rotate(&log, 8).unwrap());
        writer.write_all(b"three\n").unwrap();
        assert!(rotate(&log, 8).unwrap());
        writer.write_all(b"four\n").unwrap();
        assert_eq!(tail(&log, 10), ["four"]);
        assert_eq!(tail(&log.with_extension("log.1"), 2), ["two", "three"]);
    }

    #[test]
    fn the_end_of_a_long_log_begins_with_a_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("long.log");
        let text: String = (0..40_000).map(|n| format!("line {n:>10}\n")).collect();
        std::fs::write(&log, text).unwrap();
        let all = tail(&log, usize::MAX);
        assert!(all.iter().all(|line| line.len() == 15), "a cut line is shown");
        assert_eq!(tail(&log, 1), ["line      39999"]);
        assert!(tail(&dir.path().join("missing"), 5).is_empty());
    }

    #[test]
    fn a_follower_shows_each_line_once_and_survives_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("f.log");
        std::fs::write(&log, "old\n").unwrap();
        let mut follower = Follower::from_end(log.clone());
        let mut seen = Vec::new();
        assert!(!follower.copy_new(&mut seen).unwrap());
        std::fs::write(&log, "old\nnew\n").unwrap();
        assert!(follower.copy_new(&mut seen).unwrap());
        std::fs::write(&log, "x\n").unwrap();
        assert!(follower.copy_new(&mut seen).unwrap());
        assert_eq!(String::from_utf8(seen).unwrap(), "new\nx\n");
    }
}
