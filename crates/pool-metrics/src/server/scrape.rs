//! `/metrics`, and how much such work runs at once.

use std::{error::Error, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use prometheus::{Registry, TextEncoder};
use tokio::sync::Semaphore;

use super::{
    answer::{Answer, Body, negotiated, plain},
    negotiate::{self, Format},
    open_metrics,
};

/// Gatherings at once; further scrapes wait for their turn. They take turns at the exporter's lock anyway, for the
/// histograms, so more would mostly hold more memory.
const CONCURRENT_SCRAPES: usize = 4;

/// For an answer, waiting included, unless the scraper says that it gives up before.
const LONGEST: Duration = Duration::from_secs(60);

/// Prometheus tells here how long it waits.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// A few places for work that blocks its thread.
#[derive(Debug)]
pub(super) struct Workshop {
    places: Arc<Semaphore>,
}

impl Workshop {
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
        }
    }

    /// Waits for a place, does the work on a blocking thread and answers with its result; with an error if the work
    /// panics, fails or takes longer than `limit` (the wait for a place included).
    ///
    /// Cancelled or out of time, work that has begun runs to its end and keeps its place until then, so that impatient
    /// clients can't start more than the limit.
    pub(super) async fn answer(
        &self,
        limit: Duration,
        work: impl FnOnce() -> Result<Answer, Box<dyn Error + Send + Sync>> + Send + 'static,
    ) -> Answer {
        let places = Arc::clone(&self.places);
        let done = async {
            // never closed, so this can't fail
            let place = places.acquire_owned().await.ok();
            tokio::task::spawn_blocking(move || {
                let answer = work();
                drop(place);
                answer
            })
            .await
        };
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "an answer for the monitoring could not be made");
            plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the answer could not be made; the log says why\n",
            )
        };
        match tokio::time::timeout(limit, done).await {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(error))) => failed(&error),
            Ok(Err(error)) => failed(&error),
            Err(_) => {
                tracing::warn!(?limit, "an answer for the monitoring took too long");
                plain(
                    StatusCode::GATEWAY_TIMEOUT,
                    format!(
                        "no answer within {limit:?}; other scrapes may be under way, or there is very much to gather\n"
                    ),
                )
            }
        }
    }
}

/// Answers scrapes of a registry.
pub(super) struct Scrapes {
    registry: Registry,
    workshop: Workshop,
}

impl Scrapes {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            workshop: Workshop::new(CONCURRENT_SCRAPES),
        }
    }

    /// Gathers and encodes on a blocking thread: a thousand endpoints take some 60 ms.
    pub(super) async fn answer(&self, headers: &HeaderMap) -> Answer {
        let (format, gzip) = (Format::accepted(headers), negotiate::gzip(headers));
        let registry = self.registry.clone();
        let scrape = move || {
            let families = registry.gather();
            let text = match format {
                Format::Text => TextEncoder::new().encode_to_string(&families)?,
                Format::OpenMetrics => open_metrics::encode(&families),
            };
            Ok(negotiated(format.content_type(), Body::new(text, gzip)?))
        };
        self.workshop.answer(patience(headers), scrape).await
    }
}

/// How long the client waits, as far as it says and within reason.
pub(super) fn patience(headers: &HeaderMap) -> Duration {
    let said = headers.get(SCRAPE_TIMEOUT).and_then(|value| value.to_str().ok());
    let seconds = said.and_then(|text| text.trim().parse().ok());
    let told = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    told.filter(|told| !told.is_zero())
        .map_or(LONGEST, |told| told.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scrapers_patience_is_honoured_within_reason() {
        let told = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(SCRAPE_TIMEOUT, text.parse().unwrap());
            patience(&headers)
        };
        assert_eq!(told("10"), Duration::from_secs(10));
        assert_eq!(told("0.25"), Duration::from_millis(250));
        for odd in ["", "0", "-1", "NaN", "inf", "1e300", "soon", "3600"] {
            assert_eq!(told(odd), LONGEST, "{odd}");
        }
        assert_eq!(patience(&HeaderMap::new()), LONGEST);
    }
}
