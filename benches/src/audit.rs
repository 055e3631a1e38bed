//! An audit record, and a guarded request without a network.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::sync::Mutex;

use egress_guard::{AuditEvent, AuditRecord, AuditSink, Guard, Policy};
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Grouping, Hosts, Query, host_policy};

type Body = Empty<&'static [u8]>;

/// Answers every request at once, and does nothing else.
#[derive(Clone, Copy, Debug)]
struct Answers;

impl Service<Request<Body>> for Answers {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Response::new(Body::new())))
    }
}

/// All that the guard does for a request, and nothing of the client: the request is read, decided and recorded, its
/// answer is there at once, and its end is recorded. Call what comes back once for each request.
pub fn layered(sink: impl AuditSink) -> impl FnMut() {
    let hosts = Hosts::new(50);
    let name = hosts.names(Query::Exact).remove(0);
    let uri: http::Uri = format!("https://{name}/v1/items/42?expand=all").parse().unwrap();
    let mut service = Guard::new(policy(&hosts), sink).layer().layer(Answers);
    move || {
        let request = Request::get(uri.clone()).body(Body::new()).unwrap();
        let exchange = service.call(request).then(|response| response.unwrap().into_body().collect());
        exchange.now_or_never().expect("an answer at once").unwrap();
    }
}

fn policy(hosts: &Hosts) -> Policy {
    host_policy(hosts, Grouping::Each)
}

/// Calls `measure` with the record of an allowed request's decision. A record is only to be had inside a sink.
pub fn with_record(measure: impl FnMut(&AuditRecord<'_>) + Send + 'static) {
    struct Inside<F>(Mutex<F>);

    impl<F: FnMut(&AuditRecord<'_>) + Send + 'static> AuditSink for Inside<F> {
        fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
            if record.event_type == AuditEvent::Decision {
                (self.0.lock().unwrap())(record);
            }
            Ok(())
        }
    }

    layered(Inside(Mutex::new(measure)))();
}
