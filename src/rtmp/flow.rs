/// When a peer does not say how often it wants acknowledgements.
pub(super) const WINDOW_BYTES_DEFAULT: u32 = 2_500_000;

/// Counts what was received and says when to acknowledge it, RTMP 1.0 5.4.3 and 5.4.4; wraps at 2^32.
#[derive(Debug)]
pub(super) struct Received {
    total_bytes: u32,
    acknowledged_bytes: u32,
    window_bytes: u32,
}

impl Default for Received {
    fn default() -> Self {
        Self { total_bytes: 0, acknowledged_bytes: 0, window_bytes: WINDOW_BYTES_DEFAULT }
    }
}

impl Received {
    pub(super) fn count(&mut self, bytes: usize) {
        self.total_bytes = self.total_bytes.wrapping_add(bytes as u32);
    }

    /// A window of 0 says nothing.
    pub(super) fn set_window(&mut self, window_bytes: u32) {
        if window_bytes > 0 {
            self.window_bytes = window_bytes;
        }
    }

    /// The total to acknowledge, at half a window, so that a sender never has to wait for it.
    pub(super) fn poll_acknowledgement(&mut self) -> Option<u32> {
        let open = self.total_bytes.wrapping_sub(self.acknowledged_bytes);
        if open == 0 || open < self.window_bytes / 2 {
            return None;
        }
        self.acknowledged_bytes = self.total_bytes;
        Some(self.total_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_window_is_acknowledged_with_the_running_total() {
        let mut received = Received::default();
        received.set_window(1000);
        received.set_window(0);
        received.count(499);
        assert_eq!(received.poll_acknowledgement(), None);
        received.count(1);
        assert_eq!(received.poll_acknowledgement(), Some(500));
        assert_eq!(received.poll_acknowledgement(), None);
        received.count(600);
        assert_eq!(received.poll_acknowledgement(), Some(1100));
    }

    #[test]
    fn the_total_wraps() {
        let mut received = Received { total_bytes: u32::MAX - 9, acknowledged_bytes: u32::MAX - 9, window_bytes: 40 };
        received.count(30);
        assert_eq!(received.poll_acknowledgement(), Some(20));
    }
}
