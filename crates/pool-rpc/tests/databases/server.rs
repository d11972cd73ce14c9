//! A server process that ends with its test, however that ends.

use std::{
    fs::File,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

/// Runs the server and waits for the end of standard input, which comes when the test closes it, fails or is killed.
const KEEPER: &str =
    r#"signal=$1; shift; "$@" & server=$!; cat >/dev/null; kill -s "$signal" $server; wait $server"#;

/// Who runs the servers: PostgreSQL refuses to be run by root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User(Option<(u32, u32)>);

impl User {
    /// Whoever runs the test.
    pub(crate) const SAME: Self = Self(None);

    /// `postgres`, which comes with the package, for root; else whoever runs the test.
    pub(crate) fn unprivileged() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let id = |flag: &str| -> Option<u32> {
            let output = Command::new("id").args([flag, "postgres"]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        match (id("-u"), id("-g")) {
            (Some(user), Some(group)) => Ok(Self(Some((user, group)))),
            _ => Err("PostgreSQL refuses to be run by root, and there is no user postgres".to_owned()),
        }
    }

    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Self(Some((user, group))) = self {
            command.uid(user).gid(group);
        }
        command
    }

    /// A folder of the user's own.
    pub(crate) fn folder(self) -> tempfile::TempDir {
        let folder = tempfile::Builder::new()
            .prefix("pool-databases-")
            .tempdir()
            .unwrap();
        if let Self(Some((user, group))) = self {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        folder
    }
}

/// A running server.
pub(crate) struct Server {
    keeper: Child,
    stdin: Option<ChildStdin>,
    log: PathBuf,
}

impl Server {
    /// Starts it in the folder; `signal` ends it at once, as a crash would.
    pub(crate) fn start(
        user: User,
        folder: &Path,
        signal: &str,
        program: &Path,
        arguments: &[String],
    ) -> Self {
        let log = folder.join("server.log");
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let mut keeper = user.command(Path::new("/bin/sh"));
        keeper
            .args(["-c", KEEPER, "keeper", signal])
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        let mut keeper = keeper.spawn().unwrap();
        let stdin = keeper.stdin.take();
        Self { keeper, stdin, log }
    }

    /// Waits until it is ready, at the most half a minute.
    pub(crate) async fn wait_for<T, E: std::fmt::Display>(
        &self,
        mut ready: impl AsyncFnMut() -> Result<T, E>,
    ) -> T {
        let mut last = String::new();
        for _ in 0..300 {
            match ready().await {
                Ok(done) => return done,
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        panic!("the server is not ready: {last}; its log:\n{log}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ended = self.keeper.wait();
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Runs a program to its end.
pub(crate) fn run(mut command: Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs a trial on a runtime of its own.
pub(crate) fn block_on(trial: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let within = Duration::from_secs(120);
    runtime.block_on(async {
        tokio::time::timeout(within, trial)
            .await
            .expect("the trial hangs");
    });
}
