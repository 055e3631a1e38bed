//! The lines that say what is in force.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::{Guard, Moment};
use crate::audit::{AuditEvent, AuditRecord, bounded};
use crate::policy::{Layer, Mode, Policy};

impl Guard {
    /// Records what is in force, one line for each layer; `replaced` is what was in force before.
    pub(super) fn record_posture(&self, moment: &Moment, replaced: Option<&Policy>) {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let (adapters, environment) = (adapters(), suspicious(names));
        let layer_count = moment.policy.layers().count();
        for (number, layer) in moment.policy.layers().enumerate() {
            let mode = layer.mode(moment.now);
            let previous = replaced.and_then(|policy| policy.layers().nth(number));
            let message = if moment.policy.is_quarantined() { in_quarantine(layer) } else { in_words(layer, mode) };
            let message = if replaced.is_some() { format!("replaced: {message}") } else { message };
            let record = AuditRecord {
                level: if environment.is_empty() && !moment.policy.is_quarantined() { "INFO" } else { "WARN" },
                policy_id: &layer.name,
                policy_sha256: layer.sha256.as_deref(),
                previous_policy_sha256: previous.and_then(|layer| layer.sha256.as_deref()),
                policy_source: Some(bounded(&layer.source, 256)),
                layer: (layer_count > 1).then_some(number + 1),
                layer_count: (layer_count > 1).then_some(layer_count),
                mode: mode.as_str(),
                report_only_until: layer.report_only_until.map(|day| day.to_string()),
                rule_count: Some(layer.rules.len()),
                adapters: Some(&adapters),
                suspicious_environment: (!environment.is_empty()).then_some(&environment),
                ..self.record(AuditEvent::Posture, moment, message)
            };
            // The next request will find the sink failing, and is then not sent.
            let _ = self.inner.sink.record(&record);
        }
    }

    /// Records the posture anew once a layer that only reported has come to be enforced.
    pub(super) fn note_end_of_report_only(&self, moment: &Moment) {
        let reporting = layers_that_only_report(&moment.policy, moment.now);
        if self.inner.reporting.load(Ordering::Relaxed) > reporting
            && self.inner.reporting.swap(reporting, Ordering::Relaxed) > reporting
        {
            self.record_posture(moment, None);
        }
    }
}

pub(super) fn layers_that_only_report(policy: &Policy, now: SystemTime) -> usize {
    policy.layers().filter(|layer| layer.mode(now) == Mode::ReportOnly).count()
}

fn in_quarantine(layer: &Layer) -> String {
    format!(
        "egress policy `{}` in quarantine after a denial: nothing is allowed until Lambda replaces the environment",
        layer.name
    )
}

fn in_words(layer: &Layer, mode: Mode) -> String {
    let (name, rules) = (&layer.name, layer.rules.len());
    let rules = if rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") };
    match (mode, layer.report_only_until) {
        (Mode::ReportOnly, Some(day)) => format!("egress policy `{name}` only reports until {day}: {rules}"),
        (_, Some(day)) => {
            format!("egress policy `{name}` in force, report-only ended on {day}: {rules}, all else denied")
        }
        _ => format!("egress policy `{name}` in force: {rules}, all else denied"),
    }
}

/// The adapters that are compiled in, by the names of their features.
pub(super) fn adapters() -> String {
    let features = [
        ("tower", true),
        ("appconfig", cfg!(feature = "appconfig")),
        ("aws-sdk", cfg!(feature = "aws-sdk")),
        ("blocking", cfg!(feature = "blocking")),
        ("hyper-util", cfg!(feature = "hyper-util")),
        ("lambda", cfg!(feature = "lambda")),
        ("reqwest", cfg!(feature = "reqwest")),
        ("reqwest-middleware", cfg!(feature = "reqwest-middleware")),
    ];
    features.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect::<Vec<_>>().join(",")
}

/// The names of variables that can lead requests elsewhere, change what is trusted, or load foreign code into the
/// process. Never their values, which may hold passwords.
fn suspicious(names: impl Iterator<Item = String>) -> String {
    let is_suspicious = |name: &String| {
        let upper = name.to_ascii_uppercase();
        SUSPICIOUS.contains(&upper.as_str()) || upper.starts_with("AWS_ENDPOINT_URL")
    };
    // A name is taken as it comes.
    let mut found: Vec<String> = names.filter(is_suspicious).map(|name| bounded(&name, 64).to_owned()).collect();
    found.sort_unstable();
    found.truncate(16);
    found.join(",")
}

/// Proxies of libcurl, reqwest and the AWS SDKs; trust stores of OpenSSL, rustls-native-certs and the AWS CLI; keys of TLS
/// sessions; libraries that ld.so loads first; the resolver of glibc; the wrapper that Lambda starts the function with.
const SUSPICIOUS: &[&str] = &[
    "ALL_PROXY",
    "AWS_CA_BUNDLE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_LAMBDA_EXEC_WRAPPER",
    "CURL_CA_BUNDLE",
    "FTP_PROXY",
    "HOSTALIASES",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LD_AUDIT",
    "LD_PRELOAD",
    "LOCALDOMAIN",
    "NO_PROXY",
    "RES_OPTIONS",
    "SSLKEYLOGFILE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::{Duration, UNIX_EPOCH};

    use http::{HeaderMap, Method, Version};

    use super::*;
    use crate::audit::MemorySink;
    use crate::guard::{Attempt, TOWER};

    /// One second before midnight, UTC, of 2027-03-31.
    static NOW: AtomicU64 = AtomicU64::new(1_806_451_199);

    fn clock() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::Relaxed))
    }

    #[test]
    fn when_report_only_ends_a_line_says_so_before_the_next_decision() {
        let policy = Policy::builder("orders").report_only_until("2027-03-31").build().unwrap();
        let audit = MemorySink::new();
        let guard = Guard::with_clock(policy, audit.clone(), false, clock);
        let attempt = Attempt {
            client: TOWER,
            method: &Method::GET,
            headers: &HeaderMap::new(),
            version: Version::HTTP_11,
            hop: None,
            number: None,
            body_length: None,
        };
        let admitted = || guard.admit("https://api.example.com/".parse(), &attempt).is_ok();
        assert!(admitted());
        NOW.fetch_add(1, Ordering::Relaxed);
        assert!(!admitted() && !admitted());
        let told = |key: &str| audit.lines().iter().map(|line| line[key].clone()).collect::<Vec<_>>();
        let (posture, decision) = ("egress_posture", "egress_decision");
        assert_eq!(told("event_type"), [posture, decision, "egress_outcome", posture, decision, decision]);
        let (report, enforce) = ("report-only", "enforce");
        assert_eq!(told("mode"), [report, report, report, enforce, enforce, enforce]);
        let message = "egress policy `orders` in force, report-only ended on 2027-03-31: 0 rules, all else denied";
        assert_eq!(told("message")[3], message);
        assert_eq!(told("timestamp")[3], "2027-03-31T00:00:00.000Z");
    }

    #[test]
    fn variables_that_can_lead_requests_elsewhere_are_named_and_others_are_not() {
        let names = ["PATH", "https_proxy", "LD_LIBRARY_PATH", "AWS_ENDPOINT_URL_S3", "LD_PRELOAD", "AWS_REGION"];
        let found = suspicious(names.map(str::to_owned).into_iter());
        assert_eq!(found, "AWS_ENDPOINT_URL_S3,LD_PRELOAD,https_proxy");
    }
}
