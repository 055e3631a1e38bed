//! The template as CloudFormation would make it: parameters, conditions and functions put in.

use std::collections::BTreeMap;
use std::process::Command;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// What the command prints.
pub(crate) fn print(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_egress-guard")).arg("cloudwatch").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The resources of a stack, by their logical names, with all functions resolved.
pub(crate) struct Stack {
    resources: BTreeMap<String, Value>,
}

pub(crate) const STACK: &str = "the-stack";

impl Stack {
    pub(crate) fn printed_by(arguments: &[&str]) -> Self {
        Self::with_parameters(&print(arguments), &[])
    }

    pub(crate) fn with_parameters(template: &str, parameters: &[(&str, &str)]) -> Self {
        let documents = Yaml::load_from_str(template).unwrap();
        let [document] = &documents[..] else { panic!("not one document") };
        let template = json(document);
        let mut values: BTreeMap<String, Value> = [("AWS::StackName", STACK), ("AWS::Region", "eu-west-1")]
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into();
        for (name, parameter) in template["Parameters"].as_object().unwrap() {
            values.insert(name.clone(), parameter["Default"].clone());
        }
        for (name, value) in parameters {
            assert!(values.insert((*name).to_owned(), (*value).into()).is_some(), "{name} is no parameter");
        }
        for (name, resource) in template["Resources"].as_object().unwrap() {
            values.insert(name.clone(), format!("ref-{name}").into());
            values.insert(format!("{name}.Arn"), format!("arn-of-{name}").into());
            assert!(resource["Type"].is_string(), "{name}");
        }
        let conditions = template["Conditions"].as_object().unwrap();
        for (name, condition) in conditions {
            let holds = resolve(condition, &values);
            values.insert(format!("condition {name}"), holds.unwrap());
        }
        let resources = template["Resources"].as_object().unwrap();
        let resolved = resources.iter().map(|(name, resource)| (name.clone(), resolve(resource, &values).unwrap()));
        Self { resources: resolved.collect() }
    }

    /// The names and properties of the resources of a type.
    pub(crate) fn of_type(&self, kind: &str) -> Vec<(&str, &Value)> {
        let resources = self.resources.iter().filter(|(_, resource)| resource["Type"] == kind);
        let resources: Vec<_> = resources.map(|(name, resource)| (name.as_str(), &resource["Properties"])).collect();
        assert!(!resources.is_empty(), "no {kind}");
        resources
    }

    /// The names of the metrics that its filters make.
    pub(crate) fn metric_names(&self) -> Vec<String> {
        let filters = self.of_type("AWS::Logs::MetricFilter").into_iter();
        filters
            .map(|(_, filter)| filter["MetricTransformations"][0]["MetricName"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn types(&self) -> Vec<&str> {
        self.resources.values().map(|resource| resource["Type"].as_str().unwrap()).collect()
    }
}

/// YAML as JSON, with its short forms of functions written out.
fn json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::String(text)) => Value::String(text.to_string()),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let key = key.as_str().expect("a text as key").to_owned();
                assert!(object.insert(key.clone(), json(value)).is_none(), "{key} stands twice");
            }
            Value::Object(object)
        }
        Yaml::Tagged(tag, value) => {
            let name = if tag.suffix == "Ref" { "Ref".to_owned() } else { format!("Fn::{}", tag.suffix) };
            json!({ name: json(value) })
        }
        other => panic!("{other:?}"),
    }
}

/// `None` is `AWS::NoValue`.
fn resolve(value: &Value, values: &BTreeMap<String, Value>) -> Option<Value> {
    let known = |name: &str| values.get(name).unwrap_or_else(|| panic!("`{name}` is not defined")).clone();
    let call = value.as_object().filter(|object| object.len() == 1).and_then(|object| object.iter().next());
    match (call.map(|(name, argument)| (name.as_str(), argument)), value) {
        (Some(("Ref", name)), _) if name == "AWS::NoValue" => None,
        (Some(("Ref", name)), _) => Some(known(name.as_str().unwrap())),
        (Some(("Fn::Sub", text)), _) => {
            let mut parts = text.as_str().unwrap().split("${");
            let mut whole = parts.next().unwrap().to_owned();
            for part in parts {
                let (name, rest) = part.split_once('}').unwrap();
                whole += known(name).as_str().unwrap();
                whole += rest;
            }
            Some(whole.into())
        }
        (Some(("Fn::Equals", pair)), _) => Some((resolve(&pair[0], values) == resolve(&pair[1], values)).into()),
        (Some(("Fn::Not", list)), _) => Some((resolve(&list[0], values) == Some(false.into())).into()),
        (Some(("Fn::If", list)), _) => {
            let holds = known(&format!("condition {}", list[0].as_str().unwrap()));
            resolve(&list[if holds == true { 1 } else { 2 }], values)
        }
        (Some((name, _)), _) if name.starts_with("Fn::") => panic!("{name}"),
        (_, Value::Object(object)) => {
            let entries = object.iter().filter_map(|(key, value)| Some((key.clone(), resolve(value, values)?)));
            Some(Value::Object(entries.collect()))
        }
        (_, Value::Array(items)) => Some(items.iter().filter_map(|item| resolve(item, values)).collect()),
        (_, other) => Some(other.clone()),
    }
}
