//! What the two sides have told each other by SETTINGS (RFC 9113 section 6.5), and the tables of fields, whose sizes follow from
//! that. It is the same for both sides.

use super::fault::Fault;
use super::frame;
use super::settings::{Entries, OwnSettings, PeerSettings, Settings, Side};
use crate::hpack::{Decoder, Encoder, TABLE_BYTES_INITIAL};
use lanner_limits::{Limits, Moment};

/// Both sides' SETTINGS, and what they are about. The encoder and the decoder are for the connection to use as it likes.
pub(crate) struct Terms {
    pub(crate) own: OwnSettings,
    pub(crate) peer: PeerSettings,
    pub(crate) encoder: Encoder,
    pub(crate) decoder: Decoder,
    /// By when the peer is to have acknowledged ours.
    pub(crate) due: Moment,
}

impl Terms {
    /// Nothing was said yet; `own` is what we want.
    pub(crate) fn new(limits: &Limits, own: Settings, peer: Side) -> Self {
        Self {
            own: OwnSettings::new(own),
            peer: PeerSettings::new(peer),
            encoder: Encoder::new(limits.h2_hpack_encoder_table),
            decoder: Decoder::new(TABLE_BYTES_INITIAL),
            due: Moment::MAX,
        }
    }

    /// Tells the peer what has changed of ours since it was last told; it has the time of a head to say that it knows.
    #[inline]
    pub(crate) fn send(&mut self, limits: &Limits, now: Moment, out: &mut Vec<u8>) {
        if self.own.poll_send(now, out) {
            self.due = now + limits.header_timeout;
        }
    }

    /// The peer's SETTINGS hold at once, and are acknowledged. Gives by how much the windows of all streams move.
    ///
    /// # Errors
    /// They cannot be.
    pub(crate) fn receive(
        &mut self,
        entries: Entries<'_>,
        out: &mut Vec<u8>,
    ) -> Result<i64, Fault> {
        let applied = self.peer.apply(entries)?;
        if let Some(table) = applied.header_table {
            self.encoder.set_peer_max(table.smallest);
            self.encoder.set_peer_max(table.last);
        }
        frame::encode_settings_ack(out);
        Ok(applied.window_delta)
    }

    /// The peer knows ours, so its tables are what we allow.
    ///
    /// # Errors
    /// It was told nothing.
    pub(crate) fn receive_ack(&mut self) -> Result<(), Fault> {
        self.own.handle_ack()?;
        self.decoder.set_max(self.own.acknowledged().header_table);
        self.due = Moment::MAX;
        Ok(())
    }
}
