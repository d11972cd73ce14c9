//! PostgreSQL servers of a trial.

use std::path::PathBuf;

use deadpool_postgres::{
    Manager,
    tokio_postgres::{Client, Config, Error, NoTls},
};
use tempfile::TempDir;

use crate::{
    programs,
    server::{Server, User, free_port, run},
};

/// Connections that ordinary users may have.
pub(crate) const MOST_CONNECTIONS: usize = 10;

/// What is needed to run PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
    user: User,
}

impl Programs {
    pub(crate) fn find() -> Result<Self, String> {
        Ok(Self {
            folder: programs::postgres()?,
            user: User::unprivileged()?,
        })
    }
}

/// A server with its data.
pub(crate) struct Postgres {
    programs: Programs,
    folder: TempDir,
    port: u16,
    server: Option<Server>,
}

impl Postgres {
    /// A primary with the user `app` and the table `orders`.
    pub(crate) async fn primary(programs: &Programs) -> Self {
        let this = Self::new(programs);
        let mut initdb = programs.user.command(&programs.folder.join("initdb"));
        initdb
            .args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-N",
                "-E",
                "UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(this.data());
        run(initdb);
        let this = this.started().await;
        let setup = "CREATE ROLE app LOGIN; CREATE TABLE orders (id int PRIMARY KEY, note text); \
                     GRANT ALL ON orders TO app";
        this.admin().await.batch_execute(setup).await.unwrap();
        this
    }

    /// A replica that streams from this one.
    pub(crate) async fn replica(&self) -> Self {
        let replica = Self::new(&self.programs);
        let mut backup = self
            .programs
            .user
            .command(&self.programs.folder.join("pg_basebackup"));
        let port = self.port.to_string();
        backup
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-R", "-N"])
            .args(["-X", "stream", "-c", "fast", "-D"])
            .arg(replica.data());
        run(backup);
        replica.started().await
    }

    fn new(programs: &Programs) -> Self {
        Self {
            programs: programs.clone(),
            folder: programs.user.folder(),
            port: free_port(),
            server: None,
        }
    }

    async fn started(mut self) -> Self {
        self.start().await;
        self
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts it, and waits until it answers.
    pub(crate) async fn start(&mut self) {
        let settings = [
            format!("port={}", self.port),
            format!("max_connections={}", MOST_CONNECTIONS + 2),
            "superuser_reserved_connections=2".to_owned(),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "fsync=off".to_owned(),
            "shared_buffers=16MB".to_owned(),
            "autovacuum=off".to_owned(),
            "deadlock_timeout=100ms".to_owned(),
            "wal_retrieve_retry_interval=100ms".to_owned(),
            // a query is in the replay's way for no longer than it takes to cancel it
            "max_standby_streaming_delay=0".to_owned(),
        ];
        let mut arguments = vec!["-D".to_owned(), self.data().display().to_string()];
        arguments.extend(
            settings
                .into_iter()
                .flat_map(|setting| ["-c".to_owned(), setting]),
        );
        let program = self.programs.folder.join("postgres");
        let server = Server::start(
            self.programs.user,
            self.folder.path(),
            "QUIT",
            &program,
            &arguments,
        );
        server.wait_for(async || self.connect("postgres").await).await;
        self.server = Some(server);
    }

    /// As if its machine had lost power.
    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    /// A connection of a superuser, beside the pool.
    pub(crate) async fn admin(&self) -> Client {
        self.connect("postgres").await.unwrap()
    }

    /// A connection beside the pool.
    pub(crate) async fn connect(&self, user: &str) -> Result<Client, Error> {
        let (client, connection) = self.config(user).connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// What an application would make.
    pub(crate) fn manager(&self) -> Manager {
        Manager::new(self.config("app"), NoTls)
    }

    fn config(&self, user: &str) -> Config {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user(user)
            .dbname("postgres")
            .connect_timeout(std::time::Duration::from_secs(5));
        config
    }
}

// the server must be gone before its data are
impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}
