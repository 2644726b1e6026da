use std::time::Duration;
use weir::relay::follower::Follower;
use weir::relay::protocol::FollowerMessage;
use weir::stream::packet::Packet;

/// Messages of an owner, and what an owner would make of them: a byte for the kind, two for the length, the message.
pub fn relay(input: &[u8]) {
    let mut follower = Follower::new(0, 64 << 10, Duration::ZERO);
    let mut fence = 0;
    let mut rest = input;
    let mut now_us = 0;
    while let [kind, high, low, body @ ..] = rest {
        let (message, next) = body.split_at(usize::from(u16::from_be_bytes([*high, *low])).min(body.len()));
        rest = next;
        let asked = FollowerMessage::parse(message);
        assert_eq!(FollowerMessage::parse(asked.to_json().as_bytes()), asked);
        now_us += i64::from(*kind) * 1000;
        let now = Duration::from_micros(now_us.unsigned_abs());
        let told = match kind & 1 {
            0 => follower.handle_text(message, now, now_us),
            _ => follower.handle_binary(message, now),
        };
        let Ok(told) = told else { return };
        assert!(follower.fence() >= fence, "the fence went back");
        fence = follower.fence();
        if let Some(Packet::Fragment(fragment)) = told {
            assert!(fragment.epoch.fence <= fence);
            assert!(fragment.start <= fragment.end && fragment.start_us <= fragment.end_us);
        }
    }
}
