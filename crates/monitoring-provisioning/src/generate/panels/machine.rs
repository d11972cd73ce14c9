//! The machines, as Node Exporter on Linux sees them, and whether everything is scraped. The dashboard's variables are of
//! relayers and don't reach here.

use super::{
    Draft,
    colours::{BAD, WATCH},
    looks::{UP, state_timeline, timeseries},
};
use crate::spec::AlertName;

const FULL: &[(f64, &str)] = &[(0.8, WATCH), (0.9, BAD)];

pub(super) fn panels() -> Vec<Draft> {
    let mut drafts = vec![
        state_timeline(
            "Scrape targets",
            "Whether Prometheus reaches what it scrapes: relayers, machines and its own parts.",
            UP,
        )
        .query("max by (job, instance) (up)", "{{job}} · {{instance}}")
        .watched_by(&[AlertName::ScrapeTargetDown, AlertName::RelayerDown]),
        timeseries(
            "Scrape time",
            "How long a scrape takes. One that comes near the scrape time-out is about to be lost.",
            "s",
            &[],
        )
        .query(
            "max by (job, instance) (scrape_duration_seconds)",
            "{{job}} · {{instance}}",
        ),
    ];
    drafts.extend(shares());
    drafts.extend(network());
    drafts
}

fn shares() -> Vec<Draft> {
    vec![
        timeseries("CPU", "Share of all cores that is at work.", "percentunit", FULL)
            .query(
                "1 - avg by (instance) (max by (instance, cpu) \
(rate(node_cpu_seconds_total{mode=\"idle\"}[$__rate_interval])))",
                "{{instance}}",
            )
            .share()
            .size(8, 8),
        timeseries(
            "Memory",
            "Share of the memory that can't be had for programs.",
            "percentunit",
            FULL,
        )
        .query(
            "1 - max by (instance) (node_memory_MemAvailable_bytes) / max by (instance) \
(node_memory_MemTotal_bytes)",
            "{{instance}}",
        )
        .share()
        .size(8, 8),
        timeseries(
            "Disk",
            "Share of each file system that is taken, without those in memory. A full one stops \
Prometheus.",
            "percentunit",
            FULL,
        )
        .query(
            "1 - max by (instance, mountpoint) \
(node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs\"}) / (max by (instance, \
mountpoint) (node_filesystem_size_bytes{fstype!~\"tmpfs|ramfs|squashfs\"}) > 0)",
            "{{instance}} {{mountpoint}}",
        )
        .share()
        .size(8, 8),
        timeseries(
            "File descriptors",
            "Share of the machine's file descriptors in use. Without any left no connection opens.",
            "percentunit",
            FULL,
        )
        .query(
            "max by (instance) (node_filefd_allocated) / (max by (instance) (node_filefd_maximum) \
> 0)",
            "{{instance}}",
        )
        .share()
        .size(8, 8),
    ]
}

fn network() -> Vec<Draft> {
    let sum = |metric: &str| {
        format!(
            "sum by (instance) (max by (instance, device) \
(rate({metric}{{device!=\"lo\"}}[$__rate_interval])))"
        )
    };
    vec![
        timeseries(
            "TCP sockets",
            "Sockets in use, and those that wait until their address may be used again.",
            "none",
            &[],
        )
        .query(
            "max by (instance) (node_sockstat_TCP_inuse)",
            "{{instance}} in use",
        )
        .query(
            "max by (instance) (node_sockstat_TCP_tw)",
            "{{instance}} time-wait",
        )
        .dashed("time-wait")
        .size(8, 8),
        timeseries(
            "TCP retransmits",
            "Segments per second that had to be sent again: the network loses packets.",
            "pps",
            &[],
        )
        .query(
            "max by (instance) (rate(node_netstat_Tcp_RetransSegs[$__rate_interval]))",
            "{{instance}}",
        )
        .size(8, 8),
        timeseries(
            "Network",
            "Bytes per second over all devices but loopback.",
            "Bps",
            &[],
        )
        .query(sum("node_network_receive_bytes_total"), "{{instance}} received")
        .query(sum("node_network_transmit_bytes_total"), "{{instance}} sent")
        .dashed("sent"),
        timeseries(
            "Clock",
            "How far the machine's clock is from its time servers', as the kernel knows. A relayer \
with a wrong clock misjudges timelocks.",
            "s",
            &[],
        )
        .query("max by (instance) (node_timex_offset_seconds)", "{{instance}}")
        .signed(),
    ]
}
