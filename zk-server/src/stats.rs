//! What `srvr`, `cons` and `mntr` count.

use zk_env::Mono;

/// Least, greatest and mean of a series of milliseconds or bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    count: u64,
    total: u64,
    min: u64,
    max: u64,
}

impl Summary {
    /// Adds `count` values that are all `value`.
    pub(crate) fn add(&mut self, value: u64, count: u64) {
        if count == 0 {
            return;
        }
        self.min = if self.count == 0 {
            value
        } else {
            self.min.min(value)
        };
        self.max = self.max.max(value);
        self.count += count;
        self.total = self.total.saturating_add(value.saturating_mul(count));
    }

    /// The least value, 0 without any.
    pub(crate) fn min(&self) -> u64 {
        self.min
    }

    /// The greatest value, 0 without any.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Whether nothing has been added.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The mean without its fraction, 0 without any values.
    pub(crate) fn whole_mean(&self) -> u64 {
        self.total.checked_div(self.count).unwrap_or(0)
    }

    /// The mean in ten-thousandths, rounded half up as Apache rounds it.
    pub(crate) fn mean_in_ten_thousandths(&self) -> u64 {
        if self.count == 0 {
            return 0;
        }
        let (total, count) = (u128::from(self.total), u128::from(self.count));
        let mean = (total * 20_000 + count) / (2 * count);
        u64::try_from(mean).unwrap_or(u64::MAX)
    }
}

/// The whole server's counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerStats {
    pub(crate) packets_received: u64,
    pub(crate) packets_sent: u64,
    pub(crate) bytes_received: u64,
    /// From the bytes' arrival to the reply's place in the outbox, in milliseconds.
    pub(crate) latency: Summary,
    pub(crate) response_size: Summary,
    pub(crate) last_response_size: u64,
    pub(crate) connections_accepted: u64,
    /// Handshakes, refused ones among them.
    pub(crate) connection_requests: u64,
    pub(crate) connections_rejected: u64,
    /// By their clients, without the end of a session as a rule.
    pub(crate) connections_dropped: u64,
    /// Connections closed for being idle, most of them without a handshake.
    pub(crate) idle_connections_expired: u64,
    /// Handshakes of TLS that came to nothing.
    pub(crate) unsuccessful_handshakes: u64,
}

impl ServerStats {
    /// `srst`: everything starts again.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Last, least and greatest size of a response; −1 stands for "none yet".
    pub(crate) fn last_min_max_response(&self) -> [i64; 3] {
        let size = &self.response_size;
        if size.is_empty() {
            return [-1; 3];
        }
        let known = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        [self.last_response_size, size.min(), size.max()].map(known)
    }

    /// Counts frames that go out: `frames` holds them with their length words.
    pub(crate) fn record_responses(&mut self, frames: &[u8], count: u32) {
        self.packets_sent += u64::from(count);
        let mut rest = frames;
        while let Some((word, body)) = rest.split_first_chunk::<4>() {
            let len = u32::from_be_bytes(*word);
            self.last_response_size = u64::from(len);
            self.response_size.add(u64::from(len), 1);
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            rest = body.get(len..).unwrap_or_default();
        }
    }
}

/// One connection's counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct CnxnStats {
    pub(crate) packets_received: u64,
    pub(crate) packets_sent: u64,
    pub(crate) latency: Summary,
    pub(crate) last_latency: u64,
    /// When the last reply was made.
    pub(crate) last_response: Mono,
    /// Since `crst` nothing has been answered: the last operation is not shown.
    pub(crate) is_reset: bool,
}

impl CnxnStats {
    /// `crst`: everything starts again.
    pub(crate) fn reset(&mut self) {
        *self = Self {
            is_reset: true,
            ..Self::default()
        };
    }

    /// Counts requests that arrived together and were answered together.
    pub(crate) fn record_answers(&mut self, requests: u64, latency_ms: u64, now: Mono) {
        self.packets_received += requests;
        self.latency.add(latency_ms, requests);
        self.last_latency = latency_ms;
        self.last_response = now;
        self.is_reset = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_of_nothing_is_all_zeros() {
        let none = Summary::default();
        assert_eq!((none.min(), none.max(), none.whole_mean()), (0, 0, 0));
        assert_eq!(none.mean_in_ten_thousandths(), 0);
    }

    #[test]
    fn the_mean_is_rounded_half_up_at_the_fourth_decimal() {
        let mut thirds = Summary::default();
        thirds.add(0, 1);
        thirds.add(1, 2);
        assert_eq!(thirds.mean_in_ten_thousandths(), 6667);
        assert_eq!((thirds.min(), thirds.max(), thirds.whole_mean()), (0, 1, 0));
    }

    #[test]
    fn response_sizes_are_read_off_the_length_words() {
        let mut stats = ServerStats::default();
        stats.record_responses(&[0, 0, 0, 1, 9, 0, 0, 0, 3, 9, 9, 9], 2);
        assert_eq!(stats.packets_sent, 2);
        assert_eq!(stats.last_response_size, 3);
        assert_eq!(
            (stats.response_size.min(), stats.response_size.max()),
            (1, 3)
        );
    }
}
