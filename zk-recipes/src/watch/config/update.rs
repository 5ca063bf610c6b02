//! Read, change, write if nobody else has.

use bytes::Bytes;
use zk_client::{ErrorCode, RetryPolicy, Stat};

use super::{ConfigWatch, Source, Versioned, pause};
use crate::error::Error;

/// As long as the caller waits.
const PATIENCE: RetryPolicy = RetryPolicy::new(u32::MAX);

/// What a write whose answer was lost did. Never that it was applied: another one with the same
/// bytes would look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    NotApplied,
    Unknown,
}

/// `before` is what the write demanded, `now` what was read after it.
fn judge(before: &Stat, written: &[u8], now: Option<(&[u8], &Stat)>) -> Verdict {
    let Some((data, stat)) = now else {
        return Verdict::Unknown;
    };
    if stat.czxid != before.czxid {
        return Verdict::Unknown;
    }
    match stat.version.wrapping_sub(before.version) {
        0 => Verdict::NotApplied,
        // Somebody else's took the only place ours could have had.
        1 if data != written => Verdict::NotApplied,
        _ => Verdict::Unknown,
    }
}

impl<T: Send + Sync + 'static> ConfigWatch<T> {
    /// Changes the document: reads the newest, applies `change`, and writes the result on condition
    /// that nobody has written in between; else it starts over. Gives what was written.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the format cannot write; `BadDocument` if the newest document cannot be
    /// decoded, or the new value not be encoded: nothing was changed. `Client`, with an
    /// unknown outcome, if the answer was lost and reading does not tell what became of the
    /// write; otherwise nothing was changed.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves the document changed or not.
    pub async fn update(&self, mut change: impl FnMut(T) -> T) -> Result<Versioned<T>, Error> {
        loop {
            let (data, before) = self.read().await?;
            let value = change(self.decode(&data)?);
            let document = self.encode(&value)?;
            if let Some(stat) = self.write(&before, &document).await? {
                let source = Source::Znode {
                    czxid: stat.czxid,
                    mzxid: stat.mzxid,
                    version: stat.version,
                };
                return Ok(Versioned { value, source });
            }
        }
    }

    /// Not older than the call.
    async fn read(&self) -> Result<(Bytes, Stat), Error> {
        let patient = self.inner.client.retrying(PATIENCE);
        let read = patient.run(|client| client.read_linearizable(self.path()));
        Ok(read.await?)
    }

    /// `None` if somebody else was faster.
    async fn write(&self, before: &Stat, document: &[u8]) -> Result<Option<Stat>, Error> {
        let client = &self.inner.client;
        loop {
            client.ready().await?;
            let written = client.set_data(self.path(), document, before.version);
            let error = match written.await {
                Ok(stat) => return Ok(Some(stat)),
                Err(error) => error,
            };
            if error.code() == Some(ErrorCode::BadVersion) {
                return Ok(None);
            }
            if error.is_retryable() {
                pause(client).await;
                continue;
            }
            if !error.is_outcome_unknown() {
                return Err(error.into());
            }
            match self.read().await {
                Ok((data, now)) => match judge(before, document, Some((&data, &now))) {
                    Verdict::NotApplied => return Ok(None),
                    Verdict::Unknown => return Err(error.into()),
                },
                Err(_) => return Err(error.into()),
            }
        }
    }

    fn decode(&self, document: &[u8]) -> Result<T, Error> {
        self.inner
            .format
            .decode(document)
            .map_err(|reason| self.bad_document(reason))
    }

    fn encode(&self, value: &T) -> Result<Vec<u8>, Error> {
        match self.inner.format.encode(value) {
            Some(document) => document.map_err(|reason| self.bad_document(reason)),
            None => Err(Error::invalid("format", "it has no function that encodes")),
        }
    }

    fn bad_document(&self, reason: Box<str>) -> Error {
        let path = self.path().into();
        Error::BadDocument { path, reason }
    }
}

#[cfg(test)]
mod tests {
    use zk_client::Zxid;

    use super::*;

    #[test]
    fn only_what_reading_tells_is_believed() {
        let at = |czxid, version| Stat {
            czxid: Zxid(czxid),
            version,
            ..Stat::default()
        };
        let before = at(7, 3);
        let judge = |data: &[u8], stat: Stat| judge(&before, b"ours", Some((data, &stat)));
        assert_eq!(judge(b"old", at(7, 3)), Verdict::NotApplied);
        assert_eq!(judge(b"other", at(7, 4)), Verdict::NotApplied);
        assert_eq!(judge(b"ours", at(7, 4)), Verdict::Unknown);
        assert_eq!(judge(b"other", at(7, 5)), Verdict::Unknown);
        assert_eq!(judge(b"ours", at(9, 4)), Verdict::Unknown);
        assert_eq!(super::judge(&before, b"ours", None), Verdict::Unknown);
    }
}
