//! Guarded clients beside the same clients unguarded, over connections that are kept, to a server in another process.
//!
//! A round measures every client once, in an order of its own. Ratios are of one round, so what disturbs the machine for
//! longer than a round disturbs both sides of a ratio.

mod kinds;

use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tokio::runtime;
use tokio::task::JoinSet;

use crate::Failure;
use crate::processes::{Server, drained_pipe};
use crate::results::{Client, Clients, Comparison, Setting, Spread};
use crate::squid::Squid;
use kinds::Http;

/// How many rules the policy has, and how many hosts squid's list.
const RULES: usize = 50;

/// The host that is asked, by a name that only these clients know.
pub(crate) const HOST: &str = "api.orders.bench.test";

/// Who is compared with whom. The first pair compares a client with itself: what it shows is noise.
const PAIRS: [(&str, &str); 8] = [
    ("reqwest again", "reqwest"),
    ("reqwest and two writes", "reqwest"),
    ("guard.reqwest", "reqwest"),
    ("guard.client", "reqwest"),
    ("guard.client, no lines", "reqwest"),
    ("guard.client", "reqwest and two writes"),
    ("guarded hyper-util", "hyper-util"),
    ("guard.client", "reqwest through squid"),
];

pub(crate) fn run(quick: bool) -> Result<Clients, Failure> {
    let rounds = if quick { 5 } else { 60 };
    let server = Server::start()?;
    let (_cat, pipe) = drained_pipe()?;
    let mut hosts: Vec<String> = (1..RULES).map(|number| format!("api-{number}.partner.bench.test")).collect();
    hosts.push(HOST.to_owned());
    let squid = Squid::start(&hosts, HOST)?;
    // One thread, so that nothing but the client's own work is between two requests.
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let clients = kinds::all(&hosts, server.port, pipe, squid.as_ref().map(|squid| squid.port));
    let clients = runtime.block_on(clients)?;
    let settings = [(1, 1_500), (32, 6_400)];
    let settings = settings.into_iter().map(|(connections, requests)| {
        let requests = if quick { requests / 4 } else { requests };
        runtime.block_on(measure(&clients, connections, requests, rounds))
    });
    let settings = settings.collect::<Result<_, _>>()?;
    Ok(Clients { rounds, squid: squid.map(|squid| squid.version), settings })
}

/// One client in one round.
#[derive(Clone, Copy, Debug)]
struct Sample {
    requests_per_second: f64,
    latency_micros: f64,
    cpu_micros: f64,
}

type Named<T> = (&'static str, T);

async fn measure(
    clients: &[Named<Http>],
    connections: usize,
    requests: usize,
    rounds: usize,
) -> Result<Setting, Failure> {
    let mut rng = Rng::with_seed(1);
    let mut samples: Vec<Named<Vec<Sample>>> = clients.iter().map(|(name, _)| (*name, Vec::new())).collect();
    let mut order: Vec<usize> = (0..clients.len()).collect();
    // The round before the first opens the connections.
    for number in 0..=rounds {
        rng.shuffle(&mut order);
        for at in &order {
            let (Some((_, client)), Some((_, samples))) = (clients.get(*at), samples.get_mut(*at)) else { continue };
            let sample = round(client, connections, requests).await?;
            if number > 0 {
                samples.push(sample);
            }
        }
    }
    let of = |name: &str| samples.iter().find(|(other, _)| *other == name).map(|(_, samples)| samples.as_slice());
    let comparisons = PAIRS.into_iter().filter_map(|(name, base)| compare(name, of(name)?, base, of(base)?)).collect();
    let clients = samples.iter().filter_map(|(name, samples)| summarize(name, samples)).collect();
    Ok(Setting { connections, requests, clients, comparisons })
}

async fn round(client: &Http, connections: usize, requests: usize) -> Result<Sample, Failure> {
    let mut workers = JoinSet::new();
    let (started, cpu) = (Instant::now(), cpu_time()?);
    for _ in 0..connections {
        let mut client = client.clone();
        workers.spawn(async move {
            let mut latencies = Vec::with_capacity(requests / connections);
            for _ in 0..requests / connections {
                let started = Instant::now();
                client.get().await?;
                latencies.push(started.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    let mut latencies: Vec<Duration> = Vec::with_capacity(requests);
    while let Some(done) = workers.join_next().await {
        latencies.extend(done??);
    }
    let (elapsed, cpu) = (started.elapsed(), cpu_time()? - cpu);
    latencies.sort_unstable();
    #[allow(clippy::cast_precision_loss, reason = "thousands")]
    let count = latencies.len() as f64;
    let median = latencies.get(latencies.len() / 2).ok_or("no request was made")?;
    Ok(Sample {
        requests_per_second: count / elapsed.as_secs_f64(),
        latency_micros: median.as_secs_f64() * 1e6,
        cpu_micros: cpu.as_secs_f64() * 1e6 / count,
    })
}

/// What this process has spent, in user mode and in the kernel.
fn cpu_time() -> Result<Duration, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.try_into()?))
}

fn summarize(name: &str, samples: &[Sample]) -> Option<Client> {
    let spread = |value: fn(&Sample) -> f64| Spread::of(samples.iter().map(value));
    Some(Client {
        name: name.to_owned(),
        requests_per_second: spread(|sample| sample.requests_per_second)?,
        latency_micros: spread(|sample| sample.latency_micros)?,
        cpu_micros: spread(|sample| sample.cpu_micros)?,
    })
}

fn compare(name: &str, samples: &[Sample], base: &str, bases: &[Sample]) -> Option<Comparison> {
    let spread =
        |value: fn(&Sample, &Sample) -> f64| Spread::of(samples.iter().zip(bases).map(|(one, base)| value(one, base)));
    Some(Comparison {
        name: name.to_owned(),
        base: base.to_owned(),
        throughput: spread(|one, base| one.requests_per_second / base.requests_per_second)?,
        latency: spread(|one, base| one.latency_micros / base.latency_micros)?,
        cpu_more_micros: spread(|one, base| one.cpu_micros - base.cpu_micros)?,
    })
}
