//! Where the notifications arrive: a webhook for each receiver of each Alertmanager, with the moment of arrival.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::running::now;
use crate::notifications;

/// One alert of a notification.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Told {
    pub(super) status: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

/// One notification.
#[derive(Clone, Debug)]
pub(super) struct Notification {
    /// When it arrived, in seconds since 1970.
    pub(super) at: f64,
    /// `stack/receiver`, the path of the webhook.
    pub(super) receiver: String,
    pub(super) alerts: Vec<Told>,
}

#[derive(Deserialize)]
struct Payload {
    alerts: Vec<Told>,
}

/// Listens for as long as this process lives.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    pub(super) port: u16,
    arrived: Arc<Mutex<Vec<Notification>>>,
}

impl Inbox {
    pub(super) fn open() -> Result<Self> {
        let listener =
            TcpListener::bind("127.0.0.1:0").context("can't listen for notifications on loopback")?;
        let port = listener.local_addr()?.port();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&arrived);
        notifications::receive(listener, move |path, body| {
            let payload: Payload =
                serde_json::from_slice(body).map_err(|error| format!("not a notification: {error}"))?;
            let notification = Notification {
                at: now(),
                receiver: path.trim_start_matches('/').to_owned(),
                alerts: payload.alerts,
            };
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(notification);
            Ok(())
        });
        Ok(Self { port, arrived })
    }

    /// What has arrived so far, oldest first.
    pub(super) fn arrived(&self) -> Vec<Notification> {
        self.arrived
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Notification {
    /// The first alert of this status that is meant.
    pub(super) fn find(&self, status: &str, meant: impl Fn(&Told) -> bool) -> Option<&Told> {
        self.alerts
            .iter()
            .find(|told| told.status == status && meant(told))
    }
}
