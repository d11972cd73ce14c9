//! Objectives, and what a profile demands.

use pool_metrics::catalogue::REQUEST_DURATION_MS;

use super::Checker;
use crate::{
    alert::{alerts, number},
    duration::PromDuration,
    spec::{AlertName, Profile, Spec},
};

/// The longest window of the burn-rate alerts.
const LONGEST: PromDuration = PromDuration::from_secs(3 * 86_400);

impl Checker<'_> {
    pub(super) fn slo(&mut self) {
        let slo = &self.spec.slo;
        for (key, share) in [("availability", slo.availability), ("latency", slo.latency)] {
            if !(0.95..=0.99999).contains(&share) {
                self.report(
                    &format!("slo/{key}"),
                    format!("an objective of {}", number(share)),
                    "allowed: 0.95 to 0.99999; below it, 14.4 times the allowed share would be nearly all",
                );
            }
        }
        if !REQUEST_DURATION_MS.buckets.contains(&slo.latency_ms) {
            let bounds: Vec<String> = REQUEST_DURATION_MS
                .buckets
                .iter()
                .map(|bound| number(*bound))
                .collect();
            self.report(
                "slo/latency_ms",
                format!("no bucket of the histogram ends at {} ms", number(slo.latency_ms)),
                format!("allowed: {}", bounds.join(", ")),
            );
        }
        if !(slo.min_rate >= 0.000_001 && slo.min_rate <= 100_000.0) {
            self.report(
                "slo/min_rate",
                "`min_rate` must be above 0 and at most 100000",
                "without a floor on traffic, one failed attempt at night burns the budget of a day",
            );
        }
        let burns = alerts(self.spec).any(|alert| alert.enabled && alert.definition.name.is_burn_rate());
        if burns
            && self.spec.scaled(LONGEST) > self.spec.retention()
            && self.spec.retention() != PromDuration::ZERO
        {
            self.report(
                "prometheus/retention",
                format!(
                    "samples are kept for {}, but the burn-rate alerts look back {LONGEST}",
                    self.spec.retention()
                ),
                format!("allowed: {LONGEST} or more, or switch off the four alerts `Pool...Burn...`"),
            );
        }
    }

    /// Production must be watched from outside, must tell somebody, and must not have a password that everybody knows.
    pub(super) fn profile(&mut self) {
        let spec = self.spec;
        if spec.profile != Profile::Production {
            return;
        }
        let heartbeat = "notifications/heartbeat/receivers";
        if spec.notifications.heartbeat.receivers.is_empty() {
            self.report_first(
                &[heartbeat, "notifications/heartbeat", "notifications", "profile"],
                "profile `production` without a receiver for the dead man's switch",
                "name one outside of this stack under `notifications.heartbeat.receivers`: it must raise the alarm when the \
                 alert stays away",
            );
        }
        if !spec.notifications.heartbeat.receivers.is_empty()
            && spec
                .notifications
                .heartbeat
                .receivers
                .iter()
                .all(|name| is_here(spec, name))
        {
            self.report(
                heartbeat,
                "profile `production` with a dead man's switch that ends on this machine",
                "whoever watches over it must not fail with it: name a receiver elsewhere, under `notifications.heartbeat.receivers`",
            );
        }
        if !alerts(spec).any(|alert| alert.enabled && alert.definition.name == AlertName::DeadMansSwitch) {
            self.report(
                "alerts/DeadMansSwitch/enabled",
                "profile `production` without the dead man's switch",
                "leave it on: nothing else tells that the monitoring itself has failed",
            );
        }
        if spec.notifications.critical.receivers.is_empty() {
            self.report_first(
                &[
                    "notifications/critical/receivers",
                    "notifications/critical",
                    "notifications",
                    "profile",
                ],
                "profile `production` without a receiver for critical alerts",
                "name one under `notifications.critical.receivers`",
            );
        }
        if spec.grafana.is_well_known() {
            self.report_first(
                &["grafana/admin_password", "profile"],
                "profile `production` with Grafana's well-known password",
                "put another one into a file and name it as `grafana.admin_password_file`",
            );
        }
    }

    /// Reports at the first of the settings that is written down.
    fn report_first(&mut self, paths: &[&str], what: &str, remedy: &str) {
        let path = self.first_given(paths);
        self.report(&path, what, remedy);
    }
}

/// Whether a receiver is a webhook on the very machine that runs the stack, as far as its address tells.
fn is_here(spec: &Spec, name: &str) -> bool {
    let url = spec
        .receivers
        .webhook
        .get(name)
        .and_then(|webhook| webhook.url.as_deref());
    let Some((_, rest)) = url.and_then(|url| url.split_once("://")) else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host == "host.docker.internal"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}
