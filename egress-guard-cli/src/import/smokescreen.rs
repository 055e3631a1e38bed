//! Smokescreen: the rule of one service in an ACL, and the global lists.
//!
//! Smokescreen asks in this order: the service's own list allows, the global deny list denies, the global allow list
//! allows, and the service's action says what happens to the rest.

mod acl;

use std::net::IpAddr;

use egress_guard::{AddressClass, Effect};

use super::draft::{Draft, Fault, Head, REPORT_FIRST, complaint, excerpt, leading_dot, network};
use super::yaml;
use acl::{Acl, Glob, Service};

pub(super) fn read(text: &str, service: Option<&str>) -> Result<Draft, Vec<Fault>> {
    let root = yaml::parse(text)?;
    let acl = Acl::read(&root)?;
    let service = acl.service(service).map_err(|fault| vec![fault])?;
    Ok(draft(&acl, service))
}

fn draft(acl: &Acl<'_>, service: &Service<'_>) -> Draft {
    let mut draft = Draft::default();
    draft.service = Some(service.name.to_owned());
    draft.left.extend(acl.ignored.iter().chain(&service.ignored).cloned());
    draft.left.extend(more_than_the_lists(service));

    let head = |id: &str, effect, schemes, reason| Head {
        id: id.to_owned(),
        reason: Some(reason),
        ..Head::new(effect, schemes, None)
    };
    let both: &[&str] = &["https", "http"];
    let own_head = Head {
        owner: owner(service, &mut draft.left),
        ..head("imported", Effect::Allow, both, "allowed_domains of the service")
    };
    let global_head = head("imported-global", Effect::Allow, both, "global_allow_list");
    let deny_head = head("imported-global-deny", Effect::Deny, &[], "global_deny_list");

    let own: Vec<_> = service.domains.iter().filter(|glob| allow(&mut draft, &own_head, glob)).collect();
    let mut global = Vec::new();
    for glob in &acl.allow {
        if let Some(deny) = acl.deny.iter().find(|deny| deny.covers(glob)) {
            draft.notes.push(format!(
                "Line {}: `{}` is not allowed, for the global deny list (line {}) goes before.",
                glob.line,
                excerpt(glob.text),
                deny.line
            ));
        } else if !own.iter().any(|own| own.covers(glob)) && allow(&mut draft, &global_head, glob) {
            global.push(glob);
        }
    }
    for glob in &acl.deny {
        // The service's own list goes before the deny list there, and deny goes before everything here.
        if let Some(own) = own.iter().find(|own| own.overlaps(glob)) {
            let (own_text, text) = (excerpt(own.text), excerpt(glob.text));
            if !global.iter().any(|global| global.overlaps(glob)) {
                // What it denies and the service's list does not allow, nothing else allows.
                draft.notes.push(format!(
                    "Line {}: the deny of `{text}` is left out, for the service's own `{own_text}` (line {}) goes before.",
                    glob.line, own.line
                ));
                continue;
            }
            let problem = format!(
                "`{own_text}` is allowed in spite of the global deny of `{text}` (line {}); not here",
                glob.line
            );
            let cure = "write out in the deny rule which of its names are not allowed";
            draft.left.push(Fault::new(own.line, problem, cure));
        }
        deny(&mut draft, &deny_head, glob);
    }
    draft.notes.push(
        "Smokescreen lets every port pass; here https on 443 and http on 80 are allowed. Add `ports` for others, and \
         remove \"http\" if all of it is https."
            .to_owned(),
    );
    draft
}

fn more_than_the_lists(service: &Service<'_>) -> Option<Fault> {
    let (line, action) = service.action;
    let (problem, cure) = match action {
        "open" => (
            "the action `open` lets everything pass, and here only what is listed does",
            "list what the service needs, or state dangerously_any_host = true in an [[allow]] rule of its own",
        ),
        "report" => (
            "the action `report` lets everything pass and reports what is not listed; here that is denied",
            REPORT_FIRST,
        ),
        _ => return None,
    };
    Some(Fault::new(line, problem, cure))
}

fn owner(service: &Service<'_>, left: &mut Vec<Fault>) -> Option<String> {
    let (line, project) = service.project?;
    if let Some((problem, cure)) = complaint(Effect::Allow, |rule| rule.hosts(["api.example.com"]).owner(project)) {
        left.push(Fault::new(line, problem, cure));
        return None;
    }
    Some(project.to_owned())
}

/// Adds what Smokescreen would let pass; true if added.
fn allow(draft: &mut Draft, head: &Head, glob: &Glob<'_>) -> bool {
    let Ok(ip) = glob.text.parse::<IpAddr>() else { return name(draft, head, glob) };
    let problem = if ip.is_ipv6() {
        format!("Smokescreen denies every IPv6 address in a URL, `{ip}` too")
    } else if AddressClass::of(ip) != AddressClass::Public {
        format!("Smokescreen denies `{ip}` with all special addresses, unless it is started with --allow-range")
    } else {
        return draft.address(head, glob.line, ip);
    };
    let cure = format!("if it is reached all the same, add a rule with networks = [\"{}\"]", network(ip));
    draft.left.push(Fault::new(glob.line, problem, cure));
    false
}

