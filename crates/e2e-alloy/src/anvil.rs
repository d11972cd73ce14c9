//! anvil, a real Ethereum node.

use std::{
    ffi::OsStr,
    io,
    net::TcpListener,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
};

/// Names anvil's binary (npm: `@foundry-rs/anvil`); `cargo xtask test` obtains it.
pub const ANVIL: &str = "ANVIL_BIN";

/// A running anvil on a port of its own, with a fresh chain of id 1337 that begins at a fixed time. Ends when dropped.
#[derive(Debug)]
pub struct Anvil {
    process: Child,
    port: u16,
}

impl Anvil {
    /// Starts it; it listens a little later.
    ///
    /// # Errors
    /// When there is no free port or the binary cannot be started.
    pub fn start(binary: &OsStr) -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new(binary)
            .args(["--silent", "--chain-id", "1337", "--timestamp", "1700000000"])
            .args(["--port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { process, port })
    }

    /// Where it listens.
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // npm's anvil is a script that starts the real one: with the script alone killed, that would run on
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
