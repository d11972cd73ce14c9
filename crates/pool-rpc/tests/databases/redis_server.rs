//! Redis servers of a trial.

use std::path::PathBuf;

use deadpool_redis::{
    Manager,
    redis::{Client, Cmd, FromRedisValue, RedisError, aio::MultiplexedConnection},
};
use tempfile::TempDir;

use crate::{
    programs,
    server::{Server, User, free_port},
};

/// A server with its data.
pub(crate) struct Redis {
    program: PathBuf,
    user: User,
    folder: TempDir,
    port: u16,
    server: Option<Server>,
}

impl Redis {
    pub(crate) fn find() -> Result<(PathBuf, User), String> {
        // Redis may be run by anybody
        let user = User::unprivileged().unwrap_or(User::SAME);
        Ok((programs::redis()?, user))
    }

    pub(crate) async fn primary((program, user): &(PathBuf, User)) -> Self {
        let mut this = Self {
            program: program.clone(),
            user: *user,
            folder: user.folder(),
            port: free_port(),
            server: None,
        };
        this.start(&[]).await;
        this
    }

    /// A replica of this one, in step with it.
    pub(crate) async fn replica(&self) -> Self {
        let replica = Self::primary(&(self.program.clone(), self.user)).await;
        replica.follow(self.port).await;
        replica.wait_for_sync().await;
        replica
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it, and waits until it answers at all.
    pub(crate) async fn start(&mut self, more: &[(&str, &str)]) {
        let port = self.port.to_string();
        let settings = [
            ("port", port.as_str()),
            ("bind", "127.0.0.1"),
            ("save", ""),
            ("repl-diskless-sync-delay", "0"),
            ("enable-debug-command", "local"),
        ];
        let all = settings.iter().chain(more);
        let arguments: Vec<String> = all
            .flat_map(|(key, value)| [format!("--{key}"), (*value).to_owned()])
            .collect();
        let server = Server::start(self.user, self.folder.path(), "KILL", &self.program, &arguments);
        server
            .wait_for(async || {
                let info = Cmd::new().arg("INFO").arg("server").to_owned();
                self.ask::<String>(&info).await
            })
            .await;
        self.server = Some(server);
    }

    /// As if its machine had lost power.
    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    /// Makes it a replica of the server on this port, whether or not there is one.
    pub(crate) async fn follow(&self, port: u16) {
        let command = Cmd::new().arg("REPLICAOF").arg("127.0.0.1").arg(port).to_owned();
        self.ask::<()>(&command).await.unwrap();
    }

    pub(crate) async fn wait_for_sync(&self) {
        for _ in 0..600 {
            let info = Cmd::new().arg("INFO").arg("replication").to_owned();
            let info: String = self.ask(&info).await.unwrap_or_default();
            if info.contains("master_link_status:up") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the replica never came in step");
    }

    /// On a connection beside the pool.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        command.query_async(&mut self.connect().await?).await
    }

    pub(crate) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        Client::open(self.url())?.get_multiplexed_async_connection().await
    }

    /// What an application would make.
    pub(crate) fn manager(&self) -> Manager {
        Manager::new(self.url()).unwrap()
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

// the server must be gone before its data are
impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
