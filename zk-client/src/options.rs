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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zk_proto::{AclId, CreateMode, Perms};

    use super::*;

    fn refused(options: &CreateOptions) -> &'static str {
        match check_create(options) {
            Err(Error::InvalidArgument { argument, .. }) => argument,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_time_to_live_has_bounds() {
        let with_ttl = |ttl| CreateOptions::from(CreateMode::PersistentWithTtl(ttl));
        let ms = Duration::from_millis(1);
        assert_eq!(refused(&with_ttl(Duration::ZERO)), "ttl");
        assert_eq!(refused(&with_ttl(ms - Duration::from_nanos(1))), "ttl");
        assert_eq!(check_create(&with_ttl(ms)), Ok(()));
        assert_eq!(check_create(&with_ttl(MAX_TTL)), Ok(()));
        assert_eq!(refused(&with_ttl(MAX_TTL + ms)), "ttl");
    }

    #[test]
    fn an_acl_that_no_server_takes_is_refused() {
        let with_acl = |acl| CreateOptions::from(CreateMode::Ephemeral).with_acl(acl);
        let entry = |scheme: &str, id: &str| Acl::new(Perms::ALL, AclId::new(scheme, id));
        assert_eq!(refused(&with_acl(vec![])), "acl");
        assert_eq!(refused(&with_acl(vec![entry("world", "somebody")])), "acl");
        assert_eq!(refused(&with_acl(vec![Acl::open(), entry("", "x")])), "acl");
        let fine = vec![Acl::open(), Acl::creator_all(), entry("mine", "")];
        assert_eq!(check_create(&with_acl(fine)), Ok(()));
        assert_eq!(check_create(&CreateMode::Container.into()), Ok(()));
    }
}
