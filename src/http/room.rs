//! The memory there is for bodies of batches that come: taken as they come, so that who sends slowly holds no more of it than it sent (SECURITY c.6).

use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest body of a batch.
pub const MAX_BATCH_BODY: usize = 32 * 1024 * 1024;
/// What is taken at a time.
const GRAIN: usize = 64 * 1024;

/// All of it.
pub struct Memory(Arc<Semaphore>);

impl Memory {
    /// As much as so many of the largest bodies take.
    pub fn for_bodies(count: usize) -> Self {
        Self::of(count * MAX_BATCH_BODY.div_ceil(GRAIN))
    }

    fn of(grains: usize) -> Self {
        Self(Arc::new(Semaphore::new(grains)))
    }

    /// A body's room, empty as yet.
    pub fn room(&self) -> Room {
        Room { free: self.0.clone(), held: None, bytes: 0 }
    }
}

/// What a body takes of it; given back when dropped.
pub struct Room {
    free: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Room {
    /// Takes room for so many bytes more; refused when others fill the memory.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes += bytes;
        let grains = self.bytes.div_ceil(GRAIN) - self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if grains > 0 {
            let more = u32::try_from(grains).ok().and_then(|grains| self.free.clone().try_acquire_many_owned(grains).ok());
            let more = more.ok_or_else(|| Fault::unavailable(Code::Overloaded, "bodies of batches fill the memory"))?;
            match &mut self.held {
                Some(held) => held.merge(more),
                none => *none = Some(more),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_take_room_as_they_come_and_not_before() {
        let memory = Memory::of(2);
        let (mut slow, mut large) = (memory.room(), memory.room());
        for _ in 0..GRAIN {
            slow.grow(1).unwrap();
        }
        large.grow(GRAIN).unwrap();
        assert_eq!(slow.grow(1).map_err(|fault| fault.code), Err(Code::Overloaded));
        drop(large);
        memory.room().grow(GRAIN).unwrap();
        assert_eq!(memory.0.available_permits(), 1);
    }
}
