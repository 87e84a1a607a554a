//! Known bugs, planted one at a time by a test, to see whether the simulation finds them. Never in
//! an installed library.
use std::cell::Cell;

/// Each changes one line of the core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A fact is taken in whichever try it names.
    StaleAnswerAccepted,
    /// A number is used up although no byte has left.
    NumberNotGivenBack,
    /// A part counts as confirmed when it is built.
    ConfirmedBeforeAnswered,
    /// A change of the host opens the gate.
    SetterThroughGate,
    /// Every connection and every answer, good or bad, resets the backoff.
    BackoffResetOnConnect,
    /// Full state that the server asks for has no budget.
    EndlessFullReports,
    /// What was refused is pending again.
    ResendAfterRefusal,
    /// A detach tells the server that the agent is gone.
    GoodbyeOnDetach,
    /// A goodbye does not end the stop.
    DisconnectTwice,
    /// A message may follow the goodbye.
    HeartbeatAfterDisconnect,
    /// A timer that has fired stays set.
    TimerInThePast,
    /// A part counts as sent although it is not in the message.
    LostPart,
    /// A second put-off may shorten the first.
    WaitShortened,
    /// Over WebSocket any message of the server confirms all that was sent before.
    AnyMessageConfirms,
    /// A close for the peer's fault carries the code of a normal end.
    CodeOfFaultLost,
    /// A connection that a freeze has killed counts as a failure.
    FreezeIsFailure,
    /// What a peer provokes is told each time.
    Storms,
    /// A verdict waits for the answer to an earlier message as other news do.
    VerdictWaits,
    /// A pong without an answer never confirms.
    PongConfirmsNothing,
    /// All of a message that was too large is held back.
    LargestStays,
    /// A server that wants all gets what was too large for the way, too.
    SizeForgotten,
}

impl Bug {
    pub const ALL: [Self; 21] = [
        Self::StaleAnswerAccepted,
        Self::NumberNotGivenBack,
        Self::ConfirmedBeforeAnswered,
        Self::SetterThroughGate,
        Self::BackoffResetOnConnect,
        Self::EndlessFullReports,
        Self::ResendAfterRefusal,
        Self::GoodbyeOnDetach,
        Self::DisconnectTwice,
        Self::HeartbeatAfterDisconnect,
        Self::TimerInThePast,
        Self::LostPart,
        Self::WaitShortened,
        Self::AnyMessageConfirms,
        Self::CodeOfFaultLost,
        Self::FreezeIsFailure,
        Self::Storms,
        Self::VerdictWaits,
        Self::PongConfirmsNothing,
        Self::LargestStays,
        Self::SizeForgotten,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// From now on all cores of this thread have it.
pub fn enable(bug: Option<Bug>) {
    PLANTED.set(bug);
}

pub(super) fn has(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
