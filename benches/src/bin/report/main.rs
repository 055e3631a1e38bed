//! Measures, and writes `docs/performance.md`.

mod clients;
mod cold_start;
mod kernels;
mod machine;
mod memory;
mod page;
mod plot;
mod processes;
mod results;
mod squid;
mod tables;
mod targets;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use machine::Machine;
use page::Place;
use results::{Results, Section};

/// Any error; whoever measures reads it.
type Failure = Box<dyn Error + Send + Sync>;

/// Measure this library beside its peers and write docs/performance.md.
///
/// What is not measured keeps the results of the last run, with its date. The machine should have nothing else to do.
#[derive(Debug, Parser)]
#[command(name = "egress-guard-benches")]
struct Arguments {
    /// What to measure; all if nothing is named
    #[arg(value_enum, value_name = "SECTION")]
    sections: Vec<Part>,
    /// Measure shortly, to see that everything works; the page goes to target/performance/ and replaces nothing
    #[arg(long)]
    quick: bool,
    /// Measure nothing: write the page again from the last results and the template
    #[arg(long, conflicts_with = "sections")]
    render: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Decision,
    Networks,
    Load,
    Audit,
    Memory,
    Clients,
    ColdStart,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("egress-guard-benches: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let place = if arguments.quick { Place::trial()? } else { Place::docs() };
    let mut results = place.results()?;
    if !arguments.render {
        let parts = if arguments.sections.is_empty() { Part::value_variants() } else { &arguments.sections };
        processes::build()?;
        for part in parts {
            measure(*part, arguments.quick, &mut results)?;
            // A run that is broken off keeps what it has.
            place.save(&results)?;
        }
    }
    let page = place.write(&results)?;
    println!("{}", page.display());
    Ok(())
}

fn measure(part: Part, quick: bool, results: &mut Results) -> Result<(), Failure> {
    eprintln!("== {part:?}");
    let machine = Machine::now(quick)?;
    if machine.is_busy() {
        eprintln!("The load is {:.1}: others use this machine, and will be seen in the numbers.", machine.load);
    }
    match part {
        Part::Decision => results.decision = Some(Section::new(machine, kernels::run("decision", quick)?)),
        Part::Networks => results.networks = Some(Section::new(machine, kernels::run("networks", quick)?)),
        Part::Load => results.load = Some(Section::new(machine, kernels::run("load", quick)?)),
        Part::Audit => results.audit = Some(Section::new(machine, kernels::run("audit", quick)?)),
        Part::Memory => results.memory = Some(Section::new(machine, memory::run()?)),
        Part::Clients => results.clients = Some(Section::new(machine, clients::run(quick)?)),
        Part::ColdStart => results.cold_start = Some(Section::new(machine, cold_start::run(quick)?)),
    }
    Ok(())
}
