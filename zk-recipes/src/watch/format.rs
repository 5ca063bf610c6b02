//! How a document becomes a value, and a value a document.

use std::fmt;
use std::sync::Arc;

type Decode<T> = Arc<dyn Fn(&[u8]) -> Result<T, String> + Send + Sync>;
type Encode<T> = Arc<dyn Fn(&T) -> Result<Vec<u8>, String> + Send + Sync>;

/// Two functions between bytes and values; the second only for those who write.
///
/// ```
/// use zk_recipes::watch::Format;
/// let number = Format::decoding(|bytes| String::from_utf8_lossy(bytes).trim().parse::<u64>())
///     .encoding(|number: &u64| Ok::<_, String>(number.to_string().into_bytes()));
/// # drop(number);
/// ```
pub struct Format<T> {
    decode: Decode<T>,
    encode: Option<Encode<T>>,
}

impl<T: 'static> Format<T> {
    /// Reads by `decode`. Its error is reported as text: it should not contain secrets.
    pub fn decoding<E: fmt::Display>(
        decode: impl Fn(&[u8]) -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        Self {
            decode: Arc::new(move |bytes| decode(bytes).map_err(|error| error.to_string())),
            encode: None,
        }
    }

    /// Writes by `encode`.
    #[must_use]
    pub fn encoding<E: fmt::Display>(
        mut self,
        encode: impl Fn(&T) -> Result<Vec<u8>, E> + Send + Sync + 'static,
    ) -> Self {
        let encode = move |value: &T| encode(value).map_err(|error| error.to_string());
        self.encode = Some(Arc::new(encode));
        self
    }

    /// JSON, read only.
    #[cfg(feature = "json")]
    pub fn json() -> Self
    where
        T: serde::de::DeserializeOwned,
    {
        Self::decoding(|bytes| serde_json::from_slice(bytes))
    }

    /// JSON, read and written; written without spaces.
    #[cfg(feature = "json")]
    pub fn json_both_ways() -> Self
    where
        T: serde::de::DeserializeOwned + serde::Serialize,
    {
        Self::json().encoding(|value| serde_json::to_vec(value))
    }
}

impl<T> Format<T> {
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<T, Box<str>> {
        (self.decode)(bytes).map_err(Into::into)
    }

    /// `None` if it cannot write.
    pub(super) fn encode(&self, value: &T) -> Option<Result<Vec<u8>, Box<str>>> {
        let encode = self.encode.as_ref()?;
        Some(encode(value).map_err(Into::into))
    }
}

impl<T> Clone for Format<T> {
    fn clone(&self) -> Self {
        Self {
            decode: Arc::clone(&self.decode),
            encode: self.encode.clone(),
        }
    }
}

impl<T> fmt::Debug for Format<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Format")
            .field("can_encode", &self.encode.is_some())
            .finish_non_exhaustive()
    }
}
