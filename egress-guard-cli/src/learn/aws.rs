//! Host names of AWS, as `services` says them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use egress_guard::draft::{HostPattern, PolicyDraft, aws_regions, aws_services};

/// The keys of a rule that stand for a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) service: String,
    pub(super) region: String,
    /// `buckets`, `accounts` or `vpc_endpoints`, each with its one entry.
    pub(super) narrowed: Narrowed,
}

type Narrowed = BTreeMap<&'static str, String>;

/// Whether a name belongs to AWS, which gives names below its own to everybody.
pub(super) fn is_of_aws(host: &str) -> bool {
    const SUFFIXES: &[&str] = &[
        "adc-e.uk",
        "amazonaws.com",
        "amazonaws.com.cn",
        "amazonaws.eu",
        "amazonwebservices.com.cn",
        "amazonwebservices.eu",
        "aws",
        "cloudfront.net",
        "hci.ic.gov",
        "ic.gov",
        "scloud",
        "sgov.gov",
    ];
    let is_below = |suffix: &str| host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    SUFFIXES.iter().any(|suffix| is_below(suffix))
}

/// The names of all services in the regions that were asked about.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_region: HashMap<String, Known>,
    /// How often they were asked for with an account or an endpoint, which is made anew each time.
    narrowed: usize,
}

/// Services and their names.
type Known = Vec<(String, Vec<HostPattern>)>;

/// Names with further accounts or endpoints are listed as hosts: a log could name any number.
const NARROWED: usize = 100;

impl Names {
    /// What stands for a name, if it is one of an endpoint that the library knows.
    pub(super) fn find(&mut self, host: &str) -> Option<Name> {
        if !is_of_aws(host) {
            return None;
        }
        let labels: Vec<&str> = host.split('.').collect();
        let regions: HashSet<&str> = aws_regions().collect();
        let mut regions: Vec<&str> = labels.iter().copied().filter(|label| regions.contains(label)).collect();
        if regions.is_empty() {
            regions = aws_regions().filter(|region| region.ends_with("-global")).collect();
        }
        let wanted: HostPattern = host.parse().ok()?;
        let narrowings = narrowings(&labels);
        regions.into_iter().find_map(|region| {
            narrowings.iter().find_map(|narrowed| {
                let known = self.known(region, narrowed);
                let mut fitting = known.iter().filter(|(_, names)| names.iter().any(|name| name.covers(&wanted)));
                let (service, _) = fitting.next()?;
                Some(Name { service: service.clone(), region: region.to_owned(), narrowed: narrowed.clone() })
            })
        })
    }

    /// All names that it stands for.
    pub(super) fn patterns(name: &Name) -> Vec<HostPattern> {
        let known = known(std::iter::once(&*name.service), &name.region, &name.narrowed);
        known.into_iter().flat_map(|(_, patterns)| patterns).collect()
    }

    fn known(&mut self, region: &str, narrowed: &Narrowed) -> Cow<'_, Known> {
        if narrowed.contains_key("buckets") {
            return Cow::Owned(known(std::iter::once("s3"), region, narrowed));
        }
        if narrowed.is_empty() {
            let known = self.by_region.entry(region.to_owned());
            return Cow::Borrowed(known.or_insert_with(|| known_in(region, narrowed)));
        }
        self.narrowed += 1;
        Cow::Owned(if self.narrowed > NARROWED { Known::new() } else { known_in(region, narrowed) })
    }
}

fn known_in(region: &str, narrowed: &Narrowed) -> Known {
    known(aws_services(), region, narrowed)
}

