//! Subscriptions end equal to the server.

use std::collections::BTreeMap;

use zk_client::Zxid;

/// What identifies a state of a znode: its creation, and the last write to it.
pub(crate) type View = BTreeMap<String, (Zxid, Zxid)>;

/// That a view shows what the server has.
pub(crate) fn views_end_equal(view: &View, server: &View) -> Result<(), String> {
    if view == server {
        return Ok(());
    }
    let lacking: Vec<_> = server.keys().filter(|p| !view.contains_key(*p)).collect();
    let phantom: Vec<_> = view.keys().filter(|p| !server.contains_key(*p)).collect();
    let old: Vec<_> = view
        .iter()
        .filter(|(path, state)| server.get(*path).is_some_and(|there| there != *state))
        .map(|(path, _)| path)
        .collect();
    Err(format!(
        "views equal: lacking {lacking:?}, phantoms {phantom:?}, old {old:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_lags_is_not_equal() {
        let view = |mzxid| View::from([("/a".to_owned(), (Zxid(1), Zxid(mzxid)))]);
        assert_eq!(views_end_equal(&view(2), &view(2)), Ok(()));
        assert!(views_end_equal(&view(1), &view(2)).is_err());
        assert!(views_end_equal(&view(1), &View::new()).is_err());
        assert!(views_end_equal(&View::new(), &view(1)).is_err());
    }
}
