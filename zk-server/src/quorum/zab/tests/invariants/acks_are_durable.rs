//! An ack speaks of what is on the disk: of a transaction, or of an epoch and with it of
//! all that the leader has sent of its history.

use super::{Event, Invariant, World};
use crate::quorum::ServerId;
use crate::quorum::packet::PacketType;

#[derive(Debug)]
pub(super) struct AcksAreDurable;

impl Invariant for AcksAreDurable {
    fn name(&self) -> &'static str {
        "acks are durable"
    }

    fn observe(
        &mut self,
        server: ServerId,
        event: &Event<'_>,
        world: &World<'_>,
    ) -> Result<(), String> {
        let (Event::Sent(packet), Some(disk)) = (event, world.disks.get(&server)) else {
            return Ok(());
        };
        let zxid = packet.zxid;
        let is_durable = match packet.packet_type {
            PacketType::Ack if zxid.counter() == 0 => disk.current_epoch == zxid.epoch(),
            PacketType::Ack => disk.has(zxid) && disk.current_epoch == zxid.epoch(),
            PacketType::AckEpoch => disk.accepted_epoch >= disk.current_epoch,
            _ => true,
        };
        if is_durable {
            return Ok(());
        }
        Err(format!("{packet:?} before it is on the disk"))
    }
}
