//! Hard limits of quotas.

use zk_proto::ErrorCode;

use super::{NULL, Preparing};
use crate::tree::{QuotaText, limit_path, usage_path};

impl Preparing<'_> {
    /// Refuses what would exceed a hard limit. Measured against the usage of what
    /// has been applied, so requests under way may exceed it together, as in
    /// Apache. Soft limits refuse nothing.
    pub(super) fn check_quota(
        &self,
        path: &str,
        count: i64,
        data_len: usize,
        data_len_before: usize,
    ) -> Result<(), ErrorCode> {
        if !self.rules.enforce_quota {
            return Ok(());
        }
        let Some(prefix) = self.pending.tree().quota_prefix(path) else {
            return Ok(());
        };
        let Some(limits) = self.quota_text(&limit_path(prefix))? else {
            return Ok(());
        };
        let bytes = signed(data_len) - signed(data_len_before);
        let is_limited = |diff, soft, hard| diff != 0 && (soft > -1 || hard > -1);
        let (count_hard, byte_hard) = (limits.count_hard_limit(), limits.byte_hard_limit());
        let check_count = is_limited(count, limits.count(), count_hard);
        let check_bytes = is_limited(bytes, limits.bytes(), byte_hard);
        if !check_count && !check_bytes {
            return Ok(());
        }
        let Some(usage) = self.quota_text(&usage_path(prefix))? else {
            return Ok(());
        };
        let exceeds = |used: i64, diff, hard| hard > -1 && used.wrapping_add(diff) > hard;
        if check_count && exceeds(usage.count(), count, count_hard)
            || check_bytes && exceeds(usage.bytes(), bytes, byte_hard)
        {
            return Err(ErrorCode::QuotaExceeded);
        }
        Ok(())
    }

    /// The text at `path`, if there is a znode. One that cannot be read fails the
    /// request, as in Apache.
    fn quota_text(&self, path: &str) -> Result<Option<QuotaText>, ErrorCode> {
        let Some(node) = self.pending.tree().node(path) else {
            return Ok(None);
        };
        QuotaText::parse(node.data.as_deref())
            .map(Some)
            .map_err(|_| NULL)
    }
}

fn signed(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
