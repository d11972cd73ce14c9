//! What a collector receives over OTLP, held against what Prometheus is shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue, any_value},
    metrics::v1::{AggregationTemporality, Metric, metric::Data, number_data_point},
};
use pool_metrics::{
    PoolMetrics, PrometheusBridge,
    catalogue::{self, METRICS, Unit},
};
use prost::Message;

use crate::support::{Exposition, FakePool};

#[path = "../../examples/otlp.rs"]
#[allow(dead_code, reason = "the example's own main")]
mod example;

/// Receives one push and answers it.
fn receive(listener: &TcpListener) -> (String, ExportMetricsServiceRequest) {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let head = head.to_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap();
    let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    reader.into_inner().write_all(answer.as_bytes()).unwrap();
    (head, ExportMetricsServiceRequest::decode(&*body).unwrap())
}

type Series = BTreeMap<(String, BTreeMap<String, String>), f64>;

fn labels(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let pairs = attributes.iter().map(|pair| {
        let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
        let Some(any_value::Value::StringValue(value)) = value else {
            panic!("{pair:?}");
        };
        (pair.key.clone(), value.clone())
    });
    pairs.collect()
}

/// The points of a metric, in the form in which Prometheus has them.
fn points(metric: &Metric, into: &mut Series) {
    let number = |value: Option<number_data_point::Value>| match value.unwrap() {
        number_data_point::Value::AsInt(value) => value as f64,
        number_data_point::Value::AsDouble(value) => value,
    };
    let cumulative = AggregationTemporality::Cumulative as i32;
    let entry = catalogue::by_name(&metric.name).unwrap();
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => {
            assert_eq!(entry.kind, catalogue::Kind::Gauge, "{}", metric.name);
            for point in &gauge.data_points {
                into.insert(
                    (metric.name.clone(), labels(&point.attributes)),
                    number(point.value),
                );
            }
        }
        Data::Sum(sum) => {
            assert_eq!(entry.kind, catalogue::Kind::Counter, "{}", metric.name);
            assert!(
                sum.is_monotonic && sum.aggregation_temporality == cumulative,
                "{}",
                metric.name
            );
            for point in &sum.data_points {
                into.insert(
                    (metric.name.clone(), labels(&point.attributes)),
                    number(point.value),
                );
            }
        }
        Data::Histogram(histogram) => {
            assert_eq!(histogram.aggregation_temporality, cumulative, "{}", metric.name);
            for point in &histogram.data_points {
                assert_eq!(point.explicit_bounds, entry.buckets, "{}", metric.name);
                let mut below = 0;
                let bounds = point.explicit_bounds.iter().map(ToString::to_string);
                for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&point.bucket_counts) {
                    below += count;
                    let mut labels = labels(&point.attributes);
                    labels.insert("le".to_owned(), bound);
                    into.insert((format!("{}_bucket", metric.name), labels), below as f64);
                }
                let labels = labels(&point.attributes);
                into.insert(
                    (format!("{}_sum", metric.name), labels.clone()),
                    point.sum.unwrap(),
                );
                into.insert((format!("{}_count", metric.name), labels), point.count as f64);
            }
        }
        other => panic!("{}: {other:?}", metric.name),
    }
}

#[test]
fn a_collector_receives_what_prometheus_is_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let collector = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || sender.send(receive(&listener)));

    let bridge = PrometheusBridge::new().unwrap();
    let otlp = example::pushing(&collector, Duration::from_secs(3600)).unwrap();
    bridge.metrics().also(&otlp);
    let pool = FakePool::new("eth", &["a", "b"]);
    let observers = pool.register(bridge.metrics());
    pool.set(|pool| {
        pool.queue_size = 7;
        pool.rejections[2] = 11;
        pool.endpoints[1].errors[4] = 12;
        pool.endpoints[1].weight = 0.25;
    });
    observers[0].attempt_ended(Duration::from_micros(1500), None);
    observers[1].connect_ended(Duration::from_millis(30), true);
    otlp.force_flush().unwrap();

    let (head, request) = received.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(head.starts_with("post /v1/metrics "), "{head}");
    let scopes = request.resource_metrics.iter().flat_map(|all| &all.scope_metrics);
    let metrics: Vec<_> = scopes.flat_map(|scope| &scope.metrics).collect();
    let mut pushed = Series::new();
    for metric in &metrics {
        points(metric, &mut pushed);
        let entry = catalogue::by_name(&metric.name).unwrap();
        assert_eq!(metric.description, entry.help, "{}", metric.name);
        let unit = match entry.unit {
            Unit::Milliseconds => Some("ms"),
            Unit::Seconds => Some("s"),
            _ => None,
        };
        assert!(unit.is_none_or(|unit| metric.unit == unit), "{}", metric.name);
    }
    // all but the one by which the bridge speaks of itself
    let names: BTreeSet<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let expected: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    let missing: Vec<_> = expected.difference(&names).copied().collect();
    assert_eq!(missing, [catalogue::METRICS_OVERFLOW.name]);

    let exposed = Exposition::of(&bridge);
    let samples = exposed.0.values().flat_map(|family| &family.samples);
    let mut shown: Series = samples
        .map(|sample| ((sample.name.clone(), sample.labels.clone()), sample.value))
        .collect();
    shown.remove(&(catalogue::METRICS_OVERFLOW.name.to_owned(), BTreeMap::new()));
    assert_eq!(pushed, shown);
    let value = |name: &str, labels: &str| exposed.value(&format!("{}{name}", catalogue::PREFIX), labels);
    assert_eq!(value("queue_size", "pool=eth"), Some(7.0));
    assert_eq!(
        value("connect_duration_seconds_count", "pool=eth,endpoint=b"),
        Some(1.0)
    );
}

/// As documented: OpenTelemetry keeps histograms once they exist, and what is read from snapshots goes with its endpoint.
#[test]
fn over_otlp_the_histograms_of_a_removed_endpoint_stay_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let collector = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..2 {
            sender.send(receive(&listener).1).unwrap();
        }
    });
    let otlp = example::pushing(&collector, Duration::from_secs(3600)).unwrap();
    let metrics = PoolMetrics::new(&otlp);
    let pool = FakePool::new("eth", &["a", "b"]);
    let observers = pool.register(&metrics);
    observers[1].attempt_ended(Duration::from_millis(3), None);
    // the metrics that have something of the endpoint
    let of_b = || {
        otlp.force_flush().unwrap();
        let request = received.recv_timeout(Duration::from_secs(10)).unwrap();
        let scopes = request.resource_metrics.iter().flat_map(|all| &all.scope_metrics);
        let mut pushed = Series::new();
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            points(metric, &mut pushed);
        }
        let of_b = pushed
            .into_iter()
            .filter(|((_, labels), _)| labels.get("endpoint").is_some_and(|id| id == "b"));
        of_b.map(|((name, labels), value)| ((name, labels.get("le").cloned()), value))
            .collect::<BTreeMap<_, _>>()
    };
    let before = of_b();
    pool.set(|pool| drop(pool.endpoints.pop()));
    let after = of_b();
    let histograms = METRICS
        .iter()
        .filter(|metric| metric.kind == catalogue::Kind::Histogram);
    let names: Vec<_> = histograms.map(|metric| metric.name).collect();
    let mut kept = before.clone();
    kept.retain(|(name, _), _| names.iter().any(|histogram| name.starts_with(histogram)));
    assert!(kept.len() < before.len());
    assert_eq!(after, kept);
    let count = format!("{}_count", catalogue::REQUEST_DURATION_MS.name);
    assert_eq!(after[&(count, None)], 1.0);
}
