//! One audit line into a pipe that another process empties, beside its parts; and all that the guard does for one
//! request.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a measurement of something that does not work should end at once"
)]

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use criterion::Criterion;
use egress_guard::{AuditRecord, AuditSink, JsonLines};
use egress_guard_benches::{layered, with_record};

/// A pipe, and the process at its other end.
fn drained() -> (Child, ChildStdin) {
    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let pipe = cat.stdin.take().unwrap();
    (cat, pipe)
}

fn line(criterion: &mut Criterion, record: &AuditRecord<'_>) {
    let mut group = criterion.benchmark_group("audit line");

    let (mut cat, pipe) = drained();
    let sink = JsonLines::new(pipe);
    group.bench_function("JsonLines", |bencher| bencher.iter(|| sink.record(record).unwrap()));
    drop(sink);
    cat.wait().unwrap();

    let (mut cat, mut pipe) = drained();
    let mut line = Vec::new();
    group.bench_function("serde_json and write(2)", |bencher| {
        bencher.iter(|| {
            line.clear();
            serde_json::to_writer(&mut line, record).unwrap();
            line.push(b'\n');
            pipe.write_all(&line).unwrap();
        });
    });
    group.bench_function("serde_json alone", |bencher| {
        bencher.iter(|| {
            line.clear();
            serde_json::to_writer(&mut line, record).unwrap();
            line.push(b'\n');
            line.len()
        });
    });
    group.bench_function("write(2) alone", |bencher| bencher.iter(|| pipe.write_all(&line).unwrap()));
    drop(pipe);
    cat.wait().unwrap();
    group.finish();
}

fn request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("guarded request without a network");
    let (mut cat, pipe) = drained();
    let mut request = layered(JsonLines::new(pipe));
    group.bench_function("lines to a pipe", |bencher| bencher.iter(&mut request));
    drop(request);
    cat.wait().unwrap();

    let mut request = layered(JsonLines::new(std::io::sink()));
    group.bench_function("lines written nowhere", |bencher| bencher.iter(&mut request));
    group.finish();
}

fn criterion() -> Criterion {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(300)).sample_size(100);
    criterion.measurement_time(Duration::from_secs(2)).configure_from_args()
}

fn main() {
    with_record(|record| line(&mut criterion(), record));
    request(&mut criterion());
    criterion().final_summary();
}
