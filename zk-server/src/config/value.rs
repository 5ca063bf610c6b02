//! Values as text.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::error::ConfigError;

/// A whole number within `allowed`. Like Java's `Integer.decode` it takes a sign,
/// and hexadecimal digits after `0x`.
pub(super) fn integer<T>(
    key: &str,
    value: &str,
    allowed: RangeInclusive<T>,
) -> Result<T, ConfigError>
where
    T: FromStr + TryFrom<i64> + PartialOrd + Display,
{
    let number = match value
        .strip_prefix("0x")
        .or_else(|| value.strip_prefix("0X"))
    {
        Some(digits) => i64::from_str_radix(digits, 16)
            .ok()
            .and_then(|n| T::try_from(n).ok()),
        None => value.parse().ok(),
    };
    number
        .filter(|number| allowed.contains(number))
        .ok_or_else(|| {
            let range = format!(
                "whole numbers from {} to {}",
                allowed.start(),
                allowed.end()
            );
            ConfigError::value(key, value, range)
        })
}

/// Milliseconds, `least` or more.
pub(super) fn millis(key: &str, value: &str, least: u32) -> Result<Duration, ConfigError> {
    let millis: u32 = integer(key, value, least..=i32::MAX.unsigned_abs())?;
    Ok(Duration::from_millis(millis.into()))
}

/// `true` or `false` in any case, and nothing else.
pub(super) fn boolean(key: &str, value: &str) -> Result<bool, ConfigError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(ConfigError::value(key, value, "true, false")),
    }
}

/// `yes` or `no`.
pub(super) fn yes_or_no(key: &str, value: &str) -> Result<bool, ConfigError> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(ConfigError::value(key, value, "yes, no")),
    }
}

/// What is between commas, without white space and empty pieces.
pub(super) fn list(value: &str) -> Vec<String> {
    let pieces = value.split(',').map(str::trim);
    pieces
        .filter(|piece| !piece.is_empty())
        .map(str::to_owned)
        .collect()
}
