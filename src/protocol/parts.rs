//! The reportable parts, and how far the server knows each of them.
//!
//! What is pending is computed from four generations, never stored: a send takes nothing out, so a send that failed has
//! nothing to put back.
use std::{
    fmt,
    ops::{BitOr, BitOrAssign},
};

/// One part that an agent reports. A new one needs a line here, one in [`Part::needs`] and its encoding in `report.rs`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Description,
    EffectiveConfig,
    RemoteConfigStatus,
    /// In every message anyway; pending means that a change of it wants a message.
    Capabilities,
}

impl Part {
    pub const ALL: [Self; 4] = [
        Self::Description,
        Self::EffectiveConfig,
        Self::RemoteConfigStatus,
        Self::Capabilities,
    ];
    pub(super) const COUNT: usize = Self::ALL.len();
}

/// A set of parts, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts(u32);

impl Parts {
    pub const NONE: Self = Self(0);

    #[must_use]
    pub const fn of(part: Part) -> Self {
        Self(1 << part as u32)
    }

    #[must_use]
    pub const fn has(self, part: Part) -> bool {
        self.0 & (1 << part as u32) != 0
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Bit n stands for the n-th of [`Part::ALL`].
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    pub fn iter(self) -> impl Iterator<Item = Part> {
        Part::ALL.into_iter().filter(move |part| self.has(*part))
    }
}

impl BitOr for Parts {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Parts {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl FromIterator<Part> for Parts {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        parts
            .into_iter()
            .fold(Self::NONE, |set, part| set | Self::of(part))
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
