//! The methods of a rule.

use http::Method;

/// A set of methods. Those that HTTP itself defines are bits.
#[derive(Clone, Debug)]
pub(crate) struct Methods {
    standard: u16,
    others: Box<[Method]>,
}

impl Methods {
    pub(super) fn new(methods: Vec<Method>) -> Self {
        let standard = methods.iter().filter_map(bit).fold(0, |bits, bit| bits | bit);
        Self { standard, others: methods.into_iter().filter(|method| bit(method).is_none()).collect() }
    }

    pub(crate) fn contain(&self, method: &Method) -> bool {
        match bit(method) {
            Some(bit) => self.standard & bit != 0,
            None => self.others.contains(method),
        }
    }

    pub(crate) fn contain_in_any_case(&self, method: &Method) -> bool {
        let upper = || Method::from_bytes(method.as_str().to_ascii_uppercase().as_bytes());
        self.contain(method)
            || self.others.iter().any(|other| other.as_str().eq_ignore_ascii_case(method.as_str()))
            || bit(method).is_none() && upper().is_ok_and(|upper| self.contain(&upper))
    }
}

fn bit(method: &Method) -> Option<u16> {
    let number = match *method {
        Method::GET => 0,
        Method::POST => 1,
        Method::PUT => 2,
        Method::DELETE => 3,
        Method::HEAD => 4,
        Method::OPTIONS => 5,
        Method::PATCH => 6,
        Method::TRACE => 7,
        Method::CONNECT => 8,
        _ => return None,
    };
    Some(1 << number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_contains_what_it_lists_and_in_any_case_what_servers_take_for_it() {
        let methods = ["GET", "DELETE", "PURGE"].iter().map(|name| name.parse().unwrap()).collect();
        let methods = Methods::new(methods);
        let cases = [
            ("GET", true, true),
            ("DELETE", true, true),
            ("PURGE", true, true),
            ("POST", false, false),
            ("LINK", false, false),
            ("delete", false, true),
            ("Purge", false, true),
            ("post", false, false),
        ];
        for (name, contained, in_any_case) in cases {
            let method = name.parse().unwrap();
            assert_eq!(methods.contain(&method), contained, "{name}");
            assert_eq!(methods.contain_in_any_case(&method), in_any_case, "{name}");
        }
    }
}
