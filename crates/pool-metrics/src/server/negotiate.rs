//! What a client accepts.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus's text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format that the client prefers. OpenMetrics only for those who name it: a person's `*/*` gets the text that
    /// every tool reads. Who accepts neither gets the text too; an answer serves better than a refusal.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let (mut open, mut text) = (0.0_f32, Preference::default());
        for range in ranges(headers, header::ACCEPT) {
            let version = range.parameter("version");
            match range.name.to_ascii_lowercase().as_str() {
                "application/openmetrics-text" if matches!(version, None | Some("1.0.0")) => {
                    open = open.max(range.q);
                }
                "text/plain" if matches!(version, None | Some("0.0.4")) => text.by(2, range.q),
                "text/*" => text.by(1, range.q),
                "*/*" => text.by(0, range.q),
                _ => {}
            }
        }
        if open > 0.0 && open >= text.q {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// Prometheus 3 marks a target down that sends none.
    pub(super) const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        })
    }
}

/// Whether the client wants the body packed with gzip.
pub(super) fn gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity) = (Preference::default(), Preference::default());
    for range in ranges(headers, header::ACCEPT_ENCODING) {
        match range.name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip.by(1, range.q),
            "identity" => identity.by(1, range.q),
            "*" => gzip.by(0, range.q),
            _ => {}
        }
    }
    gzip.q > 0.0 && gzip.q >= identity.q
}

/// The weight that the most specific range gives; of equally specific ones the highest.
#[derive(Default)]
struct Preference {
    precision: u8,
    q: f32,
}

impl Preference {
    fn by(&mut self, precision: u8, q: f32) {
        if precision > self.precision {
            *self = Self { precision, q };
        } else if precision == self.precision {
            self.q = self.q.max(q);
        }
    }
}

/// One element of a header such as `text/plain;version=0.0.4;q=0.5`.
struct Range<'a> {
    name: &'a str,
    parameters: &'a str,
    q: f32,
}

impl<'a> Range<'a> {
    /// `None` for one that is not wellformed: it is as if it were not there.
    fn parse(text: &'a str) -> Option<Self> {
        let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
        let mut range = Self {
            name: name.trim(),
            parameters,
            q: 1.0,
        };
        if let Some(q) = range.parameter("q") {
            range.q = q.parse().ok().filter(|q| (0.0..=1.0).contains(q))?;
        }
        Some(range)
    }

    fn parameter(&self, wanted: &str) -> Option<&'a str> {
        let mut pairs = self.parameters.split(';').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim().trim_matches('"'))
    }
}

fn ranges(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Range<'_>> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(Range::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(accept: &str) -> Format {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Format::accepted(&headers)
    }

    #[test]
    fn what_real_clients_send_gets_what_they_prefer() {
        for (client, accept, expected) in [
            (
                "Prometheus 2.42",
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "Prometheus 3",
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            (
                "Prometheus 3 with scrape_protocols: [PrometheusText0.0.4]",
                "text/plain;version=0.0.4;q=0.6,*/*;q=0.5",
                Format::Text,
            ),
            ("curl", "*/*", Format::Text),
            (
                "a browser",
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
                Format::Text,
            ),
            (
                "an old Prometheus",
                "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::Text,
            ),
        ] {
            assert_eq!(format(accept), expected, "{client}");
        }
        assert_eq!(Format::accepted(&HeaderMap::new()), Format::Text);
    }

    #[test]
    fn weights_decide() {
        let open = "application/openmetrics-text";
        for (accept, expected) in [
            (format!("{open};q=0.4, text/plain;q=0.5"), Format::Text),
            (format!("{open};q=0.5, text/plain;q=0.5"), Format::OpenMetrics),
            (
                format!("{open};q=0.5, text/plain;q=0.1, */*"),
                Format::OpenMetrics,
            ),
            (
                format!("{open};q=0.5, text/*;q=0.1, */*;q=0.9"),
                Format::OpenMetrics,
            ),
            (format!("{open};q=0.5, */*;q=0.9"), Format::Text),
            (format!("{open};q=0"), Format::Text),
            (format!("{open};q=many"), Format::Text),
            (format!("{open};q=2"), Format::Text),
            (
                format!("{open}; Version = \"1.0.0\" ; Q=0.3"),
                Format::OpenMetrics,
            ),
            ("APPLICATION/OpenMetrics-Text".to_owned(), Format::OpenMetrics),
            ("application/json".to_owned(), Format::Text),
            (",;,=;q".to_owned(), Format::Text),
        ] {
            assert_eq!(format(&accept), expected, "{accept}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, "text/plain;q=0.5".parse().unwrap());
        headers.append(header::ACCEPT, "application/openmetrics-text".parse().unwrap());
        assert_eq!(Format::accepted(&headers), Format::OpenMetrics);
    }

    #[test]
    fn gzip_is_for_those_who_want_it() {
        for (accept, expected) in [
            ("gzip", true),
            ("gzip, deflate, br, zstd", true),
            ("x-gzip", true),
            ("*", true),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip;q=0.5, identity;q=0.9", false),
            ("gzip;q=0.5, identity;q=0.1", true),
            ("identity", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
            assert_eq!(gzip(&headers), expected, "{accept}");
        }
        assert!(!gzip(&HeaderMap::new()));
    }
}
