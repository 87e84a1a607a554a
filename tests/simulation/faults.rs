//! What can go wrong, and how often it does in one run (a swarm: each run draws its own rates).
use opamp::protocol::Policy;

use crate::choices::Choices;

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
        // answers with a status
        PutOff, Overloaded, TooLarge, Unauthorized, NotFound, Broken,
        // answers that are messages
        Garbage, Foreign, Unavailable, BadRequest, Unknown, FullAsked, NewUid, Interval, Narrow,
        // WebSocket
        AcceptClose, Drop, Stuck, Unsolicited, CloseIgnored,
        // the server, the machine, the host's storage
        Amnesia, Suspend, CarryLost,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rate {
    Never,
    /// Of 256.
    Sometimes(u32),
    Always,
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
    pub(crate) policy: Policy,
    pub(crate) pongs: Pongs,
    /// The server asks for full state when it has lost the thread.
    pub(crate) asks: bool,
    /// The host is busy: one action after so many steps, on average; 0: none.
    pub(crate) host_rate: u32,
    rates: [Rate; Fault::COUNT],
}

impl Swarm {
    pub(crate) fn draw(choices: &mut Choices<'_>) -> Self {
        // A WebSocket run takes more inputs for a message: fewer of them fit into a byte string.
        let policy = match choices.below(10) {
            0..=6 => Policy::Http,
            _ => Policy::WebSocket,
        };
        let pongs = [Pongs::BeforeAnswer, Pongs::AfterAnswer, Pongs::Never];
        let pongs = pongs[choices.below(3) as usize];
        let asks = choices.below(2) == 0;
        let host_rate = [30, 60, 120, 10][choices.below(4) as usize];
        let mut rates = [Rate::Never; Fault::COUNT];
        for (fault, rate) in Fault::ALL.iter().zip(&mut rates) {
            // These strike at every step, not at every try.
            let is_step = matches!(
                fault,
                Fault::Drop | Fault::Unsolicited | Fault::Amnesia | Fault::Suspend
            );
            *rate = match choices.below(64) {
                0..=51 => Rate::Never,
                52..=57 => Rate::Sometimes(10),
                _ if is_step => Rate::Sometimes(20),
                58..=61 => Rate::Sometimes(40),
                62 => Rate::Sometimes(110),
                _ => Rate::Always,
            };
        }
        // A server without memory that does not ask can not be told what it forgot.
        if !asks {
            rates[Fault::Amnesia as usize] = Rate::Never;
        }
        Self {
            policy,
            pongs,
            asks,
            host_rate,
            rates,
        }
    }

    /// Nothing but answers comes from the server.
    pub(crate) fn speaks_only_when_asked(&self) -> bool {
        self.rates[Fault::Unsolicited as usize] == Rate::Never
    }

    /// Whether it goes wrong this time. Never in the calm phase.
    pub(crate) fn hits(&self, fault: Fault, choices: &mut Choices<'_>) -> bool {
        match self.rates[fault as usize] {
            _ if choices.is_spent() => false,
            Rate::Never => false,
            Rate::Sometimes(rate) => choices.below(256) >= 256 - rate,
            Rate::Always => true,
        }
    }
}
