//! What whoever reads the memory of a process finds of its keys.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::SystemTime;

use sha2::block_api::compress256;

use super::ladder::key_at;
use super::link::root_of;
use super::*;
use crate::audit::{AuditEvent, AuditRecord, AuditSink, Context, JsonLines, LineNumber};
use crate::policy::Policy;

const THREADS: u64 = 4;
const LINES_OF_EACH: u64 = 5;

/// The owner's key, which no process here needs to have in its program.
fn bytes() -> Vec<u8> {
    (0..32).map(|number: u8| number.wrapping_mul(37) ^ 0x5a).collect()
}

/// What the process runs whose memory is read; by itself it does nothing.
#[test]
fn a_process_writes_lines_on_several_threads_when_it_is_asked_to() {
    if std::env::var_os("EGRESS_GUARD_TEST_WRITES_LINES").is_none() {
        return;
    }
    let key = ChainKey::from_bytes(&bytes()).unwrap();
    let sink = JsonLines::stdout().chained(key);
    let policy = Policy::builder("p").build().unwrap();
    let record = |seq| {
        let number = LineNumber { environment: 7, seq };
        let context = Context::current();
        let record =
            AuditRecord::new(AuditEvent::Posture, number, SystemTime::now(), &policy, &context, "message".to_owned());
        sink.record(&record).unwrap();
    };
    record(1);
    let record = &record;
    thread::scope(|scope| {
        // Each thread stays as it is after its last line.
        let (done, all_done) = mpsc::channel();
        let ends: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (end, ended) = mpsc::channel::<()>();
                let done = done.clone();
                scope.spawn(move || {
                    (0..LINES_OF_EACH).for_each(|line| record(2 + thread * LINES_OF_EACH + line));
                    done.send(()).unwrap();
                    _ = ended.recv();
                });
                end
            })
            .collect();
        (0..THREADS).for_each(|_| all_done.recv().unwrap());
        println!("\nall written");
        io::stdin().read_line(&mut String::new()).unwrap();
        drop(ends);
    });
}

/// What a key leaves that is as good as itself: HMAC's two states, as they are in memory.
fn states(key: &[u8; 32]) -> [Vec<u8>; 2] {
    const FIRST: [u32; 8] =
        [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
    [0x36, 0x5c].map(|pad| {
        let mut block = [pad; 64];
        block.iter_mut().zip(key).for_each(|(to, from)| *to ^= from);
        let mut state = FIRST;
        compress256(&mut state, &[block]);
        state.iter().flat_map(|word| word.to_ne_bytes()).collect()
    })
}

/// How often each of the texts is in what a process can write to.
fn count_in_memory(process: u32, texts: &[Vec<u8>]) -> Vec<usize> {
    let mut memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut counts = vec![0; texts.len()];
    let by_begin: HashMap<_, _> = texts.iter().enumerate().map(|(text, bytes)| (&bytes[..4], text)).collect();
    assert_eq!(by_begin.len(), texts.len());
    for mapping in fs::read_to_string(format!("/proc/{process}/maps")).unwrap().lines() {
        let mut parts = mapping.split(' ');
        let (begin, end) = parts.next().unwrap().split_once('-').unwrap();
        let [begin, end] = [begin, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        if !parts.next().unwrap().starts_with("rw") {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(end - begin).unwrap()];
        memory.seek(SeekFrom::Start(begin)).unwrap();
        if memory.read_exact(&mut bytes).is_err() {
            assert!(!mapping.ends_with("[heap]") && !mapping.ends_with("[stack]"), "{mapping}");
            continue;
        }
        for piece in bytes.windows(32) {
            if let Some(text) = by_begin.get(&piece[..4]) {
                counts[*text] += usize::from(piece == texts[*text]);
            }
        }
    }
    counts
}

#[test]
fn the_memory_of_a_process_has_no_key_of_a_line_that_is_written() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = "a_process_writes_lines_on_several_threads_when_it_is_asked_to";
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    command.args(["--exact", &name, "--nocapture"]).env("EGRESS_GUARD_TEST_WRITES_LINES", "1");
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<_> = output.by_ref().take_while(|line| line != "all written").collect();
    let lines: Vec<_> = lines.iter().filter_map(|line| line.get(line.find("{\"timestamp\"")?..)).collect();
    let last = u32::try_from(1 + THREADS * LINES_OF_EACH).unwrap();
    assert_eq!(lines.len() as u64, u64::from(last), "{lines:?}");

    let root = Secret::of(&bytes(), b"egress-guard audit chain 1").unwrap();
    let first = root_of(&root, Link::parse(lines[0]).unwrap().chain_id);
    let (second, third) = (first.below(), first.below().below());
    let above = [("root", root), ("chain", first.clone()), ("second level", second), ("third level", third)];
    let above = above.map(|(name, key)| (name.to_owned(), key));
    let used = (0..=last).map(|place| (format!("place {place}"), key_at(&first, place)));
    let used: Vec<_> = above.into_iter().chain(used).collect();
    let next = key_at(&first, last + 1);

    let mut names = vec!["next".to_owned()];
    let mut texts = vec![next.bytes().to_vec()];
    for (name, key) in &used {
        names.extend(["", ", inner state of HMAC", ", outer state of HMAC"].map(|of| format!("{name}{of}")));
        texts.push(key.bytes().to_vec());
        texts.extend(states(key.bytes()));
    }
    let counts = count_in_memory(process.id(), &texts);
    drop(process.stdin.take());
    output.for_each(drop);
    process.wait().unwrap();
    let found: Vec<_> = names.iter().zip(counts).filter(|(_, count)| *count > 0).collect();
    assert_eq!(found, [(&names[0], 1)], "beside the key of the next line");
}
