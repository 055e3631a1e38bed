use super::*;

/// The keys of a rule, as in `services = dynamodb, ssm`.
fn draft(keys: &str) -> BorrowedRule<'_> {
    let mut draft = BorrowedRule::default();
    for line in keys.split("; ") {
        let (key, entries) = line.split_once(" = ").unwrap();
        let entries = entries.split(", ").filter(|entry| !entry.is_empty());
        let list = match key {
            "services" => &mut draft.services,
            "regions" => &mut draft.regions,
            "buckets" => &mut draft.buckets,
            "accounts" => &mut draft.accounts,
            "vpc_endpoints" => &mut draft.vpc_endpoints,
            "hosts" => &mut draft.hosts,
            _ => panic!("{key}"),
        };
        *list = Some(entries.map(|entry| BorrowedText::from(std::borrow::Cow::from(entry))).collect());
    }
    draft
}

#[test]
fn services_stand_for_the_names_of_their_endpoints() {
    let cases: &[(&str, &[&str])] = &[
        (
            "services = ssm; regions = ap-northeast-1",
            &[
                "ssm.ap-northeast-1.amazonaws.com",
                "ssm.ap-northeast-1.api.aws",
                "ssm-fips.ap-northeast-1.amazonaws.com",
                "ssm-fips.ap-northeast-1.api.aws",
            ],
        ),
        (
            "hosts = ssm.example; services = ecr, ecr; regions = cn-north-1",
            &[
                "ssm.example",
                "api.ecr.cn-north-1.amazonaws.com.cn",
                "api.ecr-fips.cn-north-1.amazonaws.com.cn",
                "ecr.cn-north-1.api.amazonwebservices.com.cn",
                "ecr-fips.cn-north-1.api.amazonwebservices.com.cn",
            ],
        ),
        (
            "services = iam",
            &["iam-fips.global.api.aws", "iam-fips.amazonaws.com", "iam.global.api.aws", "iam.amazonaws.com"],
        ),
        ("services = iam; regions = us-gov-west-1", &["iam.us-gov.api.aws", "iam.us-gov.amazonaws.com"]),
        ("services = sts; regions = aws-global", &["sts.amazonaws.com"]),
        (
            "services = s3; regions = eu-west-1; buckets = orders-*",
            &[
                "orders-*.s3-fips.dualstack.eu-west-1.amazonaws.com",
                "orders-*.s3-fips.eu-west-1.amazonaws.com",
                "orders-*.s3.dualstack.eu-west-1.amazonaws.com",
                "orders-*.s3.eu-west-1.amazonaws.com",
            ],
        ),
        (
            "services = s3; regions = us-east-1; buckets = orders--use1-az4--x-s3",
            &[
                "orders--use1-az4--x-s3.s3express-fips-use1-az4.dualstack.us-east-1.amazonaws.com",
                "orders--use1-az4--x-s3.s3express-fips-use1-az4.us-east-1.amazonaws.com",
                "orders--use1-az4--x-s3.s3express-use1-az4.dualstack.us-east-1.amazonaws.com",
                "orders--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
            ],
        ),
        (
            "services = dynamodb; regions = ap-northeast-1; accounts = 111122223333",
            &[
                "111122223333.ddb.ap-northeast-1.api.aws",
                "111122223333.ddb.ap-northeast-1.amazonaws.com",
                "111122223333.search-ddb.ap-northeast-1.api.aws",
                "111122223333.search-ddb.ap-northeast-1.amazonaws.com",
            ],
        ),
        (
            "services = ssm; regions = eu-west-1; vpc_endpoints = vpce-0123456789abcdef0",
            &[
                "vpce-0123456789abcdef0-*.ssm.eu-west-1.vpce.amazonaws.com",
                "vpce-0123456789abcdef0-*.ssm-fips.eu-west-1.vpce.amazonaws.com",
            ],
        ),
        (
            "services = s3; regions = eu-west-1; vpc_endpoints = vpce-01234567",
            &["bucket.vpce-01234567-*.s3.eu-west-1.vpce.amazonaws.com"],
        ),
        (
            "services = s3; regions = cn-north-1; vpc_endpoints = vpce-01234567; buckets = orders, bills-*",
            &[
                "orders.bucket.vpce-01234567-*.s3.cn-north-1.vpce.amazonaws.com.cn",
                "bills-*.bucket.vpce-01234567-*.s3.cn-north-1.vpce.amazonaws.com.cn",
            ],
        ),
    ];
    for (keys, expected) in cases {
        let mut draft = draft(keys);
        assert_eq!(expand(Effect::Allow, &mut draft), [], "{keys}");
        let hosts: Vec<String> = draft.hosts.unwrap().into_iter().map(|host| host.text.into_owned()).collect();
        assert_eq!(hosts, *expected, "{keys}");
    }
}

