//! The members of a party leave together.

use zk_client::{Client, Zxid};

/// That none of the `staying`, who have not begun to leave this party, is there any more, by its
/// znode: only those whose session is over, and those who came later, are not waited for.
pub(crate) async fn members_leave_together(observer: &Client, party: Zxid, staying: &[String]) {
    observer.sync("/").await.unwrap();
    for path in staying {
        let stat = observer.exists(path, None).await.unwrap();
        let is_there = stat.is_some_and(|stat| stat.czxid < party);
        assert!(!is_there, "{path} was left behind by party {party:?}");
    }
}
