//! Which edges of the code an input took. The compiler's counters call in here when it was asked
//! for them (`fuzz/run.py` does); without them there are none, and inputs are changed blindly.
#![allow(unsafe_code)] // the counters are the compiler's

use std::sync::Mutex;

static COUNTERS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Called by each instrumented object before `main`.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    if let Ok(mut all) = COUNTERS.lock() {
        let region = (start as usize, stop as usize);
        if region.0 < region.1 && !all.contains(&region) {
            all.push(region);
        }
    }
}

/// How often each edge was taken, in steps of powers of two, by any input so far.
pub(crate) struct Seen {
    regions: Vec<(usize, usize)>,
    steps: Vec<u8>,
    pub(crate) edges: usize,
}

impl Seen {
    pub(crate) fn new() -> Seen {
        let regions = COUNTERS.lock().unwrap().clone();
        let length = regions.iter().map(|(start, stop)| stop - start).sum();
        Seen {
            regions,
            steps: vec![0; length],
            edges: 0,
        }
    }

    /// Takes the counters in and clears them; whether the input did something new.
    pub(crate) fn take(&mut self) -> bool {
        let (mut is_new, mut base) = (false, 0);
        for &(start, stop) in &self.regions {
            let length = stop - start;
            // SAFETY: the compiler's array of that length, which lives as long as we do. Other
            // threads may count meanwhile, by bytes: what is lost is a count.
            let counters = unsafe { std::slice::from_raw_parts_mut(start as *mut u8, length) };
            let steps = &mut self.steps[base..base + length];
            for (counter, step) in counters.iter_mut().zip(steps) {
                if *counter != 0 {
                    let bit = 1 << counter.ilog2();
                    if *step & bit == 0 {
                        self.edges += usize::from(*step == 0);
                        *step |= bit;
                        is_new = true;
                    }
                    *counter = 0;
                }
            }
            base += length;
        }
        is_new
    }
}