fn deny(draft: &mut Draft, head: &Head, glob: &Glob<'_>) {
    let Ok(ip) = glob.text.parse::<IpAddr>() else {
        name(draft, head, glob);
        return;
    };
    if draft.address(head, glob.line, ip) {
        draft.notes.push(format!("Line {}: `{ip}` is denied here to names that lead to it, too.", glob.line));
    }
}

fn name(draft: &mut Draft, head: &Head, glob: &Glob<'_>) -> bool {
    if let Some(fault) = leading_dot(glob.line, glob.text) {
        draft.left.push(fault);
        return false;
    }
    draft.host(head, glob.line, glob.text)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use egress_guard::{Decision, Destination, Policy, Request};

    use super::*;

    const GLOBS: &[&str] =
        &["test.example", "*.test.example", "a.test.example", "*.a.test.example", "b.a.test.example"];
    const HOSTS: &[&str] =
        &["test.example", "a.test.example", "b.test.example", "b.a.test.example", "c.a.test.example"];

    fn matches(globs: &[&str], host: &str) -> bool {
        globs.iter().any(|glob| match glob.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix),
            None => host == *glob,
        })
    }

    /// The order of Smokescreen's `ACL.Decide`, for the action `enforce`.
    fn smokescreen_allows([own, allow, deny]: [&[&str]; 3], host: &str) -> bool {
        matches(own, host) || (!matches(deny, host) && matches(allow, host))
    }

    fn list(key: &str, globs: &[&str]) -> String {
        format!("{key}: [{}]\n", globs.iter().map(|glob| format!("'{glob}'")).collect::<Vec<_>>().join(", "))
    }

    /// Every ACL with lists of up to two globs: nothing is allowed that Smokescreen denies, and nothing denied that it
    /// allows, unless the import says so.
    #[test]
    fn the_order_of_the_lists_carries_over() {
        let mut lists: Vec<Vec<&str>> = vec![vec![]];
        for (index, first) in GLOBS.iter().enumerate() {
            lists.push(vec![first]);
            lists.extend(GLOBS[index + 1..].iter().map(|second| vec![*first, *second]));
        }
        let destinations: Vec<Destination> =
            HOSTS.iter().map(|host| format!("https://{host}/").parse().unwrap()).collect();
        let (mut carried_over, mut did_not) = (0, 0);
        for own in &lists {
            for allow in &lists {
                for deny in &lists {
                    let acl = format!(
                        "version: v1\nservices:\n- name: s\n  project: p\n  action: enforce\n  {}{}{}",
                        list("allowed_domains", own),
                        list("global_allow_list", allow),
                        list("global_deny_list", deny)
                    );
                    let draft = read(&acl, None).unwrap();
                    let policy = Policy::from_toml(&draft.to_toml("s")).unwrap();
                    for (host, destination) in HOSTS.iter().zip(&destinations) {
                        let decision = policy.decide(&Request::new(&http::Method::GET, destination), SystemTime::now());
                        let allowed = matches!(decision, Decision::Allow { .. });
                        let expected = smokescreen_allows([own, allow, deny], host);
                        let narrower = expected && !allowed && !draft.left.is_empty();
                        assert!(allowed == expected || narrower, "{host}: {allowed}\n{acl}");
                    }
                    *if draft.left.is_empty() { &mut carried_over } else { &mut did_not } += 1;
                }
            }
        }
        assert!(carried_over > 10 * did_not && did_not > 0, "{carried_over} {did_not}");
    }

    /// What its own tests say of a valid glob.
    #[test]
    fn globs_that_smokescreen_refuses_are_faults_with_their_line() {
        let cases = [
            ("*.*.stripe.example", "not a whole first label"),
            ("*", "write a name, as in \"*.example.com\""),
            ("*.", "write a name, as in \"*.example.com\""),
            ("", "write a name, as in \"*.example.com\""),
            ("login.*.example.com", "not a whole first label"),
            ("*bob.example.com", "not a whole first label"),
            ("bob.ex*ample.com", "not a whole first label"),
            ("\u{e9}x\u{e4}mple.com", "in its xn-- form"),
            ("*.\u{442}\u{435}\u{441}\u{442}.example.com", "in its xn-- form"),
            ("API.Example.com", "write \"api.example.com\""),
            ("*.Example.com", "write \"*.example.com\""),
            ("2001:DB8::0001", "write \"2001:db8::1\""),
            ("example.com:443", "write the host alone"),
            ("https://user:password@example.com/", "write the host alone"),
            ("example com", "write the host alone"),
            ("example2.com$", "write the host alone"),
        ];
        for (glob, cure) in cases {
            let acl =
                format!("version: v1\nservices:\n- name: s\n  action: enforce\n  {}", list("allowed_domains", &[glob]));
            let faults = read(&acl, None).unwrap_err();
            let [fault] = faults.as_slice() else { panic!("{glob}: {faults:?}") };
            let said = fault.to_string();
            assert!(said.starts_with("line 5: Smokescreen refuses") && said.contains(cure), "{glob}: {said}");
            assert!(!said.contains("password"), "{said}");
        }
        for glob in
            ["xn--e1aybc.example.com", "*.stripe.example", "example.com.", "_dmarc.example.com", "8.8.8.8", "::1"]
        {
            let acl =
                format!("version: v1\nservices:\n- name: s\n  action: enforce\n  {}", list("allowed_domains", &[glob]));
            assert!(read(&acl, None).is_ok(), "{glob}");
        }
    }
}
