//! What a plan does to a connection, step by step.
use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::reply::step::Step;
use crate::serve::http::Wire;
use crate::vocabulary::cut::How;

/// Does all steps; how the connection ends where they end it. An error is the peer's end.
pub(crate) async fn take_all(wire: &mut Wire, steps: Vec<Step>) -> io::Result<Option<How>> {
    for step in steps {
        if let Step::End(how) = step {
            return Ok(Some(how));
        }
        take(wire, step).await?;
    }
    Ok(None)
}

async fn take(wire: &mut Wire, step: Step) -> io::Result<()> {
    match step {
        Step::Write(bytes) => write(wire, &bytes).await,
        Step::Pause(span) => pause(wire, span).await,
        Step::Dribble(bytes, pace) => {
            for piece in bytes.chunks(pace.bytes.max(1)) {
                write(wire, piece).await?;
                pause(wire, pace.every.0).await?;
            }
            Ok(())
        }
        Step::Endless(piece, every) => loop {
            write(wire, &piece).await?;
            pause(wire, every).await?;
        },
        Step::Stall => Err(wire.peer_gone().await),
        Step::End(_) => Ok(()),
    }
}

pub(crate) async fn write(wire: &mut Wire, bytes: &[u8]) -> io::Result<()> {
    wire.stream.write_all(bytes).await?;
    wire.stream.flush().await
}

/// Waits, unless the peer goes first.
async fn pause(wire: &mut Wire, span: Duration) -> io::Result<()> {
    tokio::select! {
        () = tokio::time::sleep(span) => Ok(()),
        error = wire.peer_gone() => Err(error),
    }
}
