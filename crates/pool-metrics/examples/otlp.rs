//! Pushes the metrics of a pool to an OpenTelemetry collector, over OTLP with HTTP and protobuf, and shows them to
//! Prometheus at the same time.
//!
//! `cargo run -p pool-metrics --example otlp -- http://localhost:4318/v1/metrics`

use std::{convert::Infallible, error::Error, sync::Arc, time::Duration};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{MetricExporter, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use pool_core::{
    CheckCx, ConnectCx, Endpoint, EndpointConfig, EndpointId, Pool, PoolId, RecycleCx, Report, Verdict,
};
use pool_metrics::{Limits, PrometheusBridge, views};

/// What sends the pushes. The SDK's reader pushes from a thread of its own, so a client that blocks is right for it; any
/// other that implements [`HttpClient`] does as well.
#[derive(Debug)]
struct Push(ureq::Agent);

#[async_trait::async_trait]
impl HttpClient for Push {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, body.to_vec());
        let (head, mut body) = self.0.run(request)?.into_parts();
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }
}

/// A provider that pushes to a collector every so often, with the limits and the buckets of the catalogue.
///
/// # Errors
/// The address is no URL.
pub(crate) fn pushing(collector: &str, every: Duration) -> Result<SdkMeterProvider, Box<dyn Error>> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(10)))
        .http_status_as_error(false);
    let exporter = MetricExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(Push(config.build().into()))
        .with_endpoint(collector)
        .build()?;
    let reader = PeriodicReader::builder(exporter).with_interval(every).build();
    Ok(SdkMeterProvider::builder()
        .with_reader(reader)
        .with_view(views(Limits::default()))
        .build())
}

/// A node that needs no network.
struct Anywhere;

impl Endpoint for Anywhere {
    type Transport = ();
    type Conn = ();
    type Error = Infallible;

    async fn connect(&self, _: &ConnectCx) -> Result<(), Infallible> {
        Ok(())
    }

    async fn open(&self, _: &Arc<()>) -> Result<(), Infallible> {
        Ok(())
    }

    fn is_clean(&self, (): &()) -> bool {
        true
    }

    async fn recycle(&self, (): &mut (), _: &RecycleCx) -> Result<(), Infallible> {
        Ok(())
    }

    async fn check(&self, _: &CheckCx) -> Result<Report, Infallible> {
        Ok(Report::fit(None))
    }

    fn classify(&self, error: &Infallible) -> Verdict {
        match *error {}
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1);
    let collector = argument.as_deref().unwrap_or("http://localhost:4318/v1/metrics");

    let bridge = PrometheusBridge::new()?;
    let otlp = pushing(collector, Duration::from_secs(10))?;
    // before the pools are built, so that their latencies are recorded there too
    bridge.metrics().also(&otlp);

    let pool = Pool::builder(PoolId::new("demo")?)
        .observer(Arc::new(bridge.metrics().clone()))
        .endpoint(EndpointId::new("anywhere")?, Anywhere, EndpointConfig::default())
        .build()?;
    pool.ready(Duration::from_secs(1)).await;
    for _ in 0..100 {
        pool.acquire().await?.succeed();
    }
    let pushed = tokio::task::spawn_blocking(move || otlp.force_flush()).await?;
    pushed.map_err(|error| format!("nothing was pushed to {collector}: {error}"))?;
    println!("pushed to {collector}");
    Ok(())
}
