//! The process's metrics: one registry that is handed in, its rules for names, and `/metrics`.
//!
//! Invariant: every metric of ours begins with `bcdr_`, is in base units and says so in its name;
//! one that does not is refused when it is registered. Label values are escaped by the library. Who
//! sets which metric is the roles' business; labels must come from bounded sets.

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, Opts, Registry, TextEncoder,
};

use crate::problem::Problem;

/// What every name begins with.
const PREFIX: &str = "bcdr_";
/// Units that are not base units, which a scraper would have to guess a factor for.
const REFUSED_UNITS: [&str; 14] = [
    "ms",
    "milliseconds",
    "us",
    "microseconds",
    "ns",
    "minutes",
    "hours",
    "days",
    "kb",
    "kib",
    "mb",
    "mib",
    "gb",
    "percent",
];
/// What a histogram may measure.
const HISTOGRAM_UNITS: [&str; 3] = ["_seconds", "_bytes", "_ratio"];
/// Upper bounds of request times, in seconds.
const REQUEST_SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.05, 0.2, 0.5, 2.0, 10.0, 60.0];

/// A metric cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The name breaks a rule.
    #[error("metric {name} {rule}; rename it")]
    Name {
        /// The offending name.
        name: String,
        /// What it fails to do.
        rule: &'static str,
    },
    /// The library refused it.
    #[error(
        "cannot register metric {name}: {source}; check that it is registered once and that its labels are valid"
    )]
    Refused {
        /// The metric.
        name: String,
        /// What the library said.
        source: prometheus::Error,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The registry of one process and the metrics that every role has. Clones share it.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    requests: HistogramVec,
}

impl Metrics {
    /// Takes `registry` and adds `bcdr_build_info{role,version}`, the `process_*` metrics and
    /// `bcdr_http_request_duration_seconds`. Once per registry.
    ///
    /// # Errors
    /// When the registry has one of these already.
    pub fn new(registry: Registry, role: &str, version: &str) -> Result<Self, MetricsError> {
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry
            .register(Box::new(process))
            .map_err(|source| MetricsError::Refused {
                name: "process_*".to_owned(),
                source,
            })?;
        let name = "bcdr_http_request_duration_seconds";
        let help = "Time from a request's headers to the headers of its answer.";
        let options = HistogramOpts::new(name, help).buckets(REQUEST_SECONDS.to_vec());
        let made = HistogramVec::new(options, &["route", "method", "status"]);
        let requests = enter(&registry, name, made)?;
        let metrics = Self { registry, requests };
        metrics
            .gauge_vec(
                "bcdr_build_info",
                "Always 1; what is running.",
                &["role", "version"],
            )?
            .with_label_values(&[role, version])
            .set(1.0);
        Ok(metrics)
    }

    /// A count of events or bytes that only grows; its name ends in `_total`.
    ///
    /// # Errors
    /// As for all of these: when the name breaks a rule or is taken.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        check(name, Kind::Counter)?;
        enter(&self.registry, name, IntCounter::new(name, help))
    }

    /// Such a count per label values.
    ///
    /// # Errors
    /// See [`Metrics::counter`].
    pub fn counter_vec(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, MetricsError> {
        check(name, Kind::Counter)?;
        enter(
            &self.registry,
            name,
            IntCounterVec::new(Opts::new(name, help), labels),
        )
    }

    /// A sum with fractions that only grows, such as seconds spent; its name ends in `_total`.
    ///
    /// # Errors
    /// See [`Metrics::counter`].
    pub fn sum(&self, name: &str, help: &str) -> Result<Counter, MetricsError> {
        check(name, Kind::Counter)?;
        enter(&self.registry, name, Counter::new(name, help))
    }

    /// Such a sum per label values.
    ///
    /// # Errors
    /// See [`Metrics::counter`].
    pub fn sum_vec(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<CounterVec, MetricsError> {
        check(name, Kind::Counter)?;
        enter(
            &self.registry,
            name,
            CounterVec::new(Opts::new(name, help), labels),
        )
    }

    /// A value that goes up and down.
    ///
    /// # Errors
    /// See [`Metrics::counter`].
    pub fn gauge(&self, name: &str, help: &str) -> Result<Gauge, MetricsError> {
        check(name, Kind::Gauge)?;
        enter(&self.registry, name, Gauge::new(name, help))
    }

    /// Such a value per label values. A value that is not known is removed
    /// (`remove_label_values`), never set to 0.
    ///
    /// # Errors
    /// See [`Metrics::counter`].
    pub fn gauge_vec(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, MetricsError> {
        check(name, Kind::Gauge)?;
        enter(
            &self.registry,
            name,
            GaugeVec::new(Opts::new(name, help), labels),
        )
    }

    /// A distribution with these upper bounds, in the unit of the name.
    ///
    /// # Errors
    /// See [`Metrics::counter`].
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        bounds: &[f64],
    ) -> Result<Histogram, MetricsError> {
        check(name, Kind::Histogram)?;
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        enter(&self.registry, name, Histogram::with_opts(options))
    }

    /// Such a distribution per label values.
    ///
    /// # Errors
    /// See [`Metrics::counter`].
    pub fn histogram_vec(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        bounds: &[f64],
    ) -> Result<HistogramVec, MetricsError> {
        check(name, Kind::Histogram)?;
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        enter(&self.registry, name, HistogramVec::new(options, labels))
    }

    /// Metrics that are computed when they are asked for, such as an age that grows by itself.
    ///
    /// # Errors
    /// When one of its names breaks the common rules or is taken.
    pub fn collector(&self, collector: Box<dyn Collector>) -> Result<(), MetricsError> {
        let names: Vec<_> = collector
            .desc()
            .iter()
            .map(|desc| desc.fq_name.clone())
            .collect();
        for name in &names {
            check_any(name)?;
        }
        self.registry
            .register(collector)
            .map_err(|source| MetricsError::Refused {
                name: names.join(", "),
                source,
            })
    }

    /// Everything in the text exposition format.
    ///
    /// # Errors
    /// When two metrics contradict each other.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// `/metrics`.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let metrics = self.clone();
        Router::new().route("/metrics", get(move || async move { metrics.expose() }))
    }

    fn expose(&self) -> Response {
        match self.text() {
            Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
            Err(error) => Problem::internal("collecting the metrics", &error).into_response(),
        }
    }

    /// Measures the requests of everything in `router`.
    pub(crate) fn measure(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(
            self.requests.clone(),
            observe,
        ))
    }
}

