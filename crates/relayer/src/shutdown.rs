//! Signals that ask the process to end, or to read its file again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit status after a second signal: 128 and SIGINT, as a shell reports it.
const IMPATIENT: i32 = 130;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To end; the signal's name.
    End(&'static str),
    /// SIGHUP: to read the file again.
    Reload,
}

/// SIGTERM, SIGINT and SIGHUP. From the moment this exists they no longer end the process by themselves.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal and tells what it asks for. Cancelled, it loses none.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::End("SIGTERM"),
            _ = self.interrupt.recv() => Wish::End("SIGINT"),
            _ = self.hangup.recv() => Wish::Reload,
        }
    }

    /// From now on the next signal to end does so at once, with status 130.
    pub fn end_at_next(mut self) {
        tokio::spawn(async move {
            loop {
                if let Wish::End(name) = self.next().await {
                    tracing::warn!("{name} again: ending at once");
                    std::process::exit(IMPATIENT);
                }
            }
        });
    }
}
