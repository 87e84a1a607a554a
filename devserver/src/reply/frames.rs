//! From a message and the rule that meets it to frames.
use bytes::Bytes;

use crate::reply::answer::{body_of, deliver, dropped_text};
use crate::reply::step::Step;
use crate::vocabulary::action::{Action, Close};
use crate::vocabulary::frame::{CloseSpec, Frame, Opcode};
use crate::vocabulary::text::from_hex;

/// What leaves, in this order.
pub(crate) struct Framed {
    pub(crate) steps: Vec<Step>,
    /// Bytes of each frame's payload; none when nothing leaves.
    pub(crate) sizes: Option<Vec<usize>>,
    pub(crate) size: u64,
    /// The ServerToAgent that an agent may find in it.
    pub(crate) message: Option<Bytes>,
    pub(crate) did: String,
}

/// A ServerToAgent with its header in front.
pub(crate) fn message(good: Bytes, action: &Action) -> Framed {
    let (body, message) = body_of(good, action);
    let header = action.header.as_deref().unwrap_or("00");
    let header = from_hex(header).expect("checked when loaded");
    // An agent skips what has another header.
    let message = message.filter(|_| header == [0] && action.opcode.is_none());
    let size = body.len() as u64;
    let payload = [&header[..], &body].concat();
    Framed {
        size,
        message,
        ..framed(Opcode::BINARY, payload.into(), action)
    }
}

/// The pong to a ping.
pub(crate) fn pong(payload: Bytes, action: &Action) -> Framed {
    let payload = match &action.body {
        Some(_) => body_of(payload, action).0,
        None => payload,
    };
    framed(Opcode::PONG, payload, action)
}

fn framed(opcode: Opcode, payload: Bytes, action: &Action) -> Framed {
    if let Some(dropped) = action.drop {
        return withheld(vec![Step::End(dropped.how())], dropped_text(dropped));
    }
    if action.silent {
        return withheld(Vec::new(), "kept silent".into());
    }
    let frames = fragments(opcode, &payload, action);
    let mut head: Vec<u8> = Vec::new();
    for spec in &action.frames_before {
        head.extend(spec.frame().bytes());
    }
    let length = action
        .content_length
        .unwrap_or(frames[0].payload.len() as u64);
    head.extend(frames[0].head(length));
    let mut body = frames[0].body().to_vec();
    for (number, frame) in frames.iter().enumerate().skip(1) {
        if action.pings_between {
            body.extend(Frame::new(Opcode::PING, format!("between {number}")).bytes());
        }
        body.extend(frame.bytes());
    }
    for spec in &action.frames {
        body.extend(spec.frame().bytes());
    }
    let sizes = frames.iter().map(|frame| frame.payload.len()).collect();
    Framed {
        steps: deliver(head.into(), body.into(), action, more),
        sizes: Some(sizes),
        size: payload.len() as u64,
        message: None,
        did: "answered".into(),
    }
}

fn withheld(steps: Vec<Step>, did: String) -> Framed {
    Framed {
        steps,
        sizes: None,
        size: 0,
        message: None,
        did,
    }
}

/// The frames of one message; there is at least one.
fn fragments(opcode: Opcode, payload: &Bytes, action: &Action) -> Vec<Frame> {
    let size = action.fragments.unwrap_or(payload.len()).max(1);
    let starts = (0..payload.len().max(1)).step_by(size);
    let mut frames: Vec<Frame> = starts
        .map(|start| {
            let piece = payload.slice(start..payload.len().min(start + size));
            let mut frame = Frame::new(Opcode::CONTINUATION, piece);
            frame.is_final = false;
            frame.is_masked = action.masked;
            frame
        })
        .collect();
    frames[0].opcode = action.opcode.unwrap_or(opcode);
    frames[0].reserved = action.reserved_bits;
    if let Some(last) = frames.last_mut() {
        last.is_final = !action.unfinished && action.endless.is_none();
    }
    frames
}

/// One more fragment of a message without an end.
fn more(size: usize) -> Bytes {
    let mut frame = Frame::new(Opcode::CONTINUATION, vec![0; size]);
    frame.is_final = false;
    frame.bytes().into()
}

/// The Close frame that a rule wants after what it spoiled.
pub(crate) fn close_of(action: &Action) -> Option<CloseSpec> {
    match &action.close {
        Some(Close::Frame(close)) => Some(close.clone()),
        Some(Close::Announced) => Some(CloseSpec::of(1000, "")),
        _ => None,
    }
}
