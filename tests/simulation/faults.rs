//! What can go wrong, how often it does in one run (a swarm: each run draws its own rates), and the
//! byte string that every choice of the world comes from. When that is used up, each answer is the
//! calm one: nothing goes wrong.

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum $name { $($variant),* }

        impl $name {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];
            pub(crate) const COUNT: usize = Self::ALL.len();
        }
    };
}
pub(crate) use kinds;

kinds! {
    /// One thing that can go wrong on the way, in the server, or in the machine.
    Fault {
        // on the way
        Refused, BeforeByte, RequestLost, AnswerLost, AnswerLate, Slow, KeptDied, Forgotten,
        // answers with a status; over WebSocket TooLarge is a Close with 1009
        PutOff, Overloaded, TooLarge, Unauthorized, NotFound, Broken,
        // answers that are messages
        Garbage, Foreign, Unavailable, BadRequest, Unknown, FullAsked, NewUid, Interval, Narrow,
        // WebSocket
        AcceptClose, Drop, Stuck, Unsolicited, CloseIgnored, TextFrame, BadFrame, Oversized, Storm,
        // the server, the machine, the host's storage
        Amnesia, Suspend, CarryLost,
    }
}

/// When the server pongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pongs {
    BeforeAnswer,
    AfterAnswer,
    Never,
}

#[derive(Debug)]
pub(crate) struct Swarm {
    pub(crate) is_http: bool,
    pub(crate) pongs: Pongs,
    /// The server asks for full state when it has lost the thread.
    pub(crate) asks: bool,
    /// Over WebSocket the server pongs and never answers; it only speaks of what it offers.
    pub(crate) is_mute: bool,
    /// Bytes of a message that come through; 413 or 1009 beyond, also when all is calm.
    pub(crate) way_limit: Option<usize>,
    /// The host is busy: how often of 256 steps.
    pub(crate) host_rate: u32,
    /// The host has set every wait to nothing that may be nothing.
    pub(crate) is_hasty: bool,
    /// How often of 256 times each fault strikes.
    rates: [u32; Fault::COUNT],
}

const NEVER: u32 = 0;
const ALWAYS: u32 = 256;

impl Swarm {
    pub(crate) fn draw(choices: &mut Choices<'_>) -> Self {
        let mut swarm = Self {
            // A WebSocket run takes more inputs for a message: fewer of them fit into a byte
            // string.
            is_http: choices.below(10) <= 6,
            pongs: choices.of([Pongs::BeforeAnswer, Pongs::AfterAnswer, Pongs::Never]),
            asks: choices.below(2) == 0,
            is_mute: choices.below(8) == 7,
            way_limit: choices.of([None, None, None, Some(900)]),
            host_rate: choices.of([30, 60, 120, 10]),
            is_hasty: choices.below(8) == 7,
            rates: [NEVER; Fault::COUNT],
        };
        for fault in Fault::ALL {
            // These strike at every step, not at every try.
            let is_step = matches!(
                fault,
                Fault::Drop | Fault::Unsolicited | Fault::Amnesia | Fault::Suspend
            );
            swarm.rates[*fault as usize] = match choices.below(64) {
                0..=51 => NEVER,
                52..=57 => 10,
                _ if is_step => 20,
                58..=61 => 40,
                62 => 110,
                _ => ALWAYS,
            };
        }
        if swarm.is_mute {
            (swarm.pongs, swarm.asks) = (Pongs::BeforeAnswer, false);
        }
        // A server without memory that does not ask can not be told what it forgot.
        if !swarm.asks {
            swarm.rates[Fault::Amnesia as usize] = NEVER;
        }
        swarm
    }

    /// Nothing but answers comes from the server.
    pub(crate) fn speaks_only_when_asked(&self) -> bool {
        let is_never = |fault| self.rates[fault as usize] == NEVER;
        is_never(Fault::Unsolicited) && is_never(Fault::Storm)
    }

    /// Whether it goes wrong this time. Never in the calm phase.
    pub(crate) fn hits(&self, fault: Fault, choices: &mut Choices<'_>) -> bool {
        match self.rates[fault as usize] {
            NEVER => false,
            _ if choices.is_spent() => false,
            rate => rate == ALWAYS || choices.below(256) >= 256 - rate,
        }
    }
}

pub(crate) struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) const fn is_spent(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Below `count`; 0 when spent.
    pub(crate) fn below(&mut self, count: u32) -> u32 {
        let (byte, rest) = self.bytes.split_first().unwrap_or((&0, &[]));
        self.bytes = rest;
        u32::from(*byte) * count / 256
    }

    /// Below 2^16; 0 when spent.
    pub(crate) fn wide(&mut self) -> u32 {
        self.below(256) << 8 | self.below(256)
    }

    /// One of these; the first when spent.
    pub(crate) fn of<T: Copy, const N: usize>(&mut self, these: [T; N]) -> T {
        these[self.below(N as u32) as usize]
    }
}

/// How long the world is wild.
const LENGTH: usize = 800;

/// The byte string of a seed (after SplitMix64).
pub(crate) fn bytes_of(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0xA076_1D64_78BD_642F) ^ 0xE703_7ED1_A0B4_28DB;
    let mut bytes = vec![0; LENGTH];
    for word in bytes.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word.copy_from_slice(&(x ^ (x >> 31)).to_le_bytes());
    }
    bytes
}
