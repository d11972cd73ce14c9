//! Connections that are numbers, so that only the pools cost anything. Read by the package `benches` as well.

use std::{convert::Infallible, sync::Arc};

use pool_core::{CheckCx, ConnectCx, Endpoint, RecycleCx, Report, Verdict};

/// Makes and keeps connections, for every pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers;

impl Endpoint for Numbers {
    type Transport = ();
    type Conn = u64;
    type Error = Infallible;

    async fn connect(&self, _: &ConnectCx) -> Result<(), Infallible> {
        Ok(())
    }

    async fn open(&self, _: &Arc<()>) -> Result<u64, Infallible> {
        Ok(7)
    }

    fn is_clean(&self, _: &u64) -> bool {
        true
    }

    async fn recycle(&self, _: &mut u64, _: &RecycleCx) -> Result<(), Infallible> {
        Ok(())
    }

    async fn check(&self, _: &CheckCx) -> Result<Report, Infallible> {
        Ok(Report::fit(None))
    }

    fn classify(&self, error: &Infallible) -> Verdict {
        match *error {}
    }
}
