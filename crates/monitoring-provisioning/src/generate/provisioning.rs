//! Grafana's provisioning.

use super::addresses::Addresses;
use crate::model::provisioning::{
    DashboardProvider, DashboardProviders, Datasource, DatasourceOptions, Datasources, ProviderOptions,
};

/// Prometheus, the default, and Alertmanager.
pub(super) fn datasources(addresses: &Addresses<'_>) -> Datasources {
    let spec = addresses.spec;
    Datasources {
        api_version: 1,
        datasources: vec![
            Datasource {
                name: "Prometheus".to_owned(),
                uid: "fusion-prometheus".to_owned(),
                kind: "prometheus".to_owned(),
                access: "proxy".to_owned(),
                url: format!("http://{}", addresses.prometheus()),
                is_default: true,
                editable: false,
                json_data: DatasourceOptions {
                    time_interval: Some(spec.scaled(spec.prometheus.scrape_interval).to_string()),
                    http_method: Some("POST".to_owned()),
                    implementation: None,
                },
            },
            Datasource {
                name: "Alertmanager".to_owned(),
                uid: "fusion-alertmanager".to_owned(),
                kind: "alertmanager".to_owned(),
                access: "proxy".to_owned(),
                url: format!("http://{}", addresses.alertmanager()),
                is_default: false,
                editable: false,
                json_data: DatasourceOptions {
                    implementation: Some("prometheus".to_owned()),
                    ..DatasourceOptions::default()
                },
            },
        ],
    }
}

/// The folder of our dashboards.
pub(super) fn dashboards(addresses: &Addresses<'_>) -> DashboardProviders {
    DashboardProviders {
        api_version: 1,
        providers: vec![DashboardProvider {
            name: "connection-pool".to_owned(),
            folder: "Fusion".to_owned(),
            kind: "file".to_owned(),
            disable_deletion: true,
            // Grafana keeps edits in its database only and loses them with the next file. `cargo xtask dashboard pull` brings
            // them back before that.
            allow_ui_updates: true,
            update_interval_seconds: 10,
            options: ProviderOptions {
                path: addresses.dashboards(),
            },
        }],
    }
}
