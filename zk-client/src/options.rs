//! Checks of options before anything is sent.

use zk_proto::data::MAX_TTL;
use zk_proto::{Acl, CreateOptions};

use crate::error::Error;

/// What every server would refuse is refused here.
pub(crate) fn check_create(options: &CreateOptions) -> Result<(), Error> {
    if let Some(acl) = options.chosen_acl() {
        check_acl(acl)?;
    }
    match options.mode().ttl() {
        Some(ttl) if ttl.as_millis() == 0 => Err(Error::invalid("ttl", "less than a millisecond")),
        Some(ttl) if ttl > MAX_TTL => Err(Error::invalid("ttl", "more than 2^40-1 milliseconds")),
        _ => Ok(()),
    }
}

/// An ACL that no server takes.
pub(crate) fn check_acl(acl: &[Acl]) -> Result<(), Error> {
    if acl.is_empty() {
        return Err(Error::invalid("acl", "it is empty"));
    }
    for entry in acl {
        match (entry.id.scheme.as_str(), entry.id.id.as_str()) {
            ("world", "anyone") => {}
            ("world", id) => {
                return Err(Error::invalid(
                    "acl",
                    format!("scheme world has no id {id:?}"),
                ));
            }
            ("", _) => return Err(Error::invalid("acl", "an entry has no scheme")),
            _ => {}
        }
    }
    Ok(())
}
