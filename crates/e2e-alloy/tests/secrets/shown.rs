//! Whatever is shown to anybody, and what is searched in the end.

use std::{
    collections::HashSet,
    error::Error,
    fmt::{Debug, Display},
    io::{self, Write},
    sync::{Arc, Mutex},
};

use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

use crate::marks::Search;

/// More than that nobody reads.
const LISTED: usize = 40;

/// Everything that was shown, each with where.
pub(crate) struct Shown {
    search: Search,
    /// Each text once, and what was found.
    texts: Mutex<(HashSet<String>, Vec<String>)>,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            search: Search::new(),
            texts: Mutex::default(),
        }
    }
}

impl Shown {
    pub(crate) fn text(&self, place: &str, text: &str) {
        if !self.texts.lock().unwrap().0.insert(text.to_owned()) {
            return;
        }
        if let Some(found) = self.search.find(text) {
            self.texts.lock().unwrap().1.push(format!("{place}: {found}"));
        }
    }

    pub(crate) fn debug(&self, place: &str, value: &impl Debug) {
        self.text(place, &format!("{value:?}"));
        self.text(place, &format!("{value:#?}"));
    }

    pub(crate) fn both(&self, place: &str, value: &(impl Debug + Display)) {
        self.debug(place, value);
        self.text(place, &value.to_string());
    }

    /// The error, its sources, and what anyhow makes of them.
    pub(crate) fn error(&self, place: &str, error: impl Error + Send + Sync + 'static) {
        self.both(place, &error);
        let mut source = error.source();
        while let Some(error) = source {
            self.both(&format!("{place}, a source"), &error);
            source = error.source();
        }
        let error = anyhow::Error::new(error).context("it failed");
        self.both(&format!("{place}, through anyhow"), &error);
        self.text(&format!("{place}, through anyhow"), &format!("{error:#}"));
    }

    pub(crate) fn assert_silent(&self) {
        let (texts, leaks) = &*self.texts.lock().unwrap();
        let texts = texts.len();
        println!("{texts} texts were searched");
        assert!(texts > 1000, "only {texts} texts were shown");
        // of each place one
        let mut places = HashSet::new();
        let listed = leaks.iter().filter(|leak| places.insert(leak.split(':').next()));
        let listed: Vec<_> = listed.take(LISTED).map(String::as_str).collect();
        let (count, listed) = (leaks.len(), listed.join("\n"));
        assert!(
            count == 0,
            "{count} of {texts} texts give secrets away:\n{listed}"
        );
    }
}

/// All that is logged by anybody, at any level.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn install() -> Self {
        let log = Self::default();
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(log.clone())
            .with_ansi(false)
            .init();
        log
    }

    pub(crate) fn lines(&self) -> Vec<&'static str> {
        let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
        let text: &'static str = text.leak();
        println!("{} bytes of log", text.len());
        text.lines().collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
