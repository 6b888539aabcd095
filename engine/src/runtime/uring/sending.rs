//! Bytes on their way to a client: lent from a connection's output, and untouched until the kernel is done with them.

use super::ring::SLICES_MAX;
use lanner_protocol::Output;

/// What a worker keeps of them for reuse, and how much memory one of those may have.
const SPARES_MAX: usize = 256;
const SPARE_BYTES_MAX: usize = 16 * 1024;

/// Bytes that stay where and what they are while they are being sent. Only [`Sending::begin`] makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    start: *const u8,
    length: usize,
}

impl Slice {
    fn new(bytes: &[u8]) -> Self {
        Self {
            start: bytes.as_ptr(),
            length: bytes.len(),
        }
    }

    pub(super) fn start(self) -> *const u8 {
        self.start
    }

    pub(super) fn length(self) -> usize {
        self.length
    }
}

/// What a send is about.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for a moment on the stack, and the usual case writes one slice"
)]
pub(super) enum Slices {
    /// The usual case.
    One(Slice),
    /// So many of them.
    Several([Slice; SLICES_MAX], usize),
}

impl Slices {
    pub(super) fn as_slice(&self) -> &[Slice] {
        match self {
            Self::One(slice) => std::slice::from_ref(slice),
            Self::Several(slices, count) => &slices[..*count],
        }
    }
}

/// What one connection sends.
#[derive(Debug, Default)]
pub(super) struct Sending {
    output: Output,
    /// The kernel may read what is in `output`.
    in_flight: bool,
}

impl Sending {
    /// Where to put what is to be sent; empty memory while nothing is.
    pub(super) fn output(&mut self) -> &mut Output {
        assert!(!self.in_flight, "the kernel may be reading it");
        &mut self.output
    }

    /// What is left to send, or the first part of it. From now on nobody touches it.
    pub(super) fn begin(&mut self) -> Slices {
        self.in_flight = true;
        if let Some(bytes) = self.output.contiguous() {
            return Slices::One(Slice::new(bytes));
        }
        let mut slices = [Slice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slot, bytes) in slices.iter_mut().zip(self.output.slices()) {
            *slot = Slice::new(bytes);
            count += 1;
        }
        Slices::Several(slices, count)
    }

    /// The kernel is done with it, and has sent `count` bytes. Returns whether some are left.
    pub(super) fn end(&mut self, count: usize) -> bool {
        self.in_flight = false;
        self.output.advance(count);
        !self.output.is_empty()
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if self.in_flight {
            // Freed, it would be somebody else's, and the client might be sent that.
            std::mem::forget(std::mem::take(&mut self.output));
        }
    }
}

/// One worker's memory for sending.
#[derive(Debug)]
pub(super) struct Spares {
    /// Never empty.
    #[expect(clippy::vec_box, reason = "they come and go as boxes")]
    spares: Vec<Box<Sending>>,
}

impl Spares {
    pub(super) fn new() -> Self {
        Self {
            spares: vec![Box::default()],
        }
    }

    /// Has `lend` put something into spare memory, and takes that out if it did.
    pub(super) fn take_if(
        &mut self,
        lend: impl FnOnce(&mut Output) -> bool,
    ) -> Option<Box<Sending>> {
        let lent = self
            .spares
            .last_mut()
            .is_some_and(|top| lend(&mut top.output));
        if !lent {
            return None;
        }
        let taken = self.spares.pop();
        if self.spares.is_empty() {
            self.spares.push(Box::default());
        }
        taken
    }

    /// Takes back what the kernel is done with.
    pub(super) fn keep(&mut self, mut sending: Box<Sending>) {
        if self.spares.len() < SPARES_MAX {
            if !sending.output().is_empty() {
                sending.output.abandon();
            }
            sending.output.shrink_to(SPARE_BYTES_MAX);
            self.spares.push(sending);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_short_send_leaves_the_rest() {
        let mut sending = Sending::default();
        sending.output().push(b"head");
        sending.output().push_shared(vec![b'x'; 10_000].into());
        let slices = sending.begin();
        let [head, body] = slices.as_slice() else {
            panic!("{slices:?}")
        };
        assert_eq!((head.length(), body.length()), (4, 10_000));
        assert!(sending.end(104));
        let slices = sending.begin();
        let [rest] = slices.as_slice() else {
            panic!("{slices:?}")
        };
        assert_eq!(rest.length(), 9_900);
        assert_eq!(rest.start(), body.start().wrapping_add(100));
        assert!(!sending.end(9_900));
    }

    #[test]
    fn memory_is_used_again_and_not_hoarded() {
        let mut spares = Spares::new();
        assert!(spares.take_if(|_| false).is_none());
        let mut taken = spares
            .take_if(|output| {
                output.push(b"answer");
                true
            })
            .unwrap();
        let first = taken.begin().as_slice()[0].start();
        assert!(!taken.end(6));
        spares.keep(taken);
        let mut again = spares
            .take_if(|output| {
                output.push(b"other");
                true
            })
            .unwrap();
        assert_eq!(again.begin().as_slice()[0].start(), first);
        again.end(5);
        for _ in 0..2 * SPARES_MAX {
            let mut large = Box::<Sending>::default();
            large.output().push(&[b'x'; 2 * SPARE_BYTES_MAX]);
            spares.keep(large);
        }
        assert_eq!(spares.spares.len(), SPARES_MAX);
    }
}