/// The texts are in the snapshots of the faults.
#[test]
fn what_is_wrong_opens_nothing() {
    let cases = [
        ("services = dynamo; regions = eu-west-1", 1),
        ("services = ssm", 1),
        ("services = iam, ssm", 1),
        ("services = ; regions = eu-west-1", 1),
        ("services = ssm; regions = ", 1),
        ("services = ssm; regions = eu-*", 1),
        ("services = ssm; regions = aws-global", 1),
        ("regions = eu-west-1", 1),
        ("buckets = orders", 1),
        ("services = ssm; regions = eu-west-1; buckets = orders", 1),
        ("services = s3; regions = eu-west-1; buckets = ", 1),
        ("services = s3; regions = eu-west-1; buckets = *", 1),
        ("services = s3; regions = eu-west-1; buckets = a.b, A, arn:aws:s3:::orders, -x-, a/b, a*b*", 6),
        ("services = ssm; regions = eu-west-1; accounts = 111122223333", 1),
        ("services = dynamodb; regions = eu-west-1; accounts = 1111-2222-3333, *", 2),
        ("services = dynamodb; regions = eu-west-1; accounts = 111122223333; vpc_endpoints = vpce-01234567", 1),
        ("services = ssm; regions = eu-west-1; vpc_endpoints = vpce-*, vpce-0123456789abcdef0-abcdefgh, vpc-1", 3),
        ("services = iam; vpc_endpoints = vpce-01234567", 1),
        ("services = opensearchmemory; regions = eu-west-1; vpc_endpoints = vpce-01234567", 1),
    ];
    for (keys, count) in cases {
        let mut draft = draft(keys);
        assert_eq!(expand(Effect::Allow, &mut draft).len(), count, "{keys}");
        assert_eq!(draft.hosts.unwrap_or_default(), [], "{keys}");
    }
}

#[test]
fn whoever_writes_another_name_is_told_the_services_name() {
    let cases = [
        ("sfn", "stepfunctions"),
        ("states", "stepfunctions"),
        ("CloudWatchLogs", "logs"),
        ("cloudwatch-logs", "logs"),
        ("eventbridge", "events"),
        ("DynamoDB", "dynamodb"),
        ("dynamo", "dynamodb"),
        ("secrets-manager", "secretsmanager"),
        ("secretmanager", "secretsmanager"),
        ("step_functions", "stepfunctions"),
    ];
    for (written, meant) in cases {
        assert_eq!(Service::meant_by(written), Some(meant), "{written}");
    }
    assert_eq!((Service::meant_by("payments.example"), Service::meant_by("")), (None, None));
    for (written, meant) in
        [("us-east1", "us-east-1"), ("eu-west-1a", "eu-west-1"), ("AP-Northeast-1", "ap-northeast-1")]
    {
        assert_eq!(region_meant_by(written), Some(meant), "{written}");
    }
}

#[test]
fn some_services_are_global() {
    for name in ["iam", "route53", "cloudfront", "organizations", "ce", "support", "budgets"] {
        assert!(Service::find(name).unwrap().is_global(), "{name}");
    }
    for name in ["sts", "s3", "dynamodb", "waf-regional"] {
        assert!(!Service::find(name).unwrap().is_global(), "{name}");
    }
}

#[test]
fn every_line_of_the_table_can_be_read() {
    let services: Vec<Service> = Service::all().collect();
    assert!(services.len() > 400 && Region::all().count() > 50);
    for region in Region::all() {
        assert!(!region.home.is_empty() && Region::find(region.id).is_some());
        for service in &services {
            for template in service.templates(region) {
                let parts = Parts { account: "111122223333", bucket: "orders", zone: "z", ..Parts::of(region) };
                let name = template.name(&parts);
                let is_of_names =
                    |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
                assert!(name.bytes().all(is_of_names) && name.split('.').all(|label| !label.is_empty()), "{name}");
            }
        }
    }
}
