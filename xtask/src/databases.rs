//! PostgreSQL and Redis, which the tests of the database endpoints run.

use std::path::PathBuf;

use crate::binaries::Program;
use crate::packages;

/// Built into the tests, so that they can use them.
pub(crate) const FEATURES: &str = "pool-rpc/postgres,pool-rpc/redis";
/// What the tests need.
const NEEDED: [Program; 2] = [Program::Initdb, Program::Redis];

/// The servers' programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Databases {
    /// The folder of PostgreSQL's.
    pub(crate) postgres: PathBuf,
    /// `redis-server`.
    pub(crate) redis: PathBuf,
}

impl Databases {
    /// What tells the tests where the servers are, and that they must not be passed over.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("DATABASES_E2E", "1".into()),
            ("POSTGRES_BIN_DIR", self.postgres.clone()),
            ("REDIS_SERVER", self.redis.clone()),
        ]
    }
}

/// Finds the servers; installs those that are missing when `install` allows it. Otherwise says why there is none.
pub(crate) fn obtain(install: bool) -> Result<Databases, String> {
    if install {
        packages::obtain(&NEEDED, true).map_err(|error| format!("{error:#}"))?;
    }
    let find = |program: Program| {
        program
            .find()
            .ok_or_else(|| format!("missing {}", program.names()[0]))
    };
    let initdb = find(Program::Initdb)?;
    // PATH may hold a link to it, and the server is beside the program itself
    let initdb = initdb.canonicalize().unwrap_or(initdb);
    Ok(Databases {
        postgres: initdb.parent().map(PathBuf::from).unwrap_or_default(),
        redis: find(Program::Redis)?,
    })
}
