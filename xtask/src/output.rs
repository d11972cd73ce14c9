//! All output to the terminal goes through here: a reader that leaves early (`| head -1`) ends no command amid its
//! work, and never with a panic. What it doesn't want to read any more is dropped.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static NOBODY_READS: AtomicBool = AtomicBool::new(false);

/// Formats a line onto standard output, like `println!`.
macro_rules! outln {
    ($($argument:tt)*) => {
        $crate::output::out(format_args!("{}\n", format_args!($($argument)*)))
    };
}

/// Formats a line onto standard error, like `eprintln!`.
macro_rules! errln {
    ($($argument:tt)*) => {
        $crate::output::err(format_args!("{}\n", format_args!($($argument)*)))
    };
}

/// Writes to standard output.
pub(crate) fn out(text: fmt::Arguments<'_>) {
    if nobody_reads() {
        return;
    }
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        NOBODY_READS.store(true, Ordering::SeqCst);
        if error.kind() != ErrorKind::BrokenPipe {
            err(format_args!(
                "notice: standard output can't be written: {error}\n"
            ));
        }
    }
}

/// Writes to standard error. There is no place to complain about a failure of it.
pub(crate) fn err(text: fmt::Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// True once standard output could not be written: what only writes to it may end.
pub(crate) fn nobody_reads() -> bool {
    NOBODY_READS.load(Ordering::SeqCst)
}

/// Standard output as a writer with the same manners.
#[derive(Debug)]
pub(crate) struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if nobody_reads() {
            return Ok(bytes.len());
        }
        match std::io::stdout().write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                NOBODY_READS.store(true, Ordering::SeqCst);
                Ok(bytes.len())
            }
            other => other,
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match std::io::stdout().flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                NOBODY_READS.store(true, Ordering::SeqCst);
                Ok(())
            }
            other => other,
        }
    }
}