/// The names of services, as the library spells them out.
fn known<'s>(services: impl Iterator<Item = &'s str>, region: &str, narrowed: &Narrowed) -> Known {
    let keys: String = narrowed.iter().map(|(key, entry)| format!("{key} = [{entry:?}]\n")).collect();
    let services: Vec<&str> = services.collect();
    let rule =
        |service: &&str| format!("[[allow]]\nid = \"a\"\nservices = [{service:?}]\nregions = [{region:?}]\n{keys}");
    let rules: String = services.iter().map(rule).collect();
    let draft = PolicyDraft::from_toml(&format!("version = 1\nname = \"names\"\n{rules}"));
    let rules = draft.map(|draft| draft.allow).unwrap_or_default();
    let names = rules.into_iter().map(|rule| rule.hosts.unwrap_or_default());
    let patterns = names.map(|hosts| hosts.iter().filter_map(|host| host.text.parse().ok()).collect());
    services.into_iter().map(str::to_owned).zip(patterns).collect()
}

/// What may narrow a service to a name: nothing first.
fn narrowings(labels: &[&str]) -> Vec<Narrowed> {
    let mut all = vec![BTreeMap::new()];
    let mut add = |entries: &[(&'static str, &str)]| {
        all.push(entries.iter().map(|(key, entry)| (*key, (*entry).to_owned())).collect());
    };
    let first = labels.first().copied().unwrap_or_default();
    let endpoint = labels.iter().take(3).find_map(|label| {
        let (id, _) = label.strip_prefix("vpce-")?.split_once('-')?;
        label.get(..id.len() + "vpce-".len())
    });
    if let Some(endpoint) = endpoint {
        add(&[("vpc_endpoints", endpoint)]);
        if labels.get(1) == Some(&"bucket") {
            add(&[("buckets", first), ("vpc_endpoints", endpoint)]);
        }
        return all;
    }
    if first.len() == 12 && first.bytes().all(|byte| byte.is_ascii_digit()) {
        add(&[("accounts", first)]);
    }
    if labels.get(1).is_some_and(|label| label.starts_with("s3")) {
        add(&[("buckets", first)]);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_endpoints_are_told_as_services() {
        let cases = [
            ("dynamodb.ap-northeast-1.amazonaws.com", Some("dynamodb ap-northeast-1")),
            ("ssm-fips.us-east-1.api.aws", Some("ssm us-east-1")),
            ("sts.amazonaws.com", Some("sts aws-global")),
            ("iam.amazonaws.com", Some("iam aws-global")),
            ("s3.eu-west-1.amazonaws.com", Some("s3 eu-west-1")),
            ("orders-files.s3.eu-west-1.amazonaws.com", Some("s3 eu-west-1 buckets=orders-files")),
            ("orders-files.s3.dualstack.eu-west-1.amazonaws.com", Some("s3 eu-west-1 buckets=orders-files")),
            ("111122223333.ddb.eu-west-1.amazonaws.com", Some("dynamodb eu-west-1 accounts=111122223333")),
            (
                "vpce-0123456789abcdef0-abcdefgh.sqs.ap-northeast-1.vpce.amazonaws.com",
                Some("sqs ap-northeast-1 vpc_endpoints=vpce-0123456789abcdef0"),
            ),
            (
                "orders.bucket.vpce-0123456789abcdef0-abcdefgh.s3.eu-west-1.vpce.amazonaws.com",
                Some("s3 eu-west-1 buckets=orders vpc_endpoints=vpce-0123456789abcdef0"),
            ),
            ("dynamodb.cn-north-1.amazonaws.com.cn", Some("dynamodb cn-north-1")),
            ("a1b2c3.execute-api.eu-west-1.amazonaws.com", None),
            ("orders.s3-accelerate.amazonaws.com", None),
            ("dynamodb.eu-west-1.amazonaws.com.evil.example", None),
            ("amazonaws.com", None),
        ];
        let mut names = Names::default();
        for (host, expected) in cases {
            let told = names.find(host).map(|name| {
                let narrowed = name.narrowed.iter().map(|(key, entry)| format!(" {key}={entry}"));
                format!("{} {}{}", name.service, name.region, narrowed.collect::<String>())
            });
            assert_eq!(told.as_deref(), expected, "{host}");
        }
    }
}
