//! The loop: an input of the corpus, changed; run; kept where it did something new.
#![allow(unsafe_code)] // a mapped file and an alarm

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::coverage::Seen;
use crate::mutate::{Dice, MOST, changed};

/// An input that takes longer is a find: far beyond what a loaded machine makes of it.
const MOST_SECONDS: u32 = 60;
const MOST_KEPT: usize = 4096;

pub(crate) struct Target {
    pub(crate) name: &'static str,
    run: fn(&[u8]),
}

impl Target {
    pub(crate) const fn new(name: &'static str, run: fn(&[u8])) -> Target {
        Target { name, run }
    }
}

/// One run of a target for a time.
pub(crate) struct Campaign {
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    /// Where the input stands that is being run, should that be the end of us.
    pub(crate) current: Option<PathBuf>,
}

impl Default for Campaign {
    fn default() -> Campaign {
        Campaign {
            time: Duration::from_secs(20),
            seed: 1,
            current: None,
        }
    }
}

impl Campaign {
    pub(crate) fn run(&self, target: &Target, folders: &[PathBuf]) {
        end_on_panic();
        let mut note = Note::new(self.current.as_deref());
        let mut seen = Seen::new();
        let mut dice = Dice::new(self.seed);
        let mut corpus = Vec::new();
        let (begin, mut runs) = (Instant::now(), 0u64);
        for input in folders.iter().flat_map(|folder| files(folder)) {
            note.run(target, &input);
            seen.take();
            corpus.push(input);
        }
        if corpus.is_empty() {
            corpus.push(Vec::new());
        }
        while begin.elapsed() < self.time {
            let input = changed(&corpus, &mut dice);
            note.run(target, &input);
            runs += 1;
            if seen.take() {
                if corpus.len() == MOST_KEPT {
                    corpus.swap_remove(dice.below(MOST_KEPT));
                }
                corpus.push(input);
            }
        }
        let (name, edges, kept) = (target.name, seen.edges, corpus.len());
        println!("{name}: {runs} inputs, {edges} edges, {kept} kept");
    }
}

/// What was found is played again, or a corpus.
pub(crate) fn play(target: &Target, paths: &[PathBuf]) {
    end_on_panic();
    for input in paths.iter().flat_map(|path| files(path)) {
        Note::new(None).run(target, &input);
    }
    println!("{}: no find", target.name);
}

/// A panic on any thread is a find, also one that the library would contain.
fn end_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        std::process::abort();
    }));
}

/// One file, or those of a folder, in order of name.
fn files(path: &Path) -> Vec<Vec<u8>> {
    let mut paths = match fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => vec![path.to_owned()],
    };
    paths.sort();
    let input = |path| fs::read(path).unwrap_or_default();
    paths.iter().map(input).collect()
}

/// The input under way, in memory that outlives the process: length, bytes.
struct Note(Option<*mut u8>);

impl Note {
    fn new(path: Option<&Path>) -> Note {
        const ROOM: usize = 8 + MOST;
        let map = |path: &Path| {
            let mut options = fs::OpenOptions::new();
            let options = options.read(true).write(true).create(true).truncate(true);
            let mut file = options
                .open(path)
                .expect("the file for the input under way");
            file.write_all(&vec![0; ROOM]).unwrap();
            let (read_write, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
            // SAFETY: a fresh mapping of a file of that length.
            let at = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    ROOM,
                    read_write,
                    shared,
                    file.as_raw_fd(),
                    0,
                )
            };
            assert_ne!(at, libc::MAP_FAILED);
            at.cast::<u8>()
        };
        Note(path.map(map))
    }

    fn run(&mut self, target: &Target, input: &[u8]) {
        let input = &input[..input.len().min(MOST)];
        if let Some(at) = self.0 {
            let length = (input.len() as u64).to_le_bytes();
            // SAFETY: the mapping has room for both.
            unsafe {
                at.copy_from_nonoverlapping(length.as_ptr(), 8);
                at.add(8)
                    .copy_from_nonoverlapping(input.as_ptr(), input.len());
            }
        }
        // SAFETY: sets a timer.
        unsafe { libc::alarm(MOST_SECONDS) };
        (target.run)(input);
        // SAFETY: the same.
        unsafe { libc::alarm(0) };
    }
}