async fn observe(State(requests): State<HistogramVec>, request: Request, next: Next) -> Response {
    // The template of the route, never the path itself: a client must not be able to make labels.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = known_method(request.method());
    let started = Instant::now();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    requests
        .with_label_values(&[route, method, response.status().as_str()])
        .observe(started.elapsed().as_secs_f64());
    response
}

fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn enter<M: Collector + Clone + 'static>(
    registry: &Registry,
    name: &str,
    made: prometheus::Result<M>,
) -> Result<M, MetricsError> {
    let refused = |source| MetricsError::Refused {
        name: name.to_owned(),
        source,
    };
    let metric = made.map_err(refused)?;
    registry
        .register(Box::new(metric.clone()))
        .map_err(refused)?;
    Ok(metric)
}

fn check(name: &str, kind: Kind) -> Result<(), MetricsError> {
    check_any(name)?;
    let rule = match kind {
        Kind::Counter if !name.ends_with("_total") => "is a counter and does not end in _total",
        Kind::Gauge | Kind::Histogram if name.ends_with("_total") => {
            "ends in _total and is no counter"
        }
        Kind::Histogram if !HISTOGRAM_UNITS.iter().any(|unit| name.ends_with(unit)) => {
            "is a histogram and does not end in _seconds, _bytes or _ratio"
        }
        _ => return Ok(()),
    };
    Err(MetricsError::Name {
        name: name.to_owned(),
        rule,
    })
}

fn check_any(name: &str) -> Result<(), MetricsError> {
    let bare = name.strip_prefix(PREFIX).unwrap_or_default();
    let mut words = bare.split('_');
    let rule = if bare.is_empty() {
        "does not begin with bcdr_"
    } else if !bare
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    {
        "is not in snake case"
    } else if words.any(|word| REFUSED_UNITS.contains(&word)) {
        "has a unit other than seconds, bytes or ratio"
    } else {
        return Ok(());
    };
    Err(MetricsError::Name {
        name: name.to_owned(),
        rule,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        Metrics::new(Registry::new(), "cloud", "1.2.3").unwrap()
    }

    #[test]
    fn build_info_and_process_metrics_are_there() {
        let text = metrics().text().unwrap();
        assert!(
            text.contains(r#"bcdr_build_info{role="cloud",version="1.2.3"} 1"#),
            "{text}"
        );
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
    }

    #[test]
    fn names_are_held_to_the_rules() {
        let metrics = metrics();
        for name in [
            "group_rpo_seconds",
            "bcdr_",
            "bcdr_Rpo",
            "bcdr_rpo_ms",
            "bcdr_used_percent",
        ] {
            assert!(
                matches!(metrics.gauge(name, "x"), Err(MetricsError::Name { .. })),
                "{name}"
            );
        }
        assert!(metrics.counter("bcdr_volume_writes", "x").is_err());
        assert!(metrics.gauge("bcdr_volume_writes_total", "x").is_err());
        assert!(
            metrics
                .histogram("bcdr_capture_latency", "x", &[1.0])
                .is_err()
        );
        assert!(
            metrics
                .histogram("bcdr_capture_latency_seconds", "x", &[1.0])
                .is_ok()
        );
        assert!(metrics.gauge("bcdr_group_rpo_seconds", "x").is_ok());
        let again = metrics.gauge("bcdr_group_rpo_seconds", "x").unwrap_err();
        assert!(matches!(again, MetricsError::Refused { .. }), "{again}");
        let outside = Box::new(Gauge::new("other_value", "x").unwrap());
        assert!(matches!(
            metrics.collector(outside),
            Err(MetricsError::Name { .. })
        ));
    }

    #[test]
    fn label_values_are_escaped() {
        let metrics = metrics();
        let gauge = metrics
            .gauge_vec("bcdr_group_health", "x", &["group"])
            .unwrap();
        gauge.with_label_values(&["a\"b\\c\nd"]).set(1.0);
        let text = metrics.text().unwrap();
        assert!(
            text.contains(r#"bcdr_group_health{group="a\"b\\c\nd"} 1"#),
            "{text}"
        );
    }
}
